/** Cleaning as a job: documents in, kept and dropped documents out in a folder, with counts for every rule. */
import { join } from 'node:path';
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import type { EventSink } from '../../core/events.ts';
import { readJsonFile } from '../../core/json-file.node.ts';
import { type CleanSummary, cleanSummary } from '../clean/index.ts';
import { DOCUMENTS_FOLDER, DROPPED_FOLDER, JOB_MARK, type JobInputs, runJob } from '../jobs/index.node.ts';
import { NO_TEXT_RULE } from '../readers/extract-text.ts';
import type { CleanReport } from './clean-report.ts';
import { type CleanShardResult, type CleanTaskSettings, cleanTask } from './clean-task.node.ts';
import { type CleanSettings, mergeCleanResults } from './shard-cleaning.ts';

export interface CleanOptions extends CleanSettings {
  readonly inputs: JobInputs;
  /** How the inputs are read: part of what the job is. */
  readonly inputSettings?: unknown;
  readonly folder: string;
  /** Keep dropped documents with their reason, to be inspected. Default true. */
  readonly keepDropped?: boolean;
  readonly numWorkers?: number;
  readonly fresh?: boolean;
  readonly onEvent?: EventSink;
  readonly signal?: AbortSignal;
}

const KIND = 'clean';
/** What `cleanDocuments` writes last in its folder. */
export const REPORT_FILE = 'report.json';

/**
 * Cleans all documents of the inputs into `folder`. The same call goes on after a stop.
 * @throws ConfigError for an unknown rule set, or a folder with another job; CancelledError on the signal.
 */
export async function cleanDocuments(options: CleanOptions): Promise<CleanReport> {
  const { folder, ruleSets, keepDropped = true } = options;
  const settings: CleanTaskSettings = { ruleSets, files: { folder, keepDropped } };
  const { results, read, seconds } = await runJob<CleanShardResult>({
    kind: KIND,
    folder,
    owned: [DOCUMENTS_FOLDER, DROPPED_FOLDER, REPORT_FILE],
    inputs: options.inputs,
    inputSettings: options.inputSettings,
    task: { module: cleanTask, settings },
    ...(options.numWorkers !== undefined && { numWorkers: options.numWorkers }),
    ...(options.fresh !== undefined && { fresh: options.fresh }),
    ...(options.onEvent && { onEvent: options.onEvent }),
    ...(options.signal && { signal: options.signal }),
  });
  const merged = mergeCleanResults(results)!;
  const summary = withPagesWithoutText(cleanSummary(merged.counts), results);
  const report = {
    ...summary,
    examples: merged.examples,
    read,
    seconds,
    bytesPerSecond: seconds > 0 ? summary.bytes.in / seconds : 0,
  };
  await writeFileAtomic(join(folder, REPORT_FILE), `${JSON.stringify(report, null, 2)}\n`);
  return report;
}

function withPagesWithoutText(summary: CleanSummary, results: readonly CleanShardResult[]): CleanSummary {
  const documents = results.reduce((sum, { noText }) => sum + noText.documents, 0);
  const bytes = results.reduce((sum, { noText }) => sum + noText.bytes, 0);
  if (documents === 0) return summary;
  return {
    ...summary,
    documents: { ...summary.documents, in: summary.documents.in + documents },
    bytes: { ...summary.bytes, in: summary.bytes.in + bytes },
    dropped: { [NO_TEXT_RULE]: documents, ...summary.dropped },
  };
}

/** The report of the cleaning that wrote the one folder named, if it is such a folder. */
export async function cleanReportOf(paths: readonly string[]): Promise<CleanReport | undefined> {
  const [folder, ...others] = paths;
  if (folder === undefined || others.length > 0) return undefined;
  const job = (await readJsonFile(join(folder, 'job.json'), '').catch(() => undefined)) as
    | { plinth?: unknown; kind?: unknown }
    | undefined;
  if (job?.plinth !== JOB_MARK || job?.kind !== KIND) return undefined;
  return (await readJsonFile(join(folder, REPORT_FILE), 'Run plinth data clean again.')) as
    | CleanReport
    | undefined;
}
