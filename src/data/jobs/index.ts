/** Jobs over shards of documents, the browser-safe part. */
export type { ReadCounts } from './shard-documents.ts';
export {
  type Shard,
  type ShardProcessor,
  type ShardTask,
  type ShardTaskModule,
  shardName,
} from './shard-task.ts';
