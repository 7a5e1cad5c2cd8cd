/** Data for training, with files: everything of `index.ts` plus readers, jobs over documents and token shards. */

export { type ReadChat, readChats } from './chats/read-chats.node.ts';
export {
  type DeduplicateOptions,
  type DedupReport,
  decontaminateDocuments,
  deduplicateDocuments,
  findDuplicates,
  SignatureShardWriter,
} from './dedup/index.node.ts';
export * from './index.ts';
export { type JobInputs, type JobOptions, type JobResult, runJob } from './jobs/index.node.ts';
export { loadLanguageIdentifier } from './language/index.node.ts';
export { type MixInput, mixDocuments } from './mix/index.node.ts';
export * from './pipeline/index.node.ts';
export {
  loadClassifier,
  loadPerplexityModel,
  saveClassifier,
  savePerplexityModel,
} from './quality/index.node.ts';
export * from './readers/index.node.ts';
export { openTokenShards } from './tokens/shard-dataset.node.ts';
export {
  readTokenSetEntries,
  type SourcedTokenDocument,
  type TokenSetEntry,
  type TokenShardOptions,
  writeTokenShards,
} from './tokens/token-shards.node.ts';
