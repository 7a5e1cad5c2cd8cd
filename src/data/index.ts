/** Data for training, the browser-safe part: cleaning, language, quality, coverage, mixing, splits, batches. */

export { ChatInspector } from './chats/chat-inspector.ts';
export { type ChatRecord, chatRecordOf } from './chats/chat-record.ts';
export type { ChatDataReport } from './chats/chat-report.ts';
export * from './clean/index.ts';
export * from './coverage/index.ts';
export * from './dedup/index.ts';
export {
  concatenateReaders,
  type Document,
  type Reader,
  ReadReport,
  readerOf,
  type SkippedRecord,
} from './document.ts';
export * from './jobs/index.ts';
export {
  keyedUniform,
  normalizeKey,
  type Split,
  type SplitShares,
  splitKeys,
  splitOf,
  splitRecords,
} from './keyed-split.ts';
// Both cleaning and identification export this one.
export type { LanguageGuess } from './language/index.ts';
export * from './language/index.ts';
export * from './mix/index.ts';
export * from './quality/index.ts';
export * from './readers/index.ts';
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
export { TRAIN_ON, type TrainOn } from './tokens/training-targets.ts';
export { WindowBatches, type WindowOptions } from './tokens/window-batches.ts';
