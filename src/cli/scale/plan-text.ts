/** A plan in words: for the terminal, and the rows and the chart that the page shows too. */
import { formatBytes, formatCount, formatDuration } from '../../core/units.ts';
import type { MachinePlan } from '../../recipe/machine-plan.node.ts';
import type { XyChart } from '../../recipe/report/xy-chart.ts';
import type { SizePlan } from '../../scaling/plan/index.ts';
import { columns } from '../terminal/columns.ts';
import { scientific } from './figures.ts';

export type ShownBudget =
  | { readonly minutes: number }
  | { readonly flops: number }
  | { readonly tokens: number }
  | { readonly loss: number };

export function budgetText(budget: ShownBudget): string {
  if ('minutes' in budget) return `${formatDuration(budget.minutes * 60)} on this machine`;
  if ('flops' in budget) return `${scientific(budget.flops)} FLOPs`;
  if ('tokens' in budget) return `${formatCount(budget.tokens)} tokens`;
  return `a loss of ${budget.loss}`;
}

export function lossText({ loss }: SizePlan): string {
  const [low, high] = loss.interval ?? [];
  return loss.loss.toFixed(3) + (low === undefined ? '' : ` (${low.toFixed(2)} to ${high!.toFixed(2)})`);
}

/** Name and value of everything that the plan fixes. */
export function planRows(plan: MachinePlan): [string, string][] {
  const { machine, settings, chosen, law, finetuningSteps, seconds } = plan;
  const { pretrainOptimizer: optimizer, pretrainSchedule: schedule } = settings;
  const epochs = chosen.epochs === undefined ? '' : `, ${chosen.epochs.toPrecision(2)} passes over the data`;
  return [
    [
      'Machine',
      `${Math.round(machine.gflops)} GFLOP/s of matrix products${machine.isMeasured ? ', measured' : ', as given'}; a step takes ${(chosen.secondsPerStep * 1000).toPrecision(3)} ms`,
    ],
    [
      'Model',
      `${formatCount(chosen.params)} parameters: width ${settings.hiddenSize}, ${settings.numLayers} layers, ${settings.numHeads} heads, MLP ${settings.intermediateSize}`,
    ],
    ['Vocabulary', `${settings.vocabSize} tokens; context ${settings.contextLength}`],
    ['Pre-training', `${chosen.numSteps} steps, ${formatCount(chosen.tokens)} tokens${epochs}`],
    ...(finetuningSteps > 0 ? [['Finetuning', `${finetuningSteps} steps`] as [string, string]] : []),
    [
      'Batch',
      `${settings.batchSize} sequences, ${formatCount(settings.batchSize * settings.contextLength)} tokens`,
    ],
    [
      'Learning rate',
      `${Number(optimizer.learningRate.toPrecision(3))} (${optimizer.name}), ${schedule.warmupSteps} steps of warm-up, the last ${Math.round(schedule.decayShare * 100)} % down to ${schedule.finalShare}`,
    ],
    ['Time', `${formatDuration(seconds)}${finetuningSteps > 0 ? ' in all' : ''}`],
    ['Compute', `${scientific(chosen.flops)} FLOPs of pre-training`],
    ['Memory', `about ${formatBytes(chosen.memoryBytes)} for a step`],
    ['Expected loss', `${lossText(chosen)} nats a token, validation after pre-training`],
    ['By the law', `"${law.law.name}": ${law.law.source}`],
  ];
}

export const SIZE_HEAD = ['parameters', 'width', 'layers', 'steps', 'tokens', 'time', 'loss'] as const;
const NUM_NEIGHBOURS = 3;

/** The chosen size between its neighbours, for the same budget. */
export function sizeRows({ sizes, chosen }: MachinePlan): string[][] {
  const at = sizes.findIndex(({ params }) => params === chosen.params);
  const shown = at < 0 ? [chosen] : sizes.slice(Math.max(0, at - NUM_NEIGHBOURS), at + NUM_NEIGHBOURS + 1);
  return shown.map((plan) => sizeRow(plan, plan.params === chosen.params));
}

function sizeRow(plan: SizePlan, isChosen: boolean): string[] {
  return [
    `${isChosen ? '> ' : '  '}${formatCount(plan.params)}`,
    String(plan.shape.hiddenSize),
    String(plan.shape.numLayers),
    String(plan.numSteps),
    formatCount(plan.tokens),
    formatDuration(plan.seconds),
    plan.loss.loss.toFixed(3),
  ];
}

export const TRADE_OFF_HEAD = [
  'parameters',
  'tokens',
  'training',
  'serving',
  'together',
  'cheaper from',
] as const;

/** The same loss at smaller sizes, with what training and serving take. */
export function tradeOffRows({ tradeOff }: MachinePlan): string[][] {
  return (tradeOff?.choices ?? []).map((choice) => [
    `${choice === tradeOff!.best ? '> ' : '  '}${formatCount(choice.plan.params)}`,
    formatCount(choice.plan.tokens),
    scientific(choice.plan.flops),
    scientific(choice.servingFlops),
    scientific(choice.totalFlops),
    choice.plan === tradeOff!.choices[0]!.plan ? '-' : `${formatCount(choice.breakEvenTokens)} served`,
  ]);
}

export function planText(plan: MachinePlan, budget: ShownBudget, recipe: string | undefined): string {
  const rows = planRows(plan);
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  const parts = [
    `Plan${recipe === undefined ? '' : ` of ${recipe}`} for ${budgetText(budget)}`,
    '',
    ...rows.map(([name, value]) => `  ${name.padEnd(width)}${value}`),
    '',
    plan.finetuningSteps > 0
      ? 'All steps, pre-training and finetuning, at this and other sizes'
      : 'The same budget at other sizes',
    '',
    columns([[...SIZE_HEAD], ...sizeRows(plan)], 'rrrrrrr').replace(/^/gm, '  '),
  ];
  if (plan.numTooLarge > 0) parts.push('', `${plan.numTooLarge} larger sizes would not fit into memory.`);
  if (plan.tradeOff) {
    parts.push(
      '',
      `The same loss at smaller sizes, with ${formatCount(plan.tradeOff.servedTokens)} tokens served (FLOPs)`,
      '',
      columns([[...TRADE_OFF_HEAD], ...tradeOffRows(plan)], 'rrrrrr').replace(/^/gm, '  '),
    );
  }
  return `${parts.join('\n')}\n`;
}

/** Expected loss of every size with the same budget, the chosen one marked. */
export function planChart({ sizes, chosen: planned }: MachinePlan): XyChart {
  // With the whole budget, as the other sizes have it.
  const chosen = sizes.find(({ params }) => params === planned.params) ?? planned;
  const near = sizes.filter(({ loss }) => loss.loss < 2.5 * chosen.loss.loss);
  const hasBand = near.length > 0 && near.every(({ loss }) => loss.interval !== undefined);
  return {
    title: 'Expected loss by size with this budget',
    x: { label: 'parameters', kind: 'log' },
    y: { label: 'loss, nats a token' },
    series: [
      ...(hasBand
        ? [
            {
              name: '95 %',
              kind: 'band' as const,
              points: near.map(({ params, loss }) => ({
                x: params,
                y: loss.loss,
                low: loss.interval![0],
                high: loss.interval![1],
              })),
            },
          ]
        : []),
      {
        name: 'expected loss',
        kind: 'line',
        points: near.map(({ params, loss }) => ({ x: params, y: loss.loss })),
      },
      {
        name: 'the plan',
        kind: 'mark',
        points: [{ x: chosen.params, y: chosen.loss.loss, label: formatCount(chosen.params) }],
      },
    ],
    summary: `The loss is lowest, ${chosen.loss.loss.toFixed(3)}, at ${formatCount(chosen.params)} parameters.`,
  };
}
