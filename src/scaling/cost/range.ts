/**
 * A figure that is not known exactly: a typical value between a low and a high one. Ranges are combined at their
 * corners (all low, all high), so they are wider than an interval of probability. A plain number is a range
 * without width: what the user gives is taken as it is.
 */
import { ConfigError } from '../../core/errors.ts';

export interface Range {
  readonly low: number;
  readonly typical: number;
  readonly high: number;
}

/** What stands behind a result: a value, its unit and where it comes from. */
export interface Assumption extends Range {
  readonly name: string;
  readonly unit: string;
  readonly source: string;
}

/** What a value may be. `atMost` is allowed itself, `above` is not, `atLeast` is. */
export interface Bounds {
  readonly above?: number;
  readonly atLeast?: number;
  readonly atMost?: number;
}

const POSITIVE: Bounds = { above: 0 };

/** @throws ConfigError that names the value, what it must be and what it means. */
export function checkNumber(name: string, value: number, bounds: Bounds = POSITIVE, hint = ''): number {
  const { above = -Infinity, atLeast = -Infinity, atMost = Infinity } = bounds;
  if (Number.isFinite(value) && value > above && value >= atLeast && value <= atMost) return value;
  const limits = [
    ...(bounds.above === undefined ? [] : [`above ${bounds.above}`]),
    ...(bounds.atLeast === undefined ? [] : [`at least ${bounds.atLeast}`]),
    ...(bounds.atMost === undefined ? [] : [`at most ${bounds.atMost}`]),
  ].join(' and ');
  throw new ConfigError(`${name} is ${value}; expected a number ${limits}.${hint === '' ? '' : ` ${hint}`}`);
}

export function checkCount(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new ConfigError(`${name} is ${value}; expected a whole number of at least 1.`);
}

/** A number or a range, checked: every end within the bounds and in order. */
export function asRange(name: string, value: number | Range, bounds?: Bounds, hint?: string): Range {
  const range = typeof value === 'number' ? { low: value, typical: value, high: value } : value;
  for (const end of [range.low, range.typical, range.high]) checkNumber(name, end, bounds, hint);
  if (range.low <= range.typical && range.typical <= range.high) {
    return { low: range.low, typical: range.typical, high: range.high };
  }
  throw new ConfigError(
    `${name} goes from ${range.low} over ${range.typical} to ${range.high}; expected low <= typical <= high.`,
  );
}

/** Every end through a function; one that falls as its input grows swaps the ends. */
export function mapRange(range: Range, f: (value: number) => number): Range {
  const [a, b] = [f(range.low), f(range.high)];
  return { low: Math.min(a, b), typical: f(range.typical), high: Math.max(a, b) };
}

/** The product of ranges of values of at least 0. */
export function product(...ranges: readonly (Range | number)[]): Range {
  let [low, typical, high] = [1, 1, 1];
  for (const factor of ranges) {
    const range = typeof factor === 'number' ? { low: factor, typical: factor, high: factor } : factor;
    low *= range.low;
    typical *= range.typical;
    high *= range.high;
  }
  return { low, typical, high };
}

/** The quotient of ranges of values above 0: low / high to high / low. */
export function quotient(numerator: Range, denominator: Range): Range {
  return product(
    numerator,
    mapRange(denominator, (value) => 1 / value),
  );
}
