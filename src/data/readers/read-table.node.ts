/** Table files as a `Table` in memory, and the choice of a reader by a file's extension. */
import { readFile } from 'node:fs/promises';
import { DataError, FormatError, LimitError, messageOf } from '../../core/errors.ts';
import { type Reader, ReadReport } from '../document.ts';
import { type Table, tableOf, typeColumns } from '../table.ts';
import { checkFile } from './byte-lines.node.ts';
import { CsvReader, type CsvReaderOptions } from './csv-reader.node.ts';
import { type CsvOptions, csvRecords } from './csv-records.node.ts';
import { JsonlReader, type JsonlReaderOptions, jsonlRecords } from './jsonl-reader.node.ts';
import { ParquetReader, type ParquetReaderOptions, parquetRecords } from './parquet-reader.node.ts';
import { TextReader, type TextReaderOptions } from './text-reader.node.ts';

export interface ReadTableOptions extends CsvOptions {
  /** More rows are an error. Default 1,000,000. */
  maxRows?: number;
}

const maxJsonBytes = 512 * 1024 * 1024;
const tableExtensions = 'csv, tsv, jsonl, ndjson, json, parquet';

/**
 * Reads csv, tsv, jsonl, ndjson (each also .gz), json (a list of objects) and parquet. Columns of a CSV file
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
  const extension = extensionOf(path);
  if (extension === 'csv' || extension === 'tsv') {
    for await (const { columns, fields } of csvRecords(path, report, options)) {
      add(Object.fromEntries(columns.map((column, i) => [column, fields[i]])));
    }
  } else if (extension === 'jsonl' || extension === 'ndjson') {
    for await (const { record } of jsonlRecords(path, report)) add(record);
  } else if (extension === 'json') {
    for (const record of await jsonArray(path, report)) add(record);
  } else if (extension === 'parquet') {
    for await (const { record } of parquetRecords(path, report)) add(record);
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
  return { table: extension === 'csv' || extension === 'tsv' ? typeColumns(table) : table, report };
}

export type OpenReaderOptions = TextReaderOptions &
  JsonlReaderOptions &
  CsvReaderOptions &
  ParquetReaderOptions;

/** The reader for a file: txt, text and md; jsonl and ndjson; csv and tsv (each also .gz); parquet. */
export function openReader(path: string, options: OpenReaderOptions = {}): Reader {
  const extension = extensionOf(path);
  if (['txt', 'text', 'md'].includes(extension)) return new TextReader(path, options);
  if (extension === 'jsonl' || extension === 'ndjson') return new JsonlReader(path, options);
  if (extension === 'csv' || extension === 'tsv') return new CsvReader(path, options);
  if (extension === 'parquet') return new ParquetReader(path, options);
  throw new DataError(
    `No reader for ${path}. Known extensions: txt, text, md, jsonl, ndjson, csv, tsv, parquet.`,
  );
}

function extensionOf(path: string): string {
  const name = path.toLowerCase().replace(/\.gz$/, '');
  return /\.([a-z0-9]+)$/.exec(name)?.[1] ?? '';
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
