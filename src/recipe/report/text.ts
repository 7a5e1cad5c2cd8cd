/** The report's main figures as a table for the terminal. No colours, no control characters. */

import { behaviourText } from './behaviour-texts.ts';
import * as figures from './figures.ts';
import type { BehaviourName, Report } from './report.ts';

export function reportSummary(report: Report): string {
  const { evaluation, model, data, tokenizer, train, plan } = report;
  const { heldOutPhrasing, unknown } = evaluation;
  const share = (score: typeof heldOutPhrasing.score) =>
    `${figures.percent(score.value).padStart(7)}   ${figures.interval(score.interval)}, ${figures.counted(score)}`;
  const worst = heldOutPhrasing.byAttribute.toSorted((a, b) => a.score.value - b.score.value)[0];
  const rows: (readonly [string, string])[] = [
    ['Held-out wordings answered right', share(heldOutPhrasing.score)],
    ...(worst && heldOutPhrasing.byAttribute.length > 1
      ? [[`  weakest: ${figures.words(worst.attribute)}`, share(worst.score)] as const]
      : []),
    ['Invented names refused', share(unknown.abstentionScore)],
    ['Known facts refused', share(unknown.falseAbstentionScore)],
    ['Bits per byte', figures.precise(evaluation.bitsPerByte)],
    ...(evaluation.prose
      ? [
          [
            'Bits per byte of prose',
            `${figures.precise(evaluation.prose.pretrained.value)}   ${figures.preciseInterval(evaluation.prose.pretrained.interval)}`,
          ] as const,
        ]
      : []),
    ['Facts', `${figures.whole(data.numFacts)} about ${figures.whole(data.numEntities)} entities`],
    [
      'Model',
      `${figures.short(model.numParameters)} parameters, ${figures.bytes(model.fileBytes)}, ${figures.whole(tokenizer.vocabSize)} token ids`,
    ],
    [
      'Training',
      `${figures.whole(train.steps)} steps, ${figures.short(train.tokens)} tokens, ${figures.short(train.tokensPerSecond)} tokens/s, ${figures.percent(train.shareOfPeak)} of peak`,
    ],
    ...plan.stages.flatMap(({ stage, validationLoss, predictedLoss }) =>
      validationLoss === undefined || !predictedLoss
        ? []
        : [
            [
              `Loss after ${figures.words(stage)}`,
              `${figures.precise(validationLoss)}   predicted ${figures.precise(predictedLoss.loss)}${predictedLoss.interval ? ` (${figures.preciseInterval(predictedLoss.interval)})` : ''}`,
            ] as const,
          ],
    ),
    ...preferenceRows(report),
    ...accountingRows(report),
    ['Time', `${figures.duration(report.wallSeconds)} (planned ${figures.duration(plan.plannedSeconds)})`],
  ];
  const width = Math.max(...rows.map(([name]) => [...name].length)) + 3;
  // Names come from tables and must not steer a terminal.
  const plain = (text: string) => text.replace(/\p{Cc}|\p{Bidi_Control}/gu, ' ');
  return rows.map(([name, value]) => plain(name.padEnd(width) + value)).join('\n');
}

/** What preferences are for, and what they must not cost; the page has the rest. */
const SHOWN_CHANGES: readonly BehaviourName[] = ['right', 'wrongForm', 'calibrationError'];

function preferenceRows({ preference }: Report): (readonly [string, string])[] {
  const changes = SHOWN_CHANGES.flatMap(
    (name) => preference?.changes.filter((change) => change.name === name) ?? [],
  );
  return changes.map(({ name, before, after, change }) => [
    behaviourText(name).title,
    `${figures.percent(after.value).padStart(7)}   before preferences ${figures.percent(before.value)}${
      change ? `, change ${change.interval.map(figures.points).join(' to ')} points` : ''
    }`,
  ]);
}

function accountingRows({ accounting }: Report): (readonly [string, string])[] {
  if (!accounting) return [];
  const shares = accounting.stages
    .filter(({ shareOfFlops }) => shareOfFlops > 0)
    .map(({ stage, shareOfFlops }) => `${figures.words(stage)} ${figures.percent(shareOfFlops)}`);
  return [['Arithmetic', `${figures.short(accounting.total.flops)} FLOPs: ${shares.join(', ')}`]];
}
