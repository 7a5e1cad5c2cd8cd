/** Table files as a `Table` in memory. */
import { readFile } from 'node:fs/promises';
import { DataError, FormatError, LimitError, messageOf } from '../../core/errors.ts';
import { ReadReport } from '../document.ts';
import { type Table, tableOf, typeColumns } from '../table.ts';
import { checkFile } from './byte-window.node.ts';
import { type CsvOptions, csvRecords } from './csv-records.node.ts';
import { compressionOf, extensionOf, formatOf } from './file-format.ts';
import { jsonlRecords } from './jsonl-reader.node.ts';
import { parquetRecords } from './parquet-reader.node.ts';
import { sqliteRecords } from './sqlite-reader.node.ts';

export { type OpenReaderOptions, openReader } from './open-reader.node.ts';

export interface ReadTableOptions extends CsvOptions {
  /** More rows are an error. Default 1,000,000. */
  maxRows?: number;
  /** Which table of an SQLite database. Default: the only one. */
  table?: string;
}

const maxJsonBytes = 512 * 1024 * 1024;
const tableExtensions = 'csv, tsv, jsonl, ndjson, json, parquet, sqlite, sqlite3, db';

/**
 * Reads csv, tsv, jsonl, ndjson (each also compressed), json (a list of objects), parquet and SQLite. Columns of a CSV file
 * whose cells are all numbers, or all true and false, get these types.
 * @throws DataError for absent, empty and unreadable files; LimitError above `maxRows`.
 */
export async function readTable(
  path: string,
  options: ReadTableOptions = {},
): Promise<{ table: Table; report: ReadReport }> {
  const { maxRows = 1_000_000 } = options;
  const report = new ReadReport(path);
  const records: Record<string, unknown>[] = [];
  const add = (record: Record<string, unknown>): void => {
    if (records.length === maxRows) {
      throw new LimitError(`${path} has more than ${maxRows} rows. Raise maxRows, or cut the table.`);
    }
    records.push(record);
    report.numRead++;
  };
  const format = formatOf(path);
  if (format === 'csv' || format === 'tsv') {
    for await (const { columns, fields } of csvRecords(path, report, options)) {
      add(Object.fromEntries(columns.map((column, i) => [column, fields[i]])));
    }
  } else if (format === 'jsonl') {
    for await (const { record } of jsonlRecords(path, report)) add(record);
  } else if (extensionOf(path) === 'json' && compressionOf(path) === null) {
    for (const record of await jsonArray(path, report)) add(record);
  } else if (format === 'parquet') {
    for await (const { record } of parquetRecords(path, report)) add(record);
  } else if (format === 'sqlite') {
    const { table } = options;
    const rows = sqliteRecords(path, report, table === undefined ? {} : { table }, false);
    for await (const { record } of rows) add(record);
  } else {
    await checkFile(path);
    throw new DataError(
      `${path} is not a table that can be read here. Known extensions: ${tableExtensions}.`,
    );
  }
  if (records.length === 0) {
    const first = report.skipped[0];
    const why = first
      ? ` ${report.numSkipped} were skipped; the first, ${first.position}: ${first.reason}.`
      : '';
    throw new DataError(`${path} has no usable rows.${why}`);
  }
  const table = tableOf(records);
  return { table: format === 'csv' || format === 'tsv' ? typeColumns(table) : table, report };
}

async function jsonArray(path: string, report: ReadReport): Promise<Record<string, unknown>[]> {
  const { sizeBytes } = await checkFile(path);
  if (sizeBytes > maxJsonBytes) {
    throw new LimitError(
      `${path} has ${sizeBytes} bytes; a .json list is read whole and may have ${maxJsonBytes}. Use .jsonl.`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse((await readFile(path, 'utf8')).replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new FormatError(`${path} is not JSON: ${messageOf(error)}.`, { cause: error });
  }
  if (!Array.isArray(value)) throw new FormatError(`${path} holds no list; expected [{...}, {...}].`);
  return value.filter((item, i): item is Record<string, unknown> => {
    const isRecord = typeof item === 'object' && item !== null && !Array.isArray(item);
    if (!isRecord) report.skip(`item ${i + 1}`, 'expected an object');
    return isRecord;
  });
}
