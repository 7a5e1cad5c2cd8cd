/** Preferences as what a reward model is trained on: rows of tokens and the order that they were put into. */
import { DataError } from '../../core/errors.ts';
import { RowOrder } from '../../data/tokens/row-order.ts';
import type { Answer, PreferenceRecord } from '../preference/preference-data.ts';
import { type AnswerEncoding, answerRow } from '../preference/preference-rows.ts';
import type { Comparison } from './reward-objective.ts';

export interface ComparisonRecord {
  readonly answers: readonly Answer[];
  readonly ranks: readonly number[];
  readonly margin?: number;
}

/** Answers and their ranks; undefined for a labelled answer, which is compared with nothing. */
export function comparisonRecord(record: PreferenceRecord): ComparisonRecord | undefined {
  if (record.kind === 'label') return undefined;
  if (record.kind === 'ranking') return record;
  const { chosen, rejected, margin } = record;
  return { answers: [chosen, rejected], ranks: [1, 2], ...(margin !== undefined && { margin }) };
}

/**
 * The comparison of a record, or why there is none.
 * @param encoding its `length` is T, the tokens of a row.
 */
export function comparisonOf(record: PreferenceRecord, encoding: AnswerEncoding): Comparison | string {
  const compared = comparisonRecord(record);
  if (!compared) return 'a single answer with a label, which is compared with nothing';
  const { answers, ranks, margin } = compared;
  const rows: ArrayLike<number>[] = [];
  for (const answer of answers) {
    // A row of that encoding has one token more than its length; here all of its tokens are read.
    const row = answerRow(record.messages, answer, { ...encoding, length: encoding.length - 1 });
    if (typeof row === 'string') return row;
    rows.push(row.tokens);
  }
  return { rows, ranks, ...(margin !== undefined && { margin }) };
}

/** Comparisons in a keyed order, a new one each epoch; a pure function of the batch's number. */
export class ComparisonBatches {
  readonly maxAnswers: number;
  readonly #comparisons: readonly Comparison[];
  readonly #order: RowOrder;

  /** Throws DataError for no comparisons. */
  constructor(comparisons: readonly Comparison[], batchSize: number, seed: number) {
    if (comparisons.length === 0) throw new DataError('There are no comparisons to train a reward model on.');
    this.maxAnswers = comparisons.reduce((most, { rows }) => Math.max(most, rows.length), 0);
    this.#comparisons = comparisons;
    this.#order = new RowOrder(comparisons.length, batchSize, seed);
  }

  batch(index: number): Comparison[] {
    return [...this.#order.rowsOf(index)].map(({ row }) => this.#comparisons[row]!);
  }
}
