/** What training did: the curves, and the plan beside what happened. */
import * as figures from './figures.ts';
import { accountingTable } from './html-accounting.ts';
import { bitsTable } from './html-prose.ts';
import { section, table } from './html-table.ts';
import { type Markup, markup } from './markup.ts';
import type { LossCurve, Report, StageReport } from './report.ts';
import { lossChart } from './svg-loss-chart.ts';

export function trainingSection(report: Report): Markup {
  return section(
    'training',
    'Training',
    markup`<div class="figures">${report.curves.map(curveFigure)}</div>`,
    bitsTable(report),
    markup`<h3>Plan and outcome</h3>`,
    planTable(report),
    markup`<p>Asked for ${figures.rate(report.plan.minutes)} ${report.plan.minutes === 1 ? 'minute' : 'minutes'}; planned ${figures.duration(report.plan.plannedSeconds)} in all, took ${figures.duration(report.wallSeconds)}. Speed: planned ${figures.whole(report.plan.plannedTokensPerSecond)} tokens/s, reached ${figures.whole(report.train.tokensPerSecond)} tokens/s (${figures.rate(report.train.gflops)} GFLOP/s, ${figures.percent(report.train.shareOfPeak)} of the machine's matrix product).</p>`,
    report.plan.stages.map(predictedSentence),
    accountingTable(report.accounting),
  );
}

/** What the loss of a stage is, where it is not that of a text. */
const LOSS_UNITS: Readonly<Record<string, string>> = {
  prefer: 'Loss of a pair: 0.693 as long as neither answer is preferred',
};

function curveFigure(curve: LossCurve): Markup {
  const last = curve.validation.at(-1);
  const end = last
    ? markup` Validation at the end: ${figures.precise(last.loss)} nats per token, ${figures.precise(last.bitsPerByte)} bits per byte.`
    : undefined;
  return markup`<figure><figcaption><strong>${figures.words(curve.stage)}</strong> <span class="key train-key">training loss</span>${
    curve.validation.length > 0 ? markup` <span class="key validation-key">validation</span>` : undefined
  }</figcaption>
${lossChart(curve)}
<p class="note">${LOSS_UNITS[curve.stage] ?? 'Nats per token'}; the band is the range of neighbouring steps.${end}</p></figure>
`;
}

function planTable({ plan, train }: Report): Markup {
  const rows = plan.stages.map((stage) => [
    figures.words(stage.stage),
    figures.whole(stage.steps),
    figures.whole(stage.tokens),
    figures.duration(stage.plannedSeconds),
    figures.duration(stage.seconds),
    figures.rate(stage.learningRate),
    figures.precise(stage.finalLoss),
  ]);
  const sum = (key: 'plannedSeconds' | 'seconds') =>
    plan.stages.reduce((total, stage) => total + stage[key], 0);
  return table({
    columns: [
      { title: 'Stage' },
      { title: 'Steps', kind: 'figure' },
      { title: 'Tokens', kind: 'figure' },
      { title: 'Planned', kind: 'figure' },
      { title: 'Took', kind: 'figure' },
      { title: 'Learning rate', kind: 'figure' },
      { title: 'Final loss', kind: 'figure' },
    ],
    rows: [
      ...rows,
      [
        'Training in all',
        figures.whole(train.steps),
        figures.whole(train.tokens),
        figures.duration(sum('plannedSeconds')),
        figures.duration(sum('seconds')),
        '',
        figures.precise(train.finalLoss),
      ],
    ],
    hasTotal: true,
  });
}

/** What the plan said of the validation loss, and what it was. */
function predictedSentence({ stage, predictedLoss, validationLoss }: StageReport): Markup | undefined {
  if (!predictedLoss || validationLoss === undefined) return undefined;
  const { loss, interval, law } = predictedLoss;
  return markup`<p>Validation loss after ${figures.words(stage)}: predicted ${figures.precise(loss)}${interval ? ` (${figures.preciseInterval(interval)})` : ''} by the law “${law}”, reached ${figures.precise(validationLoss)} nats per token.</p>`;
}
