/** An experiment's matrix as a table for the terminal. No colours, no control characters. */
import * as figures from '../report/figures.ts';
import type { ExperimentReport } from './experiment-report.ts';

export function experimentSummary(report: ExperimentReport): string {
  const { arms, evaluations, matrix, budget, model, baseline } = report;
  const cell = (arm: string, evaluation: string) =>
    matrix.find((one) => one.arm === arm && one.evaluation === evaluation)!;
  const lines: string[][] = [
    ['', ...evaluations.map(({ name }) => name)],
    ...arms.map(({ name }) => [
      name === baseline ? `${name} (baseline)` : name,
      ...evaluations.map((evaluation) => figures.precise(cell(name, evaluation.name).value)),
    ]),
  ];
  const widths = lines[0]!.map((_, i) => Math.max(...lines.map((line) => [...line[i]!].length)));
  const rows = lines.map((line) =>
    line.map((text, i) => (i === 0 ? text.padEnd(widths[i]!) : text.padStart(widths[i]!))).join('  '),
  );
  const about =
    `Bits per byte of held-out text, lower is better. ${figures.whole(arms.length)} mixes, ` +
    `${figures.whole(budget.numSeeds)} seeds, ${figures.short(budget.tokens)} tokens a model, ` +
    `${figures.short(model.numParameters)} parameters. Time ${figures.duration(report.wallSeconds)} ` +
    `(planned ${figures.duration(budget.plannedSeconds)}).`;
  // Names come from recipes and must not steer a terminal.
  return [report.question, '', ...rows, '', about]
    .map((line) => line.replace(/\p{Cc}|\p{Bidi_Control}/gu, ' '))
    .join('\n');
}
