/** Data for training, the browser-safe part: tables, splits, token sets in memory, batches. */

export {
  concatenateReaders,
  type Document,
  type Reader,
  ReadReport,
  readerOf,
  type SkippedRecord,
} from './document.ts';
export {
  keyedUniform,
  normalizeKey,
  type Split,
  type SplitShares,
  splitKeys,
  splitOf,
  splitRecords,
} from './keyed-split.ts';
export { type Cell, cellOf, isEmptyCell, type Table, type TableRow, tableOf, typeColumns } from './table.ts';
export {
  ConversationBatches,
  type ConversationOptions,
  type PackingReport,
  packBestFit,
} from './tokens/conversation-batches.ts';
export type { BatchCursor, BatchSource, TokenBatch } from './tokens/token-batch.ts';
export {
  documentAt,
  MemoryTokenDataset,
  type TokenDataset,
  type TokenDocument,
  tokenizeText,
} from './tokens/token-dataset.ts';
export { WindowBatches, type WindowOptions } from './tokens/window-batches.ts';
