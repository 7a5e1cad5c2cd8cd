/**
 * What a job does to one shard of documents. A task is a module that a worker thread can load: it exports
 * `openTask`, and its own URL for whoever starts the job. A shard's result is plain JSON (counts, as a rule), and
 * depends on the settings and the shard alone, so shards may be worked on in any order and again after a kill.
 */
import type { Document } from '../document.ts';

export interface Shard {
  /** 0-based; names the shard's output files. */
  readonly index: number;
  /** Position of its first document in the whole input. */
  readonly firstOrdinal: number;
  readonly documents: readonly Document[];
}

export interface ShardProcessor<Result> {
  /** Files that it writes are whole when this resolves. */
  process(shard: Shard): Promise<Result>;
}

export interface ShardTaskModule<Settings, Result> {
  openTask(settings: Settings): Promise<ShardProcessor<Result>>;
}

/** A task to run: where its module is (its `import.meta.url`) and JSON settings for it. */
export interface ShardTask<Settings = unknown> {
  readonly module: string;
  readonly settings: Settings;
}

/** 7 -> 'shard-00007'. */
export function shardName(index: number): string {
  return `shard-${String(index).padStart(5, '0')}`;
}
