/** Refuses points from which a law cannot be fitted, and says what would help. */
import { ConfigError, DataError } from '../../core/errors.ts';
import { EXPONENT_BOUNDS } from './huber-objective.ts';
import type { LawConstants, ScalingPoint } from './loss-law.ts';

/** Sizes (or numbers of tokens) closer than 1 % count as one. */
const SAME_LOG = 0.01;
/** Above this correlation of log N and log D their terms cannot be told apart. */
const COLLINEAR = 0.9995;

/** Throws DataError for points that are not positive numbers, too few or too alike for the free constants. */
export function checkPoints(points: readonly ScalingPoint[], fixed: Partial<LawConstants>): void {
  points.forEach((point, i) => {
    for (const key of ['params', 'tokens', 'loss'] as const) {
      const value = point[key];
      if (typeof value === 'number' && value > 0 && Number.isFinite(value)) continue;
      throw new DataError(
        `Point ${i + 1} has '${key}' ${String(value)}; expected a number above 0. A run that diverged is no point of a law: leave it out.`,
      );
    }
  });
  checkFixed(fixed);
  const numFree = 5 - Object.values(fixed).filter((value) => value !== undefined).length;
  if (points.length < Math.max(numFree, 2)) {
    throw new DataError(
      `${points.length} ${points.length === 1 ? 'point is' : 'points are'} too few for ${numFree} free constants. ` +
        `Add runs, or fix the exponents as another law has them, such as { alpha: 0.3478, beta: 0.3658 }, which needs 3 points.`,
    );
  }
  checkVaried(points, 'params', 'A', 'alpha', fixed);
  checkVaried(points, 'tokens', 'B', 'beta', fixed);
  const bothFixed = fixed.alpha !== undefined && fixed.beta !== undefined;
  if (!bothFixed && numFree > 1 && isCollinear(points)) {
    throw new DataError(
      'Tokens rise in step with parameters in all points, so what comes from the one cannot be told from what comes from the other. ' +
        'Add runs with other tokens per parameter, or fix both exponents (alpha and beta).',
    );
  }
}

/** Whether all points lie on one line of log N and log D. */
export function isCollinear(points: readonly ScalingPoint[]): boolean {
  const x = points.map(({ params }) => Math.log(params));
  const y = points.map(({ tokens }) => Math.log(tokens));
  const meanX = x.reduce((sum, value) => sum + value, 0) / x.length;
  const meanY = y.reduce((sum, value) => sum + value, 0) / y.length;
  let xx = 0;
  let yy = 0;
  let xy = 0;
  for (let i = 0; i < x.length; i++) {
    xx += (x[i]! - meanX) ** 2;
    yy += (y[i]! - meanY) ** 2;
    xy += (x[i]! - meanX) * (y[i]! - meanY);
  }
  return xx > 0 && yy > 0 && Math.abs(xy) / Math.sqrt(xx * yy) > COLLINEAR;
}

/** Values that differ by more than 1 %. */
export function numDistinct(values: readonly number[]): number {
  const logs = values.map(Math.log).sort((a, b) => a - b);
  let num = 0;
  let last = Number.NEGATIVE_INFINITY;
  for (const value of logs) {
    if (value - last <= SAME_LOG) continue;
    num++;
    last = value;
  }
  return num;
}

function checkVaried(
  points: readonly ScalingPoint[],
  key: 'params' | 'tokens',
  coefficient: 'A' | 'B',
  exponent: 'alpha' | 'beta',
  fixed: Partial<LawConstants>,
): void {
  const numFree = Number(fixed[coefficient] === undefined) + Number(fixed[exponent] === undefined);
  const num = numDistinct(points.map((point) => point[key]));
  if (num >= numFree + 1) return;
  const one = key === 'params' ? 'size' : 'number of tokens';
  const many = key === 'params' ? 'sizes' : 'numbers of tokens';
  throw new DataError(
    `The points have ${num} different ${num === 1 ? one : many}; ` +
      `${numFree + 1} are needed for ${coefficient} and ${exponent}. Add runs with other '${key}'` +
      `${num >= 2 ? `, or fix ${exponent}` : `, or fix both ${coefficient} and ${exponent} as another law has them`}.`,
  );
}

function checkFixed(fixed: Partial<LawConstants>): void {
  for (const [key, value] of Object.entries(fixed)) {
    if (!['E', 'A', 'B', 'alpha', 'beta'].includes(key)) {
      throw new ConfigError(`'${key}' is not a constant of the law; expected E, A, B, alpha or beta.`);
    }
    if (value === undefined) continue;
    const isExponent = key === 'alpha' || key === 'beta';
    const low = isExponent ? EXPONENT_BOUNDS.low : 0;
    const high = isExponent ? EXPONENT_BOUNDS.high : Number.MAX_VALUE;
    const inside = value > low || (value === low && key !== 'A' && key !== 'B');
    if (inside && value <= high) continue;
    throw new ConfigError(
      `Fixed '${key}' is ${value}; expected ${isExponent ? `between ${low} and ${high}` : key === 'E' ? 'at least 0' : 'above 0'}.`,
    );
  }
}
