/** What the preference stage changed: behaviour before and after, on the same questions, with intervals. */
import { type BehaviourText, behaviourText } from './behaviour-texts.ts';
import * as figures from './figures.ts';
import { pairs, section, table } from './html-table.ts';
import { type Markup, markup } from './markup.ts';
import type { BehaviourChange, EstimateWithInterval, Report } from './report.ts';

export function preferenceSection({ preference }: Report): Markup | undefined {
  if (!preference) return undefined;
  const { numQuestions, numAnswers, temperature, numPairs, pairsByFault, changes } = preference;
  const faults = Object.entries(pairsByFault).toSorted((a, b) => b[1] - a[1]);
  return section(
    'preference',
    'Before and after preferences',
    markup`<p>The finetuned model answered ${figures.whole(numQuestions)} training questions, ${figures.rate(numAnswers / numQuestions)} times each at temperature ${figures.rate(temperature)}. Answers that are out of form, wrong or made up were set against the right answer or a refusal: ${figures.whole(numPairs)} pairs, from which the model learnt what to prefer (DPO).</p>`,
    table({
      columns: [
        { title: '' },
        { title: 'Before', kind: 'figure' },
        { title: 'Interval', kind: 'figure' },
        { title: 'After', kind: 'figure' },
        { title: 'Interval', kind: 'figure' },
        { title: 'Change', kind: 'figure' },
        { title: 'Interval', kind: 'figure' },
        { title: 'Answers', kind: 'figure' },
      ],
      rows: changes.map(changeRow),
    }),
    markup`<p class="note">Both models were asked the same questions, none of which was trained on in that wording; changes are paired. An answer has the right form when it is one line that ends by itself, repeats nothing, and looks like an answer of its attribute: a number with its unit, one of a few choices, a code of the right shape, no longer than answers are. The calibration error is how far the probability of an answer is from the share that is right. Open prompts are the beginnings of statements.</p>`,
    markup`<h3>Pairs by what was wrong with the rejected answer</h3>`,
    pairs(faults.map(([fault, count]) => [figures.words(fault), figures.whole(count)])),
  );
}

function changeRow({ name, before, after, change, numAnswers }: BehaviourChange) {
  const { title, unit } = behaviourText(name);
  const [value, interval] =
    unit === 'share' ? [figures.percent, figures.interval] : [figures.precise, figures.preciseInterval];
  const cells = (estimate: EstimateWithInterval) => [value(estimate.value), interval(estimate.interval)];
  return [
    title,
    ...cells(before),
    ...cells(after),
    ...(change ? changeCells(change, unit) : ['', '']),
    figures.whole(numAnswers),
  ];
}

function changeCells({ value, interval }: EstimateWithInterval, unit: BehaviourText['unit']): string[] {
  if (unit === 'nats') return [figures.signed(value), interval.map(figures.signed).join(' to ')];
  return [figures.points(value), interval.map(figures.points).join(' to ')];
}
