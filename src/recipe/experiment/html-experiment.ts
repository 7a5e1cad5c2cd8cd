/**
 * An experiment's report as one HTML file: no script, no request, nothing outside the file. The matrix comes first;
 * a cell is the darker the more bits it needs than the best of its column.
 */
import * as figures from '../report/figures.ts';
import { renderPage, tile } from '../report/html-page.ts';
import { pairs, section, table } from '../report/html-table.ts';
import { type Markup, type MarkupValue, markup } from '../report/markup.ts';
import { lossChart } from '../report/svg-loss-chart.ts';
import type { ArmReport, Comparison, ExperimentReport, MatrixCell } from './experiment-report.ts';

const STYLE = `
.matrix td { text-align: right; font-variant-numeric: tabular-nums; padding: .5rem .6rem; }
.matrix thead th { white-space: normal; vertical-align: bottom; text-align: right; padding-left: .6rem; padding-right: .6rem; }
.matrix thead th:first-child { text-align: left; padding-left: 0; }
.matrix td { background: color-mix(in srgb, var(--accent-soft) calc(var(--heat) * 100%), transparent); print-color-adjust: exact; }
.matrix small { display: block; white-space: nowrap; }
.matrix td small { color: inherit; font-size: .75rem; }
`;

/** Columns whose values differ by less than this share of the best are not painted darker than that is. */
const LEAST_SPREAD = 0.1;

export function renderExperimentReport(report: ExperimentReport): string {
  return renderPage({
    title: `${report.name}: experiment report`,
    style: STYLE,
    footer: `Written by Plinth ${report.plinthVersion}. Intervals are 95 %, over documents.`,
    content: markup`${headline(report)}
${section('matrix', 'Bits per byte', matrixTable(report))}
${section('differences', `Against ${report.baseline}`, differenceTable(report))}
${section('arms', 'What each arm was trained on', ...armTables(report))}
${dataSection(report)}
${section('curves', 'Training', markup`<div class="figures">${report.arms.map(curve)}</div>`)}
${section('machine', 'Model and machine', inventory(report))}
${section('commands', 'Again', markup`<pre tabindex="0"><code>${report.commands.join('\n')}</code></pre>`)}`,
  });
}

function headline({
  name,
  question,
  description,
  budget,
  arms,
  machine,
  ...report
}: ExperimentReport): Markup {
  return markup`<header>
<h1>${name}</h1>
<p class="lead">${question}</p>
<p>${description}</p>
<p class="meta">Run ${figures.date(report.startedAt)} in ${figures.duration(report.wallSeconds)} (planned ${figures.duration(budget.plannedSeconds)}) on ${machine.cpu}, ${figures.whole(machine.numCores)} ${machine.numCores === 1 ? 'core' : 'cores'}.</p>
</header>
<ul class="tiles">
${tile(figures.whole(arms.length), 'mixes of training text', `${figures.whole(budget.numSeeds)} ${budget.numSeeds === 1 ? 'model' : 'models'} each, one a seed`)}
${tile(figures.short(budget.tokens), 'tokens read by every model', `${figures.whole(budget.steps)} steps, ${figures.short(budget.flops)} floating-point operations`)}
${tile(figures.short(report.model.numParameters), 'parameters', `one vocabulary of ${figures.whole(report.tokenizer.vocabSize)} for all`)}
</ul>
`;
}

function matrixTable({ arms, evaluations, matrix, budget }: ExperimentReport): Markup {
  const cellOf = (arm: string, evaluation: string) =>
    matrix.find((cell) => cell.arm === arm && cell.evaluation === evaluation)!;
  const head = evaluations.map(({ name }) => markup`<th scope="col">${name}</th>`);
  const rows = arms.map(({ name }) => {
    const cells = evaluations.map((evaluation) => {
      const column = matrix.filter((cell) => cell.evaluation === evaluation.name);
      return heatCell(cellOf(name, evaluation.name), column, budget.numSeeds);
    });
    return markup`<tr><th scope="row">${name}</th>${cells}</tr>\n`;
  });
  return markup`<p>Rows are mixes of training text, columns held-out texts. Lower is better; a cell is the darker the more bits it needs than the best of its column.${
    budget.numSeeds > 1 ? ' A figure is the mean of the seeds; below it their range.' : undefined
  }</p>
<div class="scroll matrix" tabindex="0" role="group" aria-label="Bits per byte"><table><thead><tr><th scope="col">Trained on</th>${head}</tr></thead><tbody>
${rows}</tbody></table></div>
<p class="note">Bits per byte of text in windows of the model's context; a document's first token is not counted.</p>`;
}

function heatCell(cell: MatrixCell, column: readonly MatrixCell[], numSeeds: number): Markup {
  const values = column.map(({ value }) => value);
  const best = Math.min(...values);
  const spread = Math.max(Math.max(...values) - best, LEAST_SPREAD * best);
  const heat = Number.isFinite(cell.value) ? (cell.value - best) / spread : 0;
  const range =
    numSeeds > 1
      ? markup`<small>${figures.preciseInterval([Math.min(...cell.bySeed), Math.max(...cell.bySeed)])}</small>`
      : undefined;
  return markup`<td style="--heat:${heat.toFixed(3)}">${figures.precise(cell.value)}${range}</td>`;
}

function differenceTable({ comparisons, baseline }: ExperimentReport): Markup {
  return markup`<p>How many bits per byte more (+) or fewer (−) than ${baseline} on the same documents, drawn in pairs. Bold: the interval does not hold 0, and all seeds agree on the sign. Of the others this experiment cannot tell.</p>${table(
    {
      columns: [
        { title: 'Trained on' },
        { title: 'Held-out text' },
        { title: 'Difference', kind: 'figure' },
        { title: 'Interval', kind: 'figure' },
        { title: 'Seed by seed', kind: 'figure' },
      ],
      rows: comparisons.map((one) => [
        one.arm,
        one.evaluation,
        isCertain(one) ? markup`<strong>${figures.signed(one.value)}</strong>` : figures.signed(one.value),
        signedInterval(one),
        one.bySeed.map((value) => figures.signed(value)).join(', '),
      ]),
    },
  )}`;
}

function isCertain({ value, interval: [low, high], bySeed }: Comparison): boolean {
  return (low > 0 || high < 0) && bySeed.every((one) => Math.sign(one) === Math.sign(value));
}

function signedInterval({ interval: [low, high] }: Comparison): string {
  return Number.isFinite(low) && Number.isFinite(high)
    ? `${figures.signed(low)} to ${figures.signed(high)}`
    : '–';
}

function armTables({ arms }: ExperimentReport): MarkupValue[] {
  return arms.map(
    ({ name, description, parts }) =>
      markup`<h3>${name}</h3><p>${description}</p>${table({
        columns: [
          { title: 'Part' },
          { title: 'Documents', kind: 'figure' },
          { title: 'Text', kind: 'figure' },
          { title: 'Tokens', kind: 'figure' },
          { title: 'Share of training', kind: 'figure' },
          { title: 'Epochs', kind: 'figure' },
        ],
        rows: parts.map((part) => [
          part.name,
          figures.whole(part.numDocuments),
          figures.bytes(part.numBytes),
          figures.whole(part.numTokens),
          figures.percent(part.share),
          figures.rate(part.epochs),
        ]),
      })}`,
  );
}

function dataSection({ sources, evaluations, cleaning, notes }: ExperimentReport): Markup {
  return section(
    'data',
    'Texts',
    notes.map((note) => markup`<p>${note}</p>`),
    table({
      columns: [{ title: 'Source' }, { title: 'Licence' }],
      rows: sources.map(({ name, licence }) => [name, licence]),
    }),
    markup`<h3>Held out</h3>`,
    table({
      columns: [
        { title: 'Text' },
        { title: 'What it is' },
        { title: 'Documents', kind: 'figure' },
        { title: 'Text', kind: 'figure' },
      ],
      rows: evaluations.map(({ name, description, numDocuments, numBytes }) => [
        name,
        description,
        figures.whole(numDocuments),
        figures.bytes(numBytes),
      ]),
    }),
    cleaning.length === 0
      ? undefined
      : markup`<h3>Cleaning, step by step</h3>${table({
          columns: [
            { title: 'Step' },
            { title: 'Documents', kind: 'figure' },
            { title: 'Kept', kind: 'figure' },
            { title: 'Text', kind: 'figure' },
            { title: 'Kept', kind: 'figure' },
          ],
          rows: cleaning.map(({ name, documents, bytes }) => [
            name,
            figures.whole(documents.in),
            figures.whole(documents.out),
            figures.bytes(bytes.in),
            figures.bytes(bytes.out),
          ]),
        })}<h3>Documents dropped, by rule</h3>${pairs(
          cleaning.flatMap(({ dropped }) =>
            Object.entries(dropped).map(
              ([rule, count]) => [figures.words(rule), figures.whole(count)] as const,
            ),
          ),
        )}`,
  );
}

/** The first seed's loss. */
function curve({ name, models }: ArmReport): Markup {
  const model = models[0]!;
  const points = model.losses.map(({ step, loss }) => ({
    step,
    loss,
    learningRate: Number.NaN,
    gradientNorm: Number.NaN,
    tokensPerSecond: Number.NaN,
  }));
  return markup`<figure><figcaption><strong>${name}</strong> <span class="key train-key">training loss, seed ${model.seed}</span></figcaption>
${lossChart({ stage: name, points, validation: [] })}
<p class="note">Nats per token of its own mix: curves of different arms are not to be compared.</p></figure>
`;
}

function inventory({ model, tokenizer, machine, budget, settings, peakRssBytes }: ExperimentReport): Markup {
  return pairs([
    ['Parameters', figures.whole(model.numParameters)],
    ['Hidden size, layers', `${figures.whole(model.hiddenSize)}, ${figures.whole(model.numLayers)}`],
    ['Context', `${figures.whole(model.contextLength)} tokens`],
    ['Vocabulary', figures.whole(tokenizer.vocabSize)],
    ['Steps of each model', figures.whole(budget.steps)],
    ['Tokens of each model', figures.whole(budget.tokens)],
    ['Operations of each model', figures.short(budget.flops)],
    ['Rows of a batch', String(settings.batchSize)],
    ['Asked for', `${figures.rate(budget.minutes)} min`],
    ['Processor', machine.cpu],
    ['Threads used', figures.whole(machine.numThreads)],
    ['Matrix product', `${figures.rate(machine.sgemmGflops)} GFLOP/s`],
    ['Peak memory', figures.bytes(peakRssBytes)],
    ['Runtime', machine.runtime],
  ]);
}
