/**
 * Minimises a function of a few unknowns from its gradient: BFGS with a bisecting line search for the weak Wolfe
 * conditions. That search does not need second derivatives along the line, so the method also works where a Huber
 * loss is nearly an absolute value (Lewis & Overton 2013, "Nonsmooth optimization via quasi-Newton methods").
 */

export interface Differentiable {
  /** Which of the unknowns may move. */
  readonly free: readonly number[];
  /** Value; writes the gradient by the free unknowns. Infinity where there is none. */
  evaluate(unknowns: Float64Array, gradient: Float64Array): number;
}

export interface Minimum {
  readonly unknowns: Float64Array;
  readonly value: number;
  readonly numSteps: number;
}

const DECREASE = 1e-4;
const CURVATURE = 0.5;
const MAX_LINE_STEPS = 30;
/** Stop after so many steps in a row that gain less than this share of the value. */
const SMALL_STEPS = 4;

export function minimise(
  problem: Differentiable,
  start: Float64Array,
  { maxSteps = 300, tolerance = 1e-9 }: { maxSteps?: number; tolerance?: number } = {},
): Minimum {
  const { free } = problem;
  const n = free.length;
  let here = Float64Array.from(start);
  let there = Float64Array.from(start);
  let gradient = new Float64Array(n);
  let nextGradient = new Float64Array(n);
  const inverse = new Float64Array(n * n);
  const direction = new Float64Array(n);
  const hy = new Float64Array(n);
  let value = problem.evaluate(here, gradient);
  if (!Number.isFinite(value)) return { unknowns: here, value, numSteps: 0 };
  let fresh = true;
  let numSmall = 0;
  let step = 0;
  for (; step < maxSteps; step++) {
    const size = Math.sqrt(dot(gradient, gradient));
    if (size < 1e-9 * (1 + value)) break;
    if (fresh) {
      // A first step of about a tenth in the longest direction: unknowns are logs and of order 1.
      inverse.fill(0);
      for (let i = 0; i < n; i++) inverse[i * n + i] = 0.1 / size;
    }
    let slope = 0;
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (let j = 0; j < n; j++) sum -= inverse[i * n + j]! * gradient[j]!;
      direction[i] = sum;
      slope += sum * gradient[i]!;
    }
    if (!(slope < 0)) {
      if (fresh) break;
      fresh = true;
      continue;
    }
    let low = 0;
    let high = Number.POSITIVE_INFINITY;
    let length = 1;
    let next = value;
    let found = false;
    for (let i = 0; i < MAX_LINE_STEPS; i++) {
      there.set(here);
      for (let j = 0; j < n; j++) there[free[j]!] = here[free[j]!]! + length * direction[j]!;
      next = problem.evaluate(there, nextGradient);
      if (!(next <= value + DECREASE * length * slope)) high = length;
      else if (dot(nextGradient, direction) < CURVATURE * slope) low = length;
      else {
        found = true;
        break;
      }
      length = Number.isFinite(high) ? (low + high) / 2 : 2 * length;
    }
    if (!found && !(next < value)) {
      if (fresh) break;
      fresh = true;
      continue;
    }
    // Inverse update (Nocedal & Wright, eq. 6.17) with s = length * direction and y = the gradient's change.
    let sy = 0;
    let yy = 0;
    for (let i = 0; i < n; i++) {
      const y = nextGradient[i]! - gradient[i]!;
      sy += length * direction[i]! * y;
      yy += y * y;
    }
    if (sy > 1e-14) {
      if (fresh) {
        inverse.fill(0);
        for (let i = 0; i < n; i++) inverse[i * n + i] = sy / yy;
      }
      let yhy = 0;
      for (let i = 0; i < n; i++) {
        let sum = 0;
        for (let j = 0; j < n; j++) sum += inverse[i * n + j]! * (nextGradient[j]! - gradient[j]!);
        hy[i] = sum;
        yhy += sum * (nextGradient[i]! - gradient[i]!);
      }
      for (let i = 0; i < n; i++) {
        const si = length * direction[i]!;
        for (let j = 0; j < n; j++) {
          const sj = length * direction[j]!;
          inverse[i * n + j]! += ((1 + yhy / sy) * si * sj - hy[i]! * sj - si * hy[j]!) / sy;
        }
      }
      fresh = false;
    }
    const gain = value - next;
    numSmall = gain <= tolerance * (Math.abs(value) + 1e-12) ? numSmall + 1 : 0;
    value = next;
    [here, there] = [there, here];
    [gradient, nextGradient] = [nextGradient, gradient];
    if (numSmall >= SMALL_STEPS) break;
  }
  return { unknowns: here, value, numSteps: step };
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
