/** `plinth plan --html`: the same figures as in the terminal, as a page. */
import { formatCount, formatDuration } from '../../core/units.ts';
import type { MachinePlan } from '../../recipe/machine-plan.node.ts';
import { renderPage, tile } from '../../recipe/report/html-page.ts';
import { section, table } from '../../recipe/report/html-table.ts';
import { markup } from '../../recipe/report/markup.ts';
import { svgXyChart } from '../../recipe/report/svg-xy-chart.ts';
import {
  budgetText,
  planChart,
  planRows,
  type ShownBudget,
  SIZE_HEAD,
  sizeRows,
  TRADE_OFF_HEAD,
  tradeOffRows,
} from './plan-text.ts';

export function planPage(plan: MachinePlan, budget: ShownBudget, recipe: string | undefined): string {
  const { chosen, law, seconds } = plan;
  const title = `Plan${recipe === undefined ? '' : ` of ${recipe}`} for ${budgetText(budget)}`;
  const [low, high] = chosen.loss.interval ?? [];
  return renderPage({
    title,
    footer: `Law "${law.law.name}": ${law.law.source}.`,
    content: markup`<h1>${title}</h1>
<ul class="tiles">${tile(formatCount(chosen.params), 'parameters', `width ${chosen.shape.hiddenSize}, ${chosen.shape.numLayers} layers`)}${tile(formatCount(chosen.tokens), 'tokens of pre-training', `${chosen.numSteps} steps`)}${tile(formatDuration(seconds), 'in all', '')}${tile(chosen.loss.loss.toFixed(2), 'expected loss', low === undefined ? '' : `95 %: ${low.toFixed(2)} to ${high!.toFixed(2)}`)}</ul>
${section('settings', 'What the plan fixes', figureTable(['', ''], planRows(plan), false))}
${section('sizes', 'The same budget at other sizes', svgXyChart(planChart(plan)), figureTable(SIZE_HEAD, sizeRows(plan)))}
${plan.tradeOff ? section('serving', 'The same loss at smaller sizes', figureTable(TRADE_OFF_HEAD, tradeOffRows(plan)), markup`<p class="note">FLOPs, with ${formatCount(plan.tradeOff.servedTokens)} tokens served.</p>`) : undefined}`,
  });
}

function figureTable(head: readonly string[], rows: readonly (readonly string[])[], hasFigures = true) {
  return table({
    columns: head.map((title, i) => ({ title, ...(hasFigures && i > 0 && { kind: 'figure' as const }) })),
    rows: rows.map((row) => [...row]),
  });
}
