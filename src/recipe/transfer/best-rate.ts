/** Where a sweep's loss is lowest, between the rates that were tried, and slopes in log-log. Pure functions. */

export interface RatePoint {
  readonly learningRate: number;
  /** NaN where training went out of the finite numbers. */
  readonly loss: number;
}

export interface BestRate {
  readonly learningRate: number;
  /** The parabola's value there. */
  readonly loss: number;
  /** False when the lowest loss is at an end of the sweep: the best rate may lie beyond it. */
  readonly isBracketed: boolean;
}

/**
 * The lowest point of the parabola through the lowest loss and its neighbours on both sides, in the logarithm of
 * the rate. At an end of the sweep it is that end. Undefined where no loss is finite.
 */
export function bestRate(points: readonly RatePoint[]): BestRate | undefined {
  const sorted = [...points].sort((a, b) => a.learningRate - b.learningRate);
  const finite = sorted.filter(({ loss }) => Number.isFinite(loss));
  if (finite.length === 0) return undefined;
  const lowest = finite.reduce((best, point) => (point.loss < best.loss ? point : best));
  const at = finite.indexOf(lowest);
  const [left, right] = [finite[at - 1], finite[at + 1]];
  if (!left || !right) {
    // A rate that diverges above the lowest one is a bracket as well, but no point of a parabola.
    const above = sorted[sorted.indexOf(lowest) + 1];
    const isBracketed = left !== undefined && above !== undefined;
    return { ...lowest, isBracketed };
  }
  const [a, b, c] = [left, lowest, right].map(({ learningRate }) => Math.log(learningRate)) as [
    number,
    number,
    number,
  ];
  // Newton's divided differences.
  const first = (lowest.loss - left.loss) / (b - a);
  const second = ((right.loss - lowest.loss) / (c - b) - first) / (c - a);
  if (second <= 0) return { ...lowest, isBracketed: true };
  const x = (a + b) / 2 - first / (2 * second);
  return {
    learningRate: Math.exp(x),
    loss: left.loss + first * (x - a) + second * (x - a) * (x - b),
    isBracketed: true,
  };
}

/** Least-squares slope of log y over log x; NaN where a y is not above 0. */
export function logSlope(x: readonly number[], y: readonly number[]): number {
  const [u, v] = [x.map(Math.log), y.map(Math.log)];
  const [meanU, meanV] = [u, v].map((one) => one.reduce((sum, value) => sum + value, 0) / one.length) as [
    number,
    number,
  ];
  const products = u.reduce((sum, value, i) => sum + (value - meanU) * (v[i]! - meanV), 0);
  const squares = u.reduce((sum, value) => sum + (value - meanU) ** 2, 0);
  const slope = products / squares;
  return Number.isFinite(slope) ? slope : Number.NaN;
}

/** The loss at any rate within a sweep, on straight lines in the logarithm of the rate; NaN beyond it. */
export function lossAt(points: readonly RatePoint[], learningRate: number): number {
  const sorted = [...points].sort((a, b) => a.learningRate - b.learningRate);
  const right = sorted.findIndex((point) => point.learningRate >= learningRate);
  const above = sorted[right];
  if (!above) return Number.NaN;
  if (above.learningRate === learningRate) return above.loss;
  const below = sorted[right - 1];
  if (!below) return Number.NaN;
  const share =
    Math.log(learningRate / below.learningRate) / Math.log(above.learningRate / below.learningRate);
  return below.loss + share * (above.loss - below.loss);
}
