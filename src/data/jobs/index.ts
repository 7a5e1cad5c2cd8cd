/** Jobs over shards of documents, the browser-safe part. */
export {
  type Shard,
  type ShardProcessor,
  type ShardTask,
  type ShardTaskModule,
  shardName,
} from './shard-task.ts';
