/** SQLite tables as documents: the choice of a table, types, damage, and nothing left on the disk. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sqlite from 'node-sqlite3-wasm';
import { afterAll, describe, expect, it } from 'vitest';
import { PlinthError } from '../../src/core/errors.ts';
import { readTable } from '../../src/data/readers/read-table.node.ts';
import { SqliteReader, type SqliteReaderOptions } from '../../src/data/readers/sqlite-reader.node.ts';

const folder = mkdtempSync(join(tmpdir(), 'plinth-sqlite-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

function database(name: string, fill: (open: InstanceType<typeof sqlite.Database>) => void): string {
  const path = join(folder, name);
  const open = new sqlite.Database(path);
  fill(open);
  open.close();
  return path;
}

async function read(path: string, options: SqliteReaderOptions = {}) {
  const reader = new SqliteReader(path, options);
  const documents = [];
  for await (const document of reader.read()) documents.push(document);
  return { documents, report: reader.report };
}

const two = database('two.db', (open) => {
  open.exec('CREATE TABLE pages (id TEXT, text TEXT, n INTEGER, big INTEGER, data BLOB, "odd ""name" REAL)');
  open.exec("INSERT INTO pages VALUES ('a', 'first', 1, 9007199254740993, x'00ff', 1.5)");
  open.exec("INSERT INTO pages VALUES ('b', '', 2, NULL, NULL, NULL), ('c', NULL, 3, NULL, NULL, NULL)");
  open.exec("INSERT INTO pages VALUES ('d', 'last', 4, 5, NULL, NULL)");
  open.exec('CREATE TABLE counts (name TEXT, count INTEGER)');
  open.exec("INSERT INTO counts VALUES ('x', 1)");
  open.exec(
    'CREATE VIEW endless AS WITH RECURSIVE r(text) AS (SELECT 1 UNION ALL SELECT text FROM r) SELECT * FROM r',
  );
});

describe('SQLite reader', () => {
  it('takes the table with a text column, keeps types, and skips rows without text', async () => {
    const { documents, report } = await read(two, { idColumn: 'id' });
    expect(documents).toEqual([
      {
        id: 'a',
        text: 'first',
        source: two,
        meta: { id: 'a', n: 1, big: '9007199254740993', data: null, 'odd "name': 1.5 },
      },
      { id: 'd', text: 'last', source: two, meta: { id: 'd', n: 4, big: 5, data: null, 'odd "name': null } },
    ]);
    expect(report.skipped).toEqual([
      { position: 'row 2', reason: "field 'text' is blank" },
      { position: 'row 3', reason: "field 'text' is null, expected text" },
    ]);
  });

  it('reads the table and column that are named, and lists tables when they are not there', async () => {
    const { documents } = await read(two, { table: 'counts', textColumn: 'name' });
    expect(documents.map(({ id, text }) => [id, text])).toEqual([['row-1', 'x']]);
    await expect(read(two, { table: 'nope' })).rejects.toThrow(
      'Tables: counts (name, count); pages (id, text, n, big, data, odd "name)',
    );
    await expect(read(two, { table: 'counts' })).rejects.toThrow("no column 'text' or 'content'");
    await expect(read(two, { textColumn: 'nope' })).rejects.toThrow('No table of');
    await expect(read(two, { table: 'endless' })).rejects.toThrow('no table');
  });

  it('as a table needs its name when there are several', async () => {
    await expect(readTable(two)).rejects.toThrow('Set table');
    const { table } = await readTable(two, { table: 'counts' });
    expect(table.rows).toEqual([{ name: 'x', count: 1 }]);
  });

  it('reads tables without row ids, and rows with negative ones', async () => {
    const path = database('keys.sqlite3', (open) => {
      open.exec('CREATE TABLE t (k TEXT PRIMARY KEY, text TEXT) WITHOUT ROWID');
      open.exec("INSERT INTO t VALUES ('b', 'two'), ('a', 'one')");
    });
    expect((await read(path)).documents.map(({ text }) => text)).toEqual(['one', 'two']);
    const negative = database('negative.sqlite', (open) => {
      open.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)');
      open.exec("INSERT INTO t VALUES (-5, 'minus'), (5, 'plus')");
    });
    expect((await read(negative)).documents.map(({ id, text }) => [id, text])).toEqual([
      ['row--5', 'minus'],
      ['row-5', 'plus'],
    ]);
  });

  it('leaves nothing beside the database, also when left early', async () => {
    const own = join(folder, 'own');
    mkdirSync(own);
    writeFileSync(join(own, 'two.db'), readFileSync(two));
    const reader = new SqliteReader(join(own, 'two.db'));
    for await (const document of reader.read()) {
      expect(document.text).toBe('first');
      expect(readdirSync(own)).toEqual(['two.db']);
      break;
    }
    expect(readdirSync(own)).toEqual(['two.db']);
    expect(
      readdirSync(tmpdir()).filter((name) => name.startsWith('plinth-sqlite-') && name.length < 21),
    ).toEqual([]);
  });

  it('refuses a database whose last changes stand in a log', async () => {
    const path = join(folder, 'wal.db');
    writeFileSync(path, readFileSync(two));
    writeFileSync(`${path}-wal`, 'not empty');
    await expect(read(path)).rejects.toThrow('wal_checkpoint');
  });

  it('says when a file is no database, has no tables, or a table no rows', async () => {
    const text = join(folder, 'text.db');
    writeFileSync(text, 'hello, this is no database');
    await expect(read(text)).rejects.toThrow('not an SQLite 3 database');
    const bare = database('bare.db', (open) => open.exec('CREATE TABLE t (text TEXT); DROP TABLE t'));
    await expect(read(bare)).rejects.toThrow('has no tables');
    const empty = database('empty.db', (open) => open.exec('CREATE TABLE t (text TEXT)'));
    await expect(read(empty)).rejects.toThrow('has no rows');
  });
});

describe('a damaged database', () => {
  const whole = database('whole.db', (open) => {
    open.exec('CREATE TABLE t (text TEXT)');
    open.exec('BEGIN');
    for (let i = 0; i < 2000; i++) open.run('INSERT INTO t VALUES (?)', [`row ${i} ${'x'.repeat(100)}`]);
    open.exec('COMMIT');
  });

  it('loses the rows of a broken page and goes on behind them', async () => {
    const bytes = readFileSync(whole);
    const pageSize = bytes.readUInt16BE(16);
    const broken = join(folder, 'page.db');
    // The type of a page in the middle of the table.
    bytes.fill(0xee, 20 * pageSize, 20 * pageSize + 16);
    writeFileSync(broken, bytes);
    const { documents, report } = await read(broken);
    const numbers = documents.map(({ text }) => Number(text.split(' ')[1]));
    expect(numbers[0]).toBe(0);
    expect(numbers.at(-1)).toBe(1999);
    expect(numbers.length).toBeGreaterThan(1900);
    expect(report.numSkipped).toBe(1);
    expect(report.skipped[0]!.reason).toContain('damaged database');
  });

  it('at any place ends in documents, counted damage or an error of ours', async () => {
    const bytes = readFileSync(whole);
    const path = join(folder, 'mutated.db');
    for (let at = 16; at < bytes.length; at += at < 4096 ? 301 : 20_011) {
      const broken = Buffer.from(bytes);
      broken.fill(0xff, at, at + 3);
      writeFileSync(path, broken);
      try {
        const { documents, report } = await read(path);
        expect(documents.length + report.numSkipped).toBeGreaterThan(0);
      } catch (error) {
        expect(error, `byte ${at}`).toBeInstanceOf(PlinthError);
      }
    }
  });
});
