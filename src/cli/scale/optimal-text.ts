/** What `plinth scale optimal` prints: the best model, the same budget under every law, and what else was asked. */
import { formatCount } from '../../core/units.ts';
import type {
  Budget,
  DataConstrainedPoint,
  EpochWorth,
  Interval,
  LawComparison,
  Optimum,
  OptimumIntervals,
  ServingTradeOff,
  UncertainLaw,
} from '../../scaling/laws/index.ts';
import { columns } from '../terminal/columns.ts';
import { percent, scientific, threeDigits } from './figures.ts';

export type OptimumWithIntervals = Optimum & { readonly intervals?: OptimumIntervals };

/** FLOPs in powers of ten, everything else with a suffix; what never ends is "without end". */
export const amount = (value: number): string =>
  Number.isFinite(value) ? formatCount(value) : 'without end';
export const compute = (value: number): string =>
  Number.isFinite(value) ? scientific(value) : 'without end';
export const loss = (value: number): string => value.toFixed(3);

export function between(interval: Interval | undefined, format: (value: number) => string): string {
  if (interval === undefined || interval[0] === interval[1]) return '';
  return `${format(interval[0])} - ${format(interval[1])}`;
}

export const ROUNDING_NOTE =
  "'hoffmann' and 'hoffmann-unrounded' are one fit, printed with two digits and with all of them: rounding beta from 0.2849 to 0.28 " +
  'moves tokens per parameter at 5.76e23 FLOPs from 59 to 93. Both contradict the 20 tokens per parameter of the same paper, which come ' +
  "from its approaches 1 and 2 ('chinchilla-1', 'chinchilla-2'): the optimizer of that fit stopped early. 'epoch' fits the same runs to " +
  'the end and agrees with the 20 (Besiroglu et al. 2024). Kaplan counted no embeddings and trained small models.';

export const ASSUMPTIONS =
  'Training FLOPs are 6 x parameters x tokens, without attention over the context; one pass over unique tokens. Losses are of the ' +
  'law\'s own text and tokenizer and do not carry over to yours: fit your own runs with "plinth scale fit".';

export function budgetText(budget: Budget): string {
  if ('flops' in budget) return `${scientific(budget.flops)} training FLOPs`;
  if ('params' in budget) return `${formatCount(budget.params)} parameters`;
  if ('tokens' in budget) return `${formatCount(budget.tokens)} tokens`;
  if ('loss' in budget) return `a loss of ${budget.loss}`;
  return `$${budget.dollars}`;
}

/** Names, values and intervals of the best model. */
export function optimumRows({ intervals, ...optimum }: OptimumWithIntervals): [string, string, string][] {
  return [
    ['parameters', amount(optimum.params), between(intervals?.params, amount)],
    ['tokens', amount(optimum.tokens), between(intervals?.tokens, amount)],
    [
      'tokens per parameter',
      threeDigits(optimum.tokensPerParameter),
      between(intervals?.tokensPerParameter, threeDigits),
    ],
    ['training FLOPs', compute(optimum.flops), between(intervals?.flops, compute)],
    ['loss, nats a token', loss(optimum.loss), between(intervals?.loss, loss)],
  ];
}

export function comparisonRows(laws: readonly LawComparison[]): string[][] {
  return laws.map(({ name, optimum, reason, paramsInterval, coverage }) =>
    optimum === null
      ? [name, '-', '-', '-', '-', reason ?? '']
      : [
          name,
          amount(optimum.params),
          amount(optimum.tokens),
          threeDigits(optimum.tokensPerParameter),
          optimum.loss === null ? '-' : loss(optimum.loss),
          paramsInterval === undefined
            ? ''
            : `${between(paramsInterval, amount)}${coverage === undefined ? '' : ` (${100 * coverage} %)`}`,
        ],
  );
}

export const COMPARISON_HEAD = [
  'law',
  'parameters',
  'tokens',
  'tokens/parameter',
  'loss',
  'interval of parameters',
];

export function optimalText(
  law: UncertainLaw,
  budget: string,
  optimum: OptimumWithIntervals,
  laws: readonly LawComparison[],
): string {
  const hasIntervals = optimum.intervals !== undefined;
  return (
    `Best model for ${budget}, by the law '${law.law.name}'\n(${law.law.source}):\n\n` +
    `${columns([['', 'best', hasIntervals ? '95 %' : ''], ...optimumRows(optimum)], 'lrl')}\n\n` +
    `The same under every law:\n\n${columns([COMPARISON_HEAD, ...comparisonRows(laws)], 'lrrrrl')}\n`
  );
}

export function servingText(
  { best, trainingOptimum, savedShare, intervals }: ServingTradeOff,
  served: number,
): string {
  const row = (name: string, point: typeof best) => [
    name,
    amount(point.params),
    amount(point.tokens),
    threeDigits(point.tokensPerParameter),
    compute(point.flops),
    compute(point.totalFlops),
  ];
  const saved = intervals === undefined ? '' : ` (95 %: ${between(intervals.savedShare, percent)})`;
  return (
    `The same loss, ${loss(best.loss)}, when ${amount(served)} tokens will be served (2 FLOPs for a parameter and token):\n\n` +
    `${columns(
      [
        ['', 'parameters', 'tokens', 'tokens/parameter', 'training FLOPs', 'with serving'],
        row('least training', trainingOptimum),
        row('least in all', best),
      ],
      'lrrrrr',
    )}\n\n` +
    `The smaller model saves ${percent(savedShare)}${saved} of training and serving together (Sardana et al. 2024).\n`
  );
}

export function dataText(point: DataConstrainedPoint, free: Optimum, worths: readonly EpochWorth[]): string {
  const { epochs, uniqueTokens } = point;
  const verdict =
    epochs <= 1
      ? `${amount(uniqueTokens)} unique tokens are enough for one pass.`
      : `With ${amount(uniqueTokens)} unique tokens the best is ${threeDigits(epochs)} epochs of a model of ${amount(point.params)} parameters: ` +
        `loss ${loss(point.loss)} instead of ${loss(free.loss)} with endless data. ` +
        `${amount(point.tokens)} tokens seen count as ${amount(point.effectiveTokens)} new ones; in the last epoch a token is worth ` +
        `${percent(point.lastTokenWorth)} of a new one.`;
  return `${verdict}\n\n${columns(
    [
      ['epochs', 'count as new', 'average worth', 'worth at the end'],
      ...worths.map((worth) => [
        String(worth.epochs),
        amount(worth.effectiveTokens),
        percent(worth.averageWorth),
        percent(worth.lastTokenWorth),
      ]),
    ],
    'rrrr',
  )}\n\nRepetition decays as in Muennighoff et al. 2023 (R*_D 15.39, R*_N 5.31; fitted with dropout and weight decay; no interval is printed).\n`;
}
