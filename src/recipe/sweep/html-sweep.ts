/** A sweep's report as one HTML file: no script, no request, nothing outside the file. */
import { lossOf } from '../../scaling/index.ts';
import * as figures from '../report/figures.ts';
import { renderPage, tile } from '../report/html-page.ts';
import { pairs, section, table } from '../report/html-table.ts';
import { type Markup, markup } from '../report/markup.ts';
import { svgXyChart } from '../report/svg-xy-chart.ts';
import type { XySeries } from '../report/xy-chart.ts';
import type { BestSize, HeldBackPrediction } from './extrapolate.ts';
import { namesOf, shapeName } from './sweep.ts';
import type { SweepReport } from './sweep-report.ts';
import { lawText, minutesText, missText } from './text-sweep.ts';

const TRUST: Readonly<Record<BestSize['trust'], string>> = {
  inside: 'within the ladder',
  near: 'near',
  far: 'far, a hint',
  speculation: 'a guess',
};
const CURVE_POINTS = 60;
const NUM_ISO_CURVES = 4;

export function renderSweepReport(report: SweepReport): string {
  return renderPage({
    title: 'Sweep report',
    footer: `Written by Plinth ${report.plinthVersion}. Intervals are 95 %.`,
    content: markup`${headline(report)}
${section('held-back', 'The held-back size', heldBackSection(report))}
${section('law', 'The law', lawSection(report))}
${section('best', 'What to train next', bestSection(report))}
${section('emergence', 'Sharp and smooth', emergenceSection(report))}
${section('points', 'All models', pointTable(report))}
${section('machine', 'Text, settings and machine', inventory(report))}`,
  });
}

function headline(report: SweepReport): Markup {
  const { sizes, points, data, budget, machine, heldBack, tokensPerParameter } = report;
  const last = heldBack.at(-1)!;
  const actual = isTrained(last)
    ? `predicted ${figures.precise(last.predicted)}, was ${figures.precise(last.actual)}`
    : 'not trained';
  return markup`<header>
<h1>Sweep</h1>
<p class="lead">${figures.whole(sizes.length)} sizes from ${figures.short(sizes[0]!.total)} to ${figures.short(sizes.at(-1)!.total)} parameters on ${namesOf(data.files)}, and the law they follow.</p>
<p class="meta">Run ${figures.date(report.startedAt)} in ${figures.duration(report.wallSeconds)} (asked for ${figures.rate(budget.minutes)} min) on ${machine.cpu}, ${figures.whole(machine.numThreads)} threads.</p>
</header>
<ul class="tiles">
${tile(isTrained(last) ? missText(last.miss).replace(/ too .*/, '') : figures.precise(last.predicted), isTrained(last) ? 'miss of the prediction for the largest size' : 'predicted loss of the largest size', actual)}
${tile(figures.rate(tokensPerParameter.value), 'tokens a parameter are best at this compute', tokensPerParameter.interval ? `95 %: ${figures.rate(tokensPerParameter.interval[0])} to ${figures.rate(tokensPerParameter.interval[1])}` : '')}
${tile(figures.whole(points.length), 'models trained', `held-out loss known to ${figures.percent(data.relativeError)}`)}
</ul>
${report.notes.map((note) => markup`<p class="note">${note}</p>`)}
`;
}

function isTrained(one: HeldBackPrediction): one is HeldBackPrediction & { actual: number; miss: number } {
  return typeof one.actual === 'number' && typeof one.miss === 'number';
}

/** Loss against tokens, a line for each size; the largest one's is the prediction. */
function heldBackSection(report: SweepReport): Markup {
  const { sizes, points, heldOutLaw, heldBack } = report;
  const most = Math.max(...points.map(({ tokens }) => tokens));
  const least = Math.min(...points.map(({ tokens }) => tokens));
  const series: XySeries[] = sizes.flatMap((size, i): XySeries[] => {
    const isHeld = i === sizes.length - 1;
    const strength = isHeld ? 1 : 0.35 + (0.5 * i) / sizes.length;
    const line = geometric(least, most).map((tokens) => ({
      x: tokens,
      y: lossOf(heldOutLaw, { params: size.total, tokens }),
    }));
    const dots = points
      .filter((point) => point.size === i)
      .map(({ tokens, loss }) => ({ x: tokens, y: loss }));
    const hue = isHeld ? 'second' : 'accent';
    return [
      {
        name: isHeld ? 'predicted, from the sizes below alone' : 'law',
        kind: 'line',
        points: line,
        hue,
        strength,
        endLabel: shapeName(size.shape),
        ...(isHeld && { dash: 'dashed' as const }),
      },
      {
        name: isHeld ? 'held back, trained afterwards' : 'trained',
        kind: 'dots',
        points: dots,
        hue,
        strength,
      },
    ];
  });
  const banded = heldBack.flatMap(({ tokens, predicted, interval }) =>
    interval ? [{ x: tokens, y: predicted, low: interval[0], high: interval[1] }] : [],
  );
  series.unshift({ name: '95 % for the held-back size', kind: 'band', points: banded, hue: 'second' });
  return markup`<p>The law was fitted to all sizes but the largest. Its losses were predicted before it was trained.${
    typeof report.backtestMiss === 'number'
      ? ` Tried before on the size below it, the law was ${figures.percent(report.backtestMiss)} off; the band is wider by that.`
      : undefined
  }</p>
${svgXyChart(
  {
    title: 'Loss against tokens',
    x: { label: 'tokens read', kind: 'log' },
    y: { label: 'held-out loss, nats a token' },
    series: series.filter((one) => one.points.length > 0),
  },
  { height: 340 },
)}
${table({
  columns: [
    { title: 'Tokens' },
    { title: 'Predicted', kind: 'figure' },
    { title: 'Interval', kind: 'figure' },
    { title: 'Was', kind: 'figure' },
    { title: 'Miss', kind: 'figure' },
  ],
  rows: heldBack.map((one) => [
    figures.short(one.tokens),
    figures.precise(one.predicted),
    one.interval ? figures.preciseInterval(one.interval) : '–',
    figures.precise(one.actual),
    isTrained(one) ? missText(one.miss) : '–',
  ]),
})}`;
}

/** Loss against size at fixed compute, with the valley marked. */
function lawSection(report: SweepReport): Markup {
  const { law, sizes, points, parameters } = report;
  const computes = points.map(({ params, tokens }) => 6 * params * tokens);
  const [low, high] = [Math.min(...computes), Math.max(...computes)];
  const flops = Array.from(
    { length: NUM_ISO_CURVES },
    (_, i) => low * (high / low) ** ((i + 1) / NUM_ISO_CURVES),
  );
  const [smallest, largest] = [sizes[0]!.total / 2, sizes.at(-1)!.total * 2];
  const curves = flops.map((compute, i): XySeries => {
    const strength = 0.4 + (0.6 * (i + 1)) / NUM_ISO_CURVES;
    return {
      name: 'law at fixed compute',
      kind: 'line',
      points: geometric(smallest, largest).map((params) => ({
        x: params,
        y: lossOf(law, { params, tokens: compute / (6 * params) }),
      })),
      strength,
      endLabel: `${compute.toExponential(1).replace('e+', 'e')} FLOPs`,
    };
  });
  const valley: XySeries = {
    name: 'best size for the compute',
    kind: 'line',
    dash: 'dotted',
    hue: 'text',
    // A lowest point at the end of a line is the line's end, not a valley.
    points: curves.flatMap(({ points: line }) => {
      const lowest = line.reduce((least, point) => (point.y < least.y ? point : least));
      return lowest === line[0] || lowest === line.at(-1) ? [] : [lowest];
    }),
  };
  const trained: XySeries = {
    name: 'trained models',
    kind: 'dots',
    hue: 'second',
    points: points.map(({ params, loss }) => ({ x: params, y: loss })),
  };
  const losses = points.map(({ loss }) => loss);
  const range = Math.max(...losses) - Math.min(...losses);
  return markup`<p>L(N, D) = ${lawText(law)}, in nats a token. Fitted to ${figures.whole(law.numPoints)} models; the farthest is ${figures.percent(law.worstResidual)} off. N counts ${parameters}; D counts tokens read.</p>
${svgXyChart({
  title: 'Loss against size at fixed compute',
  x: { label: 'parameters', kind: 'log' },
  y: {
    label: 'held-out loss, nats a token',
    min: Math.min(...losses) - 0.15 * range,
    max: Math.max(...losses) + 0.35 * range,
  },
  series: [...curves, valley, trained].filter((one) => one.points.length > 0),
})}
<p class="note">A, B and the exponents are hardly determined one by one by so few models; judge the law by its predictions.</p>`;
}

function bestSection({ bestSizes }: SweepReport): Markup {
  return markup`<p>The size with the lowest loss when all of the time is spent on one training on this machine, at the speeds that were measured. How far that reaches beyond the ladder is said in compute: the law was seen to hold up to 1 x.</p>
${table({
  columns: [
    { title: 'Time' },
    { title: 'Parameters', kind: 'figure' },
    { title: 'Tokens', kind: 'figure' },
    { title: 'Passes', kind: 'figure' },
    { title: 'Loss', kind: 'figure' },
    { title: 'Law’s range', kind: 'figure' },
    { title: 'Beyond', kind: 'figure' },
    { title: 'Trust' },
  ],
  rows: bestSizes.map((one) => [
    minutesText(one.minutes),
    figures.short(one.params),
    figures.short(one.tokens),
    figures.rate(one.epochs),
    figures.precise(one.loss),
    one.interval ? figures.preciseInterval(one.interval) : '–',
    `${figures.rate(one.extrapolation)} x`,
    one.epochs > 4 ? `${TRUST[one.trust]}, more text needed` : TRUST[one.trust],
  ]),
})}`;
}

/** Exact match of k tokens against compute, measured and as independent tokens would have it. */
function emergenceSection({ emergence, points }: SweepReport): Markup {
  const best = new Set(frontier(points).map(({ flops }) => flops));
  const lines = emergence.map(({ length, points: all }) => ({
    length,
    all,
    line: all.filter(({ flops }) => best.has(flops)),
  }));
  const strengthOf = (i: number) => 1 - (0.65 * i) / lines.length;
  const measured = lines.map(
    ({ length, line }, i): XySeries => ({
      name: 'all k tokens right',
      kind: 'line',
      points: line.map(({ flops, exactMatch }) => ({ x: flops, y: exactMatch })),
      strength: strengthOf(i),
      endLabel: `k = ${length}`,
    }),
  );
  const expected = lines.map(
    ({ line }, i): XySeries => ({
      name: 'exp(−k CE)',
      kind: 'line',
      dash: 'dashed',
      hue: 'quiet',
      points: line.map(({ flops, expected: value }) => ({ x: flops, y: value })),
      strength: strengthOf(i),
    }),
  );
  const smooth: XySeries[] = [
    {
      name: 'best so far',
      kind: 'line',
      points: frontier(points).map(({ flops, loss }) => ({ x: flops, y: loss })),
    },
    {
      name: 'trained models',
      kind: 'dots',
      points: points.map(({ flops, loss }) => ({ x: flops, y: loss })),
    },
  ];
  const sharp = [...measured, ...expected];
  const spans = Math.max(...emergence.flatMap(({ points: all }) => all.map((point) => point.spans)));
  const x = { label: 'training FLOPs', kind: 'log' } as const;
  const rows = lines.flatMap(({ length, line }) => {
    const [first, last] = [line[0], line.at(-1)];
    if (!first || !last) return [];
    return [
      [
        String(length),
        shareText(first.exactMatch),
        shareText(last.exactMatch),
        shareText(last.independent),
        shareText(last.expected),
        figures.whole(last.spans),
      ],
    ];
  });
  return markup`<p>One smooth measure and one sharp one of the same models on the same held-out text: the cross-entropy of a token, and whether all k tokens of a span are the likeliest ones. The smooth one falls without a jump; on a linear axis the sharp one stays at nothing and then rises, later the longer the span. That is the measure, not the model (Schaeffer et al. 2023). Lines go through the best model for its compute.</p>
<div class="figures">
${svgXyChart({ title: 'Smooth: cross-entropy', x, y: { label: 'nats a token' }, series: smooth }, { height: 220 })}
${svgXyChart({ title: 'Sharp: exact match', x, y: { label: 'share of spans right', min: 0 }, series: sharp }, { height: 220 })}
</div>
${svgXyChart(
  {
    title: 'The same on a logarithmic axis',
    x,
    y: { label: 'share of spans right, down to half a span of all', kind: 'log', min: 0.5 / spans, max: 1 },
    series: sharp,
  },
  { height: 220 },
)}
${table({
  columns: [
    { title: 'k' },
    { title: 'Least compute', kind: 'figure' },
    { title: 'Most compute', kind: 'figure' },
    { title: 'Accuracy^k', kind: 'figure' },
    { title: 'exp(−k CE)', kind: 'figure' },
    { title: 'Spans', kind: 'figure' },
  ],
  rows,
})}
<p class="note">exp(−k CE) is what spans would have if each token were right with the probability that the model gives it. The likeliest token is right more often than that, and easy tokens come together, so measured shares lie above.</p>`;
}

/** Models that no cheaper one beats, cheapest first. */
function frontier(points: SweepReport['points']): SweepReport['points'] {
  let best = Number.POSITIVE_INFINITY;
  return points
    .toSorted((a, b) => a.flops - b.flops)
    .filter(({ loss }) => {
      const isBetter = loss < best;
      best = Math.min(best, loss);
      return isBetter;
    });
}

/** 0.123 -> 12.3 %, and small shares as powers of ten. */
function shareText(value: number): string {
  return value === 0 || value >= 1e-3 ? figures.percent(value) : value.toExponential(1).replace('e-', 'e−');
}

function pointTable({ points }: SweepReport): Markup {
  return table({
    columns: [
      { title: 'Model' },
      { title: 'Parameters', kind: 'figure' },
      { title: 'outside embeddings', kind: 'figure' },
      { title: 'Tokens', kind: 'figure' },
      { title: 'Passes', kind: 'figure' },
      { title: 'FLOPs', kind: 'figure' },
      { title: 'Loss', kind: 'figure' },
      { title: 'Bits/byte', kind: 'figure' },
      { title: 'Time', kind: 'figure' },
    ],
    rows: points.map((point) => [
      shapeName(point),
      figures.short(point.params),
      figures.short(point.nonEmbedding),
      figures.short(point.tokens),
      figures.rate(point.epochs),
      point.flops.toExponential(2).replace('e+', 'e'),
      figures.precise(point.loss),
      figures.precise(point.bitsPerByte),
      figures.duration(point.seconds),
    ]),
  });
}

function inventory({ data, settings, machine, budget, peakRssBytes }: SweepReport): Markup {
  const { schedule } = settings;
  return pairs([
    ['Text', namesOf(data.files)],
    ['Training tokens', figures.whole(data.numTrainTokens)],
    ['Held-out tokens', figures.whole(data.numHeldOutTokens)],
    ['Vocabulary', figures.whole(data.vocabSize)],
    ['Rows of a batch', figures.whole(settings.batchSize)],
    ['Context', `${figures.whole(settings.contextLength)} tokens`],
    ['Optimizer', settings.optimizer],
    ['Parametrisation', settings.parametrisation],
    [
      'Schedule',
      `${schedule.kind}, ${figures.whole(schedule.warmupSteps)} steps of warm-up, decay over ${figures.percent(schedule.decayShare)} to ${figures.percent(schedule.finalShare)}`,
    ],
    ['Seed', String(settings.seed)],
    ['Planned', figures.duration(budget.plannedSeconds)],
    ['Matrix product', `${figures.rate(machine.sgemmGflops)} GFLOP/s`],
    ['Peak memory', figures.bytes(peakRssBytes)],
    ['Runtime', machine.runtime],
  ]);
}

function geometric(low: number, high: number): number[] {
  return Array.from({ length: CURVE_POINTS }, (_, i) => low * (high / low) ** (i / (CURVE_POINTS - 1)));
}
