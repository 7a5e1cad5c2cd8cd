/**
 * Any bytes in any file: reading ends in documents, counted skips or an error of ours, and the records on both
 * sides of a damaged one come out as they were.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { PlinthError } from '../../src/core/errors.ts';
import type { Document } from '../../src/data/document.ts';
import { mainText } from '../../src/data/readers/html-text.ts';
import { MarkdownText } from '../../src/data/readers/markdown-text.ts';
import { type OpenReaderOptions, openReader } from '../../src/data/readers/open-reader.node.ts';
import { archives, page, wetRecord, writeSqlite } from '../fixtures/data/reader-records.ts';

const folder = mkdtempSync(join(tmpdir(), 'plinth-any-bytes-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function outcome(
  name: string,
  bytes: Uint8Array,
  options: OpenReaderOptions = {},
): Promise<{ documents: Document[]; numSkipped: number } | PlinthError> {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  const reader = openReader(path, options);
  const documents: Document[] = [];
  try {
    for await (const document of reader.read()) documents.push(document);
  } catch (error) {
    if (error instanceof PlinthError) return error;
    throw error;
  }
  expect(reader.report.numRead).toBe(documents.length);
  for (const { position, reason } of reader.report.skipped) {
    expect(position).not.toBe('');
    expect(reason).not.toBe('');
  }
  return { documents, numSkipped: reader.report.numSkipped };
}

const sqlitePath = join(folder, 'good.sqlite');
writeSqlite(sqlitePath);
const goodFiles: [name: string, bytes: Buffer][] = [
  ...Object.entries(archives).map(([name, content]): [string, Buffer] => [
    name,
    Buffer.from(content() as Uint8Array),
  ]),
  ['all.sqlite', readFileSync(sqlitePath)],
  ['all.html', Buffer.from(page('Some text of a page'))],
  ['all.md', Buffer.from('---\na: b\n---\n# Title\n\n*text* [link](x) `code`\n')],
];
/** Decoders in a thread of their own cost tens of milliseconds a file. */
const isSlow = (name: string): boolean => /zst|xz|bz2|sqlite/.test(name);

describe('arbitrary bytes', () => {
  const extensions = [
    'txt',
    'md',
    'html',
    'jsonl',
    'csv',
    'tsv',
    'warc',
    'wet',
    'sqlite',
    'jsonl.gz',
    'warc.gz',
    'txt.br',
  ];
  const anyBytes = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 400 }),
    // Pieces of the formats in any order get further than noise does.
    fc
      .array(
        fc.constantFrom(
          'WARC/1.0\r\n',
          'WARC-Type: response\r\n',
          'WARC-Type: conversion\r\n',
          'Content-Length: 20\r\n',
          'Content-Length: 0\r\n',
          '\r\n',
          '\r\n\r\n',
          'HTTP/1.1 200 OK\r\n',
          'Content-Type: text/html\r\n',
          '\x1f\x8b\x08\0',
          '<p>',
          '</',
          '<!--',
          '<script>',
          '&amp;',
          '"',
          ',',
          '\n',
          '{"text":"a"}',
          '[',
          '---\n',
          '```',
          '\xff\xfe',
          '\0',
          'text,id\n',
          'SQLite format 3\0',
          'Transfer-Encoding: chunked\r\n',
          '5\r\nhello\r\n',
          '*',
          '_',
          '[a](b)',
          '|',
        ),
        { minLength: 1, maxLength: 60 },
      )
      .map((parts) => Buffer.from(parts.join(''), 'latin1')),
  );

  it.each(extensions)('as .%s end in documents, skips or an error of ours', async (extension) => {
    await fc.assert(
      fc.asyncProperty(anyBytes, async (bytes) => {
        await outcome(`any.${extension}`, bytes);
      }),
      { numRuns: 40, seed: 7 },
    );
  });

  it.each(['jsonl.zst', 'jsonl.xz', 'jsonl.bz2', 'parquet'])('as .%s too', async (extension) => {
    await fc.assert(
      fc.asyncProperty(anyBytes, async (bytes) => {
        await outcome(`any.${extension}`, bytes, { timeoutMs: 5000 });
      }),
      { numRuns: 5, seed: 7 },
    );
  });

  it('as a page or Markdown give a text or none', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), anyBytes, (text, bytes) => {
        const html = text + Buffer.from(bytes).toString('latin1');
        const found = mainText(html);
        if (found !== null) expect(found.text.trim()).toBe(found.text);
        const markdown = new MarkdownText();
        for (const line of html.split('\n')) markdown.line(line);
        markdown.end();
      }),
      { numRuns: 100, seed: 7 },
    );
  });
});

describe('good files, changed anywhere', () => {
  it.each(goodFiles)('%s ends in documents, skips or an error of ours', async (name, bytes) => {
    const change = fc.record({
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      value: fc.integer({ min: 0, max: 255 }),
      kind: fc.constantFrom('set', 'cut', 'insert', 'repeat'),
      length: fc.integer({ min: 1, max: 40 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        let changed: Buffer = Buffer.from(bytes);
        for (const { at, value, kind, length } of changes) {
          const place = Math.floor(at * changed.length);
          if (kind === 'set')
            changed.fill(value, place, Math.min(changed.length, place + Math.min(length, 4)));
          else if (kind === 'cut')
            changed = Buffer.concat([changed.subarray(0, place), changed.subarray(place + length)]);
          else {
            const more =
              kind === 'insert' ? Buffer.alloc(length, value) : changed.subarray(place, place + length);
            changed = Buffer.concat([changed.subarray(0, place), more, changed.subarray(place)]);
          }
        }
        const found = await outcome(`changed-${name}`, changed);
        // Never silent: what is missing is counted, unless the change fell on blank space.
        if (!(found instanceof PlinthError))
          expect(found.documents.length + found.numSkipped).toBeGreaterThan(0);
      }),
      { numRuns: isSlow(name) ? 5 : 30, seed: 11 },
    );
  });
});

describe('the neighbours of a damaged record', () => {
  const texts = Array.from(
    { length: 9 },
    (_, i) => `Record ${i}: ${'some words of it, '.repeat(i + 2)}end ${i}`,
  );
  const formats: [name: string, parts: Buffer[]][] = [
    ['lines.jsonl', texts.map((text) => Buffer.from(`${JSON.stringify({ text })}\n`))],
    ['members.jsonl.gz', texts.map((text) => gzipSync(`${JSON.stringify({ text })}\n`))],
    ['lines.txt', texts.map((text) => Buffer.from(`${text}\n`))],
    ['records.wet', texts.map((text, i) => wetRecord(String(i), text))],
    ['records.wet.gz', texts.map((text, i) => gzipSync(wetRecord(String(i), text)))],
  ];

  it.each(formats)('come out of %s as they were', async (name, parts) => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 7 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.uint8Array({ minLength: 1, maxLength: 6 }).filter((bytes) => !bytes.includes(10)),
        async (index, at, noise) => {
          const part = Buffer.from(parts[index]!);
          // The last bytes are a record's end of line or blank lines, which belong to its neighbour too.
          const place = Math.floor(at * (part.length - noise.length - 4));
          part.set(noise, place);
          const bytes = Buffer.concat(parts.map((good, i) => (i === index ? part : good)));
          const found = await outcome(name, bytes, { by: 'line' });
          if (found instanceof PlinthError) throw found;
          const kept = found.documents.map(({ text }) => text);
          const expected = texts.filter((_, i) => i !== index);
          expect(kept.filter((text) => expected.includes(text))).toEqual(expected);
        },
      ),
      { numRuns: 60, seed: 3 },
    );
  });
});
