/**
 * What the engine generates for: a sequence chooses one token after another; a branching sequence keeps several
 * continuations of one prompt and chooses among all of them. Both see scores of token ids only.
 */

interface Generating {
  /** What it was given: so many tokens of evidence. What the sequence chooses are actions. */
  readonly prompt: Int32Array;
  /** At most so many tokens follow; with the prompt they fit the model's context. */
  readonly maxTokens: number;
  /** Wants what the model gives for the prompt's tokens too, by `readPlace`. */
  readonly readsPrompt?: boolean;
  /** Nobody waits for it any more; it ends before the next run. */
  readonly isCancelled: boolean;
  /** It was cancelled and ends here. */
  cancel(): void;
  fail(error: unknown): void;
}

/** A text being generated. The engine calls it in order and never again after it ended. */
export interface Sequence extends Generating {
  /** Takes the scores of the next token [vocabSize] and returns it, or undefined when the sequence ended. */
  next(logits: Float32Array): number | undefined;
  /** Called in order, for every place of the prompt but the last, with the scores [vocabSize] of the next token. */
  readPlace?(logits: Float32Array): void;
  /**
   * The token that it would choose by another model's scores `ahead` places on, after the tokens `proposed`.
   * Changes nothing. Absent: nothing can be guessed ahead for it.
   */
  propose?(logits: Float32Array, proposed: readonly number[]): number;
}

/** Row `parent` goes on with a token. */
export interface Branch {
  readonly parent: number;
  readonly token: number;
}

export interface BranchRow {
  /** [vocabSize] */
  readonly logits: Float32Array;
  /** [hiddenSize] */
  readonly hidden: Float32Array;
}

export interface BranchingSequence extends Generating {
  /** Rows at most. */
  readonly width: number;
  /** Called in order, for every place of the prompt but the last. */
  readPlace?(row: BranchRow): void;
  /** Takes its rows (one after the prompt) and returns the next ones, or undefined when it ended. */
  advance(rows: readonly BranchRow[]): readonly Branch[] | undefined;
}

export function isBranching(sequence: Sequence | BranchingSequence): sequence is BranchingSequence {
  return 'width' in sequence;
}
