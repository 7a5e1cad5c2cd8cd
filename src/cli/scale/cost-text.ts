/** What `plinth scale cost` prints for people: the cost of a run, the table of accelerators, the worked example. */
import { formatBytes, formatCount } from '../../core/units.ts';
import type {
  Accelerator,
  Gpt3Example,
  PublishedComparison,
  Range,
  ServingCost,
  TrainingCost,
} from '../../scaling/cost/index.ts';
import { columns } from '../terminal/columns.ts';
import { groupedDigits } from '../terminal/grouped-digits.ts';
import {
  assumptionTable,
  carbon,
  dollars,
  dollarsAndCents,
  duration,
  kilowattHours,
  percent,
  scientific,
  spread,
  threeDigits,
  watts,
} from './figures.ts';
import type { Work } from './run-options.ts';

const EPOCH_TABLES =
  'Epoch AI, machine learning hardware, https://epoch.ai/data/machine-learning-hardware, CC BY 4.0';

type Row = readonly [name: string, range: Range | null, format: (value: number) => string];

function figures(rows: readonly Row[]): string {
  return columns(
    [
      ['', 'typical', 'range'],
      ...rows.map(([name, range, format]) =>
        range ? [name, format(range.typical), spread(range, format)] : [name, 'not known', ''],
      ),
    ],
    'lrl',
  );
}

export function trainingText(work: Work, cost: TrainingCost): string {
  const size = work.params === undefined ? '' : ` of ${formatCount(work.params)} parameters`;
  const tokens = work.tokens === undefined ? '' : ` on ${formatCount(work.tokens)} tokens`;
  const lines = [
    `${scientific(work.flops)} FLOPs${size || tokens ? `: a run${size}${tokens}` : ''} (${work.rule}), on ` +
      `${formatCount(cost.numAccelerators)} x ${cost.accelerator}`,
    '',
    figures([
      ['at work, each', cost.flopsPerSecond, (value) => `${formatCount(value)}FLOP/s`],
      ['accelerator-hours', cost.acceleratorHours, formatCount],
      ['time', cost.days, duration],
      ['price', cost.dollars, dollars],
      ['power of the site', cost.siteWatts, watts],
      ['electricity', cost.energyKWh, kilowattHours],
      ['carbon', cost.carbonKg, carbon],
    ]),
    '',
    assumptionTable(cost.assumptions),
    '',
    ...cost.notes,
    'FLOPs are an amount, FLOP/s a rate: time = FLOPs / (peak x utilization x accelerators). A range goes from all',
    'favourable to all unfavourable assumptions. Not counted: storage, network, staff, failed and smaller runs.',
  ];
  return `${lines.join('\n')}\n`;
}

export function servingText(cost: ServingCost, load: { batch: number; contextTokens: number }): string {
  const { boundBy, computeBoundBatch, maxBatch } = cost;
  const crossing =
    computeBoundBatch === null
      ? 'reading the caches takes longer than computing at any batch'
      : `computing takes longer from a batch of ${formatCount(computeBoundBatch)} on`;
  const lines = [
    `Serving ${groupedDigits(load.batch)} sequences of ${groupedDigits(load.contextTokens)} tokens on ` +
      `${cost.numAccelerators} x ${cost.accelerator}`,
    '',
    figures([
      ['generated tokens/s', cost.tokensPerSecond, formatCount],
      ['  of each sequence', cost.tokensPerSecondEach, threeDigits],
      ['prompt tokens/s', cost.promptTokensPerSecond, formatCount],
      ['a million generated', cost.dollarsPerMillionTokens, dollars],
      ['a million of prompt', cost.dollarsPerMillionPromptTokens, dollars],
    ]),
    '',
    `Bound by ${boundBy === 'bandwidth' ? 'memory bandwidth' : 'computing'}; ${crossing}.`,
    `Memory: ${formatBytes(cost.neededBytes)} of ${formatBytes(cost.memoryBytes)}` +
      `${maxBatch === null ? '' : `; the largest batch of this length is ${formatCount(maxBatch)}`}.`,
    '',
    assumptionTable(cost.assumptions),
    '',
    ...cost.notes,
    'Not counted: communication between accelerators, hours without requests, speculative decoding, shared prompts.',
  ];
  return `${lines.join('\n')}\n`;
}

const TERAFLOPS = ['bf16', 'fp16', 'fp32', 'fp8', 'fp4'] as const;

export function acceleratorTable(accelerators: readonly Accelerator[]): string {
  const cell = (value: number | null | undefined, scale: number) =>
    value === null || value === undefined ? '-' : String(Number((value / scale).toPrecision(4)));
  const rows = accelerators.map(({ id, name, released, peakFlops, memoryBytes, price, note, ...rest }) => [
    id,
    name,
    released,
    ...TERAFLOPS.map((format) => cell(peakFlops[format], 1e12)),
    cell(memoryBytes, 1e9),
    cell(rest.bandwidthBytesPerSecond, 1e12),
    cell(rest.powerWatts, 1),
    price ? price.typical.toFixed(2) : '-',
    price ? spread(price, (value) => value.toFixed(2)) : '',
    price ? price.to : '',
    note,
  ]);
  const header = [
    'id',
    'name',
    'released',
    ...TERAFLOPS,
    'GB',
    'TB/s',
    'W',
    '$/h',
    'range',
    'priced',
    'note',
  ];
  return (
    `${columns([header, ...rows], 'lllrrrrrrrrrlll')}\n\n` +
    'TFLOP/s for dense matrices by number format; "-": the chip does not have it, or no public figure.\n' +
    `Figures: data sheets of the makers, checked against ${EPOCH_TABLES}.\n` +
    '$/h: median over vendors of the latest on-demand price, with the extremes; "priced" is the newest date. Prices fall\n' +
    "and differ by a factor of 4 between vendors; give your own with --price. Source: Epoch AI's table of prices, CC BY 4.0.\n"
  );
}

export function gpt3ExampleText(example: Gpt3Example): string {
  const { usual, densePeak } = example;
  const teraflops = (value: number) => `${(value / 1e12).toFixed(1)} TFLOP/s`;
  const rows: string[][] = [
    ['', 'as usually worked out', 'with the peak of training'],
    [
      'peak of one H100',
      `${teraflops(usual.peakFlops)} (5.2e18 a day)`,
      `${teraflops(densePeak.peakFlops)} (dense BF16)`,
    ],
    [
      'days at 100 %',
      `${usual.daysAtPeak.toFixed(3)}, taken as ${usual.roundedDays}`,
      densePeak.daysAtPeak.toFixed(2),
    ],
    ['days at 70 %', `${usual.days.toFixed(1)}, or ${usual.lastDay} begun`, densePeak.days.toFixed(1)],
    ['price', dollarsAndCents(usual.dollars), dollarsAndCents(densePeak.dollars)],
    ['price, days unrounded', dollarsAndCents(usual.dollarsUnrounded), dollarsAndCents(densePeak.dollars)],
  ];
  return (
    `GPT-3: ${scientific(example.flops)} FLOPs on ${example.numAccelerators} H100 at $${example.pricePerHour} an hour, 70 % utilization\n\n` +
    `${columns(rows, 'lll')}\n\n${example.explanation.map((line) => `- ${line}\n`).join('')}`
  );
}

export function publishedText(comparisons: readonly PublishedComparison[]): string {
  const beside = (ours: number | null, theirs: number | undefined, format: (value: number) => string) =>
    ours === null ? '-' : theirs === undefined ? format(ours) : `${format(theirs)} / ${format(ours)}`;
  const rows = comparisons.map(({ run, impliedUtilization, estimate, recomputed }) => [
    run.name,
    scientific(run.flops),
    run.accelerator,
    formatCount(run.acceleratorHours),
    spread(estimate.acceleratorHours, formatCount),
    percent(impliedUtilization),
    beside(recomputed.dollars, run.dollars, dollars),
    beside(recomputed.energyKWh, run.energyKWh, kilowattHours),
    beside(recomputed.carbonKg, run.carbonKg, carbon),
  ]);
  const header = [
    'run',
    'FLOPs',
    'chip',
    'hours',
    'hours by default terms',
    'MFU',
    'dollars',
    'electricity',
    'carbon',
  ];
  return (
    `${columns([header, ...rows], 'lllrlrlll')}\n\n` +
    'hours, and the first of each pair, are published; the second is computed from the same power, PUE and grid. MFU is of\n' +
    `the whole run, restarts included, against the dense BF16 (V100: FP16) peak.\n\n${comparisons
      .map(({ run }) => `- ${run.name}: ${run.source}; FLOPs: ${run.flopsSource}.\n`)
      .join('')}`
  );
}
