/** What every reader promises: all good records in order, damage counted with its position, clear errors. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { PlinthError } from '../../src/core/errors.ts';
import {
  concatenateReaders,
  type Document,
  openReader,
  type Reader,
  readerOf,
  readTable,
  TextReader,
} from '../../src/data/index.node.ts';
import {
  archives,
  jsonl,
  page,
  records,
  texts,
  writeParquet,
  writeSqlite,
} from '../fixtures/data/reader-records.ts';

const folder = mkdtempSync(join(tmpdir(), 'plinth-readers-'));
afterAll(() => rmSync(folder, { recursive: true }));
const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/data/${name}`, import.meta.url));
const write = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

async function all(reader: Reader): Promise<Document[]> {
  const documents: Document[] = [];
  for await (const document of reader.read()) documents.push(document);
  return documents;
}

const parquetPath = join(folder, 'all.parquet');
writeParquet(parquetPath);
const sqlitePath = join(folder, 'all.sqlite');
writeSqlite(sqlitePath);
const pageFolder = join(folder, 'pages');
mkdirSync(pageFolder);
records.forEach(({ id, text }) => {
  writeFileSync(join(pageFolder, `${id}.html`), page(text));
});

describe.each<[string, () => Reader]>([
  ...Object.entries(archives).map(([name, content]): [string, () => Reader] => [
    name,
    () => openReader(write(name, content()), { idColumn: 'id' }),
  ]),
  ['parquet', () => openReader(parquetPath, { idColumn: 'id' })],
  ['sqlite', () => openReader(sqlitePath, { idColumn: 'id' })],
  ['html', () => concatenateReaders(records.map(({ id }) => openReader(join(pageFolder, `${id}.html`))))],
  ['memory', () => readerOf(records.map(({ id, text }) => ({ id, text, source: 'memory', meta: {} })))],
])('%s reader', (_, open) => {
  it('yields every document in order and counts them', async () => {
    const reader = open();
    const documents = await all(reader);
    expect(documents.map(({ id, text }) => ({ id: id.replace('.html', ''), text }))).toEqual(
      records.map(({ id, text }) => ({ id, text })),
    );
    expect(reader.report).toMatchObject({ numRead: 5, numSkipped: 0 });
  });

  it('reads again from the start with a new report', async () => {
    const reader = open();
    await all(reader);
    expect(await all(reader)).toHaveLength(5);
    expect(reader.report.numRead).toBe(5);
  });

  it('can be left early', async () => {
    const reader = open();
    for await (const document of reader.read()) {
      expect(document.text).toBe(texts[0]);
      break;
    }
    expect(reader.report.numRead).toBe(1);
  });
});

describe('JSON lines', () => {
  it('that were written as documents become these documents again', async () => {
    const written: Document[] = [
      {
        id: 'a/1',
        text: 'one',
        source: 'crawl.warc.gz',
        meta: { url: 'https://a.b', n: 2, ok: true, none: null },
      },
      { id: 'b', text: 'two\n\u2028', source: 'x', meta: {} },
      { id: '3', text: 'three', source: 'y', meta: { id: 'of meta', source: 'of meta', text: 'of meta' } },
    ];
    const path = write('written.jsonl', written.map((document) => `${JSON.stringify(document)}\n`).join(''));
    expect(await all(openReader(path))).toEqual(written);
  });

  it('keep their plain fields, and take id and source where they are texts', async () => {
    const path = write(
      'fields.jsonl',
      '{"id":7,"text":"a","source":"web","score":0.5,"list":[1],"deep":{"x":1}}\n' +
        '{"id":{"x":1},"text":"b","source":5}\n{"text":"c","meta":[1]}\n' +
        '{"text":"d","stars":3,"meta":{"url":"u","deep":{},"__proto__":{"bad":1}}}\n',
    );
    expect(await all(openReader(path))).toEqual([
      { id: '7', text: 'a', source: 'web', meta: { id: 7, source: 'web', score: 0.5 } },
      { id: 'line-2', text: 'b', source: path, meta: { source: 5 } },
      { id: 'line-3', text: 'c', source: path, meta: {} },
      { id: 'line-4', text: 'd', source: path, meta: { stars: 3, url: 'u' } },
    ]);
  });
});

describe('damaged records', () => {
  it('of JSON lines are skipped with line and byte', async () => {
    const reader = openReader(fixture('damaged.jsonl'), { idColumn: 'id' });
    const documents = await all(reader);
    expect(documents.map(({ id, text, meta }) => ({ id, text, meta }))).toEqual([
      { id: 'a', text: 'first', meta: { id: 'a', stars: 3 } },
      { id: 'line-8', text: 'last é', meta: {} },
    ]);
    expect(reader.report.numSkipped).toBe(5);
    const bytes = readFileSync(fixture('damaged.jsonl'));
    expect(reader.report.skipped.map(({ position }) => position)).toEqual(
      [
        [2, '{"text": "broken"'],
        [4, '[1, 2]'],
        [5, '{"text": 5}'],
        [6, '{"text": "bad'],
        [7, '{"title"'],
      ].map(([line, start]) => `line ${line} (byte ${bytes.indexOf(start as string)})`),
    );
    expect(reader.report.skipped[3]!.reason).toBe('not valid UTF-8');
  });

  it('of CSV cost one record each, also a quote that is never closed', async () => {
    const reader = openReader(fixture('damaged.csv'), { idColumn: 'id' });
    const documents = await all(reader);
    expect(documents.map(({ id, text }) => [id, text])).toEqual([
      ['a', 'first'],
      ['b', 'two\nlines; one "record"'],
      ['e', 'a 5" disk'],
      ['g', 'last'],
    ]);
    expect(documents.at(-1)!.meta.stars).toBe('0007');
    expect(reader.report.skipped.map(({ position, reason }) => [position.split(' (')[0], reason])).toEqual([
      ['line 5', '4 fields, the header has 3'],
      ['line 6', 'a quoted field runs into a damaged line'],
      ['line 7', 'not valid UTF-8'],
      ['line 9', "field 'text' is blank"],
    ]);
  });

  it('of Parquet cost their row group only', async () => {
    const bytes = new Uint8Array(readFileSync(parquetPath));
    // The third text stands in the second row group; breaking its page header makes that group unreadable.
    const at = Buffer.from(bytes).indexOf(Buffer.from('ไทย'));
    bytes.fill(0xff, at - 30, at + 4);
    const reader = openReader(write('damaged.parquet', bytes), { idColumn: 'id' });
    const documents = await all(reader);
    expect(documents.map(({ id }) => id)).toEqual(['doc-0', 'doc-1', 'doc-4']);
    expect(reader.report.numSkipped).toBe(2);
    expect(reader.report.skipped[0]!.position).toBe('rows 3 to 4');
  });

  it('at any place of a Parquet file end in an error of ours or a report, never in a crash', async () => {
    const bytes = new Uint8Array(readFileSync(parquetPath));
    for (let at = 16; at < bytes.length; at += 29) {
      const broken = bytes.slice();
      broken[at] = broken[at]! ^ 0x80;
      const reader = openReader(write('mutated.parquet', broken), { timeoutMs: 1000 });
      try {
        const documents = await all(reader);
        expect(documents.length + reader.report.numSkipped).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toBeInstanceOf(PlinthError);
      }
    }
  });
});

describe('files that cannot be read', () => {
  it.each([
    ['an absent file', () => join(folder, 'absent.jsonl'), 'There is no file'],
    ['an empty file', () => write('empty.csv', ''), 'is empty'],
    ['a folder', () => folder, 'is a folder'],
    ['UTF-16', () => write('utf16.txt', Buffer.from('\uFEFFhallo', 'utf16le')), 'is UTF-16'],
    [
      'a cut archive',
      () => write('cut.jsonl.gz', gzipSync(jsonl).subarray(0, 60)),
      'could not be unpacked as gzip',
    ],
    [
      'a CSV whose header is damaged',
      () => write('header-bytes.csv', Buffer.from([0x61, 0x2c, 0xff, 0x0a, 0x31, 0x2c, 0x32, 0x0a])),
      'The header of',
    ],
    [
      'text called Parquet',
      () => write('text.parquet', 'hello, this is no parquet file'),
      'not a readable Parquet file',
    ],
    ['a header alone', () => write('header.csv', 'text,id\n'), 'no rows below its header'],
    [
      'a CSV without the text column',
      () => write('other.csv', 'a,b\n1,2\n'),
      'Set textColumn to one of: a, b',
    ],
  ])('%s', async (_, path, message) => {
    const file = path();
    const reader = file === folder ? new TextReader(file) : openReader(file);
    await expect(all(reader)).rejects.toThrow(message);
  });

  it('an unknown extension', () => {
    expect(() => openReader('a.docx')).toThrow('Known extensions: txt, text, md, markdown, html');
    expect(() => openReader('a.parquet.gz')).toThrow('unpack it first');
    expect(() => openReader('wet.paths.gz')).toThrow('openInputs');
  });
});

describe('text files', () => {
  const text = 'Title\n\nFirst paragraph,\ntwo lines.\n\n\nSecond.\n';

  it('become lines, paragraphs or pieces', async () => {
    const path = write('book.txt', text);
    const by = async (mode: 'line' | 'paragraph' | 'piece') =>
      (await all(openReader(path, { by: mode }))).map((d) => d.text);
    expect(await by('line')).toEqual(['Title', 'First paragraph,', 'two lines.', 'Second.']);
    expect(await by('paragraph')).toEqual(['Title', 'First paragraph,\ntwo lines.', 'Second.']);
    expect(await by('piece')).toEqual([text.trim()]);
  });

  it('are cut at blank lines, and at twice the length without any', async () => {
    const paragraph = `${'word '.repeat(19)}end.`;
    const path = write('long.txt', Array.from({ length: 50 }, () => paragraph).join('\n\n'));
    const pieces = await all(openReader(path, { pieceCharacters: 250 }));
    expect(pieces.every((piece) => piece.text.endsWith('end.') && piece.text.length <= 500)).toBe(true);
    expect(pieces.map((piece) => piece.text).join('\n\n')).toBe(readFileSync(path, 'utf8'));
    const dense = write('dense.txt', Array.from({ length: 50 }, () => paragraph).join('\n'));
    for (const piece of await all(openReader(dense, { pieceCharacters: 250 })))
      expect(piece.text.length).toBeLessThan(700);
  });

  it('lose lines beyond the bound and keep the rest', async () => {
    const path = write('wide.txt', `before\n${'x'.repeat(1000)}\nafter`);
    const reader = openReader(path, { by: 'line', maxLineBytes: 100 });
    expect((await all(reader)).map((document) => document.text)).toEqual(['before', 'after']);
    expect(reader.report.skipped).toEqual([{ position: 'line 2 (byte 7)', reason: 'longer than 100 bytes' }]);
  });
});

describe('several readers as one', () => {
  it('give all documents and name the file of each damage', async () => {
    const path = write('a.jsonl', '{"text": "a"}\noops\n');
    const reader = concatenateReaders([openReader(path), openReader(fixture('damaged.csv'))]);
    expect((await all(reader)).map(({ text }) => text).slice(0, 2)).toEqual(['a', 'first']);
    expect(reader.report).toMatchObject({ numRead: 5, numSkipped: 5 });
    expect(reader.report.skipped[0]!.position).toContain('a.jsonl, line 2');
  });
});

describe('tables', () => {
  const rows = [
    { name: 'a', size: 1, ok: true, tags: ['x', 'y'] },
    { name: 'b', size: 2.5, ok: false, tags: [] },
  ];

  it('from JSON and JSON lines keep their types', async () => {
    const expected = { columns: ['name', 'size', 'ok', 'tags'], rows };
    expect((await readTable(write('t.json', JSON.stringify(rows)))).table).toEqual(expected);
    expect(
      (await readTable(write('t.jsonl', rows.map((row) => JSON.stringify(row)).join('\n')))).table,
    ).toEqual(expected);
  });

  it('from CSV get numbers and booleans, but codes stay text and blanks become null', async () => {
    const path = write('t.csv', 'name,size,ok,zip,size\na,1,TRUE,01234,x\nb,,false,98765,\n');
    const { table } = await readTable(path);
    expect(table.columns).toEqual(['name', 'size', 'ok', 'zip', 'size_2']);
    expect(table.rows).toEqual([
      { name: 'a', size: 1, ok: true, zip: '01234', size_2: 'x' },
      { name: 'b', size: null, ok: false, zip: '98765', size_2: null },
    ]);
  });

  it('from Parquet are the rows of all groups', async () => {
    const { table, report } = await readTable(parquetPath);
    expect(table.rows.map((row) => row.id)).toEqual(records.map(({ id }) => id));
    expect(report.numRead).toBe(5);
  });

  it('are refused with advice when unusable', async () => {
    await expect(readTable(write('t.docx', 'x'))).rejects.toThrow('Known extensions: csv, tsv');
    await expect(readTable(write('o.json', '{"a": 1}'))).rejects.toThrow('holds no list');
    await expect(readTable(write('bad.jsonl', 'x\ny\n'))).rejects.toThrow(
      'no usable rows. 2 were skipped; the first, line 1',
    );
    await expect(readTable(parquetPath, { maxRows: 4 })).rejects.toThrow('more than 4 rows');
  });
});
