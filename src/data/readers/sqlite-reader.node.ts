/**
 * Tables of SQLite databases as records, row by row: node-sqlite3-wasm reads the pages from disk. The database
 * is opened read-only through a link in a folder of its own, because the package locks by making a folder beside
 * the path it was given. Rows behind a damaged page are counted as skipped, and the table goes on after them.
 * Changes that are still in a journal or write-ahead log are not seen, so such a database is refused.
 */
import { mkdtemp, open, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import sqlite, { type Database, type QueryResult } from 'node-sqlite3-wasm';
import { DataError, FormatError, messageOf } from '../../core/errors.ts';
import type { Document, ReadReport } from '../document.ts';
import { checkFile } from './byte-window.node.ts';
import { documentsOfRecords, FileReader, type PlacedRecord } from './file-reader.ts';
import { type RecordOptions, textColumnOf, usualTextColumns } from './record-document.ts';

export interface SqliteReaderOptions extends RecordOptions {
  /** Which table. Default: the only one, else the only one with the text column. */
  table?: string;
}

/** A value beyond is read as null, and a row whose text is beyond is skipped. */
const maxValueBytes = 64 * 1024 * 1024;
/** After damage this many attempts find the next row that can be read. */
const maxProbes = 64;
const rowColumn = 'plinth_rowid';

export class SqliteReader extends FileReader<SqliteReaderOptions> {
  constructor(path: string, options: SqliteReaderOptions = {}) {
    super(path, options);
  }

  /** @throws DataError when the table or text column is not there (the text lists tables); FormatError for damage. */
  protected documents(report: ReadReport): AsyncGenerator<Document> {
    return documentsOfRecords(this.#records(report), this.path, report, this.options);
  }

  async *#records(report: ReadReport): AsyncGenerator<PlacedRecord> {
    for await (const { record, number } of sqliteRecords(this.path, report, this.options, true)) {
      yield { record, position: `row ${number}`, id: `row-${number}` };
    }
  }
}

/**
 * Rows of one table as objects with their row ids (or their count from 1, in a table without row ids).
 * @param needsText the table must have a text column; without, the only table is taken, or the one named.
 */
export async function* sqliteRecords(
  path: string,
  report: ReadReport,
  options: SqliteReaderOptions,
  needsText: boolean,
): AsyncGenerator<{ record: Record<string, unknown>; number: number }> {
  await checkDatabase(path);
  const folder = await mkdtemp(join(tmpdir(), 'plinth-sqlite-'));
  let database: Database | null = null;
  try {
    database = await openDatabase(path, folder);
    const table = await chooseTable(database, path, options, needsText);
    yield* rowsOf(database, table, path, report);
  } finally {
    try {
      database?.close();
    } catch {
      // A damaged database may object; its file handle is closed all the same.
    }
    await rm(folder, { recursive: true, force: true });
  }
}

/** Sixteen bytes that every SQLite 3 database begins with, and no unfinished transaction beside it. */
async function checkDatabase(path: string): Promise<void> {
  await checkFile(path);
  const head = Buffer.alloc(16);
  const file = await open(path, 'r');
  try {
    await file.read(head, 0, 16, 0);
  } finally {
    await file.close();
  }
  if (head.toString('latin1') !== 'SQLite format 3\0') {
    throw new FormatError(`${path} is not an SQLite 3 database (it does not begin with "SQLite format 3").`);
  }
  for (const suffix of ['-wal', '-journal']) {
    const beside = await stat(path + suffix).catch(() => null);
    if (beside !== null && beside.size > 0) {
      throw new DataError(
        `${path} has changes in ${path}${suffix} that are not in the database yet. Close the program that ` +
          `writes it, or run: sqlite3 ${path} "PRAGMA wal_checkpoint(TRUNCATE)".`,
      );
    }
  }
}

async function openDatabase(path: string, folder: string): Promise<Database> {
  const link = join(folder, 'database');
  // Without the right to make links (Windows) the lock stands beside the database while it is read.
  const name = await symlink(resolve(path), link).then(
    () => link,
    () => path,
  );
  try {
    return new sqlite.Database(name, { readOnly: true, fileMustExist: true });
  } catch (error) {
    throw new FormatError(`${path} cannot be opened as an SQLite database (${messageOf(error)}).`, {
      cause: error,
    });
  }
}

interface TableInfo {
  name: string;
  columns: string[];
  hasRowIds: boolean;
}

async function chooseTable(
  database: Database,
  path: string,
  options: SqliteReaderOptions,
  needsText: boolean,
): Promise<TableInfo> {
  const tables = guarded(path, () => tablesOf(database));
  const list = `Tables: ${tables.map(({ name, columns }) => `${name} (${columns.join(', ')})`).join('; ') || 'none'}.`;
  if (options.table !== undefined) {
    const table = tables.find(({ name }) => name === options.table);
    if (!table) throw new DataError(`${path} has no table '${options.table}'. ${list}`);
    if (needsText && textColumnOf(table.columns, options) === null) {
      throw new DataError(
        `Table ${table.name} of ${path} has no column ${wanted(options)}. ${list} Set textColumn.`,
      );
    }
    return table;
  }
  const fitting = needsText
    ? tables.filter((table) => textColumnOf(table.columns, options) !== null)
    : tables;
  if (fitting.length === 1) return fitting[0]!;
  if (fitting.length > 1) {
    throw new DataError(`${path} has ${fitting.length} tables that could be read. Set table. ${list}`);
  }
  throw new DataError(
    tables.length === 0
      ? `${path} has no tables.`
      : `No table of ${path} has a column ${wanted(options)}. ${list} Set table and textColumn.`,
  );
}

function wanted(options: RecordOptions): string {
  return options.textColumn === undefined
    ? `'${usualTextColumns.join("' or '")}'`
    : `'${options.textColumn}'`;
}

function tablesOf(database: Database): TableInfo[] {
  // Plain tables only: a view or virtual table of a foreign database would run code of its author's.
  const rows = database.all(
    "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
  );
  return rows.map(({ name, wr }) => {
    const columns = database.all('SELECT name FROM pragma_table_info(?)', [String(name)]);
    return {
      name: String(name),
      columns: columns.map((column) => String(column.name)),
      hasRowIds: Number(wr) === 0,
    };
  });
}

async function* rowsOf(
  database: Database,
  table: TableInfo,
  path: string,
  report: ReadReport,
): AsyncGenerator<{ record: Record<string, unknown>; number: number }> {
  let after = 0n;
  let isFirst = true;
  let numRows = 0;
  for (;;) {
    const statement = guarded(path, () => database.prepare(selectOf(table, !isFirst)));
    try {
      const rows = statement.iterate(isFirst || !table.hasRowIds ? undefined : [after]);
      for (;;) {
        let row: IteratorResult<QueryResult>;
        try {
          row = rows.next();
        } catch (error) {
          const next = table.hasRowIds ? nextReadable(database, table, after, isFirst) : null;
          report.skip(
            table.hasRowIds
              ? `rows after row id ${isFirst ? 'of the start' : after}${next === null ? '' : ` up to ${next}`}`
              : `rows after row ${numRows}`,
            `damaged database: ${messageOf(error)}`,
          );
          if (next === null) return;
          after = next;
          isFirst = false;
          break;
        }
        if (row.done) {
          if (numRows === 0 && report.numSkipped === 0) {
            throw new DataError(`Table ${table.name} of ${path} has no rows.`);
          }
          return;
        }
        numRows++;
        const { [rowColumn]: rowId, ...values } = row.value;
        if (table.hasRowIds) {
          after = BigInt(rowId as number | bigint);
          isFirst = false;
        }
        yield { record: plainValues(values), number: table.hasRowIds ? Number(after) : numRows };
      }
    } finally {
      if (!statement.isFinalized) {
        try {
          statement.finalize();
        } catch {
          // Finalizing repeats the error of the last step.
        }
      }
    }
  }
}

function selectOf(table: TableInfo, isContinued: boolean): string {
  const columns = table.columns.map((column) => {
    const name = quoted(column);
    return `CASE WHEN typeof(${name}) = 'blob' OR octet_length(${name}) > ${maxValueBytes} THEN NULL ELSE ${name} END AS ${name}`;
  });
  if (!table.hasRowIds) return `SELECT ${columns.join(', ')} FROM ${quoted(table.name)}`;
  const condition = isContinued ? ' WHERE rowid > ?' : '';
  return `SELECT rowid AS ${rowColumn}, ${columns.join(', ')} FROM ${quoted(table.name)}${condition} ORDER BY rowid`;
}

/** A row id behind the damage from which reading works again, by steps that double; null when there is none. */
function nextReadable(database: Database, table: TableInfo, after: bigint, isFirst: boolean): bigint | null {
  const from = isFirst ? 0n : after;
  for (let probe = 0, step = 1n; probe < maxProbes; probe++, step *= 2n) {
    const candidate = from + step;
    if (candidate > 2n ** 62n) return null;
    try {
      const sql = `SELECT rowid FROM ${quoted(table.name)} WHERE rowid > ? ORDER BY rowid LIMIT 1`;
      const row = database.get(sql, [candidate]);
      if (row === null) return null;
      // The row itself must be readable too, not only its place.
      database.get(`${selectOf(table, true)} LIMIT 1`, [candidate]);
      return candidate;
    } catch {
      // Still inside the damage.
    }
  }
  return null;
}

function plainValues(values: Record<string, unknown>): Record<string, unknown> {
  for (const key of Object.keys(values)) {
    const value = values[key];
    if (typeof value === 'bigint') {
      values[key] = Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
    }
  }
  return values;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function guarded<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new FormatError(`${path} is damaged or not an SQLite database (${messageOf(error)}).`, {
      cause: error,
    });
  }
}
