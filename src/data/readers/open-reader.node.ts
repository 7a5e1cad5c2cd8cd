/** The reader for a file, chosen by its name. */
import { DataError } from '../../core/errors.ts';
import type { Reader } from '../document.ts';
import { CsvReader, type CsvReaderOptions } from './csv-reader.node.ts';
import { compressionOf, type FileFormat, formatOf, isPathList, knownExtensions } from './file-format.ts';
import { type HtmlOptions, HtmlReader } from './html-reader.node.ts';
import { JsonlReader, type JsonlReaderOptions } from './jsonl-reader.node.ts';
import { ParquetReader, type ParquetReaderOptions } from './parquet-reader.node.ts';
import { SqliteReader, type SqliteReaderOptions } from './sqlite-reader.node.ts';
import { TextReader, type TextReaderOptions } from './text-reader.node.ts';
import { WarcReader, type WarcReaderOptions } from './warc-reader.node.ts';

export type OpenReaderOptions = TextReaderOptions &
  JsonlReaderOptions &
  CsvReaderOptions &
  ParquetReaderOptions &
  SqliteReaderOptions &
  WarcReaderOptions &
  HtmlOptions;

const openers: Record<FileFormat, (path: string, options: OpenReaderOptions) => Reader> = {
  text: (path, options) => new TextReader(path, options),
  markdown: (path, options) => new TextReader(path, options),
  html: (path, options) => new HtmlReader(path, options),
  jsonl: (path, options) => new JsonlReader(path, options),
  csv: (path, options) => new CsvReader(path, options),
  tsv: (path, options) => new CsvReader(path, options),
  parquet: (path, options) => new ParquetReader(path, options),
  sqlite: (path, options) => new SqliteReader(path, options),
  warc: (path, options) => new WarcReader(path, options),
  wet: (path, options) => new WarcReader(path, options),
};

/** @throws DataError for an extension that no reader knows; the error lists the known ones. */
export function openReader(path: string, options: OpenReaderOptions = {}): Reader {
  const format = formatOf(path);
  if (format === null) throw new DataError(`No reader for ${path}. ${whyUnknown(path)}`);
  return openers[format](path, options);
}

/** What to do about a file without a reader. */
export function whyUnknown(path: string): string {
  if (isPathList(path)) return 'It is a list of paths; give it to openInputs.';
  const compression = compressionOf(path);
  const unpacked = compression === null ? null : formatOf(path.slice(0, path.lastIndexOf('.')));
  if (unpacked !== null) return `Files of this kind (${unpacked}) are read by position: unpack it first.`;
  return `Known extensions: ${knownExtensions}.`;
}
