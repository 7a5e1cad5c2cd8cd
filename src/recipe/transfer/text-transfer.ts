/** A transfer experiment as tables for the terminal. No colours, no control characters. */
import * as figures from '../report/figures.ts';
import type { CoordinateCheck } from './coordinate-check.ts';
import {
  type LearningRateTransfer,
  TRANSFER_FACTOR,
  type TransferVerdict,
} from './learning-rate-transfer.ts';
import {
  ofParametrisation,
  parametrisationName,
  parametrisationsOf,
  powerOfTwo,
  type TransferReport,
} from './transfer-report.ts';

export function transferSummary(report: TransferReport): string {
  const parts = [
    ...report.checks.map(checkText),
    ...(report.transfer ? [rateText(report.transfer)] : []),
    ...report.notes,
  ];
  // Descriptions come from file names and must not steer a terminal.
  return parts.join('\n\n').replace(/[^\P{Cc}\n]|\p{Bidi_Control}/gu, ' ');
}

function rateText({
  curves,
  verdicts,
  widths,
  measure,
  numSteps,
  numSeeds,
  depth,
  seconds,
  numRuns,
}: LearningRateTransfer): string {
  const rows = [
    ['', ...widths.map((width) => `width ${width}`), 'factor', 'at the smallest one’s rate'],
    ...verdicts.map((verdict) => {
      const own = ofParametrisation(curves, verdict.parametrisation);
      return [
        parametrisationName(verdict.parametrisation),
        ...own.map(({ best }) =>
          best
            ? `${powerOfTwo(best.learningRate)}${best.isBracketed ? '' : '?'} (${figures.precise(best.loss)})`
            : 'diverged',
        ),
        figures.rate(verdict.factor),
        Number.isFinite(verdict.lossOfTransfer)
          ? `+${figures.precise(verdict.lossOfTransfer)} nats`
          : 'diverges',
      ];
    }),
  ];
  return [
    'Best learning rate by width (and its loss, nats per token)',
    aligned(rows),
    ...verdicts.map(verdictSentence),
    `${depth} layers, ${numSteps} steps, ${numSeeds === 1 ? 'one seed' : `${numSeeds} seeds`}, ${measure} loss; ` +
      `${numRuns} models, ${figures.duration(seconds)} of training.`,
  ].join('\n');
}

export function verdictSentence({ parametrisation, transfers, factor, shift }: TransferVerdict): string {
  const name = parametrisationName(parametrisation);
  if (transfers === undefined) {
    return `${name}: not known. A sweep ends before its loss rises again; widen --rates.`;
  }
  return transfers
    ? `${name}: transfers. The best rates differ by a factor ${figures.rate(factor)} (at most ${TRANSFER_FACTOR}).`
    : `${name}: does not transfer. The best rates differ by a factor ${figures.rate(factor)}; the largest model wants ${figures.rate(shift)} times the smallest one's.`;
}

function checkText({ axis, sizes, series, numSteps, numSeeds, learningRate }: CoordinateCheck): string {
  const kinds = parametrisationsOf(series);
  const layers = [...new Set(series.map(({ layer }) => layer))];
  const rows = [
    ['', ...layers, ''],
    ...kinds.map((kind) => {
      const own = ofParametrisation(series, kind);
      return [
        parametrisationName(kind),
        ...own.map(({ slopes }) => slopes.at(-1)!.toFixed(2)),
        checkVerdict(own.map(({ verdict }) => verdict)),
      ];
    }),
  ];
  return [
    `Coordinate check over the ${axis} (${sizes.join(', ')}): how mean |x| grows with it, d log / d log, after ${numSteps} steps`,
    aligned(rows),
    `0 does not depend on the ${axis}. Rate ${powerOfTwo(learningRate)}, ${numSeeds === 1 ? 'one seed' : `${numSeeds} seeds`}.`,
  ].join('\n');
}

/** One word for all layers: what grows breaks large models first. */
export function checkVerdict(verdicts: readonly ('flat' | 'grows' | 'shrinks')[]): string {
  if (verdicts.includes('grows')) return 'grows';
  return verdicts.includes('shrinks') ? 'does not grow' : 'flat';
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => [...(row[i] ?? '')].length)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
