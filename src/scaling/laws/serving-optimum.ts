/**
 * The best model when it will also serve: training 6 N D and serving 2 N D_inf FLOPs together (Sardana et al. 2024,
 * "Beyond Chinchilla-Optimal", eq. 3), at a given loss or for a given total. A smaller model trained for longer
 * reaches the same loss and is cheaper for every token it serves. Serving FLOPs leave out attention over the context,
 * and say nothing of latency or memory, for which a smaller model is better still.
 */
import { ConfigError } from '../../core/errors.ts';
import { tokensForLoss } from './curves.ts';
import {
  type LawConstants,
  type LossLaw,
  requirePositive,
  TRAINING_FLOPS_PER_PARAMETER_AND_TOKEN,
  type UncertainLaw,
  withResamples,
} from './loss-law.ts';
import { type Budget, type Optimum, optimalFor, pointOf } from './optimum.ts';
import { type Interval, percentileInterval } from './percentile-interval.ts';

/** FLOPs of a parameter and token in a forward pass. */
const SERVING_FLOPS_PER_PARAMETER_AND_TOKEN = 2;
const BISECTIONS = 200;

export interface ServingDemand {
  /** Prompt and answer tokens over the model's life. */
  readonly servedTokens: number;
  /**
   * What a FLOP of serving costs against one of training; default 1, which counts FLOPs. In dollars: price per hour
   * over utilization for serving, divided by the same for training (Sardana et al., section 3).
   */
  readonly relativeCost?: number;
}

export interface ServingOptimum extends Optimum {
  readonly servingFlops: number;
  /** Training plus serving, serving weighted by its relative cost. */
  readonly totalFlops: number;
}

export interface ServingTradeOff {
  /** Least total for the loss. */
  readonly best: ServingOptimum;
  /** The compute-optimal model of the same loss, which takes the least training alone. */
  readonly trainingOptimum: ServingOptimum;
  /** Share of the training optimum's total that the best one saves. */
  readonly savedShare: number;
  /** Middle 95 % over the law's resamples, each with the loss that it predicts for the budget. */
  readonly intervals?: {
    readonly [key in 'params' | 'tokens' | 'tokensPerParameter' | 'totalFlops' | 'savedShare']: Interval;
  };
}

/**
 * The size with the least total for the quality that `quality` buys: a loss, or the loss of the compute-optimal
 * model for FLOPs, parameters, tokens or dollars. Throws ConfigError for a loss out of reach.
 */
export function servingOptimum(
  law: LossLaw | UncertainLaw,
  quality: Budget,
  demand: ServingDemand,
): ServingTradeOff {
  const { law: best, resamples } = withResamples(law);
  const result = tradeOff(best, optimalFor(best, quality), demand);
  const others = resamples.flatMap((constants) => {
    // A resampled law that never reaches the loss has no best size: counted nowhere, as no finite figure fits it.
    if ('loss' in quality && quality.loss <= constants.E) return [];
    return [tradeOff(constants, optimalFor({ ...best, ...constants }, quality), demand)];
  });
  if (others.length === 0) return result;
  const of = (value: (other: ServingTradeOff) => number) => percentileInterval(others.map(value));
  return {
    ...result,
    intervals: {
      params: of((other) => other.best.params),
      tokens: of((other) => other.best.tokens),
      tokensPerParameter: of((other) => other.best.tokensPerParameter),
      totalFlops: of((other) => other.best.totalFlops),
      savedShare: of((other) => other.savedShare),
    },
  };
}

/** The size with the lowest loss when training and serving together may take `totalFlops`. */
export function servingOptimumForTotal(
  law: LossLaw | UncertainLaw,
  totalFlops: number,
  demand: ServingDemand,
): ServingOptimum {
  const { law: best } = withResamples(law);
  requirePositive('totalFlops', totalFlops);
  const served = weightedTokens(demand);
  const perToken = SERVING_FLOPS_PER_PARAMETER_AND_TOKEN * served;
  const tokensAt = (params: number) =>
    (totalFlops / params - perToken) / TRAINING_FLOPS_PER_PARAMETER_AND_TOKEN;
  const { A, B, alpha, beta } = best;
  // Slope of the loss by log N along the budget; it rises with N, so its zero is the only minimum.
  const slope = (params: number) => {
    const tokens = tokensAt(params);
    const spent = totalFlops / (TRAINING_FLOPS_PER_PARAMETER_AND_TOKEN * params * tokens);
    return -alpha * A * params ** -alpha + beta * B * tokens ** -beta * spent;
  };
  const most = served > 0 ? totalFlops / perToken : totalFlops;
  const params = bisect(
    (logN) => slope(Math.exp(logN)) < 0,
    Math.log(most) - 60,
    Math.log(most * (1 - 1e-12)),
  );
  return withServing(pointOf(best, params, tokensAt(params)), demand);
}

function tradeOff(law: LawConstants, target: Optimum, demand: ServingDemand): ServingTradeOff {
  const { loss } = target;
  const served = weightedTokens(demand);
  const smallest = (law.A / (loss - law.E)) ** (1 / law.alpha);
  // d total / d log N = 6 N D (1 - alpha A N^-alpha / (beta B D^-beta)) + 2 N D_inf. The ratio falls with N.
  const isTooSmall = (logN: number) => {
    const params = Math.exp(logN);
    const tokens = tokensForLoss(law, { params, loss });
    if (tokens === undefined) return true;
    const ratio = (law.alpha * law.A * params ** -law.alpha) / (law.beta * law.B * tokens ** -law.beta);
    return (
      ratio >
      1 + (SERVING_FLOPS_PER_PARAMETER_AND_TOKEN * served) / (TRAINING_FLOPS_PER_PARAMETER_AND_TOKEN * tokens)
    );
  };
  const trainingOptimum = withServing(target, demand);
  if (served === 0) return { best: trainingOptimum, trainingOptimum, savedShare: 0 };
  const params = bisect(isTooSmall, Math.log(smallest), Math.log(target.params));
  const tokens = tokensForLoss(law, { params, loss }) ?? target.tokens;
  const best = withServing({ ...pointOf(law, params, tokens), loss }, demand);
  return { best, trainingOptimum, savedShare: 1 - best.totalFlops / trainingOptimum.totalFlops };
}

function withServing(point: Optimum, demand: ServingDemand): ServingOptimum {
  const { params, tokens } = point;
  const trainingFlops = TRAINING_FLOPS_PER_PARAMETER_AND_TOKEN * params * tokens;
  const perServedToken = SERVING_FLOPS_PER_PARAMETER_AND_TOKEN * params;
  return {
    ...point,
    servingFlops: perServedToken * demand.servedTokens,
    totalFlops: trainingFlops + perServedToken * weightedTokens(demand),
  };
}

function weightedTokens({ servedTokens, relativeCost = 1 }: ServingDemand): number {
  if (!(servedTokens >= 0 && Number.isFinite(servedTokens))) {
    throw new ConfigError(`'servedTokens' is ${servedTokens}; expected at least 0, such as 1e12.`);
  }
  requirePositive('relativeCost', relativeCost);
  return servedTokens * relativeCost;
}

/** exp of the point between where `isBelow` turns from true to false. */
function bisect(isBelow: (value: number) => boolean, from: number, to: number): number {
  let low = from;
  let high = to;
  for (let i = 0; i < BISECTIONS && high - low > 1e-13 * Math.abs(high); i++) {
    const middle = (low + high) / 2;
    if (isBelow(middle)) low = middle;
    else high = middle;
  }
  return Math.exp(high);
}
