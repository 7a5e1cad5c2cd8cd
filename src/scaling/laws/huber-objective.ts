/**
 * What a fit of L(N, D) = E + A / N^alpha + B / D^beta minimises: the sum of Huber losses (delta 1e-3) of
 * log L predicted - log L observed (Hoffmann et al. 2022, eq. 3). The five unknowns are log A, log B, log E and the
 * two exponents; logs of N and D are centred, which takes away most of the correlation between A and alpha, and the
 * exponents pass through a logistic function that keeps them inside their bounds.
 */
import type { LawConstants, ScalingPoint } from './loss-law.ts';

/** Exponents outside are not believed: measured ones lie between 0.05 (Kaplan) and about 0.8. */
export const EXPONENT_BOUNDS = { low: 0.05, high: 1.5 } as const;

/** Free unknowns stay this far inside their bounds at a start, where the logistic function still has a slope. */
const EDGE = 0.01;

/** A belief about an exponent before the data: normal with this mean and standard deviation. */
export interface ExponentPrior {
  readonly mean: number;
  readonly standardDeviation: number;
}

export interface ObjectiveInput {
  readonly points: readonly ScalingPoint[];
  readonly weights: ArrayLike<number>;
  readonly delta: number;
  readonly fixed: Partial<LawConstants>;
  readonly priors?: { readonly alpha?: ExponentPrior; readonly beta?: ExponentPrior };
  /** Size of log residuals, which says how much the data count against the priors. */
  readonly noise?: number;
}

const KEYS = ['A', 'B', 'E', 'alpha', 'beta'] as const;

export class HuberObjective {
  /** Of the unknowns [log A, log B, log E, alpha, beta], those that are not fixed. */
  readonly free: readonly number[];
  readonly numPoints: number;
  readonly logLosses: Float64Array;
  readonly #x: Float64Array;
  readonly #y: Float64Array;
  #weights: Float64Array;
  readonly #delta: number;
  readonly #centreN: number;
  readonly #centreD: number;
  readonly #fixed: Partial<LawConstants>;
  readonly #priors: ObjectiveInput['priors'];
  readonly #priorScale: number;
  readonly #slope = new Float64Array(5);

  constructor({ points, weights, delta, fixed, priors, noise = 0 }: ObjectiveInput) {
    this.numPoints = points.length;
    const logN = points.map(({ params }) => Math.log(params));
    const logD = points.map(({ tokens }) => Math.log(tokens));
    // With A fixed, log A - alpha * centre would move with alpha.
    this.#centreN = fixed.A === undefined ? mean(logN) : 0;
    this.#centreD = fixed.B === undefined ? mean(logD) : 0;
    this.#x = Float64Array.from(logN, (value) => value - this.#centreN);
    this.#y = Float64Array.from(logD, (value) => value - this.#centreD);
    this.logLosses = Float64Array.from(points, ({ loss }) => Math.log(loss));
    this.#weights = Float64Array.from(weights);
    this.#delta = delta;
    this.#fixed = fixed;
    this.#priors = priors;
    // For residuals well above delta the objective is delta * sum |r|: a Laplace likelihood of scale `noise`,
    // negated and times delta * noise. The priors' squares are brought to the same unit; see evaluate.
    this.#priorScale = Math.max(noise, delta) / delta;
    this.free = KEYS.flatMap((key, i) => (fixed[key] === undefined ? [i] : []));
  }

  /** The same points with other weights: a bootstrap resample. */
  setWeights(weights: Float64Array): void {
    this.#weights = weights;
  }

  /** Other losses at the same sizes and tokens. */
  setLogLosses(logLosses: Float64Array): void {
    this.logLosses.set(logLosses);
  }

  /** The unknowns of a law, brought inside the bounds. */
  unknownsOf(law: LawConstants): Float64Array {
    const alpha = this.#fixed.alpha ?? inside(law.alpha);
    const beta = this.#fixed.beta ?? inside(law.beta);
    return Float64Array.of(
      Math.log(this.#fixed.A ?? law.A) - alpha * this.#centreN,
      Math.log(this.#fixed.B ?? law.B) - beta * this.#centreD,
      Math.log(this.#fixed.E ?? law.E),
      logit(alpha),
      logit(beta),
    );
  }

  lawOf(unknowns: Float64Array): LawConstants {
    const alpha = this.#fixed.alpha ?? logistic(unknowns[3]!);
    const beta = this.#fixed.beta ?? logistic(unknowns[4]!);
    return {
      E: this.#fixed.E ?? Math.exp(unknowns[2]!),
      A: this.#fixed.A ?? Math.exp(unknowns[0]! + alpha * this.#centreN),
      B: this.#fixed.B ?? Math.exp(unknowns[1]! + beta * this.#centreD),
      alpha,
      beta,
    };
  }

  /**
   * The objective in units of delta squared, and its gradient by the free unknowns. Infinite (with no gradient)
   * where a term overflows.
   */
  evaluate(unknowns: Float64Array, gradient: Float64Array): number {
    const fixed = this.#fixed;
    const alpha = fixed.alpha ?? logistic(unknowns[3]!);
    const beta = fixed.beta ?? logistic(unknowns[4]!);
    const logA = unknowns[0]!;
    const logB = unknowns[1]!;
    const termE = Math.exp(unknowns[2]!);
    const x = this.#x;
    const y = this.#y;
    const logLosses = this.logLosses;
    const weights = this.#weights;
    const scale = 1 / this.#delta;
    let sum = 0;
    let slopeA = 0;
    let slopeB = 0;
    let slopeE = 0;
    let slopeAlpha = 0;
    let slopeBeta = 0;
    for (let i = 0; i < x.length; i++) {
      const weight = weights[i]!;
      if (weight === 0) continue;
      const termA = Math.exp(logA - alpha * x[i]!);
      const termB = Math.exp(logB - beta * y[i]!);
      const loss = termA + termB + termE;
      const z = (Math.log(loss) - logLosses[i]!) * scale;
      const size = Math.abs(z);
      sum += weight * (size < 1 ? 0.5 * z * z : size - 0.5);
      const slope = (weight * scale * (size < 1 ? z : Math.sign(z))) / loss;
      slopeA += slope * termA;
      slopeB += slope * termB;
      slopeE += slope * termE;
      slopeAlpha -= slope * termA * x[i]!;
      slopeBeta -= slope * termB * y[i]!;
    }
    const { alpha: priorAlpha, beta: priorBeta } = this.#priors ?? {};
    if (priorAlpha && fixed.alpha === undefined) {
      const z = (alpha - priorAlpha.mean) / priorAlpha.standardDeviation;
      sum += 0.5 * this.#priorScale * z * z;
      slopeAlpha += (this.#priorScale * z) / priorAlpha.standardDeviation;
    }
    if (priorBeta && fixed.beta === undefined) {
      const z = (beta - priorBeta.mean) / priorBeta.standardDeviation;
      sum += 0.5 * this.#priorScale * z * z;
      slopeBeta += (this.#priorScale * z) / priorBeta.standardDeviation;
    }
    if (!Number.isFinite(sum)) return Number.POSITIVE_INFINITY;
    const all = this.#slope;
    all[0] = slopeA;
    all[1] = slopeB;
    all[2] = slopeE;
    all[3] = slopeAlpha * logisticSlope(alpha);
    all[4] = slopeBeta * logisticSlope(beta);
    for (let i = 0; i < this.free.length; i++) gradient[i] = all[this.free[i]!]!;
    return sum;
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

const { low, high } = EXPONENT_BOUNDS;

function inside(exponent: number): number {
  return Math.min(high - EDGE, Math.max(low + EDGE, exponent));
}

function logistic(u: number): number {
  return low + (high - low) / (1 + Math.exp(-u));
}

function logit(exponent: number): number {
  return Math.log((exponent - low) / (high - exponent));
}

/** Derivative of `logistic`, from its value. */
function logisticSlope(value: number): number {
  return ((value - low) * (high - value)) / (high - low);
}
