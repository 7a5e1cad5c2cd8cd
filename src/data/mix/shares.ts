/**
 * How a mixture's shares come about: from given weights, or from sizes by temperature (p_i proportional to
 * n_i^alpha, alpha = 1 / T), then filled against caps. All pure arithmetic; it knows nothing of documents.
 *
 * Exponents in use: mBERT .7, XLM .5 (Lample and Conneau 2019, section 3.1), massively multilingual translation .2
 * (T = 5; Arivazhagan et al. 2019), XLM-R .3 (Conneau et al. 2020, section 3), mT5 .3 (Xue et al. 2021, section 3.2).
 * Alpha 0 with a cap on epochs is UniMax (Chung et al. 2023).
 */
import { ConfigError } from '../../core/errors.ts';

/** Alpha 1: shares as the sizes are. */
export const PROPORTIONAL = 1;

/** The exponent of a temperature: 1 / T, and 0 for an infinite one. @throws ConfigError for T below or at 0. */
export function alphaOfTemperature(temperature: number): number {
  if (temperature > 0) return 1 / temperature;
  throw new ConfigError(
    `The temperature must be above 0 (1 keeps the sizes' proportions, large values even them out); got ${temperature}.`,
  );
}

/**
 * Shares proportional to size^alpha, summing to 1. An empty source (size 0) has share 0 whatever alpha is; all
 * empty gives all 0. @throws ConfigError for an alpha that is negative or not finite.
 */
export function sharesBySize(sizes: readonly number[], alpha: number): number[] {
  if (!(alpha >= 0 && Number.isFinite(alpha))) {
    throw new ConfigError(
      `alpha must be a number of at least 0 (1 keeps proportions, 0 is uniform); got ${alpha}.`,
    );
  }
  const largest = Math.max(0, ...sizes);
  // Relative to the largest, so that no power overflows.
  return normalized(sizes.map((size) => (size > 0 ? (size / largest) ** alpha : 0)));
}

/** Weights divided by their sum; all 0 stay 0. */
export function normalized(weights: readonly number[]): number[] {
  const largest = Math.max(0, ...weights);
  if (largest === 0) return weights.map(() => 0);
  const scaled = weights.map((weight) => weight / largest);
  const sum = scaled.reduce((total, weight) => total + weight, 0);
  return scaled.map((weight) => weight / sum);
}

/**
 * Divides `budget` in proportion to `shares` with none above its cap; what a capped one cannot take goes to the
 * others in proportion (water-filling: amount_i = min(cap_i, level * share_i)). The amounts sum to the budget, or to
 * all caps of positive shares when these are less. A share of 0 gets 0.
 */
export function fillToCaps(budget: number, shares: readonly number[], caps: readonly number[]): number[] {
  const amounts = shares.map(() => 0);
  // Sources reach their cap in the order of cap / share as the level rises.
  const order = shares
    .map((_, i) => i)
    .filter((i) => shares[i]! > 0)
    .sort((a, b) => compare(caps[a]! / shares[a]!, caps[b]! / shares[b]!));
  // Sums of the tails, so that the share left over is not a difference of nearly equal numbers.
  const shareFrom = new Float64Array(order.length + 1);
  for (let k = order.length - 1; k >= 0; k--) shareFrom[k] = shareFrom[k + 1]! + shares[order[k]!]!;
  let left = budget;
  for (const [k, i] of order.entries()) {
    const level = left / shareFrom[k]!;
    if (level * shares[i]! > caps[i]!) {
      amounts[i] = caps[i]!;
      left -= caps[i]!;
      continue;
    }
    for (const j of order.slice(k)) amounts[j] = Math.min(caps[j]!, level * shares[j]!);
    break;
  }
  return amounts;
}

/** Also for two infinite numbers, whose difference is not a number. */
function compare(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
