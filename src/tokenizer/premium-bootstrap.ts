/**
 * The interval of a ratio of two sums over the same units, by the percentile bootstrap (Efron and Tibshirani 1993,
 * chapter 13): units are drawn with replacement, both sides together. Draws are keyed, so every language
 * with as many units is resampled alike and the same call gives the same interval.
 */
import { ConfigError } from '../core/errors.ts';
import { KeyedRandom } from '../core/random.ts';

/** More units are summed into so many blocks of neighbours first: the interval is as good and the time bounded. */
const MAX_BLOCKS = 500;
const TAIL = 0.025;

/** [low, high] that holds 95 % of the resampled ratios; null with fewer than two units or no resamples. */
export function pairedBootstrap(
  numerators: Float64Array,
  denominators: Float64Array,
  { numResamples, seed }: { numResamples: number; seed: number },
): [low: number, high: number] | null {
  if (!(Number.isInteger(numResamples) && numResamples >= 0)) {
    throw new ConfigError(`numResamples must be a whole number of at least 0; got ${numResamples}.`);
  }
  const above = blocks(numerators);
  const below = blocks(denominators);
  const count = above.length;
  if (count < 2 || numResamples === 0) return null;
  const draws = drawsOf(count, numResamples, seed);
  const ratios = new Float64Array(numResamples);
  for (let sample = 0, at = 0; sample < numResamples; sample++) {
    let top = 0;
    let bottom = 0;
    for (let i = 0; i < count; i++, at++) {
      top += above[draws[at]!]!;
      bottom += below[draws[at]!]!;
    }
    ratios[sample] = top / bottom;
  }
  ratios.sort();
  const quantile = (share: number) => ratios[Math.min(numResamples - 1, Math.floor(share * numResamples))]!;
  return [quantile(TAIL), quantile(1 - TAIL)];
}

function blocks(values: Float64Array): Float64Array {
  if (values.length <= MAX_BLOCKS) return values;
  const sums = new Float64Array(MAX_BLOCKS);
  for (let i = 0; i < values.length; i++) sums[Math.floor((i * MAX_BLOCKS) / values.length)]! += values[i]!;
  return sums;
}

const MAX_KEPT_DRAWS = 8;
const kept = new Map<string, Uint16Array>();

/** numResamples * count indices below count; kept, because most languages have one of few numbers of units. */
function drawsOf(count: number, numResamples: number, seed: number): Uint16Array {
  const key = `${count} ${numResamples} ${seed}`;
  let draws = kept.get(key);
  if (!draws) {
    const random = new KeyedRandom(seed).fork('premium').fork(String(count));
    draws = Uint16Array.from({ length: count * numResamples }, (_, i) => random.integer(i, count));
    if (kept.size === MAX_KEPT_DRAWS) kept.clear();
    kept.set(key, draws);
  }
  return draws;
}
