/**
 * The compute-optimal model of a loss law for FLOPs, parameters, tokens, a loss or dollars, in closed form
 * (Hoffmann et al. 2022, eq. 4): with c = C / 6, N = G c^a and D = c^b / G, where a = beta / (alpha + beta),
 * b = alpha / (alpha + beta) and G = (alpha A / (beta B))^(1 / (alpha + beta)). Compute is always 6 N D, which leaves
 * out attention over long contexts; one pass over unique tokens is assumed (see data-constrained.ts).
 */
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
import { type Interval, percentileInterval } from './percentile-interval.ts';

/** What is given; exactly one of these. */
export type Budget =
  | { readonly flops: number }
  | { readonly params: number }
  | { readonly tokens: number }
  | { readonly loss: number }
  | DollarBudget;

export interface DollarBudget {
  readonly dollars: number;
  /** Of one accelerator. */
  readonly dollarsPerHour: number;
  /** Peak of the same accelerator at the precision that training uses. */
  readonly peakFlopsPerSecond: number;
  /** Share of the peak that training reaches (MFU). */
  readonly utilization: number;
}

export interface Optimum {
  readonly params: number;
  readonly tokens: number;
  readonly flops: number;
  readonly loss: number;
  readonly tokensPerParameter: number;
}

export type OptimumIntervals = { readonly [key in keyof Optimum]: Interval };

/** What the law's best size grows with: N ~ C^a, D ~ C^b, L - E ~ C^-gamma. */
export interface OptimalExponents {
  readonly a: number;
  readonly b: number;
  readonly gamma: number;
  /** N = G (C / 6)^a. */
  readonly G: number;
}

export function optimalExponents({ A, B, alpha, beta }: LawConstants): OptimalExponents {
  const sum = alpha + beta;
  return {
    a: beta / sum,
    b: alpha / sum,
    gamma: (alpha * beta) / sum,
    G: ((alpha * A) / (beta * B)) ** (1 / sum),
  };
}

/** FLOPs that money buys. */
export function flopsOfDollars({
  dollars,
  dollarsPerHour,
  peakFlopsPerSecond,
  utilization,
}: DollarBudget): number {
  requirePositive('dollars', dollars);
  requirePositive('dollarsPerHour', dollarsPerHour);
  requirePositive('peakFlopsPerSecond', peakFlopsPerSecond);
  requirePositive('utilization', utilization);
  if (utilization > 1) throw new ConfigError(`'utilization' is ${utilization}; expected a share up to 1.`);
  return (dollars / dollarsPerHour) * 3600 * peakFlopsPerSecond * utilization;
}

/**
 * The size and tokens with the lowest loss for the budget (for a loss: with the least compute). Given a law with
 * resamples, `intervals` holds the middle 95 % of what they say; a resampled law that never reaches the loss counts
 * as infinite. Throws ConfigError for a budget that is not one positive number or a loss that the law never reaches.
 */
export function optimalFor(
  law: LossLaw | UncertainLaw,
  budget: Budget,
): Optimum & { readonly intervals?: OptimumIntervals } {
  const { law: best, resamples } = withResamples(law);
  const compute = computeFor(best, budget);
  if (!Number.isFinite(compute)) {
    const { loss } = budget as { loss: number };
    throw new ConfigError(
      `Law '${best.name}' never reaches a loss of ${loss}: its irreducible loss E is ${best.E.toPrecision(5)}. ` +
        `Ask for a loss above that, or use a law fitted on your own text.`,
    );
  }
  // What was given comes back to the last digit.
  const given = 'dollars' in budget ? { flops: flopsOfDollars(budget) } : budget;
  const optimum = { ...optimumAt(best, compute), ...given };
  if (![optimum.params, optimum.tokens].every((value) => value > 0 && Number.isFinite(value))) {
    throw new ConfigError(
      `Law '${best.name}' has no best size: with A ${best.A.toPrecision(3)} and B ${best.B.toPrecision(3)} only ` +
        `${optimum.params > 1 ? 'size' : 'tokens'} would matter. Fit it to runs of more sizes and token counts, or fix the exponents.`,
    );
  }
  if (resamples.length === 0) return optimum;
  const others = resamples.map((other) => ({ ...optimumAt(other, computeFor(other, budget)), ...given }));
  return { ...optimum, intervals: intervalsOf(others) };
}

/** Each figure's middle 95 %. */
export function intervalsOf(optima: readonly Optimum[]): OptimumIntervals {
  const of = (key: keyof Optimum) => percentileInterval(optima.map((optimum) => optimum[key]));
  return {
    params: of('params'),
    tokens: of('tokens'),
    flops: of('flops'),
    loss: of('loss'),
    tokensPerParameter: of('tokensPerParameter'),
  };
}

/** C / 6 = N D of the optimum; infinite for a loss out of reach. */
function computeFor(law: LawConstants, budget: Budget): number {
  const given = Object.entries(budget).filter(([, value]) => value !== undefined);
  const [name, value] = given[0] ?? ['', Number.NaN];
  if (given.length !== 1 && !('dollars' in budget)) {
    const got = given.map(([key]) => key).join(', ') || 'nothing';
    throw new ConfigError(`A budget is one of flops, params, tokens, loss or dollars; got ${got}.`);
  }
  if ('dollars' in budget) return flopsOfDollars(budget) / TRAINING_FLOPS_PER_PARAMETER_AND_TOKEN;
  requirePositive(name, value as number);
  const { a, b, gamma, G } = optimalExponents(law);
  if ('flops' in budget) return budget.flops / TRAINING_FLOPS_PER_PARAMETER_AND_TOKEN;
  if ('params' in budget) return (budget.params / G) ** (1 / a);
  if ('tokens' in budget) return (budget.tokens * G) ** (1 / b);
  if (!('loss' in budget)) {
    throw new ConfigError(`'${name}' is not a budget; expected flops, params, tokens, loss or dollars.`);
  }
  if (budget.loss <= law.E) return Number.POSITIVE_INFINITY;
  // On the optimal path both terms fall with the same power: A G^-alpha c^-gamma + B G^beta c^-gamma.
  return ((law.A * G ** -law.alpha + law.B * G ** law.beta) / (budget.loss - law.E)) ** (1 / gamma);
}

function optimumAt(law: LawConstants, compute: number): Optimum {
  const { a, b, G } = optimalExponents(law);
  if (!Number.isFinite(compute)) {
    const infinite = Number.POSITIVE_INFINITY;
    const ratio = a === b ? G ** -2 : b > a ? infinite : 0;
    return { params: infinite, tokens: infinite, flops: infinite, loss: law.E, tokensPerParameter: ratio };
  }
  // In logs: a resampled law in which size hardly matters has a best size beyond what a number holds.
  const logN = logG(law) + a * Math.log(compute);
  const logD = Math.log(compute) - logN;
  return {
    params: Math.exp(logN),
    tokens: Math.exp(logD),
    flops: TRAINING_FLOPS_PER_PARAMETER_AND_TOKEN * compute,
    loss: law.E + Math.exp(Math.log(law.A) - law.alpha * logN) + Math.exp(Math.log(law.B) - law.beta * logD),
    tokensPerParameter: Math.exp(logD - logN),
  };
}

function logG({ A, B, alpha, beta }: LawConstants): number {
  return (Math.log(alpha * A) - Math.log(beta * B)) / (alpha + beta);
}

/** Any size and tokens with what they cost and reach. */
export function pointOf(law: LawConstants, params: number, tokens: number): Optimum {
  return {
    params,
    tokens,
    flops: TRAINING_FLOPS_PER_PARAMETER_AND_TOKEN * params * tokens,
    loss: lossOf(law, { params, tokens }),
    tokensPerParameter: tokens / params,
  };
}
