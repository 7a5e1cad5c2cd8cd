/** What an audit has to say: plain data, printed with --json, written as report.json and drawn as a page. */
import type { CleanSummary } from '../clean/index.ts';
import type { Amount, CoverageCounts, CoverageGap } from '../coverage/index.ts';
import type { ReadCounts } from '../jobs/index.ts';
import type { DropExample } from './shard-cleaning.ts';

/** An amount with its part of all bytes. */
export interface AmountShare extends Omit<Amount, 'tokens'> {
  readonly tokens?: number;
  readonly share: number;
}

export interface DuplicateCounts {
  readonly method: string;
  /** Documents beyond the first of each cluster. */
  readonly documents: number;
  readonly bytes: number;
  /** Of all documents. */
  readonly share: number;
}

export interface AuditReport {
  readonly documents: number;
  readonly bytes: number;
  /** Null where no tokenizer was given. */
  readonly tokens: number | null;
  readonly languages: Readonly<Record<string, AmountShare>>;
  readonly domains: Readonly<Record<string, AmountShare>>;
  readonly qualities: Readonly<Record<string, AmountShare>>;
  readonly lengths: Readonly<Record<string, AmountShare>>;
  readonly duplicates: Readonly<Record<string, DuplicateCounts>>;
  /** Every combination that occurs. */
  readonly cells: CoverageCounts['cells'];
  readonly removed?: CleanSummary & { examples: Readonly<Record<string, readonly DropExample[]>> };
  readonly gaps: readonly CoverageGap[];
  readonly warnings: readonly string[];
  /** Pages of HTML in which no main text was found. */
  readonly noText: number;
  readonly read: ReadCounts;
  readonly seconds: number;
}
