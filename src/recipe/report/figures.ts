/**
 * How the report writes numbers, in the page and in the terminal: one way for each kind. A number that is not
 * finite (a stage that took no step, a machine without a measured peak) is a dash.
 */
import { formatBytes, formatCount, formatDuration } from '../../core/units.ts';
import type { Interval, Score } from './report.ts';

const DASH = '–';

const known =
  (format: (value: number) => string) =>
  (value: number | null | undefined): string =>
    typeof value === 'number' && Number.isFinite(value) ? format(value) : DASH;

/** 12345 -> 12,345. */
export const whole = known((value) => String(Math.round(value)).replace(/\B(?=(\d{3})+(?!\d))/g, ','));
/** 1234567 -> 1.23 M. */
export const short = known(formatCount);
export const bytes = known(formatBytes);
export const duration = known(formatDuration);
/** 0.9785 -> 97.9 %. */
export const percent = known((value) => `${(value * 100).toFixed(1)} %`);
/** Losses and bits per byte. */
export const precise = known((value) => value.toFixed(3));
/** A difference of bits per byte: +0.041, −0.120. */
export const signed = known((value) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(3)}`);
/** A difference of shares in points: +1.2, −0.4; 0.0 has no sign. */
export const points = known((value) => {
  const size = Math.abs(100 * value).toFixed(1);
  return size === '0.0' ? size : `${value < 0 ? '−' : '+'}${size}`;
});
/** Three significant digits: 0.003, 0.000125, 1.5. */
export const rate = known((value) =>
  value !== 0 && Math.abs(value) < 1e-4 ? value.toExponential(1) : String(Number(value.toPrecision(3))),
);

/** 95 % interval: 96.9–98.6 %. */
export function interval([low, high]: Interval): string {
  if (![low, high].every((value) => Number.isFinite(value))) return DASH;
  return `${(low * 100).toFixed(1)}–${(high * 100).toFixed(1)} %`;
}

/** Of bits per byte: 1.842–1.907. */
export function preciseInterval([low, high]: Interval): string {
  return [low, high].every((value) => Number.isFinite(value)) ? `${low.toFixed(3)}–${high.toFixed(3)}` : DASH;
}

/** 489 of 500. */
export const counted = ({ numCorrect, numQuestions }: Score) =>
  `${whole(numCorrect)} of ${whole(numQuestions)}`;

/** 2026-01-31T12:00:00Z -> 31 January 2026, 12:00 UTC. Anything else is given back as it is. */
export function date(text: string): string {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) return text;
  const months =
    'January February March April May June July August September October November December'.split(' ');
  const clock = time.toISOString().slice(11, 16);
  return `${time.getUTCDate()} ${months[time.getUTCMonth()]} ${time.getUTCFullYear()}, ${clock} UTC`;
}

/** left out reasons and the like: 'list-too-long' -> 'list too long'. */
export const words = (text: string) => text.replace(/[-_]+/g, ' ');
