/** What `plinth scale limits` prints for people: each limit with what is needed and what there is, then when growth meets it. */
import { formatCount } from '../../core/units.ts';
import type { Range } from '../../scaling/cost/index.ts';
import { LARGEST_RUN, type LimitRow, type RunLimits } from '../../scaling/limits/index.ts';
import { columns } from '../terminal/columns.ts';
import { percent, scientific, spread, threeDigits, watts } from './figures.ts';
import type { Work } from './run-options.ts';

export interface LimitsResult {
  readonly work: Work | null;
  readonly tokensRule: string;
  readonly run: RunLimits | null;
  readonly growth: {
    readonly fromFlops: number;
    readonly fromYear: number;
    readonly perYear: number | Range;
    readonly reached: readonly { readonly name: string; readonly flops: Range; readonly year: Range }[];
  };
}

const FORMATS: Readonly<Record<LimitRow['unit'], (value: number) => string>> = {
  tokens: formatCount,
  W: watts,
  TWh: (value) => `${threeDigits(value)} TWh`,
  FLOPs: scientific,
};

const VERDICTS: Readonly<Record<LimitRow['verdict'], string>> = {
  within: 'within',
  depends: 'depends',
  beyond: 'BEYOND',
};

export function limitsText({ work, tokensRule, run, growth }: LimitsResult): string {
  return `${work && run ? runText(work, tokensRule, run) : ''}${growthText(growth)}`;
}

function runText(work: Work, tokensRule: string, run: RunLimits): string {
  const size = work.params === undefined ? '' : `${formatCount(work.params)} parameters`;
  const tokens = work.tokens === undefined ? '' : `${formatCount(work.tokens)} tokens (${tokensRule})`;
  const facts = [size, tokens].filter((fact) => fact !== '').join(', ');
  return (
    `${scientific(work.flops)} FLOPs${facts === '' ? '' : `: ${facts}`}\n\n` +
    `${columns(limitRows(run), 'lllll')}\n\n` +
    `${run.notes.map((note) => `${note}\n`).join('')}` +
    'Typical values with (low - high). "within" and "BEYOND" hold over the whole range, "depends" does not. Shares of a\n' +
    "country's electricity are of one year. Later chips need less: give --accelerator, or --peak and --power-watts.\n\n"
  );
}

/** A heading for each kind with what is needed, then what there is. */
function limitRows(run: RunLimits): string[][] {
  const headings: Readonly<Record<LimitRow['kind'], string>> = {
    data: 'text needed',
    power: `power needed on ${run.accelerator} over ${both(run.days, threeDigits)} days`,
    energy: `electricity needed on ${run.accelerator}`,
    compute: 'compute needed',
  };
  const table: string[][] = [['', 'there is', 'share needed', 'verdict', 'source']];
  let kind: LimitRow['kind'] | undefined;
  for (const row of run.rows) {
    const format = FORMATS[row.unit];
    if (row.kind !== kind) table.push([`${headings[row.kind]}: ${both(row.needed, format)}`]);
    kind = row.kind;
    table.push([
      `  ${row.name}`,
      both(row.available, format),
      both(row.share, percent),
      VERDICTS[row.verdict],
      row.source,
    ]);
  }
  return table;
}

function growthText({ fromFlops, fromYear, perYear, reached }: LimitsResult['growth']): string {
  const start =
    fromFlops === LARGEST_RUN.flops ? `${LARGEST_RUN.name} (${LARGEST_RUN.source})` : 'the given run';
  const factor = typeof perYear === 'number' ? `${perYear}` : `${perYear.low} to ${perYear.high}`;
  const source = typeof perYear === 'number' ? 'given' : 'Sevilla and Roldan 2024 (Epoch AI)';
  const rows = reached.map(({ name, flops, year }) => [
    name,
    both(flops, scientific),
    year.low === year.high
      ? year.typical.toFixed(1)
      : `${year.typical.toFixed(1)} (${spread(year, (y) => y.toFixed(1))})`,
  ]);
  return (
    `If the largest runs grow ${factor} times a year (${source}) from ${start}, ${scientific(fromFlops)} FLOPs in ${fromYear}:\n\n` +
    `${columns([['reached', 'FLOPs', 'year'], ...rows], 'lll')}\n\n` +
    'An extrapolation: the stock of text also grows, by a few percent a year. Villalobos et al. 2024 expect public text to be\n' +
    'used up between 2026 and 2032 (80 % interval).\n'
  );
}

function both(range: Range, format: (value: number) => string): string {
  const ends = spread(range, format);
  return ends === '' ? format(range.typical) : `${format(range.typical)} (${ends})`;
}
