/** Percentiles of resamples. Values may be infinite (a loss that a resampled law never reaches); NaN may not occur. */

export type Interval = readonly [low: number, high: number];

/** The share of values that an interval of ours leaves out on both sides together. */
const OUTSIDE = 0.05;

/** The middle 95 % of the values, by linear interpolation between order statistics. */
export function percentileInterval(values: ArrayLike<number>): Interval {
  const sorted = Float64Array.from(values).sort();
  return [percentileOf(sorted, OUTSIDE / 2), percentileOf(sorted, 1 - OUTSIDE / 2)];
}

export function medianOf(values: ArrayLike<number>): number {
  return percentileOf(Float64Array.from(values).sort(), 0.5);
}

function percentileOf(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const below = sorted[Math.floor(at)]!;
  const above = sorted[Math.ceil(at)]!;
  // Equal ends first: infinity minus infinity is not a number.
  return below === above ? below : below + (above - below) * (at - Math.floor(at));
}
