/** `plinth scale optimal` and `plinth scale fit` as pages: the same figures as in the terminal, with charts. */
import { renderPage, tile } from '../../recipe/report/html-page.ts';
import { section, table } from '../../recipe/report/html-table.ts';
import { type Markup, markup } from '../../recipe/report/markup.ts';
import { svgXyChart } from '../../recipe/report/svg-xy-chart.ts';
import type { XyChart } from '../../recipe/report/xy-chart.ts';
import type {
  DataConstrainedPoint,
  EpochWorth,
  LawComparison,
  LossLawFit,
  ServingTradeOff,
  UncertainLaw,
} from '../../scaling/laws/index.ts';
import { percent, threeDigits } from './figures.ts';
import { constantRows, type Prediction, predictionRows } from './fit-text.ts';
import {
  ASSUMPTIONS,
  amount,
  between,
  COMPARISON_HEAD,
  comparisonRows,
  compute,
  loss,
  type OptimumWithIntervals,
  optimumRows,
  ROUNDING_NOTE,
} from './optimal-text.ts';

export interface OptimalPageInput {
  readonly law: UncertainLaw;
  readonly label: string;
  readonly best: OptimumWithIntervals;
  readonly comparison: readonly LawComparison[];
  readonly serving: ServingTradeOff | undefined;
  readonly servedTokens: number | undefined;
  readonly data:
    | { readonly optimum: DataConstrainedPoint; readonly epochs: readonly EpochWorth[] }
    | undefined;
  readonly chart: XyChart;
}

export function optimalPage(input: OptimalPageInput): string {
  const { law, label, best, comparison, serving, servedTokens, data, chart } = input;
  const { intervals } = best;
  const detail = (text: string) => (text === '' ? '' : `95 %: ${text}`);
  return renderPage({
    title: `Best model for ${label}`,
    footer: ASSUMPTIONS,
    content: markup`<h1>Best model for ${label}</h1>
<p class="lead">By the law '${law.law.name}': ${law.law.source}.</p>
<ul class="tiles">${tile(amount(best.params), 'parameters', detail(between(intervals?.params, amount)))}${tile(amount(best.tokens), 'tokens', detail(between(intervals?.tokens, amount)))}${tile(loss(best.loss), 'loss, nats a token', detail(between(intervals?.loss, loss)))}</ul>
${section('curve', 'Loss by size', svgXyChart(chart), figureTable(['', 'Best', intervals ? '95 %' : ''], optimumRows(best)))}
${section('laws', 'Under every law', figureTable(COMPARISON_HEAD.map(capital), comparisonRows(comparison)), markup`<p class="note">${ROUNDING_NOTE}</p>`)}
${serving && servedTokens !== undefined ? servingSection(serving, servedTokens) : undefined}${data ? dataSection(data) : undefined}`,
  });
}

function servingSection(
  { best, trainingOptimum, savedShare, intervals }: ServingTradeOff,
  served: number,
): Markup {
  const row = (name: string, point: typeof best) => [
    name,
    amount(point.params),
    amount(point.tokens),
    compute(point.flops),
    compute(point.servingFlops),
    compute(point.totalFlops),
  ];
  const range = intervals ? ` (95 %: ${between(intervals.savedShare, percent)})` : '';
  return section(
    'serving',
    `With ${amount(served)} tokens to serve`,
    markup`<p>The smaller model with the same loss saves ${percent(savedShare)}${range} of training and serving together (Sardana et al. 2024).</p>`,
    figureTable(
      ['', 'Parameters', 'Tokens', 'Training FLOPs', 'Serving FLOPs', 'Total'],
      [row('Least training', trainingOptimum), row('Least in all', best)],
    ),
  );
}

function dataSection({ optimum, epochs }: NonNullable<OptimalPageInput['data']>): Markup {
  return section(
    'data',
    `With ${amount(optimum.uniqueTokens)} unique tokens`,
    markup`<p>Best: ${threeDigits(optimum.epochs)} epochs of ${amount(optimum.params)} parameters, loss ${loss(optimum.loss)}. Repetition decays as in Muennighoff et al. 2023.</p>`,
    figureTable(
      ['Epochs', 'Count as new', 'Average worth', 'Worth at the end'],
      epochs.map((one) => [
        String(one.epochs),
        amount(one.effectiveTokens),
        percent(one.averageWorth),
        percent(one.lastTokenWorth),
      ]),
    ),
  );
}

export interface FitPageInput {
  readonly fit: LossLawFit;
  readonly description: string;
  readonly chart: XyChart;
  readonly predictions: readonly Prediction[];
}

export function fitPage({ fit, description, chart, predictions }: FitPageInput): string {
  return renderPage({
    title: 'Scaling law of your runs',
    footer: `Huber loss (delta ${fit.delta}) on log loss, ${fit.numStarts} starts, ${fit.resamples.length} resamples, seed ${fit.seed}. ${ASSUMPTIONS}`,
    content: markup`<h1>Scaling law of your runs</h1>
<p class="lead">L(N, D) = E + A / N^alpha + B / D^beta, fitted to ${description}.</p>
${section('chart', 'Runs and law', svgXyChart(chart, { height: 340 }))}
${section('constants', 'Constants', figureTable(['Constant', 'Value', '95 %'], constantRows(fit)), ...fit.warnings.map((warning) => markup`<p class="note">${warning}</p>`))}
${section('predictions', 'Predictions', figureTable(['Training FLOPs', 'Parameters', 'Tokens', 'Loss', '95 %'], predictionRows(predictions)))}`,
  });
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

function figureTable(head: readonly string[], rows: readonly (readonly string[])[]): Markup {
  return table({
    columns: head.map((title, i) => ({ title, kind: i === 0 ? 'text' : 'figure' })),
    rows,
  });
}
