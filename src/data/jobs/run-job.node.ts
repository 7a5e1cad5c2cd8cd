/**
 * Runs a task over all documents of an input: reads in this thread, cuts into shards, hands them to worker
 * threads, keeps a journal. Memory holds a bounded number of shards, whatever the size of the input; the result
 * does not depend on the number of workers. A stopped or killed job goes on at its first unfinished shard.
 */
import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { CancelledError, messageOf, PlinthError } from '../../core/errors.ts';
import { type EventSink, ignoreEvents } from '../../core/events.ts';
import { JobFolder, type JobRequest } from './job-folder.node.ts';
import {
  addReadCounts,
  type CutShard,
  cutIntoShards,
  emptyCounts,
  type InputFile,
  type JobInputs,
  type ReadCounts,
} from './shard-documents.ts';
import type { ShardTask } from './shard-task.ts';
import { inThisThread, type ShardWorkers, workerPool } from './worker-pool.node.ts';

/** Characters of a shard. Two more than there are workers are in memory at once. */
const SHARD_CHARACTERS = 1024 * 1024;
/** Inputs smaller than this are worked on in this thread: starting workers would take longer. */
const SMALL_INPUT_BYTES = 2 * 1024 * 1024;
const MAX_WORKERS = 64;

export interface JobOptions {
  /** 'clean', 'dedup' ...: names the job and the stage in its events. */
  readonly kind: string;
  /** Where job.json, journal.jsonl and the task's files go. */
  readonly folder: string;
  /** Names of what the task writes in the folder, removed with `fresh`. */
  readonly owned?: readonly string[];
  readonly inputs: JobInputs;
  readonly task: ShardTask;
  /** Settings that the result depends on beside those of the task (how the inputs are read). */
  readonly inputSettings?: unknown;
  /** Worker threads; 0 works in this thread. Default: one a core, none for small inputs. */
  readonly numWorkers?: number;
  /** Default 1 Mi characters. */
  readonly shardCharacters?: number;
  /** Throw away what the folder holds. */
  readonly fresh?: boolean;
  readonly onEvent?: EventSink;
  readonly signal?: AbortSignal;
}

export interface JobResult<Result> {
  /** One for each shard, in the order of the input. */
  readonly results: readonly Result[];
  readonly numDocuments: number;
  readonly read: ReadCounts;
  /** Of all sessions together. */
  readonly seconds: number;
  /** False when the folder held the finished job and nothing was done. */
  readonly worked: boolean;
}

/**
 * @throws ConfigError when the folder holds another job; CancelledError when the signal fires, with all finished
 * shards kept; what the task throws, with all finished shards kept.
 */
export async function runJob<Result>(options: JobOptions): Promise<JobResult<Result>> {
  const { inputs, kind, signal, onEvent = ignoreEvents } = options;
  const request = await requestOf(options);
  const folder = await JobFolder.open<Result>(options.folder, request, {
    fresh: options.fresh ?? false,
    owned: options.owned ?? [],
  });
  if (folder.isDone) return resultOf(folder, false);
  const totalBytes = inputs.files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const startedAt = performance.now();
  const seconds = (): number => (performance.now() - startedAt) / 1000;
  const bytesBefore = Math.max(0, ...folder.entries.map(({ inputBytes }) => inputBytes));
  const progress = progressOf({ stage: kind, total: totalBytes, before: bytesBefore }, seconds, onEvent);
  const workers = await openWorkers<Result>(options, totalBytes);
  const running = new Set<Promise<void>>();
  let failure: unknown;
  try {
    const { start } = folder;
    const shards = cutIntoShards(inputs, {
      shardCharacters: options.shardCharacters ?? SHARD_CHARACTERS,
      ...(start && { start }),
    });
    for await (const shard of shards) {
      if (failure !== undefined || signal?.aborted) break;
      if (folder.has(shard.index)) continue;
      const work = workers
        .run(shard)
        .then((result) => folder.finishShard(shard, result))
        .then(() => progress(shard))
        .catch((error: unknown) => {
          failure ??= error;
        })
        .finally(() => running.delete(work));
      running.add(work);
      // One shard waits ready while every worker has one.
      if (running.size > workers.size) await Promise.race(running);
    }
    await Promise.all(running);
  } catch (error) {
    failure ??= error;
    await Promise.all(running);
  } finally {
    await workers.close();
  }
  const stopped = signal?.aborted === true || failure !== undefined;
  // What went wrong first is what must be told.
  await folder.close(seconds(), !stopped).catch((error: unknown) => {
    failure ??= error;
  });
  if (failure !== undefined) throw failure;
  if (signal?.aborted) throw new CancelledError('Stopped. The same command goes on from here.');
  return resultOf(folder, true);
}

async function openWorkers<Result>(
  { task, numWorkers }: JobOptions,
  totalBytes: number,
): Promise<ShardWorkers<Result>> {
  const wanted = numWorkers ?? (totalBytes < SMALL_INPUT_BYTES ? 0 : availableParallelism());
  return wanted === 0 ? inThisThread<Result>(task) : workerPool<Result>(task, Math.min(wanted, MAX_WORKERS));
}

function resultOf<Result>(folder: JobFolder<Result>, worked: boolean): JobResult<Result> {
  const { entries, seconds } = folder;
  const read = emptyCounts();
  for (const entry of entries) addReadCounts(read, entry.read);
  return {
    results: entries.map(({ result }) => result),
    numDocuments: entries.reduce((sum, entry) => sum + entry.numDocuments, 0),
    read,
    seconds,
    worked,
  };
}

async function requestOf(options: JobOptions): Promise<JobRequest> {
  const inputs = await Promise.all(options.inputs.files.map(identityOf));
  const { kind, task, inputSettings = null, shardCharacters = SHARD_CHARACTERS } = options;
  return { kind, settings: { task: task.settings, inputs: inputSettings, shardCharacters }, inputs };
}

async function identityOf({ path, sizeBytes }: InputFile): Promise<JobRequest['inputs'][number]> {
  try {
    const { mtime } = await stat(path);
    return { path: resolve(path), sizeBytes, modified: mtime.toISOString() };
  } catch (error) {
    throw new PlinthError('disk', `${path} could not be read: ${messageOf(error)}. Check the path.`, {
      cause: error,
    });
  }
}

function progressOf(
  { stage, total, before }: { stage: string; total: number; before: number },
  seconds: () => number,
  onEvent: EventSink,
): (shard: CutShard) => void {
  let done = before;
  return ({ inputBytes }) => {
    done = Math.max(done, inputBytes);
    const ratePerSecond = (done - before) / Math.max(seconds(), 1e-6);
    const secondsLeft = ratePerSecond > 0 ? (total - done) / ratePerSecond : Number.NaN;
    onEvent({ type: 'progress', stage, done, total, unit: 'B', ratePerSecond, secondsLeft });
  };
}
