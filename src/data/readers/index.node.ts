/** Readers of files: every format that can be gathered, and the choice among them. */

export { CsvReader, type CsvReaderOptions } from './csv-reader.node.ts';
export { HtmlReader } from './html-reader.node.ts';
export { JsonlReader, type JsonlReaderOptions } from './jsonl-reader.node.ts';
export {
  type InputFile,
  type InputFiles,
  type OpenInputsOptions,
  openInputs,
  type SkippedFile,
} from './open-inputs.node.ts';
export { type OpenReaderOptions, openReader } from './open-reader.node.ts';
export { ParquetReader, type ParquetReaderOptions } from './parquet-reader.node.ts';
export { type ReadTableOptions, readTable } from './read-table.node.ts';
export { SqliteReader, type SqliteReaderOptions } from './sqlite-reader.node.ts';
export { TextReader, type TextReaderOptions } from './text-reader.node.ts';
export { WarcReader, type WarcReaderOptions } from './warc-reader.node.ts';
