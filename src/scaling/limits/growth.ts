/**
 * When a limit binds if the largest training runs go on growing by a factor a year. An extrapolation, not a forecast: the
 * growth of the stock of text (a few percent a year) and of chips' efficiency is left out.
 */
import { ConfigError } from '../../core/errors.ts';
import { asRange, checkNumber, type Range } from '../cost/range.ts';

/** Sevilla and Roldan 2024, "Training compute of frontier AI models grows by 4-5x per year" (Epoch AI, May 2024). */
export const COMPUTE_GROWTH_PER_YEAR: Range = { low: 4, typical: 4.5, high: 5 };

/** Where the extrapolation starts: GPT-4, March 2023, by Epoch AI's estimate. */
export const LARGEST_RUN = {
  name: 'GPT-4',
  flops: 2.1e25,
  year: 2023.2,
  source: 'Epoch AI estimate',
} as const;

/** C = 6 N D with D = ratio x N: the compute of a run that reads a number of tokens. */
export function flopsForTokens(tokens: number, tokensPerParameter: number): number {
  checkNumber('The number of tokens', tokens);
  checkNumber('The tokens per parameter', tokensPerParameter);
  return (6 * tokens * tokens) / tokensPerParameter;
}

export interface Growth {
  readonly fromFlops?: number;
  readonly fromYear?: number;
  /** Factor a year, above 1. */
  readonly growthPerYear?: number | Range;
}

/**
 * The year (with decimals) in which runs reach a size: earliest for the low end of the limit and the fast growth, latest for
 * the high end and the slow growth. A size below the start gives a year before it.
 * @throws ConfigError for a growth of 1 or less
 */
export function yearReached(limitFlops: number | Range, growth: Growth = {}): Range {
  const limit = asRange('The limit in FLOPs', limitFlops);
  const from = checkNumber('The FLOPs at the start', growth.fromFlops ?? LARGEST_RUN.flops);
  const start = checkNumber('The year of the start', growth.fromYear ?? LARGEST_RUN.year, {
    atLeast: 1900,
    atMost: 2200,
  });
  const factor = asRange('The growth per year', growth.growthPerYear ?? COMPUTE_GROWTH_PER_YEAR, {
    above: 1,
  });
  const year = (flops: number, perYear: number) => start + Math.log(flops / from) / Math.log(perYear);
  const years = [factor.low, factor.high].flatMap((f) => [year(limit.low, f), year(limit.high, f)]);
  const result = {
    low: Math.min(...years),
    typical: year(limit.typical, factor.typical),
    high: Math.max(...years),
  };
  if (Number.isFinite(result.low) && Number.isFinite(result.high)) return result;
  throw new ConfigError(`A growth of ${factor.low} per year is too close to 1 to say a year.`);
}
