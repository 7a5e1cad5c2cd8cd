/** A sweep's outcome for the terminal: the ladder, the law, the held-back size, what to train next. Plain text. */
import * as figures from '../report/figures.ts';
import type { BestSize, HeldBackPrediction } from './extrapolate.ts';
import { shapeName } from './sweep.ts';
import { lastPoints, type SweepReport } from './sweep-report.ts';

const TRUST_WORDS: Readonly<Record<BestSize['trust'], string>> = {
  inside: 'within what was trained',
  near: 'near',
  far: 'far: take the size, not the digits',
  speculation: 'a guess',
};

export function sweepSummary(report: SweepReport): string {
  const { heldBack, sizes, data, tokensPerParameter, law, budget } = report;
  const largest = sizes.at(-1)!;
  const rows = lastPoints(report.points).map((point) => [
    shapeName(point),
    figures.short(point.params),
    figures.short(point.tokens),
    figures.rate(point.tokens / point.params),
    figures.precise(point.loss),
    figures.precise(point.bitsPerByte),
  ]);
  const best = report.bestSizes.map((one) => [
    minutesText(one.minutes),
    figures.short(one.params),
    figures.short(one.tokens),
    figures.rate(one.tokensPerParameter),
    figures.precise(one.loss),
    `${figures.rate(one.extrapolation)} x, ${TRUST_WORDS[one.trust]}`,
  ]);
  return [
    aligned([['size', 'N', 'tokens', 'tokens/N', 'loss', 'bits/byte'], ...rows]),
    '',
    `Law      L = ${lawText(law)}`,
    heldBackText(shapeName(largest.shape), heldBack.at(-1)!),
    `Optimum  ${figures.rate(tokensPerParameter.value)} tokens a parameter at this compute${rangeText(tokensPerParameter.interval)}`,
    '',
    'Best size for the time on this machine, all of it spent on one training:',
    aligned([['time', 'N', 'tokens', 'tokens/N', 'loss', 'beyond the ladder'], ...best]),
    '',
    `Losses in nats a token on ${figures.short(data.numHeldOutTokens)} held-out tokens (± ${figures.percent(data.relativeError)}). N: ${report.parameters}.`,
    `Time ${figures.duration(report.wallSeconds)} (asked for ${figures.rate(budget.minutes)} min).`,
    ...report.notes.map((note) => `Note: ${note}`),
  ]
    .map((line) => line.replace(/(?!\n)[\p{Cc}\p{Bidi_Control}]/gu, ' '))
    .join('\n');
}

/** L = 1.2 + 34.5 / N^0.30 + 120 / D^0.31. */
export function lawText({ E, A, alpha, B, beta }: SweepReport['law']): string {
  return `${E.toPrecision(3)} + ${figures.rate(A)} / N^${alpha.toFixed(3)} + ${figures.rate(B)} / D^${beta.toFixed(3)}`;
}

function heldBackText(name: string, { predicted, interval, actual, miss }: HeldBackPrediction): string {
  const range = interval ? ` (95 %: ${figures.preciseInterval(interval)})` : '';
  const said = `${name} predicted at ${figures.precise(predicted)}${range}`;
  if (actual === undefined || miss === undefined) return `Held back ${said}, not trained`;
  return `Held back ${said}, was ${figures.precise(actual)}: ${missText(miss)}`;
}

/** A miss of 0.0123 is 1.23 % too high. */
export function missText(miss: number): string {
  return `${Math.abs(100 * miss).toFixed(2)} % too ${miss > 0 ? 'high' : 'low'}`;
}

export function minutesText(minutes: number): string {
  if (minutes < 60) return `${figures.rate(minutes)} min`;
  return `${figures.rate(minutes / 60)} h`;
}

function rangeText(interval: readonly [number, number] | undefined): string {
  return interval ? ` (95 %: ${figures.rate(interval[0])} to ${figures.rate(interval[1])})` : '';
}

function aligned(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]!.map((_, i) => Math.max(...lines.map((line) => [...line[i]!].length)));
  const isText = (i: number) => i === 0 || i === widths.length;
  return lines
    .map((line) =>
      line
        .map((text, i) => (isText(i) ? text.padEnd(widths[i]!) : text.padStart(widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
