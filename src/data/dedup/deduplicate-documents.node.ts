/**
 * Deduplication as a job: reads the inputs once to sign them, finds duplicates, reads them again to write what is
 * left. Each step goes on after a stop. The folder keeps the set of duplicates; signatures are deleted when it is
 * there.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import { ConfigError } from '../../core/errors.ts';
import type { EventSink } from '../../core/events.ts';
import { readJsonFile } from '../../core/json-file.node.ts';
import {
  DOCUMENTS_FOLDER,
  DROPPED_FOLDER,
  type JobInputs,
  type JobResult,
  runJob,
} from '../jobs/index.node.ts';
import { NO_TEXT_RULE } from '../readers/extract-text.ts';
import { type DedupMethod, type ResolvedMethod, resolveMethod } from './dedup-method.ts';
import { type DedupShardResult, type DedupTaskSettings, dedupTask } from './dedup-task.node.ts';
import type { DedupCounts } from './deduplicator.ts';
import type { DuplicateSet } from './duplicate-set.ts';
import { openDuplicateSet, saveDuplicateSet } from './duplicate-set-file.node.ts';
import { findDuplicates } from './find-duplicates.node.ts';
import { type SignSettings, signTask } from './sign-task.node.ts';
import { removeSignatures } from './signature-shards.node.ts';

export interface DeduplicateOptions {
  readonly inputs: JobInputs;
  /** How the inputs are read: part of what the job is. */
  readonly inputSettings?: unknown;
  readonly folder: string;
  readonly method: DedupMethod;
  /** Keep dropped documents with their reason, to be inspected. Default true. */
  readonly keepDropped?: boolean;
  /** For finding duplicates; see `findDuplicates`. */
  readonly memoryBytes?: number;
  readonly numWorkers?: number;
  readonly shardCharacters?: number;
  readonly fresh?: boolean;
  readonly onEvent?: EventSink;
  readonly signal?: AbortSignal;
}

export interface DedupReport {
  readonly method: ResolvedMethod;
  readonly documents: DedupCounts['documents'];
  readonly bytes: DedupCounts['bytes'];
  readonly duplicates: DedupCounts['duplicates'] & {
    /** Groups of documents of which one stays. */
    readonly clusters: number;
    /** Paragraphs or lines looked at; documents where whole ones are compared. */
    readonly unitsIn: number;
    /** Documents whose verification stopped after 64 comparisons. */
    readonly leaderless: number;
  };
  /** Documents dropped, by reason. */
  readonly dropped: Readonly<Record<string, number>>;
  readonly read: JobResult<unknown>['read'];
  /** Of the two readings, all sessions together, and of finding duplicates in this one. */
  readonly seconds: number;
  /** UTF-8 bytes of text a second. */
  readonly bytesPerSecond: number;
}

const WORK_FOLDER = 'signatures';
const SET_FILE = 'duplicates.set';
const DEDUP_REPORT_FILE = 'report.json';

/**
 * Writes the documents that are left into `folder`. The same call goes on after a stop.
 * @throws ConfigError for a bad method, or a folder with another job; CancelledError on the signal.
 */
export async function deduplicateDocuments(options: DeduplicateOptions): Promise<DedupReport> {
  const { folder, keepDropped = true } = options;
  const method = resolveMethod(options.method);
  await refuseOtherJob(folder, options.fresh ?? false);
  const workFolder = join(folder, WORK_FOLDER);
  const common = {
    inputs: options.inputs,
    inputSettings: options.inputSettings,
    ...(options.numWorkers !== undefined && { numWorkers: options.numWorkers }),
    ...(options.shardCharacters !== undefined && { shardCharacters: options.shardCharacters }),
    ...(options.fresh !== undefined && { fresh: options.fresh }),
    ...(options.onEvent && { onEvent: options.onEvent }),
    ...(options.signal && { signal: options.signal }),
  };
  const signSettings: SignSettings = { folder: join(workFolder, 'shards'), method };
  const signed = await runJob<null>({
    ...common,
    kind: 'sign documents',
    folder: workFolder,
    owned: ['shards', SET_FILE],
    task: { module: signTask, settings: signSettings },
  });
  const setPath = join(workFolder, SET_FILE);
  const startedAt = performance.now();
  const set = await foundDuplicates(signSettings.folder, setPath, method, options);
  const findSeconds = (performance.now() - startedAt) / 1000;
  const settings: DedupTaskSettings = { files: { folder, keepDropped }, method, duplicates: setPath };
  const { results, read, seconds } = await runJob<DedupShardResult>({
    ...common,
    kind: 'dedup',
    folder,
    owned: [DOCUMENTS_FOLDER, DROPPED_FOLDER, DEDUP_REPORT_FILE],
    task: { module: dedupTask, settings },
  });
  const report = reportOf(method, set, results, read, signed.seconds + findSeconds + seconds);
  await writeFileAtomic(join(folder, DEDUP_REPORT_FILE), `${JSON.stringify(report, null, 2)}\n`);
  return report;
}

/** Before the first reading rather than after it. */
async function refuseOtherJob(folder: string, fresh: boolean): Promise<void> {
  const path = join(folder, 'job.json');
  const stored = (await readJsonFile(path, 'Choose another folder.')) as
    | { kind?: unknown }
    | null
    | undefined;
  if (fresh || stored === undefined || stored?.kind === 'dedup') return;
  throw new ConfigError(
    `${folder} holds a '${stored?.kind}' job. Choose another folder with --out, or add --fresh to replace it.`,
  );
}

/** The set that an earlier session found, else a new one; then signatures are of no more use. */
async function foundDuplicates(
  folder: string,
  path: string,
  method: DedupMethod,
  { memoryBytes, onEvent, signal }: DeduplicateOptions,
): Promise<DuplicateSet> {
  if (existsSync(path)) {
    const set = await openDuplicateSet(path);
    await removeSignatures(folder);
    return set;
  }
  const set = await findDuplicates(folder, method, {
    ...(memoryBytes !== undefined && { memoryBytes }),
    ...(onEvent && { onEvent }),
    ...(signal && { signal }),
  });
  await saveDuplicateSet(path, set);
  await removeSignatures(folder);
  return set;
}

function reportOf(
  method: ResolvedMethod,
  set: DuplicateSet,
  results: readonly DedupShardResult[],
  read: DedupReport['read'],
  seconds: number,
): DedupReport {
  const sum = (of: (result: DedupShardResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  const noText = sum((result) => result.noText);
  const numDropped = sum(({ duplicates }) => duplicates.documents);
  const bytesIn = sum(({ bytes }) => bytes.in);
  return {
    method,
    documents: { in: sum(({ documents }) => documents.in), out: sum(({ documents }) => documents.out) },
    bytes: { in: bytesIn, out: sum(({ bytes }) => bytes.out) },
    duplicates: {
      documents: numDropped,
      clusters: set.numClusters,
      shortened: sum(({ duplicates }) => duplicates.shortened),
      units: sum(({ duplicates }) => duplicates.units),
      unitsIn: set.numUnits,
      leaderless: set.numLeaderless,
    },
    dropped: { duplicate: numDropped, ...(noText > 0 && { [NO_TEXT_RULE]: noText }) },
    read,
    seconds,
    bytesPerSecond: seconds > 0 ? bytesIn / seconds : 0,
  };
}
