/** Jobs over shards of documents: worker threads, a journal, resume; and the files that they write. */

export {
  DOCUMENTS_FOLDER,
  DROPPED_FOLDER,
  type Drop,
  documentLine,
  prepareShardFiles,
  type ShardFilesOptions,
  shardFilesOf,
  writeShardFiles,
} from './document-files.node.ts';
export * from './index.ts';
export { JOB_MARK } from './job-folder.node.ts';
export { type JobOptions, type JobResult, runJob } from './run-job.node.ts';
export type { InputFile, JobInputs } from './shard-documents.ts';
