/**
 * An audit: what documents cover (language x domain x quality x length), how many are duplicates, what rule sets
 * would remove, and what an evaluation asks for that is not there. Reads; changes nothing of the input.
 */
import { join } from 'node:path';
import type { EventSink } from '../../core/events.ts';
import { cleanSummary } from '../clean/index.ts';
import {
  amountsBy,
  CoverageCounter,
  type CoverageCounts,
  coverageGaps,
  LENGTH_NAMES,
  totalOf,
} from '../coverage/index.ts';
import { type DedupMethod, findDuplicates } from '../dedup/index.node.ts';
import { type JobInputs, runJob } from '../jobs/index.node.ts';
import type { AmountShare, AuditReport, DuplicateCounts } from './audit-report.ts';
import { type AuditSettings, type AuditShardResult, auditTask } from './audit-task.node.ts';
import { auditWarnings } from './audit-warnings.ts';
import type { CleanReport } from './clean-report.ts';
import { gradeBins, type QualitySettings } from './quality-grader.node.ts';
import { type CleanSettings, mergeCleanResults } from './shard-cleaning.ts';

export interface AuditOptions {
  readonly inputs: JobInputs;
  readonly inputSettings?: unknown;
  /** What was asked for; domains below a folder are named by its first part. */
  readonly roots?: readonly string[];
  /** Work folder: journal, signatures, report. */
  readonly folder: string;
  readonly domainColumn?: string;
  /** Folder with a tokenizer.json; without it tokens are not counted. */
  readonly tokenizer?: string;
  readonly quality?: QualitySettings;
  /** Preset for near duplicates; null leaves them out. Default 'datatrove'. */
  readonly nearDuplicates?: string | null;
  /** Rule sets to try. */
  readonly rules?: CleanSettings;
  /** What cleaning removed before, shown when no rules are tried. */
  readonly cleaned?: CleanReport | undefined;
  /** What the data is for: its languages and domains are looked for in the data. */
  readonly evaluation?: JobInputs;
  readonly memoryBytes?: number;
  readonly numWorkers?: number;
  readonly fresh?: boolean;
  readonly onEvent?: EventSink;
  readonly signal?: AbortSignal;
}

const DEFAULT_MEMORY_BYTES = 256 * 1024 * 1024;

export async function auditDocuments(options: AuditOptions): Promise<AuditReport> {
  const { nearDuplicates = 'datatrove', memoryBytes = DEFAULT_MEMORY_BYTES } = options;
  const duplicates: Record<string, DedupMethod> = {
    exact: { kind: 'exact', unit: 'document' },
    ...(nearDuplicates !== null && { near: { kind: 'minhash', preset: nearDuplicates } as DedupMethod }),
  };
  const job = await audit(options, options.folder, options.inputs, duplicates);
  const coverage = gradeBins(mergedCoverage(job.results));
  const sizes = job.results.flatMap((result) => result.sizes);
  const counts: Record<string, DuplicateCounts> = {};
  for (const [name, method] of Object.entries(duplicates)) {
    const found = await findDuplicates(join(options.folder, name), method, {
      memoryBytes,
      ...(options.onEvent && { onEvent: options.onEvent }),
      ...(options.signal && { signal: options.signal }),
    });
    let documents = 0;
    let bytes = 0;
    for (const [ordinal, size] of sizes.entries()) {
      if (size === 0 || !found.isDuplicate(ordinal)) continue;
      documents++;
      bytes += size;
    }
    const description = method.kind === 'minhash' ? `minhash, ${method.preset}` : 'exact, whole document';
    counts[name] = { method: description, documents, bytes, share: documents / Math.max(1, sizes.length) };
  }
  const evaluation =
    options.evaluation && (await audit(options, join(options.folder, 'evaluation'), options.evaluation, {}));
  const gaps = evaluation
    ? coverageGaps(coverage, mergedCoverage(evaluation.results), {
        domains: options.domainColumn !== undefined || 'auto',
      })
    : [];
  const tried = mergeCleanResults(job.results.flatMap((result) => result.removed ?? []));
  const removed = tried
    ? { ...cleanSummary(tried.counts), examples: tried.examples }
    : options.cleaned && cleaned(options.cleaned);
  const total = totalOf(coverage);
  const hasTokens = options.tokenizer !== undefined;
  const shares = (facet: 'language' | 'domain' | 'quality' | 'length'): Record<string, AmountShare> =>
    Object.fromEntries(
      [...amountsBy(coverage, facet)].map(([name, { documents, bytes, tokens }]) => [
        name,
        { documents, bytes, ...(hasTokens && { tokens }), share: bytes / Math.max(1, total.bytes) },
      ]),
    );
  const lengths = shares('length');
  const report: Omit<AuditReport, 'warnings'> = {
    documents: total.documents,
    bytes: total.bytes,
    tokens: hasTokens ? total.tokens : null,
    languages: shares('language'),
    domains: shares('domain'),
    qualities: shares('quality'),
    lengths: Object.fromEntries(
      LENGTH_NAMES.flatMap((name) => (lengths[name] ? [[name, lengths[name]]] : [])),
    ),
    duplicates: counts,
    cells: coverage.cells,
    ...(removed && { removed }),
    gaps,
    noText: job.results.reduce((sum, { noText }) => sum + noText, 0),
    read: job.read,
    seconds: job.seconds,
  };
  return { ...report, warnings: auditWarnings(report) };
}

function audit(
  options: AuditOptions,
  folder: string,
  inputs: JobInputs,
  duplicates: Record<string, DedupMethod>,
): ReturnType<typeof runJob<AuditShardResult>> {
  const hasDuplicates = Object.keys(duplicates).length > 0;
  const settings: AuditSettings = {
    folder,
    roots: options.roots ?? [],
    duplicates,
    ...(options.domainColumn !== undefined && { domainColumn: options.domainColumn }),
    ...(hasDuplicates && options.tokenizer !== undefined && { tokenizer: options.tokenizer }),
    ...(hasDuplicates && options.quality && { quality: options.quality }),
    ...(hasDuplicates && options.rules && { rules: options.rules }),
  };
  return runJob<AuditShardResult>({
    kind: hasDuplicates ? 'audit' : 'audit of the evaluation',
    folder,
    owned: [...Object.keys(duplicates), ...(hasDuplicates ? ['evaluation'] : [])],
    inputs,
    inputSettings: options.inputSettings,
    task: { module: auditTask, settings },
    ...(options.numWorkers !== undefined && { numWorkers: options.numWorkers }),
    ...(options.fresh !== undefined && { fresh: options.fresh }),
    ...(options.onEvent && { onEvent: options.onEvent }),
    ...(options.signal && { signal: options.signal }),
  });
}

/** Without the figures of the run. */
function cleaned(report: CleanReport): AuditReport['removed'] {
  const { read: _, seconds: __, bytesPerSecond: ___, ...summary } = report;
  return summary;
}

function mergedCoverage(results: readonly AuditShardResult[]): CoverageCounts {
  const counter = new CoverageCounter();
  for (const { coverage } of results) counter.addCounts(coverage);
  return counter.counts;
}
