/** Data for training, with files: everything of `index.ts` plus token shards and readers. */

export { CsvReader, type CsvReaderOptions } from './csv-reader.node.ts';
export * from './index.ts';
export { JsonlReader, type JsonlReaderOptions } from './jsonl-reader.node.ts';
export { ParquetReader, type ParquetReaderOptions } from './parquet-reader.node.ts';
export { type OpenReaderOptions, openReader, type ReadTableOptions, readTable } from './read-table.node.ts';
export { openTokenShards } from './shard-dataset.node.ts';
export { TextReader, type TextReaderOptions } from './text-reader.node.ts';
export {
  readTokenSetEntries,
  type SourcedTokenDocument,
  type TokenSetEntry,
  type TokenShardOptions,
  writeTokenShards,
} from './token-shards.node.ts';
