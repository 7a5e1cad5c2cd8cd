/** What cleaning has to say: plain data, printed with --json and written as report.json. */
import type { CleanSummary } from '../clean/index.ts';
import type { ReadCounts } from '../jobs/index.ts';
import type { DropExample } from './shard-cleaning.ts';

export interface CleanReport extends CleanSummary {
  /** A few dropped documents for each rule. */
  readonly examples: Readonly<Record<string, readonly DropExample[]>>;
  readonly read: ReadCounts;
  readonly seconds: number;
  /** UTF-8 bytes of text a second, all sessions together. */
  readonly bytesPerSecond: number;
}
