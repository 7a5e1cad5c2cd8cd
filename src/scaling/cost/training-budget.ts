/** The cost of a run asked the other way round: how many accelerators, how much compute for money or for time. */
import { ConfigError } from '../../core/errors.ts';
import { checkCount, checkNumber, mapRange, product, quotient, type Range } from './range.ts';
import { type RunTerms, resolveTerms } from './training-cost.ts';

const SECONDS_PER_HOUR = 3600;
const SECONDS_PER_DAY = 86_400;

/**
 * Accelerators (whole ones) that finish a run in a number of days. What more accelerators lose in communication is
 * not modelled: give the utilization of the size you end up with.
 * @throws ConfigError as resolveTerms, and for FLOPs or days that are not above 0
 */
export function acceleratorsForDays({
  flops,
  days,
  ...terms
}: RunTerms & { flops: number; days: number }): Range {
  checkNumber('The FLOPs of the run', flops);
  checkNumber('The number of days', days);
  const { peakFlops, utilization } = resolveTerms(terms);
  return mapRange(utilization, (share) => Math.ceil(flops / (peakFlops * share * days * SECONDS_PER_DAY)));
}

/**
 * The compute that a budget in dollars buys.
 * @throws ConfigError as resolveTerms, and when no price is known
 */
export function flopsForDollars({ dollars, ...terms }: RunTerms & { dollars: number }): Range {
  checkNumber('The budget in dollars', dollars);
  const { accelerator, peakFlops, utilization, pricePerHour } = resolveTerms(terms);
  if (!pricePerHour || pricePerHour.low === 0) {
    throw new ConfigError(
      `What ${dollars} dollars buy needs a price above 0 for an hour of ${accelerator.name}: give one (pricePerHour, --price).`,
    );
  }
  const budget = { low: dollars, typical: dollars, high: dollars };
  return product(quotient(budget, pricePerHour), utilization, peakFlops * SECONDS_PER_HOUR);
}

/**
 * The compute that a number of accelerators does in a number of days.
 * @throws ConfigError as resolveTerms
 */
export function flopsForDays(options: RunTerms & { days: number; numAccelerators?: number }): Range {
  const { days, numAccelerators = 1, ...terms } = options;
  checkNumber('The number of days', days);
  checkCount('The number of accelerators', numAccelerators);
  const { peakFlops, utilization } = resolveTerms(terms);
  return product(utilization, peakFlops * numAccelerators * days * SECONDS_PER_DAY);
}
