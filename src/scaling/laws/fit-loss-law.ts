/**
 * Fits L(N, D) = E + A / N^alpha + B / D^beta to training runs as Hoffmann et al. 2022 (section 3.3) and Besiroglu
 * et al. 2024 do: Huber loss on log L, many starts, bootstrap intervals. The same points, options and seed give the
 * same fit. A and B are hardly determined one by one (their basin is flat): judge a fit by its objective and by
 * predictions with their intervals. Points are taken as equally good unless weights say otherwise.
 */
import { ConfigError } from '../../core/errors.ts';
import { bootstrapLaws } from './bootstrap-laws.ts';
import { checkPoints, isCollinear } from './check-points.ts';
import { hoffmannGrid, solvedStarts } from './fit-starts.ts';
import { EXPONENT_BOUNDS, type ExponentPrior, HuberObjective } from './huber-objective.ts';
import type { LawConstants, LossLaw, ScalingPoint, UncertainLaw } from './loss-law.ts';
import { lossOf } from './loss-law.ts';
import { type Interval, medianOf, percentileInterval } from './percentile-interval.ts';
import { minimise } from './quasi-newton.ts';

export interface FitOptions {
  /** Of the resamples; default 0. */
  readonly seed?: number;
  /** Bootstrap resamples; default 1000. 0 gives no intervals. */
  readonly numResamples?: number;
  /** Where the Huber loss turns from a square into a line, in log loss; default 1e-3 (Hoffmann et al., D.3). */
  readonly delta?: number;
  /** Constants that are given rather than fitted, for few points. */
  readonly fixed?: Partial<LawConstants>;
  /** Beliefs about the exponents before the data, for few points; default none. See PUBLISHED_EXPONENTS. */
  readonly priors?: { readonly alpha?: ExponentPrior; readonly beta?: ExponentPrior };
  /** How much each point counts, relative to the others; default 1. */
  readonly weights?: readonly number[];
  /**
   * What a resample draws: whole points, or residuals around the fit (every size and token count stays, so that a
   * few points still determine a law). Default: residuals below 30 points.
   */
  readonly bootstrap?: 'points' | 'residuals';
  /** Of the law; default 'own'. */
  readonly name?: string;
  readonly source?: string;
}

export interface LossLawFit extends UncertainLaw {
  readonly law: LossLaw;
  /** Sum of Huber losses of the log residuals, weighted. Priors are not in it. */
  readonly objective: number;
  readonly numPoints: number;
  readonly numFree: number;
  readonly resamples: readonly LawConstants[];
  /** Middle 95 % of each constant and of the exponents a and b of N ~ C^a, D ~ C^b; absent without resamples. */
  readonly intervals: { readonly [key in keyof LawConstants | 'a' | 'b']: Interval } | undefined;
  /** log observed - log predicted loss, in the order of the points. */
  readonly residuals: readonly number[];
  /** Points more than 5 robust standard deviations off, worst first. They are in the fit; Huber bounds their pull. */
  readonly outliers: readonly { readonly index: number; readonly residual: number }[];
  /** Descents that were made, and how many different laws within 1 % of the best objective they ended in. */
  readonly numStarts: number;
  readonly numBasins: number;
  /** What a reader has to know: constants at a bound, points that hardly determine the law. */
  readonly warnings: readonly string[];
  readonly delta: number;
  readonly seed: number;
}

/** Centres of the fits in LOSS_LAWS, with a spread that covers them twice over. */
export const PUBLISHED_EXPONENTS = {
  alpha: { mean: 0.34, standardDeviation: 0.1 },
  beta: { mean: 0.34, standardDeviation: 0.1 },
} as const;

export const FIT_LIMITS = {
  /** Points in one fit. */
  points: 100_000,
  resamples: 20_000,
  /** Below so many points the bootstrap draws residuals. */
  fewPoints: 30,
  /** Starts of the grid that are descended, after all 4,500 are evaluated. */
  gridDescents: 60,
} as const;

/** Laws whose predictions differ by less at every point are one basin. */
const SAME_LOG_LOSS = 2e-3;
const OUTLIER_DEVIATIONS = 5;

/**
 * The law that fits the points best. Throws DataError for points that are too few, too alike or not positive,
 * ConfigError for options out of range.
 */
export function fitLossLaw(points: readonly ScalingPoint[], options: FitOptions = {}): LossLawFit {
  const { seed = 0, numResamples = 1000, delta = 1e-3, fixed = {}, priors } = options;
  checkOptions(points, options);
  checkPoints(points, fixed);
  const weights = Float64Array.from(options.weights ?? points.map(() => 1));
  const input = { points, weights, delta, fixed };
  const first = descend(new HuberObjective(input), points, weights, fixed);
  const noise = meanSize(residualsOf(first.laws[0]!, points));
  const prior = priors && { ...input, priors, noise };
  const { laws, numStarts } = prior ? descend(new HuberObjective(prior), points, weights, fixed) : first;
  const constants = laws[0]!;
  const law: LossLaw = {
    name: options.name ?? 'own',
    ...constants,
    source: options.source ?? `fitted to ${points.length} runs`,
  };
  const residuals = residualsOf(law, points);
  const numFree = 5 - Object.values(fixed).filter((value) => value !== undefined).length;
  const kind = options.bootstrap ?? (points.length < FIT_LIMITS.fewPoints ? 'residuals' : 'points');
  const resamples = bootstrapLaws({
    ...(prior ?? input),
    laws,
    residuals,
    numFree,
    numResamples,
    seed,
    kind,
  });
  return {
    law,
    objective: objectiveOf(law, points, { delta, weights }),
    numPoints: points.length,
    numFree,
    resamples,
    intervals: resamples.length > 0 ? intervalsOfConstants(resamples) : undefined,
    residuals,
    outliers: outliersOf(residuals),
    numStarts,
    numBasins: laws.length,
    warnings: warningsOf(law, points, fixed, numFree),
    delta,
    seed,
  };
}

/** The sum that `fitLossLaw` minimises, of any law: to compare a fit with constants from elsewhere. */
export function objectiveOf(
  law: LawConstants,
  points: readonly ScalingPoint[],
  { delta = 1e-3, weights }: { delta?: number; weights?: ArrayLike<number> } = {},
): number {
  return residualsOf(law, points).reduce((sum, residual, i) => {
    const size = Math.abs(residual);
    return (
      sum + (weights?.[i] ?? 1) * (size < delta ? 0.5 * residual * residual : delta * (size - 0.5 * delta))
    );
  }, 0);
}

/** log observed - log predicted. */
export function residualsOf(law: LawConstants, points: readonly ScalingPoint[]): number[] {
  return points.map((point) => Math.log(point.loss) - Math.log(lossOf(law, point)));
}

/** The best law first, then others in different basins whose objective is within 1 % of it. */
function descend(
  objective: HuberObjective,
  points: readonly ScalingPoint[],
  weights: Float64Array,
  fixed: Partial<LawConstants>,
): { laws: LawConstants[]; numStarts: number } {
  const gradient = new Float64Array(objective.free.length);
  const grid = hoffmannGrid()
    .map((start) => objective.unknownsOf(start))
    .map((unknowns) => ({ unknowns, value: objective.evaluate(unknowns, gradient) }))
    .sort((a, b) => a.value - b.value)
    .slice(0, FIT_LIMITS.gridDescents)
    .map(({ unknowns }) => unknowns);
  const solved = solvedStarts(points, weights, fixed).map((start) => objective.unknownsOf(start));
  const ends = [...solved, ...grid]
    .map((start) => minimise(objective, start, { tolerance: 1e-6 }))
    .filter(({ value }) => Number.isFinite(value))
    .sort((a, b) => a.value - b.value);
  const best = ends[0];
  if (best === undefined) {
    throw new ConfigError(
      'No start of the fit has a finite objective. Sizes and token counts must be plain numbers (7e9, not 7 for 7B).',
    );
  }
  // A second descent from where the best ones stopped, with a fresh idea of the curvature.
  const polished = ends
    .filter(({ value }) => value <= 1.02 * best.value)
    .slice(0, 12)
    .map(({ unknowns }) => minimise(objective, unknowns, { maxSteps: 1000, tolerance: 1e-12 }))
    .sort((a, b) => a.value - b.value);
  const laws: LawConstants[] = [];
  for (const { unknowns, value } of polished) {
    if (value > 1.01 * polished[0]!.value) break;
    const law = objective.lawOf(unknowns);
    if (!laws.some((other) => samePredictions(law, other, points))) laws.push(law);
  }
  return { laws, numStarts: solved.length + grid.length };
}

function samePredictions(one: LawConstants, other: LawConstants, points: readonly ScalingPoint[]): boolean {
  return points.every(
    (point) => Math.abs(Math.log(lossOf(one, point)) - Math.log(lossOf(other, point))) < SAME_LOG_LOSS,
  );
}

function intervalsOfConstants(resamples: readonly LawConstants[]): LossLawFit['intervals'] {
  const of = (value: (law: LawConstants) => number) => percentileInterval(resamples.map(value));
  return {
    E: of(({ E }) => E),
    A: of(({ A }) => A),
    B: of(({ B }) => B),
    alpha: of(({ alpha }) => alpha),
    beta: of(({ beta }) => beta),
    a: of(({ alpha, beta }) => beta / (alpha + beta)),
    b: of(({ alpha, beta }) => alpha / (alpha + beta)),
  };
}

/** By the median absolute deviation, which outliers do not move. */
function outliersOf(residuals: readonly number[]): LossLawFit['outliers'] {
  const middle = medianOf(residuals);
  const deviation = 1.4826 * medianOf(residuals.map((value) => Math.abs(value - middle)));
  return residuals
    .map((residual, index) => ({ index, residual }))
    .filter(({ residual }) => deviation > 0 && Math.abs(residual - middle) > OUTLIER_DEVIATIONS * deviation)
    .sort((a, b) => Math.abs(b.residual) - Math.abs(a.residual));
}

function warningsOf(
  law: LossLaw,
  points: readonly ScalingPoint[],
  fixed: Partial<LawConstants>,
  numFree: number,
): string[] {
  const warnings: string[] = [];
  const { low, high } = EXPONENT_BOUNDS;
  for (const key of ['alpha', 'beta'] as const) {
    const atBound = law[key] < low + 0.005 || law[key] > high - 0.02;
    if (fixed[key] === undefined && atBound) {
      warnings.push(
        `${key} ended at its bound (${law[key].toPrecision(3)}; bounds ${low} to ${high}): the points do not determine it. ` +
          `Fix it, give a prior, or add runs.`,
      );
    }
  }
  const lowest = Math.min(...points.map(({ loss }) => loss));
  if (fixed.E === undefined && law.E < 0.02 * lowest) {
    warnings.push(
      `E ended near 0 (${law.E.toPrecision(2)}): the points are too far from their limit to show one. Do not extrapolate far.`,
    );
  }
  if (points.length < 2 * numFree) {
    warnings.push(
      `${points.length} points for ${numFree} free constants: intervals are rough; fix the exponents or add runs.`,
    );
  }
  if (isCollinear(points)) {
    warnings.push(
      'Tokens rise in step with parameters in all points: predictions hold for that ratio of tokens to parameters only.',
    );
  }
  return warnings;
}

function checkOptions(points: readonly ScalingPoint[], options: FitOptions): void {
  const { numResamples = 0, delta = 1e-3, weights, priors } = options;
  if (points.length > FIT_LIMITS.points) {
    throw new ConfigError(
      `${points.length} points; a fit takes up to ${FIT_LIMITS.points}. Give final losses of runs, not every step.`,
    );
  }
  if (!Number.isInteger(numResamples) || numResamples < 0 || numResamples > FIT_LIMITS.resamples) {
    throw new ConfigError(
      `'numResamples' is ${numResamples}; expected a whole number from 0 to ${FIT_LIMITS.resamples}.`,
    );
  }
  if (!(delta > 0 && delta < 1)) {
    throw new ConfigError(`'delta' is ${delta}; expected above 0 and below 1, such as 0.001.`);
  }
  if (weights && (weights.length !== points.length || !weights.every((w) => w > 0 && Number.isFinite(w)))) {
    throw new ConfigError(
      `'weights' needs a number above 0 for each of the ${points.length} points; got ${weights.length} values. Leave out a point rather than giving it 0.`,
    );
  }
  for (const [key, prior] of Object.entries(priors ?? {})) {
    if (prior && !(prior.standardDeviation > 0 && Number.isFinite(prior.mean))) {
      throw new ConfigError(
        `The prior of '${key}' needs a finite mean and a standard deviation above 0; got ${prior.mean} and ${prior.standardDeviation}.`,
      );
    }
  }
}

function meanSize(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + Math.abs(value), 0) / values.length;
}
