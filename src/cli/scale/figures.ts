/** Amounts of `plinth scale cost` and `scale limits` as people read them. */
import { formatCount } from '../../core/units.ts';
import type { Assumption, Range } from '../../scaling/cost/index.ts';
import { columns } from '../terminal/columns.ts';

/** 3.14e+23 -> "3.14e23". */
export function scientific(value: number): string {
  const [digits = '', power = ''] = value.toExponential(2).split('e');
  return `${digits.replace(/\.?0+$/, '')}e${power.replace('+', '')}`;
}

/** Dollars with thousands separated; cents below 100. */
export function dollars(value: number): string {
  if (value >= 1e9) return `$${formatCount(value).replace(' G', ' billion').replace(' T', ' trillion')}`;
  const digits = value >= 100 ? 0 : value >= 0.01 || value === 0 ? 2 : 5;
  return `$${grouped(value.toFixed(digits))}`;
}

/** To the cent, however large. */
export function dollarsAndCents(value: number): string {
  return `$${grouped(value.toFixed(2))}`;
}

function grouped(text: string): string {
  const [whole = '', part] = text.split('.');
  return whole.replace(/\B(?=(\d{3})+$)/g, ',') + (part === undefined ? '' : `.${part}`);
}

export function duration(days: number): string {
  if (days >= 730) return `${threeDigits(days / 365.25)} years`;
  if (days >= 2) return `${threeDigits(days)} days`;
  const hours = days * 24;
  if (hours >= 2) return `${threeDigits(hours)} h`;
  return hours * 60 >= 2 ? `${threeDigits(hours * 60)} min` : `${threeDigits(hours * 3600)} s`;
}

export const watts = (value: number): string => `${formatCount(value)}W`.replace(/(\d)W$/, '$1 W');
export const kilowattHours = (value: number): string => watts(value * 1000).replace(/W$/, 'Wh');

export function carbon(kilograms: number): string {
  if (kilograms >= 1e9) return `${formatCount(kilograms / 1000)} t CO2e`;
  return kilograms >= 1000 ? `${threeDigits(kilograms / 1000)} t CO2e` : `${threeDigits(kilograms)} kg CO2e`;
}

export const percent = (value: number): string => {
  const inPercent = 100 * value;
  if (inPercent >= 1000) return `${value >= 1000 ? formatCount(value) : threeDigits(value)} times`;
  return `${inPercent >= 0.01 || inPercent === 0 ? threeDigits(inPercent) : scientific(inPercent)} %`;
};

/** Three significant digits, no exponent. */
export function threeDigits(value: number): string {
  const size = Math.abs(value);
  if (size >= 100) return grouped(value.toFixed(0));
  return size >= 10
    ? value.toFixed(1)
    : size >= 1 || size === 0
      ? value.toFixed(2)
      : String(Number(value.toPrecision(3)));
}

/** "low - high", or nothing where there is no width. */
export function spread(range: Range, format: (value: number) => string): string {
  return range.low === range.high ? '' : `${format(range.low)} - ${format(range.high)}`;
}

/** What the results rest on, with sources. */
export function assumptionTable(assumptions: readonly Assumption[]): string {
  const cells = (value: number, unit: string) => {
    const number = value >= 1e6 ? formatCount(value) : threeDigits(value);
    if (unit === '$/h each') return `$${value.toFixed(2)}`;
    return unit === 'FLOP/s' ? `${number}FLOP/s` : number;
  };
  const label = (name: string, unit: string) =>
    unit === '$/h each' ? `${name} of an hour` : unit === '' || unit === 'FLOP/s' ? name : `${name}, ${unit}`;
  return columns(
    [
      ['Assumed', 'typical', 'range', 'source'],
      ...assumptions.map(({ name, unit, source, ...range }) => [
        label(name, unit),
        cells(range.typical, unit),
        spread(range, (value) => cells(value, unit)),
        source,
      ]),
    ],
    'lrll',
  );
}
