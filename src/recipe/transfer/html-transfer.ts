/** A transfer experiment's report as one page: verdicts first, then the curves, then the coordinate check. */
import * as figures from '../report/figures.ts';
import { renderPage, tile } from '../report/html-page.ts';
import { pairs, section, table } from '../report/html-table.ts';
import { type Markup, markup } from '../report/markup.ts';
import { svgXyChart } from '../report/svg-xy-chart.ts';
import type { CoordinateCheck } from './coordinate-check.ts';
import type { LearningRateTransfer, RateCurve } from './learning-rate-transfer.ts';
import { checkVerdict, verdictSentence } from './text-transfer.ts';
import {
  ofParametrisation,
  parametrisationName,
  parametrisationsOf,
  powerOfTwo,
  type TransferReport,
} from './transfer-report.ts';

export function renderTransferReport(report: TransferReport): string {
  const { transfer, checks } = report;
  return renderPage({
    title: 'Does the learning rate transfer?',
    content: markup`<header><h1>Does the learning rate transfer?</h1>
<p>Small models are cheap to tune; the question is whether what is found on them serves larger ones. ${transfer ? 'Every model here was trained on the same text from the same seeds; only width and learning rate differ.' : undefined}</p>
${transfer ? tiles(transfer) : undefined}</header>
${transfer ? rateSection(transfer) : undefined}
${checks.map(checkSection)}
${section(
  'settings',
  'Settings',
  inventory(report),
  report.notes.map((note) => markup`<p class="note">${note}</p>`),
)}`,
    footer: markup`Plinth ${report.plinthVersion}. Again with <code>${report.command}</code>`,
  });
}

function tiles({ verdicts, widths }: LearningRateTransfer): Markup {
  return markup`<ul class="tiles">${verdicts.map(({ parametrisation, factor, transfers }) =>
    tile(
      `× ${figures.rate(factor)}`,
      parametrisationName(parametrisation),
      transfers === undefined
        ? 'not known: a sweep ends too early'
        : `between the best rates of widths ${widths[0]} to ${widths.at(-1)}: ${transfers ? 'transfers' : 'does not transfer'}`,
    ),
  )}</ul>`;
}

function rateSection({ curves, verdicts, widths, measure, numSteps, depth }: LearningRateTransfer): Markup {
  return section(
    'rates',
    'Learning rates',
    verdicts.map(
      (verdict) =>
        markup`<p>${verdictSentence(verdict)} With the smallest model's best rate the largest one ${
          Number.isFinite(verdict.lossOfTransfer)
            ? `ends ${figures.precise(verdict.lossOfTransfer)} nats per token above its best.`
            : 'diverges.'
        }</p>`,
    ),
    verdicts.map(({ parametrisation }) => rateChart(ofParametrisation(curves, parametrisation), measure)),
    table({
      caption: 'Best learning rate by width',
      columns: [
        { title: 'Parametrisation' },
        { title: 'Width', kind: 'figure' },
        { title: 'Parameters', kind: 'figure' },
        { title: 'Best rate', kind: 'figure' },
        { title: 'Its loss', kind: 'figure' },
        { title: 'Rates tried', kind: 'figure' },
      ],
      rows: curves.map(({ parametrisation, width, numParameters, best, points }) => [
        parametrisationName(parametrisation),
        figures.whole(width),
        figures.short(numParameters),
        best ? `${figures.rate(best.learningRate)} (${powerOfTwo(best.learningRate)})` : 'diverged',
        figures.precise(best?.loss),
        points.length,
      ]),
    }),
    markup`<p class="note">The best rate is the lowest point of a parabola through the lowest loss and its neighbours, in the logarithm of the rate. Rates under muP and CompleteP are those of the base model: at its size they are the same as standard ones. ${depth} layers, ${figures.whole(numSteps)} steps, widths ${widths.join(', ')}.</p>`,
  );
}

function rateChart(curves: readonly RateCurve[], measure: 'training' | 'validation'): Markup {
  const strength = (i: number) => 0.35 + (0.65 * (i + 1)) / curves.length;
  return svgXyChart({
    title: parametrisationName(curves[0]!.parametrisation),
    x: { label: 'learning rate', kind: 'log' },
    y: { label: `${measure} loss, nats per token` },
    series: curves.flatMap(({ width, points, best }, i) => [
      {
        name: `width ${width}`,
        kind: 'line' as const,
        hue: 'accent' as const,
        strength: strength(i),
        endLabel: String(width),
        points: points.map(({ learningRate, loss }) => ({ x: learningRate, y: loss })),
      },
      {
        name: 'rates tried',
        kind: 'dots' as const,
        hue: 'accent' as const,
        strength: strength(i),
        points: points.map(({ learningRate, loss }) => ({ x: learningRate, y: loss })),
      },
      {
        name: 'best',
        kind: 'mark' as const,
        hue: 'second' as const,
        points: best ? [{ x: best.learningRate, y: best.loss }] : [],
      },
    ]),
  });
}

function checkSection({ axis, sizes, series, numSteps, learningRate, numSeeds }: CoordinateCheck): Markup {
  const kinds = parametrisationsOf(series);
  const hues = ['accent', 'second', 'good', 'quiet', 'text'] as const;
  const layers = [...new Set(series.map(({ layer }) => layer))];
  return section(
    `coordinates-${axis}`,
    `Coordinate check over the ${axis}`,
    markup`<p>The mean absolute value of what layers put out after ${numSteps} steps at rate ${powerOfTwo(learningRate)}. Flat lines mean that a larger model starts to learn as the small one does; lines that rise end in a model that diverges at the small one's rate. What falls slowly is the random part of a small model's updates, which larger ones average out.</p>`,
    table({
      caption: 'Slopes, d log mean |x| / d log size',
      columns: [
        { title: 'Parametrisation' },
        ...layers.map((layer) => ({ title: layer, kind: 'figure' as const })),
        { title: 'In all' },
      ],
      rows: kinds.map((kind) => {
        const own = ofParametrisation(series, kind);
        return [
          parametrisationName(kind),
          ...own.map(({ slopes }) => slopes.at(-1)!.toFixed(2)),
          checkVerdict(own.map(({ verdict }) => verdict)),
        ];
      }),
    }),
    layers.map((layer) =>
      svgXyChart(
        {
          title: layer,
          x: { label: axis, kind: 'log' },
          y: { label: 'mean |x|', kind: 'log' },
          series: kinds.map((kind, i) => ({
            name: parametrisationName(kind),
            kind: 'line' as const,
            hue: hues[i % hues.length]!,
            points: ofParametrisation(series, kind)
              .find((one) => one.layer === layer)!
              .points.map(({ size, meanAbsolute }) => ({ x: size, y: meanAbsolute.at(-1)! })),
          })),
        },
        { height: 150 },
      ),
    ),
    markup`<p class="note">Sizes ${sizes.join(', ')}; ${numSeeds === 1 ? 'one seed' : `mean of ${numSeeds} seeds`}. A slope below 0.15 counts as flat.</p>`,
  );
}

function inventory({ data, model, transfer }: TransferReport): Markup {
  return pairs([
    ['Text', data.description],
    ['Training tokens', figures.whole(data.numTrainTokens)],
    ['Validation tokens', figures.whole(data.numValidationTokens)],
    ['Passes over the text', figures.rate(data.epochs)],
    ['Vocabulary', figures.whole(data.vocabSize)],
    ['Head size', figures.whole(model.headDim)],
    ['Context', `${figures.whole(model.contextLength)} tokens`],
    ['Rows of a batch', figures.whole(model.batchSize)],
    ['Spread of the initial weights', figures.rate(model.initializerRange)],
    ['Output matrix', model.tieWordEmbeddings ? 'tied to the embedding' : 'its own'],
    ...(transfer
      ? ([
          [
            'Optimizer',
            `${transfer.optimizer.name}, weight decay ${figures.rate(transfer.optimizer.weightDecay)}`,
          ],
          ['Schedule', `${transfer.schedule.kind}, ${transfer.schedule.warmupSteps} steps of warm-up`],
        ] as const)
      : []),
  ]);
}
