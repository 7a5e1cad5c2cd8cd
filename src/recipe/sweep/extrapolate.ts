/**
 * What a sweep's points say beyond themselves: the law fitted without the largest size, its prediction of that size,
 * the miss when it was trained, and the best size for more time on the same machine. Pure functions.
 */
import {
  fitLossLaw,
  type Interval,
  type LossLawFit,
  lossOf,
  optimalExponents,
  PUBLISHED_EXPONENTS,
  predictLoss,
  type ScalingPoint,
} from '../../scaling/index.ts';
import { percentileInterval } from '../../scaling/laws/percentile-interval.ts';
import type { MeasuredSize } from './plan-sweep.ts';
import type { SweepPoint } from './sweep.ts';

/** How far beyond the trained models a statement reaches, in compute, and what that is worth. */
const TRUST = { near: 3, far: 30 } as const;
export type Trust = 'inside' | 'near' | 'far' | 'speculation';

export interface HeldBackPrediction {
  readonly params: number;
  readonly tokens: number;
  readonly predicted: number;
  readonly interval: Interval | undefined;
  /** What the largest size then had; absent where it was not trained. */
  readonly actual?: number;
  /** predicted / actual - 1. */
  readonly miss?: number;
  readonly isInside?: boolean;
}

export interface BestSize {
  readonly minutes: number;
  readonly params: number;
  readonly tokens: number;
  readonly tokensPerParameter: number;
  readonly loss: number;
  readonly interval: Interval | undefined;
  /** FLOPs (6 N D) against the ladder's largest. */
  readonly extrapolation: number;
  readonly trust: Trust;
  /** Passes over the sweep's text that this many tokens are. */
  readonly epochs: number;
}

/** The points as the law takes them. */
export function scalingPoints(points: readonly SweepPoint[]): ScalingPoint[] {
  return points.map(({ params, tokens, loss }) => ({ params, tokens, loss }));
}

/**
 * Exponents believed before the data. Of D as published. Of N larger: N counts the embedding, which grows with the
 * width alone, so among models that are mostly embedding a factor in N is a larger one in what the layers hold
 * (compare Pearce and Song 2024, arXiv:2406.12907). On three ladders of 79 k to 403 k weights 0.5 missed the largest
 * size by 1.4, 1.0 and 0.2 %, 0.34 by 1.9, 1.5 and 0.1 %.
 */
const SWEEP_EXPONENTS = {
  alpha: { mean: 0.5, standardDeviation: 0.1 },
  beta: PUBLISHED_EXPONENTS.beta,
} as const;

/**
 * A law from few points: the exponents are believed to be near SWEEP_EXPONENTS, the points decide the rest. Throws DataError for fewer than three sizes or token counts.
 */
export function fitSweepLaw(
  points: readonly SweepPoint[],
  options: { readonly seed: number; readonly source: string },
): LossLawFit {
  return fitLossLaw(scalingPoints(points), {
    seed: options.seed,
    numResamples: NUM_RESAMPLES,
    delta: HUBER_DELTA,
    priors: SWEEP_EXPONENTS,
    source: options.source,
  });
}

const NUM_RESAMPLES = 400;
/** A sweep's points scatter by some 0.5 %; below that a residual counts squared. */
const HUBER_DELTA = 5e-3;

/**
 * How far the law is off one size beyond what it was fitted to, tried on known sizes: all but the largest of `points`
 * predict that one. Root mean square of the relative misses; undefined where fewer than three sizes would be left.
 */
export function backtest(points: readonly SweepPoint[]): number | undefined {
  const last = Math.max(...points.map(({ size }) => size));
  const known = points.filter(({ size }) => size < last);
  if (new Set(known.map(({ size }) => size)).size < 3) return undefined;
  const options = { delta: HUBER_DELTA, priors: SWEEP_EXPONENTS, numResamples: 0 };
  const { law } = fitLossLaw(scalingPoints(known), options);
  const misses = points
    .filter(({ size }) => size === last)
    .map((point) => lossOf(law, point) / point.loss - 1);
  return Math.sqrt(misses.reduce((sum, miss) => sum + miss * miss, 0) / misses.length);
}

/**
 * The largest size at each of its token counts, by a law that has not seen it. Resamples know nothing of a law of the
 * wrong form, so the interval is wider by what the backtest missed.
 */
export function predictHeldBack(
  fit: LossLawFit,
  size: Pick<MeasuredSize, 'total'>,
  tokenCounts: readonly number[],
  points: { readonly actual: readonly SweepPoint[]; readonly backtest: number | undefined },
): HeldBackPrediction[] {
  const widening = points.backtest ?? 0;
  return tokenCounts.map((tokens) => {
    const at = { params: size.total, tokens };
    const { loss: predicted, interval: narrow } = predictLoss(fit, at);
    const interval: Interval | undefined = narrow && [narrow[0] * (1 - widening), narrow[1] * (1 + widening)];
    const point = points.actual.find((one) => one.tokens === tokens);
    return {
      ...at,
      predicted,
      interval,
      ...(point && {
        actual: point.loss,
        miss: predicted / point.loss - 1,
        ...(interval && { isInside: point.loss >= interval[0] && point.loss <= interval[1] }),
      }),
    };
  });
}

/** Sizes that are tried for the best one: from the smallest trained to this many times the largest. */
const MAX_SIZE_RATIO = 100;
const NUM_SIZES_TRIED = 400;

/**
 * The size that ends with the lowest loss after so many minutes at this machine's measured speeds. A larger model
 * takes longer for a token, so the best one is not what 6 N D alone would say.
 */
export function bestSizeFor(
  minutes: number,
  fit: LossLawFit,
  machine: {
    readonly sizes: readonly MeasuredSize[];
    readonly tokensPerStep: number;
    readonly numTrainTokens: number;
    readonly largestCompute: number;
  },
): BestSize {
  const { sizes, tokensPerStep, numTrainTokens, largestCompute } = machine;
  const low = Math.log(sizes[0]!.total);
  const high = Math.log(sizes.at(-1)!.total * MAX_SIZE_RATIO);
  const tried = Array.from({ length: NUM_SIZES_TRIED }, (_, i) => {
    const params = Math.exp(low + ((high - low) * i) / (NUM_SIZES_TRIED - 1));
    return { params, tokens: (minutes * 60 * tokensPerStep) / secondsPerStep(params, sizes) };
  });
  const best = tried.reduce((least, one) => (lossOf(fit.law, one) < lossOf(fit.law, least) ? one : least));
  const extrapolation = (6 * best.params * best.tokens) / largestCompute;
  const { loss, lawInterval } = predictLoss(fit, best);
  return {
    minutes,
    ...best,
    tokensPerParameter: best.tokens / best.params,
    loss,
    interval: lawInterval,
    extrapolation,
    trust: trustOf(extrapolation),
    epochs: best.tokens / numTrainTokens,
  };
}

function trustOf(extrapolation: number): Trust {
  if (extrapolation <= 1) return 'inside';
  if (extrapolation <= TRUST.near) return 'near';
  return extrapolation <= TRUST.far ? 'far' : 'speculation';
}

/** Between measured sizes along straight lines of log time over log size; beyond them by as many operations a second. */
function secondsPerStep(params: number, sizes: readonly MeasuredSize[]): number {
  const last = sizes.at(-1)!;
  if (params >= last.total) return (last.secondsPerStep * params) / last.total;
  const i = Math.max(
    1,
    sizes.findIndex(({ total }) => total >= params),
  );
  const [below, above] = [sizes[i - 1]!, sizes[i]!];
  const share = Math.log(params / below.total) / Math.log(above.total / below.total);
  return below.secondsPerStep * (above.secondsPerStep / below.secondsPerStep) ** share;
}

/** Best tokens per parameter at the ladder's largest compute by 6 N D, with what the resamples allow. */
export function tokensPerParameterAt(
  fit: LossLawFit,
  flops: number,
): { value: number; interval: Interval | undefined } {
  const of = (law: Parameters<typeof optimalExponents>[0]) => {
    const { a, b, G } = optimalExponents(law);
    return (flops / 6) ** (b - a) / G ** 2;
  };
  return {
    value: of(fit.law),
    interval: fit.resamples.length > 0 ? percentileInterval(fit.resamples.map(of)) : undefined,
  };
}
