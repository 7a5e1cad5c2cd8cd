/**
 * Whole sequences, one to a row: a prompt and what was answered. Which tokens are actions (chosen by the model that
 * is trained, or to be chosen like this) and which are evidence (given to it) is kept for each token; losses and
 * log-probabilities count actions only.
 */
import { DataError } from '../core/errors.ts';
import { emptyBatch, type TokenBatch } from '../data/tokens/token-batch.ts';

export interface SequenceRow {
  readonly tokens: ArrayLike<number>;
  /** 1 where the token is an action; the first token never is. */
  readonly actions: ArrayLike<number>;
}

export interface RowShape {
  /** Rows of a batch; missing ones are padding. */
  readonly batchSize: number;
  /** T: inputs of a row; a sequence has at most T + 1 tokens. */
  readonly length: number;
}

/** A prompt, none of whose tokens is an action, and an answer, all of whose are. */
export function answeredRow(prompt: ArrayLike<number>, answer: ArrayLike<number>): SequenceRow {
  const tokens = new Int32Array(prompt.length + answer.length);
  tokens.set(Array.from(prompt));
  tokens.set(Array.from(answer), prompt.length);
  const actions = new Uint8Array(tokens.length).fill(1, prompt.length);
  return { tokens, actions };
}

export function numActions({ actions }: SequenceRow): number {
  let count = 0;
  for (let t = 1; t < actions.length; t++) count += actions[t]!;
  return count;
}

/**
 * Row r of the batch is sequence r in one segment from its first place on; `lossMask` marks the actions.
 * @throws DataError for more rows than the batch has, and for a sequence of more than T + 1 tokens.
 */
export function rowBatch(rows: readonly SequenceRow[], shape: RowShape, padId = 0): TokenBatch {
  const { batchSize, length } = shape;
  if (rows.length > batchSize) {
    throw new DataError(`${rows.length} sequences do not fit a batch of ${batchSize} rows.`);
  }
  const batch = emptyBatch(batchSize, length, padId);
  for (const [row, { tokens, actions }] of rows.entries()) {
    if (tokens.length > length + 1) {
      throw new DataError(
        `A sequence of ${tokens.length} tokens does not fit rows of ${length} inputs (at most ${length + 1} tokens). ` +
          'Raise the length, or leave long sequences out.',
      );
    }
    for (let t = 0; t + 1 < tokens.length; t++) {
      const at = row * length + t;
      batch.inputIds[at] = tokens[t]!;
      batch.targets[at] = tokens[t + 1]!;
      batch.lossMask[at] = actions[t + 1]!;
      batch.segmentIds[at] = 1;
      batch.positions[at] = t;
      batch.numTargets += actions[t + 1]!;
    }
  }
  return batch;
}
