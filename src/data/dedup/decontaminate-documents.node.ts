/** Decontamination as a job: indexes the evaluation items, then takes them out of the documents of the inputs. */
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import { digest } from '../../core/digest.node.ts';
import { CancelledError } from '../../core/errors.ts';
import type { EventSink } from '../../core/events.ts';
import type { ReadReport } from '../document.ts';
import {
  DOCUMENTS_FOLDER,
  DROPPED_FOLDER,
  type JobInputs,
  type JobResult,
  runJob,
} from '../jobs/index.node.ts';
import { extractText, NO_TEXT_RULE } from '../readers/extract-text.ts';
import {
  type ContaminationCounts,
  ContaminationIndex,
  type ContaminationOptions,
  type EvaluationItem,
} from './contamination-index.ts';
import { saveContaminationIndex } from './contamination-index-file.node.ts';
import {
  type DecontaminateShardResult,
  type DecontaminateTaskSettings,
  decontaminateTask,
} from './decontaminate-task.node.ts';
import type { DecontaminationCounts, DecontaminatorOptions } from './decontaminator.ts';

export interface DecontaminateOptions extends ContaminationOptions, DecontaminatorOptions {
  readonly inputs: JobInputs;
  /** How the inputs are read: part of what the job is. */
  readonly inputSettings?: unknown;
  /** Evaluation data; several readings of the same files where an item has several fields. */
  readonly evaluation: readonly JobInputs[];
  readonly folder: string;
  /** Keep dropped documents with their reason, to be inspected. Default true. */
  readonly keepDropped?: boolean;
  readonly numWorkers?: number;
  readonly shardCharacters?: number;
  readonly fresh?: boolean;
  readonly onEvent?: EventSink;
  readonly signal?: AbortSignal;
}

export interface DecontaminationReport extends DecontaminationCounts {
  readonly evaluation: ContaminationCounts & {
    /** Records of the evaluation data that could not be read. */
    readonly skipped: number;
    /** Items that were found in a document; with `drop` a document names the first that it has. */
    readonly found: number;
    /** Those found in the most documents, at most 20. */
    readonly mostFound: readonly { item: string; documents: number }[];
  };
  /** Documents dropped, by reason. */
  readonly dropped: Readonly<Record<string, number>>;
  readonly read: JobResult<unknown>['read'];
  readonly seconds: number;
  /** UTF-8 bytes of text a second. */
  readonly bytesPerSecond: number;
}

const EVALUATION_FOLDER = 'evaluation';
const INDEX_FILE = 'items.index';
const DECONTAMINATION_REPORT_FILE = 'report.json';
const MAX_MOST_FOUND = 20;

/**
 * Writes the documents that are left into `folder`. The same call goes on after a stop.
 * @throws DataError when the evaluation data has nothing to look for; ConfigError for a bad option, or a folder
 * with another job; CancelledError on the signal.
 */
export async function decontaminateDocuments(options: DecontaminateOptions): Promise<DecontaminationReport> {
  const { folder, inputs, evaluation, keepDropped = true } = options;
  const { action, windowCharacters, minPieceCharacters, maxPieces } = options;
  const reports: ReadReport[] = [];
  const index = await ContaminationIndex.build(evaluationItems(evaluation, reports, options.signal), options);
  const numSkipped = reports.reduce((sum, report) => sum + report.numSkipped, 0);
  if (numSkipped > 0) {
    const { source, skipped } = reports.find((report) => report.numSkipped > 0)!;
    const first = `${source}, ${skipped[0]?.position}: ${skipped[0]?.reason}`;
    options.onEvent?.({
      type: 'note',
      level: 'warning',
      message: `${numSkipped} records of the evaluation data could not be read (${first}).`,
    });
  }
  const settings: DecontaminateTaskSettings = {
    files: { folder, keepDropped },
    options: {
      ...(action !== undefined && { action }),
      ...(windowCharacters !== undefined && { windowCharacters }),
      ...(minPieceCharacters !== undefined && { minPieceCharacters }),
      ...(maxPieces !== undefined && { maxPieces }),
    },
    index: '',
    evaluation: {
      n: index.n,
      minWords: index.minWords,
      normalize: index.normalize,
      files: await Promise.all(evaluation.flatMap(({ files }) => files.map(({ path }) => identityOf(path)))),
      counts: index.counts,
    },
  };
  // Named by what is in it, so that another job's index is never replaced.
  const indexPath = join(folder, EVALUATION_FOLDER, `${digest(settings)}-${INDEX_FILE}`);
  await saveContaminationIndex(indexPath, index);
  const { results, read, seconds } = await runJob<DecontaminateShardResult>({
    kind: 'decontaminate',
    folder,
    owned: [DOCUMENTS_FOLDER, DROPPED_FOLDER, DECONTAMINATION_REPORT_FILE],
    inputs,
    inputSettings: options.inputSettings,
    task: { module: decontaminateTask, settings: { ...settings, index: indexPath } },
    ...(options.numWorkers !== undefined && { numWorkers: options.numWorkers }),
    ...(options.shardCharacters !== undefined && { shardCharacters: options.shardCharacters }),
    ...(options.fresh !== undefined && { fresh: options.fresh }),
    ...(options.onEvent && { onEvent: options.onEvent }),
    ...(options.signal && { signal: options.signal }),
  });
  const report = reportOf({ ...index.counts, skipped: numSkipped }, results, read, seconds);
  await writeFileAtomic(join(folder, DECONTAMINATION_REPORT_FILE), `${JSON.stringify(report, null, 2)}\n`);
  return report;
}

async function* evaluationItems(
  evaluation: readonly JobInputs[],
  reports: ReadReport[],
  signal: AbortSignal | undefined,
): AsyncGenerator<EvaluationItem> {
  for (const inputs of evaluation) {
    for (const file of inputs.files) {
      const reader = inputs.reader(file);
      for await (const raw of reader.read()) {
        if (signal?.aborted) throw new CancelledError();
        const document = extractText(raw);
        // A page without text is an item without words, and counted as such.
        yield { id: `${raw.source}: ${raw.id}`, text: document?.text ?? '' };
      }
      reports.push(reader.report);
    }
  }
}

async function identityOf(path: string): Promise<unknown> {
  const { size, mtime } = await stat(path);
  return { path: resolve(path), sizeBytes: size, modified: mtime.toISOString() };
}

function reportOf(
  evaluation: ContaminationCounts & { skipped: number },
  results: readonly DecontaminateShardResult[],
  read: DecontaminationReport['read'],
  seconds: number,
): DecontaminationReport {
  const sum = (of: (result: DecontaminateShardResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  const found = new Map<string, number>();
  for (const result of results) {
    for (const [item, documents] of result.found) found.set(item, (found.get(item) ?? 0) + documents);
  }
  const mostFound = [...found]
    .sort(([itemA, a], [itemB, b]) => b - a || (itemA < itemB ? -1 : 1))
    .slice(0, MAX_MOST_FOUND)
    .map(([item, documents]) => ({ item, documents }));
  const noText = sum((result) => result.noText);
  const contaminated = sum((result) => result.contaminated.dropped);
  const bytesIn = sum(({ bytes }) => bytes.in);
  return {
    documents: { in: sum(({ documents }) => documents.in), out: sum(({ documents }) => documents.out) },
    bytes: { in: bytesIn, out: sum(({ bytes }) => bytes.out) },
    contaminated: {
      documents: sum((result) => result.contaminated.documents),
      dropped: contaminated,
      shortened: sum((result) => result.contaminated.shortened),
      passages: sum((result) => result.contaminated.passages),
      discardedPieces: sum((result) => result.contaminated.discardedPieces),
    },
    evaluation: { ...evaluation, found: found.size, mostFound },
    dropped: { contaminated, ...(noText > 0 && { [NO_TEXT_RULE]: noText }) },
    read,
    seconds,
    bytesPerSecond: seconds > 0 ? bytesIn / seconds : 0,
  };
}
