/**
 * Where a fit begins. The objective has several basins, so it is descended from many laws: the best of Hoffmann
 * et al.'s grid (2022, appendix D.3), which suits losses near 2 and sizes near 1e9, and for every pair of exponents
 * the E, A and B >= 0 that come nearest in least squares, which suits any scale.
 */
import type { LawConstants, ScalingPoint } from './loss-law.ts';

const GRID_EXPONENTS = [0, 0.5, 1, 1.5, 2];
const GRID_LOG_E = [-1, -0.5, 0, 0.5, 1];
const GRID_LOG_A = [0, 5, 10, 15, 20, 25];
const SOLVED_EXPONENTS = [0.08, 0.16, 0.25, 0.35, 0.5, 0.7, 1, 1.4];
/** A coefficient of zero has no logarithm; it starts at this share of the mean loss. */
const LEAST_SHARE = 1e-3;

/** 4,500 laws. */
export function hoffmannGrid(): LawConstants[] {
  const laws: LawConstants[] = [];
  for (const alpha of GRID_EXPONENTS) {
    for (const beta of GRID_EXPONENTS) {
      for (const logE of GRID_LOG_E) {
        for (const logA of GRID_LOG_A) {
          for (const logB of GRID_LOG_A) {
            laws.push({ E: Math.exp(logE), A: Math.exp(logA), B: Math.exp(logB), alpha, beta });
          }
        }
      }
    }
  }
  return laws;
}

/** One law for each pair of exponents (64, or 8, or 1 when exponents are fixed). */
export function solvedStarts(
  points: readonly ScalingPoint[],
  weights: ArrayLike<number>,
  fixed: Partial<LawConstants>,
): LawConstants[] {
  const alphas = fixed.alpha === undefined ? SOLVED_EXPONENTS : [fixed.alpha];
  const betas = fixed.beta === undefined ? SOLVED_EXPONENTS : [fixed.beta];
  return alphas.flatMap((alpha) => betas.map((beta) => solveCoefficients(points, weights, alpha, beta)));
}

/** Least squares of relative errors for E, A, B >= 0 at given exponents, by trying every set of positive ones. */
function solveCoefficients(
  points: readonly ScalingPoint[],
  weights: ArrayLike<number>,
  alpha: number,
  beta: number,
): LawConstants {
  const unitN = geometricMean(points.map(({ params }) => params));
  const unitD = geometricMean(points.map(({ tokens }) => tokens));
  const gram = new Float64Array(9);
  const right = new Float64Array(3);
  let meanLoss = 0;
  points.forEach(({ params, tokens, loss }, i) => {
    const row = [1 / loss, (params / unitN) ** -alpha / loss, (tokens / unitD) ** -beta / loss];
    for (let j = 0; j < 3; j++) {
      right[j]! += weights[i]! * row[j]!;
      for (let k = 0; k < 3; k++) gram[3 * j + k]! += weights[i]! * row[j]! * row[k]!;
    }
    meanLoss += loss / points.length;
  });
  let best = [meanLoss, 0, 0];
  let bestGain = Number.NEGATIVE_INFINITY;
  for (let set = 1; set < 8; set++) {
    const members = [0, 1, 2].filter((j) => set & (1 << j));
    const solution = solve(gram, right, members);
    if (!solution?.every((value) => value > 0)) continue;
    // The sum of squares falls by right . solution.
    const gain = members.reduce((sum, j, k) => sum + right[j]! * solution[k]!, 0);
    if (gain <= bestGain) continue;
    bestGain = gain;
    best = [0, 0, 0];
    members.forEach((j, k) => {
      best[j] = solution[k]!;
    });
  }
  const [E, A, B] = best.map((value) => Math.max(value, LEAST_SHARE * meanLoss));
  return { E: E!, A: A! * unitN ** alpha, B: B! * unitD ** beta, alpha, beta };
}

/** Gaussian elimination on the rows and columns in `members`; undefined when they are dependent. */
function solve(
  gram: Float64Array,
  right: Float64Array,
  members: readonly number[],
): readonly number[] | undefined {
  const n = members.length;
  const rows = members.map((j) => [...members.map((k) => gram[3 * j + k]!), right[j]!]);
  for (let p = 0; p < n; p++) {
    const pivot = rows[p]!;
    if (Math.abs(pivot[p]!) < 1e-12) return undefined;
    for (let i = p + 1; i < n; i++) {
      const factor = rows[i]![p]! / pivot[p]!;
      for (let j = p; j <= n; j++) rows[i]![j]! -= factor * pivot[j]!;
    }
  }
  const solution = new Array<number>(n).fill(0);
  for (let p = n - 1; p >= 0; p--) {
    let rest = rows[p]![n]!;
    for (let j = p + 1; j < n; j++) rest -= rows[p]![j]! * solution[j]!;
    solution[p] = rest / rows[p]![p]!;
  }
  return solution;
}

function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}
