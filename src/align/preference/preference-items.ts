/**
 * What a preference training goes over: items of two rows. Of pairs these are the chosen and the rejected answer; of
 * labelled answers the answer, and beside it another prompt's answer to the same prompt, by which KTO estimates how far
 * the model has moved.
 */
import { DataError } from '../../core/errors.ts';
import { KeyedRandom } from '../../core/random.ts';
import { ReadReport } from '../../data/index.ts';
import type { SequenceRow } from '../sequence-row.ts';
import {
  type LabelledAnswer,
  labelsIn,
  type PreferencePair,
  type PreferenceRecord,
  pairsIn,
  preferenceKey,
} from './preference-data.ts';
import type { PreferenceLoss } from './preference-loss.ts';
import { type AnswerEncoding, answerRow, pairRows } from './preference-rows.ts';

export interface PreferenceItem {
  /** The chosen answer, or the labelled one. */
  readonly first: SequenceRow;
  /** The rejected answer, or a mismatched one. */
  readonly second: SequenceRow;
  /** Of the first row; always true for pairs. */
  readonly isGood: boolean;
}

export interface PreferenceItems {
  readonly items: readonly PreferenceItem[];
  /** Those left out, with reasons: too long, or refused by the chat format. */
  readonly report: ReadReport;
}

export interface ItemOptions extends AnswerEncoding {
  /** Of the draw of mismatched answers. */
  readonly seed: number;
}

/** The items that a loss reads from records. Throws DataError when there are none, or too few for labels. */
export function preferenceItems(
  records: readonly PreferenceRecord[],
  { items: kind }: Pick<PreferenceLoss, 'items'>,
  options: ItemOptions,
): PreferenceItems {
  if (kind === 'labels') return labelItems(records.flatMap(labelsIn), options);
  const pairs = records.flatMap(pairsIn);
  if (pairs.length === 0) {
    throw new DataError(
      `None of ${records.length} preferences is a pair or a ranking, and this loss compares two answers. ` +
        'Train on labelled answers with the loss kto.',
    );
  }
  return pairItems(pairs, options);
}

export function pairItems(pairs: readonly PreferencePair[], encoding: AnswerEncoding): PreferenceItems {
  const report = new ReadReport('pairs');
  const items: PreferenceItem[] = [];
  for (const [i, pair] of pairs.entries()) {
    const rows = pairRows(pair, encoding);
    if (typeof rows === 'string') report.skip(`pair ${i + 1}`, rows);
    else items.push({ first: rows.chosen, second: rows.rejected, isGood: true });
  }
  report.numRead = items.length;
  return { items: someOf(items, report), report };
}

/** Throws DataError for fewer than two answers: each needs another one beside it. */
export function labelItems(labels: readonly LabelledAnswer[], options: ItemOptions): PreferenceItems {
  const report = new ReadReport('labelled answers');
  const answers: EncodedLabel[] = [];
  for (const [i, label] of labels.entries()) {
    const { messages, tools, answer, isGood } = label;
    const row = answerRow(messages, answer, options, tools);
    if (typeof row === 'string') report.skip(`answer ${i + 1}`, row);
    else answers.push({ row, isGood, prompt: preferenceKey(label) });
  }
  report.numRead = answers.length;
  if (someOf(answers, report).length < 2) {
    throw new DataError('One labelled answer is too few: KTO holds each against the others. Add more.');
  }
  const order = new KeyedRandom(options.seed).fork('mismatched').permutation(answers.length);
  const items = new Array<PreferenceItem>(answers.length);
  for (let k = 0; k < order.length; k++) {
    const own = answers[order[k]!]!;
    const other = mismatchedFor(own, k, order, answers);
    items[order[k]!] = {
      first: own.row,
      second: withAnswerOf(own.row, other.row, options.length),
      isGood: own.isGood,
    };
  }
  return { items, report };
}

interface EncodedLabel {
  readonly row: SequenceRow;
  readonly isGood: boolean;
  /** Equal prompts, equal texts. */
  readonly prompt: string;
}

const MAX_DRAWS = 64;

/** The next answer in the order that is to another prompt; the next one of all where none of the nearest is. */
function mismatchedFor(
  { prompt }: EncodedLabel,
  place: number,
  order: ArrayLike<number>,
  answers: readonly EncodedLabel[],
): EncodedLabel {
  const after = (step: number) => answers[order[(place + step) % order.length]!]!;
  for (let step = 1; step <= Math.min(MAX_DRAWS, order.length - 1); step++) {
    if (after(step).prompt !== prompt) return after(step);
  }
  return after(1);
}

/** One row's prompt with another row's answer, cut to T + 1 tokens. */
function withAnswerOf(row: SequenceRow, other: SequenceRow, length: number): SequenceRow {
  const promptLength = firstAction(row);
  const from = firstAction(other);
  const end = Math.min(other.tokens.length, from + length + 1 - promptLength);
  const answer = Array.from({ length: end - from }, (_, t) => other.tokens[from + t]!);
  const actions = Array.from({ length: end - from }, (_, t) => other.actions[from + t]!);
  return {
    tokens: [...Array.from(row.tokens).slice(0, promptLength), ...answer],
    actions: [...new Array<number>(promptLength).fill(0), ...actions],
  };
}

const firstAction = ({ actions }: SequenceRow) => Array.prototype.indexOf.call(actions, 1);

function someOf<T>(items: readonly T[], { source, numSkipped, skipped }: ReadReport): readonly T[] {
  if (items.length > 0) return items;
  const fault = skipped[0] ? ` The first, ${skipped[0].position}: ${skipped[0].reason}.` : '';
  throw new DataError(
    `None of ${numSkipped} ${source} can be trained on.${fault} Raise the length, or check the data.`,
  );
}
