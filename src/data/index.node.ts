/** Data for training, with files: everything of `index.ts` plus token shards and readers. */

export * from './index.ts';
export { CsvReader, type CsvReaderOptions } from './readers/csv-reader.node.ts';
export { JsonlReader, type JsonlReaderOptions } from './readers/jsonl-reader.node.ts';
export { ParquetReader, type ParquetReaderOptions } from './readers/parquet-reader.node.ts';
export {
  type OpenReaderOptions,
  openReader,
  type ReadTableOptions,
  readTable,
} from './readers/read-table.node.ts';
export { TextReader, type TextReaderOptions } from './readers/text-reader.node.ts';
export { openTokenShards } from './tokens/shard-dataset.node.ts';
export {
  readTokenSetEntries,
  type SourcedTokenDocument,
  type TokenSetEntry,
  type TokenShardOptions,
  writeTokenShards,
} from './tokens/token-shards.node.ts';
