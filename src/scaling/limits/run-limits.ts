/**
 * A training run against what there is: text, power, electricity, and what is expected to be possible by 2030. Each row says
 * what is needed, what there is and the share. The chip is the given one: later chips need less electricity for the same
 * work (Epoch AI expects about 4 times less by 2030), which `accelerator`, `peakFlops` and `powerWatts` can express.
 */
import { asRange, checkNumber, product, quotient, type Range } from '../cost/range.ts';
import { type RunTerms, trainingCost } from '../cost/training-cost.ts';
import { COMPUTE_BY_2030 } from './compute-by-2030.ts';
import { DATA_STOCKS } from './data-stocks.ts';
import { DATA_CENTRES, GENERATION, POWER_SITES } from './electricity-supply.ts';

/**
 * How long large runs take. Low: Llama 3.1 405B (54 days, Dubey et al. 2024); high: what Epoch AI expects by 2030;
 * typical: about a third of that, as now (Sevilla et al. 2024).
 */
export const TYPICAL_RUN_DAYS: Range = { low: 54, typical: 100, high: 300 };

export interface LimitedRun extends RunTerms {
  readonly flops: number;
  /** Tokens the run reads in all; without them there are no rows for data. */
  readonly tokens?: number;
  /** Passes over the same text, default 1; counts for raw stocks only. */
  readonly epochs?: number;
  readonly days?: number | Range;
}

/** `within` and `beyond` hold over the whole range; `depends` means that the ranges overlap. */
export type Verdict = 'within' | 'depends' | 'beyond';

export interface LimitRow {
  readonly kind: 'data' | 'power' | 'energy' | 'compute';
  readonly id: string;
  readonly name: string;
  readonly unit: 'tokens' | 'W' | 'TWh' | 'FLOPs';
  readonly needed: Range;
  readonly available: Range;
  /** needed / available, between the corners. */
  readonly share: Range;
  readonly verdict: Verdict;
  readonly source: string;
}

export interface RunLimits {
  readonly flops: number;
  readonly tokens: number | null;
  readonly accelerator: string;
  readonly days: Range;
  readonly rows: readonly LimitRow[];
  readonly notes: readonly string[];
}

export function verdictOf(share: Range): Verdict {
  if (share.high <= 1) return 'within';
  return share.low > 1 ? 'beyond' : 'depends';
}

type RowFacts = Omit<LimitRow, 'share' | 'verdict'>;

function row(facts: RowFacts): LimitRow {
  const share = quotient(facts.needed, facts.available);
  return { ...facts, share, verdict: verdictOf(share) };
}

const exactly = (value: number): Range => ({ low: value, typical: value, high: value });

/**
 * Every limit for a run.
 * @throws ConfigError as trainingCost, and for tokens, epochs or days out of range
 */
export function runLimits({ flops, tokens, epochs = 1, days, ...terms }: LimitedRun): RunLimits {
  const cost = trainingCost({ ...terms, flops });
  const runDays = asRange('The days of the run', days ?? TYPICAL_RUN_DAYS);
  const rows: LimitRow[] = [];
  const notes = [...cost.notes.filter((note) => !/for dollars/.test(note))];
  if (tokens === undefined) {
    notes.push('No tokens are given: the rows for data are left out.');
  } else {
    checkNumber('The number of tokens', tokens);
    checkNumber('The number of epochs', epochs, { atLeast: 1 });
    for (const { id, name, tokens: available, countsRepeats, intervalPercent, source } of DATA_STOCKS) {
      const needed = exactly(countsRepeats ? tokens : tokens / epochs);
      const facts = { kind: 'data', id, name, unit: 'tokens', needed, available } as const;
      rows.push(row({ ...facts, source: `${source}; ${intervalPercent} % interval` }));
    }
  }
  if (cost.energyKWh) {
    const watts = product(quotient(cost.energyKWh, runDays), 1000 / 24);
    for (const { id, name, watts: available, source } of POWER_SITES) {
      rows.push(row({ kind: 'power', id, name, unit: 'W', needed: watts, available, source }));
    }
    const needed = product(cost.energyKWh, 1e-9);
    for (const { id, name, year, terawattHours, source } of [...DATA_CENTRES, ...GENERATION]) {
      const facts = { kind: 'energy', id, unit: 'TWh', needed, available: terawattHours, source } as const;
      rows.push(row({ ...facts, name: `${name} ${year}` }));
    }
  }
  for (const { id, name, flops: available, source } of COMPUTE_BY_2030) {
    rows.push(row({ kind: 'compute', id, name, unit: 'FLOPs', needed: exactly(flops), available, source }));
  }
  return { flops, tokens: tokens ?? null, accelerator: cost.accelerator, days: runDays, rows, notes };
}
