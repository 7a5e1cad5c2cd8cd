/** Data for training, with files: everything of `index.ts` plus token shards and readers. */
export * from './index.ts';
export { openTokenShards } from './shard-dataset.node.ts';
export {
  readTokenSetEntries,
  type SourcedTokenDocument,
  type TokenSetEntry,
  type TokenShardOptions,
  writeTokenShards,
} from './token-shards.node.ts';
