/**
 * Web archives against known content: archives that warcio (npm 2.4.11) wrote, and the counts that the dolma
 * toolkit's archives are checked for.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { WARCRecord, WARCSerializer } from 'warcio';
import type { Document } from '../../src/data/document.ts';
import { WarcReader, type WarcReaderOptions } from '../../src/data/readers/warc-reader.node.ts';
import { page, responseRecord, warcRecord, wetRecord } from '../fixtures/data/reader-records.ts';

const folder = mkdtempSync(join(tmpdir(), 'plinth-warc-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function read(name: string, bytes: Uint8Array, options: WarcReaderOptions = {}) {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  const reader = new WarcReader(path, options);
  const documents: Document[] = [];
  for await (const document of reader.read()) documents.push(document);
  return { documents, texts: documents.map(({ text }) => text), report: reader.report, reader };
}

const gzipMembers = (parts: readonly Uint8Array[]): Buffer =>
  Buffer.concat(parts.map((part) => gzipSync(part)));

/** An archive of `numPages` as warcio writes it: warcinfo, then request, response and metadata for each. */
async function warcioArchive(numPages: number, gzip: boolean): Promise<Buffer> {
  const date = '2024-05-06T07:08:09Z';
  const httpHeaders = { 'Content-Type': 'text/html; charset="UTF-8"' };
  const parts: Uint8Array[] = [];
  const add = async (record: WARCRecord): Promise<void> => {
    parts.push(await WARCSerializer.serialize(record, { gzip }));
  };
  const content = (text: string) => [new TextEncoder().encode(text)];
  await add(
    await WARCRecord.createWARCInfo({ filename: 'a.warc', warcVersion: 'WARC/1.1' }, { software: 'warcio' }),
  );
  for (let i = 0; i < numPages; i++) {
    const url = `https://example.com/${i}`;
    const common = { url, date, warcVersion: i % 2 === 0 ? ('WARC/1.0' as const) : ('WARC/1.1' as const) };
    await add(WARCRecord.create({ ...common, type: 'request', httpHeaders: { Accept: '*/*' } }, content('')));
    const body = page(`Page ${i}: a sentence of its own, and another – ${'x'.repeat(i * 50)}`);
    await add(
      WARCRecord.create(
        {
          ...common,
          type: 'response',
          httpHeaders,
          warcHeaders: { 'WARC-Record-ID': `<urn:uuid:page-${i}>` },
        },
        content(body),
      ),
    );
    await add(
      WARCRecord.create(
        { ...common, type: 'metadata', warcHeaders: { 'Content-Type': 'application/warc-fields' } },
        content('fetchTimeMs: 12'),
      ),
    );
  }
  return Buffer.concat(parts);
}

describe('archives that warcio wrote', () => {
  it.each([
    ['gzipped by records', true],
    ['plain', false],
  ])('%s give their pages, and the other records by type', async (_, gzip) => {
    const bytes = await warcioArchive(22, gzip);
    const { documents, report, reader } = await read(gzip ? 'w.warc.gz' : 'w.warc', bytes);
    // 22: dolma, tests/python/test_warc.py, test_verify_extraction on sample-0000 (every response record with
    // text gives a document, no other record does).
    expect(documents).toHaveLength(22);
    expect(documents[3]).toMatchObject({
      id: 'page-3',
      text: `Page 3: a sentence of its own, and another – ${'x'.repeat(150)}`,
      meta: {
        url: 'https://example.com/3',
        date: '2024-05-06T07:08:09Z',
        mediaType: 'text/html',
        title: 'T',
      },
    });
    expect(report.numSkipped).toBe(0);
    expect(reader.otherRecords).toEqual({ warcinfo: 1, request: 22, metadata: 22 });
  });

  it('of 15 pages and 7 responses without one give 15', async () => {
    // dolma's sample-0001: 15 documents.
    const image = responseRecord('i', 'HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n\x89PNG');
    const bytes = Buffer.concat([await warcioArchive(15, true), gzipMembers(Array(7).fill(image))]);
    const { documents, reader, report } = await read('15.warc.gz', bytes);
    expect(documents).toHaveLength(15);
    expect(reader.otherRecords['response image/png']).toBe(7);
    expect(report.numSkipped).toBe(0);
  });
});

describe('responses', () => {
  const html = page('Ünï, and more text');
  const http = (headers: Record<string, string>, body: string | Uint8Array): Buffer =>
    Buffer.concat([
      Buffer.from(
        `HTTP/1.1 200 OK\r\n${Object.entries(headers)
          .map(([name, value]) => `${name}: ${value}\r\n`)
          .join('')}\r\n`,
      ),
      Buffer.from(body as string),
    ]);
  const chunked = (body: Buffer): Buffer =>
    Buffer.concat([
      Buffer.from('7;a=b\r\n'),
      body.subarray(0, 7),
      Buffer.from(`\r\n${(body.length - 7).toString(16)}\r\n`),
      body.subarray(7),
      Buffer.from('\r\n0\r\n\r\n'),
    ]);
  const type = { 'Content-Type': 'text/html' };

  it.each<[string, Buffer]>([
    ['gzip', http({ ...type, 'Content-Encoding': 'gzip' }, gzipSync(html))],
    ['br', http({ ...type, 'content-encoding': 'br' }, brotliCompressSync(html))],
    ['deflate', http({ ...type, 'Content-Encoding': 'deflate' }, deflateSync(html))],
    ['bare deflate', http({ ...type, 'Content-Encoding': 'deflate' }, deflateRawSync(html))],
    ['chunks', http({ ...type, 'Transfer-Encoding': 'chunked' }, chunked(Buffer.from(html)))],
    [
      'chunks of gzip',
      http({ ...type, 'Transfer-Encoding': 'chunked', 'Content-Encoding': 'gzip' }, chunked(gzipSync(html))),
    ],
    ['gzip that the archive undid', http({ ...type, 'Content-Encoding': 'gzip' }, html)],
    ['br that the archive undid', http({ ...type, 'Content-Encoding': 'br' }, html)],
    ['chunks that the archive undid', http({ ...type, 'Transfer-Encoding': 'chunked' }, html)],
    [
      'latin-1 by its header',
      http(
        { 'Content-Type': 'text/html; charset=iso-8859-1' },
        Buffer.from('<p>Ünï, and more text', 'latin1'),
      ),
    ],
    [
      'latin-1 by its meta',
      http(type, Buffer.from('<meta charset="iso-8859-1"><p>Ünï, and more text', 'latin1')),
    ],
    ['xhtml', http({ 'Content-Type': 'application/xhtml+xml; charset=utf-8' }, html)],
    ['plain text', http({ 'Content-Type': 'text/plain; charset=utf-8' }, ' Ünï, and more text\n')],
  ])('%s', async (_, block) => {
    const { texts, report } = await read('one.warc', responseRecord('r', block));
    expect(texts).toEqual(['Ünï, and more text']);
    expect(report.numSkipped).toBe(0);
  });

  it('stay HTML when asked', async () => {
    const { documents } = await read('raw.warc', responseRecord('r', http(type, html)), { html: 'raw' });
    expect(documents[0]).toMatchObject({ text: html, meta: { mediaType: 'text/html' } });
  });

  it('without text, with a broken body or an encoding nobody knows are counted', async () => {
    const bytes = Buffer.concat(
      [
        http(type, '<html><script>x()</script></html>'),
        http({ ...type, 'Content-Encoding': 'gzip' }, Buffer.from([0x1f, 0x8b, 9, 9, 9, 9])),
        http({ ...type, 'Content-Encoding': 'zstd' }, html),
        Buffer.from('no HTTP'),
        http(type, html),
      ].map((block, i) => responseRecord(`r${i}`, block)),
    );
    const { documents, report } = await read('broken.warc', bytes);
    expect(documents.map(({ id }) => id)).toEqual(['r4']);
    expect(report.skipped.map(({ reason }) => reason)).toEqual([
      'the page has no text',
      'the body is not gzip, as its header says',
      "unknown content encoding 'zstd'",
      'the record holds no HTTP response',
    ]);
    expect(report.skipped[0]!.position).toBe('byte 0');
  });
});

describe('WET', () => {
  it('gives text, address, date and language', async () => {
    const record = warcRecord(
      {
        'WARC-Type': 'conversion',
        'WARC-Target-URI': 'https://example.com/é',
        'WARC-Date': '2024-02-20T10:00:00Z',
        'WARC-Record-ID': '<urn:uuid:12ab>',
        'WARC-Identified-Content-Language': 'deu,eng',
        'Content-Type': 'text/plain',
      },
      'Zeile eins\nZeile zwei\n',
    );
    const { documents, reader } = await read(
      'a.warc.wet.gz',
      gzipMembers([warcRecord({ 'WARC-Type': 'warcinfo' }, 'Software: x'), record]),
    );
    expect(documents).toEqual([
      {
        id: '12ab',
        text: 'Zeile eins\nZeile zwei',
        source: join(folder, 'a.warc.wet.gz'),
        meta: {
          url: 'https://example.com/é',
          date: '2024-02-20T10:00:00Z',
          mediaType: 'text/plain',
          warcLanguage: 'deu,eng',
        },
      },
    ]);
    expect(reader.otherRecords).toEqual({ warcinfo: 1 });
  });
});

describe('damaged records', () => {
  const records = Array.from({ length: 5 }, (_, i) => wetRecord(`r${i}`, `Text number ${i}. `.repeat(30)));
  const lengthOf = (numRecords: number): number =>
    records.slice(0, numRecords).reduce((sum, record) => sum + record.length, 0);
  const ids = (documents: readonly Document[]): string[] => documents.map(({ id }) => id);
  const withRecord = (index: number, change: (record: Buffer) => Buffer): Buffer[] =>
    records.map((record, i) => (i === index ? change(record) : record));
  const replaced =
    (from: string, to: string) =>
    (record: Buffer): Buffer =>
      Buffer.from(record.toString().replace(from, to));
  const length = /Content-Length: \d+/.exec(records[2]!.toString())![0];

  it.each<[string, (record: Buffer) => Buffer]>([
    ['a bad version line', replaced('WARC/1.0', 'WORC/1.0')],
    ['an unknown version', replaced('WARC/1.0', 'WARC/7.0')],
    ['no length', replaced(length, 'X-Length: 1')],
    ['a negative length', replaced(length, 'Content-Length: -5')],
    ['a length that is no number', replaced(length, 'Content-Length: many')],
    ['a length that is too short', replaced(length, 'Content-Length: 9')],
    ['a length that is too long', replaced(length, 'Content-Length: 700')],
    ['a length beyond all files', replaced(length, 'Content-Length: 99999999999999')],
    ['a cut end', (record) => record.subarray(0, 250)],
    ['a header without an end', replaced('\r\n\r\n', '\r\n')],
    ['bytes that are no UTF-8', (record) => Buffer.from(record).fill(0xff, 300, 302)],
  ])('%s costs one record', async (_, change) => {
    const broken = withRecord(2, change);
    for (const [name, bytes] of [
      ['d.wet', Buffer.concat(broken)],
      ['d.wet.gz', gzipMembers(broken)],
      ['d1.wet.gz', gzipSync(Buffer.concat(broken))],
      ['d.wet.br', brotliCompressSync(Buffer.concat(broken))],
    ] as const) {
      const { documents, report } = await read(name, bytes);
      expect(ids(documents), name).toEqual(['r0', 'r1', 'r3', 'r4']);
      expect(report.numSkipped, name).toBe(1);
      if (name === 'd.wet') expect(report.skipped[0]!.position).toBe(`byte ${lengthOf(2)}`);
    }
  });

  it('a gzip member that is cut, overwritten or has a wrong checksum costs its record', async () => {
    const members = records.map((record) => gzipSync(record));
    const offset = members[0]!.length + members[1]!.length;
    for (const change of [
      (member: Buffer) => member.subarray(0, member.length - 30),
      (member: Buffer) => Buffer.from(member).fill(0, 20, 40),
      (member: Buffer) => Buffer.from(member).fill(0x41, 0, 3),
      (member: Buffer) => Buffer.from(member).fill(0x41, member.length - 8, member.length - 4),
    ]) {
      const broken = members.map((member, i) => (i === 2 ? change(member) : member));
      const { documents, report } = await read('m.wet.gz', Buffer.concat(broken));
      expect(ids(documents)).toEqual(['r0', 'r1', 'r3', 'r4']);
      expect(report.numSkipped).toBe(1);
      expect(report.skipped[0]!.position).toBe(`byte ${offset}`);
    }
  });

  it('records over the size limit are counted, and what follows is read', async () => {
    const large = wetRecord('large', 'w '.repeat(400_000));
    const all = [records[0]!, large, records[1]!];
    for (const [name, bytes] of [
      ['l.wet', Buffer.concat(all)],
      ['l.wet.gz', gzipMembers(all)],
    ] as const) {
      const { documents, report } = await read(name, bytes, { maxRecordBytes: 100_000 });
      expect(ids(documents)).toEqual(['r0', 'r1']);
      expect(report.skipped.map(({ reason }) => reason)).toEqual([
        'a record of 800000 bytes is over the limit of 100000',
      ]);
    }
  });

  it('records longer than a read are put together', async () => {
    const large = wetRecord('large', 'Words, words. '.repeat(200_000));
    for (const [name, bytes] of [
      ['x.wet', Buffer.concat([records[0]!, large, records[1]!])],
      ['x.wet.gz', gzipMembers([records[0]!, large, records[1]!])],
      ['x1.wet.gz', gzipSync(Buffer.concat([records[0]!, large, records[1]!]))],
    ] as const) {
      const { documents, report } = await read(name, bytes);
      expect(documents.map(({ text }) => text.length)).toEqual([449, 2_799_999, 449]);
      expect(report.numSkipped).toBe(0);
    }
  });

  it('lines may end in line feeds alone, and a record may spread over gzip members', async () => {
    const plain = Buffer.from(Buffer.concat(records).toString().replaceAll('\r\n', '\n'));
    expect(ids((await read('lf.wet', plain)).documents)).toEqual(['r0', 'r1', 'r2', 'r3', 'r4']);
    const whole = Buffer.concat(records);
    const blocks: Buffer[] = [];
    for (let at = 0; at < whole.length; at += 301) blocks.push(whole.subarray(at, at + 301));
    const { documents, report } = await read('blocks.wet.gz', gzipMembers(blocks));
    expect(ids(documents)).toEqual(['r0', 'r1', 'r2', 'r3', 'r4']);
    expect(report.numSkipped).toBe(0);
  });
});
