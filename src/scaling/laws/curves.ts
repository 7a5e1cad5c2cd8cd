/** Curves of a loss law for charts: losses of all sizes at one compute, and sizes with tokens of one loss. */
import { ConfigError } from '../../core/errors.ts';
import {
  type LawConstants,
  type LossLaw,
  lossOf,
  requirePositive,
  TRAINING_FLOPS_PER_PARAMETER_AND_TOKEN,
  type UncertainLaw,
  withResamples,
} from './loss-law.ts';
import { type Optimum, optimalFor, pointOf } from './optimum.ts';
import { type Interval, percentileInterval } from './percentile-interval.ts';

export interface CurvePoint extends Optimum {
  /** Middle 95 % of the loss by the law's resamples. */
  readonly lossInterval?: Interval;
}

export interface CurveOptions {
  /** Default 61. */
  readonly numPoints?: number;
  /** From the best size divided by this to the best size times this; default 16. */
  readonly factor?: number;
  /** Smallest and largest size, instead of `factor`. */
  readonly sizes?: readonly [from: number, to: number];
}

/** Loss of every size when N D = flops / 6, from small to large sizes. */
export function isoFlopCurve(
  law: LossLaw | UncertainLaw,
  flops: number,
  options: CurveOptions = {},
): CurvePoint[] {
  const { law: best, resamples } = withResamples(law);
  requirePositive('flops', flops);
  return sizesOf(options, () => optimalFor(best, { flops }).params).map((params) => {
    const tokens = flops / (TRAINING_FLOPS_PER_PARAMETER_AND_TOKEN * params);
    const point = pointOf(best, params, tokens);
    if (resamples.length === 0) return point;
    const losses = resamples.map((other) => lossOf(other, { params, tokens }));
    return { ...point, lossInterval: percentileInterval(losses) };
  });
}

/**
 * Every size with the tokens after which it reaches the loss, from small to large. Sizes too small to reach it are
 * left out. Throws ConfigError for a loss that the law never reaches.
 */
export function isoLossCurve(
  law: LossLaw | UncertainLaw,
  loss: number,
  options: CurveOptions = {},
): Optimum[] {
  const { law: best } = withResamples(law);
  return sizesOf(options, () => optimalFor(best, { loss }).params).flatMap((params) => {
    const tokens = tokensForLoss(best, { params, loss });
    return tokens === undefined ? [] : [pointOf(best, params, tokens)];
  });
}

/** Tokens after which a model of this size reaches the loss; undefined when it never does. */
export function tokensForLoss(
  { E, A, B, alpha, beta }: LawConstants,
  { params, loss }: { readonly params: number; readonly loss: number },
): number | undefined {
  requirePositive('params', params);
  requirePositive('loss', loss);
  const left = loss - E - A * params ** -alpha;
  if (!(left > 0)) return undefined;
  const tokens = (B / left) ** (1 / beta);
  return Number.isFinite(tokens) ? tokens : undefined;
}

function sizesOf({ numPoints = 61, factor = 16, sizes }: CurveOptions, middle: () => number): number[] {
  if (!(Number.isInteger(numPoints) && numPoints >= 2 && factor > 1)) {
    throw new ConfigError(
      `A curve needs at least 2 points and a factor above 1; got ${numPoints} points and factor ${factor}.`,
    );
  }
  const [from, to] = sizes ?? [middle() / factor, middle() * factor];
  requirePositive('the smallest size', from);
  requirePositive('the largest size', to);
  return Array.from({ length: numPoints }, (_, i) => from * (to / from) ** (i / (numPoints - 1)));
}
