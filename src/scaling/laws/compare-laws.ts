/** The same budget under every published law, side by side: how far they differ says more than any interval. */
import { ALLOCATION_LAWS, allocate } from './allocation-law.ts';
import { kaplanLoss } from './kaplan.ts';
import { LOSS_LAWS, type LossLaw, namedLaw, type UncertainLaw, withResamples } from './loss-law.ts';
import { type Budget, flopsOfDollars, type Optimum, optimalFor } from './optimum.ts';
import type { Interval } from './percentile-interval.ts';

export interface LawComparison {
  readonly name: string;
  readonly source: string;
  /** Null where the law says nothing: allocation laws know no loss. */
  readonly optimum: (Omit<Optimum, 'loss'> & { readonly loss: number | null }) | null;
  /** Why `optimum` is null. */
  readonly reason?: string;
  readonly paramsInterval?: Interval;
  /** What the interval covers: 0.95 for resamples, what the paper printed else. */
  readonly coverage?: number;
  readonly note?: string;
}

/** `law` first, then the others by name. Throws ConfigError as `optimalFor(law, budget)` does. */
export function compareLaws(law: LossLaw | UncertainLaw, budget: Budget): LawComparison[] {
  const chosen = withResamples(law);
  const others = Object.keys(LOSS_LAWS)
    .filter((name) => name !== chosen.law.name)
    .map(namedLaw);
  const best = lossLawRow(chosen, budget);
  return [best, ...others.map((other) => rowOrReason(other, budget)), ...allocationRows(budget)];
}

function rowOrReason(law: UncertainLaw, budget: Budget): LawComparison {
  if ('loss' in budget && budget.loss <= law.law.E) {
    const { name, source, E } = law.law;
    return { name, source, optimum: null, reason: `never reaches it: E is ${E.toPrecision(4)}` };
  }
  return lossLawRow(law, budget);
}

function lossLawRow(law: UncertainLaw, budget: Budget): LawComparison {
  const { intervals, ...optimum } = optimalFor(law, budget);
  const { name, source } = law.law;
  return {
    name,
    source,
    optimum,
    ...(intervals && { paramsInterval: intervals.params, coverage: 0.95 }),
  };
}

function allocationRows(budget: Budget): LawComparison[] {
  return Object.values(ALLOCATION_LAWS).map((law) => {
    const { name, source, units } = law;
    if ('loss' in budget) return { name, source, optimum: null, reason: 'knows no losses' };
    const { intervals, ...allocation } = allocate(
      law,
      'dollars' in budget ? { flops: flopsOfDollars(budget) } : budget,
    );
    const loss = name === 'kaplan' ? kaplanLoss({ flops: allocation.flops }) : null;
    return {
      name,
      source,
      optimum: { ...allocation, loss },
      ...(intervals && { paramsInterval: intervals.params }),
      ...('coverage' in law && { coverage: law.coverage }),
      ...(name === 'kaplan' && { note: units }),
    };
  });
}
