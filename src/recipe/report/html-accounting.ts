/** Where the time and the arithmetic of a training went, by stage. */
import type { Range } from '../../scaling/cost/index.ts';
import type { Accounting, StageAccount } from '../accounting.ts';
import * as figures from './figures.ts';
import { table } from './html-table.ts';
import { type Markup, markup } from './markup.ts';
import { shareBar, shareKey } from './svg-share-bar.ts';

/** Nothing for reports that hold no accounts. */
export function accountingTable(accounting: Accounting | undefined): Markup | undefined {
  if (!accounting || accounting.stages.length === 0) return undefined;
  const { stages, total, terms } = accounting;
  const bar = (share: (stage: StageAccount) => number, name: string) =>
    shareBar(
      stages.map((stage) => ({ name: figures.words(stage.stage), share: share(stage) })),
      name,
    );
  const hasDollars = total.dollars !== null;
  return markup`<h3>What it took</h3>
<div class="share-row"><span>Time</span>${bar(({ shareOfSeconds }) => shareOfSeconds, 'Time')}</div>
<div class="share-row"><span>Arithmetic</span>${bar(({ shareOfFlops }) => shareOfFlops, 'Arithmetic')}</div>
${table({
  columns: [
    { title: 'Stage' },
    { title: 'Time', kind: 'figure' },
    { title: 'Share', kind: 'figure' },
    { title: 'FLOPs', kind: 'figure' },
    { title: 'Share', kind: 'figure' },
    { title: 'Tokens trained', kind: 'figure' },
    { title: 'Generated', kind: 'figure' },
    ...(hasDollars ? [{ title: 'US cents', kind: 'figure' } as const] : []),
  ],
  rows: [
    ...stages.map((stage, i) => [
      markup`${shareKey(i)} ${figures.words(stage.stage)}`,
      figures.duration(stage.seconds),
      figures.percent(stage.shareOfSeconds),
      stage.flops > 0 ? figures.short(stage.flops) : '',
      stage.flops > 0 ? figures.percent(stage.shareOfFlops) : '',
      stage.training ? figures.short(stage.training.tokens) : '',
      stage.generation ? figures.short(stage.generation.tokens) : '',
      ...(hasDollars ? [stage.flops > 0 ? cents(stage.dollars) : ''] : []),
    ]),
    [
      'All stages',
      figures.duration(total.seconds),
      '',
      figures.short(total.flops),
      '',
      figures.short(sum(stages, ({ training }) => training?.tokens)),
      figures.short(sum(stages, ({ generation }) => generation?.tokens)),
      ...(hasDollars ? [cents(total.dollars)] : []),
    ],
  ],
  hasTotal: true,
})}<p class="note">FLOPs of training are those of the compiled programs' matrix products; of generating and scoring they are counted from the model's shape.${
    total.dollars
      ? markup` Cents are what as much arithmetic costs on a rented ${terms.accelerator}, from ${figures.rate(100 * total.dollars.low)} to ${figures.rate(100 * total.dollars.high)} in all; they stand on ${priceSources(terms.assumptions)}.`
      : undefined
  }</p>`;
}

const cents = (range: Range | null) => figures.rate(range && 100 * range.typical);

/** What a price stands on; the others are for energy and carbon. */
const OF_THE_PRICE = /^(dense peak|utilization|price)/;

function priceSources(assumptions: Accounting['terms']['assumptions']): string {
  return assumptions
    .filter(({ name }) => OF_THE_PRICE.test(name))
    .map(({ name, source }) => `the ${name} (${source})`)
    .join(', ');
}

function sum(stages: readonly StageAccount[], of: (stage: StageAccount) => number | undefined): number {
  return stages.reduce((total, stage) => total + (of(stage) ?? 0), 0);
}
