/**
 * Axes for charts of x against y, linear or logarithmic: where a value stands and which round values get a label.
 * A logarithmic axis takes values above 0 only.
 */
import { formatCount } from '../../core/units.ts';
import { roundScale, type Scale } from './svg-scale.ts';

export interface Axis {
  /** What is measured, with its unit: 'parameters', 'loss, nats a token'. */
  readonly label: string;
  readonly kind?: 'linear' | 'log';
  /** Ends of the axis; default: what holds all data. What lies outside is cut off. */
  readonly min?: number;
  readonly max?: number;
  readonly format?: (value: number) => string;
}

/** The scale of an axis that has to show `values`, which are finite (above 0 on a logarithmic axis). */
export function axisScale(axis: Axis, values: readonly number[], numTicks: number): Scale {
  const seen = values.length > 0 ? values : [1];
  const min = axis.min ?? seen.reduce((least, value) => Math.min(least, value));
  const max = axis.max ?? seen.reduce((most, value) => Math.max(most, value));
  const scale =
    axis.kind === 'log' ? logScale(axis, min, max, numTicks) : linearScale(axis, min, max, numTicks);
  return axis.format ? { ...scale, label: axis.format } : scale;
}

/** Whether an axis can show a value at all. */
export function fitsAxis({ kind }: Axis, value: number): boolean {
  return Number.isFinite(value) && (kind !== 'log' || value > 0);
}

function linearScale({ min, max }: Axis, least: number, most: number, numTicks: number): Scale {
  const round = roundScale(least, most, numTicks);
  const low = min ?? round.low;
  const high = max ?? round.high;
  return {
    low,
    high,
    ticks: round.ticks.filter((tick) => tick >= low && tick <= high),
    at: (value) => (value - low) / (high - low),
    label: (tick) => (Math.abs(tick) >= 1e4 ? countLabel(tick) : round.label(tick)),
  };
}

/** Powers of ten over decades, 1-2-5 within a few, round steps within less than one. */
function logScale({ min, max }: Axis, least: number, most: number, numTicks: number): Scale {
  // A hair of room on both sides unless the ends were asked for.
  const room = Math.max(0.02 * Math.log(most / least), 0.01);
  const low = min ?? least * Math.exp(-room);
  const high = max ?? most * Math.exp(room);
  const decades = Math.log10(high / low);
  const candidates =
    decades < 0.9
      ? roundScale(low, high, numTicks).ticks
      : powersWith(decades > 2.5 ? [1] : decades > 1.5 ? [1, 3] : [1, 2, 5], low, high);
  const inside = candidates.filter((tick) => tick > 0 && tick >= low * 0.9999 && tick <= high * 1.0001);
  const every = decades < 0.9 ? 1 : Math.ceil(inside.length / Math.max(2, numTicks));
  const linear = roundScale(low, high, numTicks);
  return {
    low,
    high,
    ticks: inside.filter((_, i) => i % every === 0),
    at: (value) => Math.log(value / low) / Math.log(high / low),
    label: (tick) => (decades < 0.9 && tick < 1e4 ? linear.label(tick) : countLabel(tick)),
  };
}

function powersWith(digits: readonly number[], low: number, high: number): number[] {
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const digit of digits) ticks.push(Number(`${digit}e${power}`));
  }
  return ticks;
}

/** 70e9 -> 70 G; powers of ten above a thousand T and below a thousandth. */
export function countLabel(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e15 || (size > 0 && size < 1e-3)) {
    const [digits = '', power = ''] = value.toExponential(1).split('e');
    const factor = digits.replace(/\.0$/, '');
    return `${factor === '1' ? '' : `${factor}·`}10${superscript(power.replace('+', ''))}`;
  }
  if (size >= 1e3)
    return formatCount(value)
      .replace(/(\.\d*?)0+ /, '$1 ')
      .replace('. ', ' ');
  return String(Number(value.toPrecision(3)));
}

function superscript(power: string): string {
  return [...power].map((digit) => (digit === '-' ? '⁻' : '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(digit)]!)).join('');
}
