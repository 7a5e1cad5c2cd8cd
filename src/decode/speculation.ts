/**
 * Speculative decoding (Leviathan et al. 2023; Chen et al. 2023): a small model guesses some tokens ahead, the large
 * one reads them in one run. A guess is taken only where it is the very token that the large model's sequence
 * chooses there, with its own draws: the output is that of plain decoding, token for token, greedy or sampled.
 * `GuessPolicy` says when to guess.
 */

import type { Decoder } from './decoder.ts';
import { DecoderBatch } from './decoder-batch.ts';
import { GuessChances, GuessPolicy } from './guess-policy.ts';
import { KeyValueCache } from './key-value-cache.ts';
import type { Sequence } from './sequence.ts';

export interface DraftOptions {
  readonly decoder: Decoder;
  /** Guess at most so many tokens ahead. */
  readonly maxTokens: number;
}

export interface SpeculatingRow {
  readonly sequence: Sequence;
  /** Prompt and tokens so far. */
  readonly tokens: Int32Array;
  /** Tokens that may still follow. */
  readonly numLeft: number;
}

/** Guesses of one round. */
export interface Guesses {
  /** For each row; none where a sequence has no more than one token left. */
  readonly tokens: readonly (readonly number[])[];
  /** Probability of each guess by the draft model. */
  readonly probabilities: readonly (readonly number[])[];
  /** What the draft model took for them. */
  readonly draftMs: number;
}

/** What came of a row's guesses. */
export interface CheckedRow {
  readonly numRight: number;
  /** The sequence ended: nothing is known of the guess after the right ones. */
  readonly isEnded: boolean;
}

/** What the draft model lags behind by more than this, it reads row by row. */
const CATCH_UP = 64;
const READ_LENGTH = 512;
/** A guess that was read, and the token that the large model chose after it. */
const USUAL_LAG = 2;

export class Speculation {
  /** The draft model's, with the slots of the large one's. */
  readonly cache: KeyValueCache;
  readonly #decoder: Decoder;
  readonly #batch: DecoderBatch;
  readonly #maxTokens: number;
  readonly #chances = new GuessChances();
  /** By the number of rows, in powers of 2. */
  readonly #policies = new Map<number, GuessPolicy>();

  constructor({ decoder, maxTokens }: DraftOptions, maxCacheBytes: number) {
    this.#decoder = decoder;
    this.#maxTokens = maxTokens;
    this.cache = new KeyValueCache(decoder.config, maxCacheBytes);
    this.#batch = new DecoderBatch(decoder, this.cache);
  }

  /** Guesses for the rows in slots 0..rows.length-1; undefined when a plain step is better. */
  async propose(rows: readonly SpeculatingRow[], numSlots: number): Promise<Guesses | undefined> {
    const guessable = rows.map(({ sequence, numLeft }) => (sequence.propose ? numLeft - 1 : 0));
    const most = Math.min(this.#maxTokens, Math.max(...guessable));
    const policy = this.#policyFor(rows.length);
    if (most <= 0 || !policy.decide()) return undefined;
    const { vocabSize } = this.#decoder.config;
    const tokens: number[][] = rows.map(() => []);
    const probabilities: number[][] = rows.map(() => []);
    /** That all guesses of a row are right. */
    const chances = rows.map(() => 1);
    /** Of a row, right ones. */
    let numExpected = 0;
    let start = performance.now();
    const lag = Math.max(...rows.map((row, slot) => row.tokens.length - this.cache.lengthOf(slot)));
    let { logits } = await this.#catchUp(rows, numSlots);
    // What plain steps left to read is no cost of these guesses.
    if (lag > USUAL_LAG) start = performance.now() - policy.draftMs;
    for (let ahead = 0; ahead < most; ahead++) {
      // A row that is done goes on with any token; nobody looks at it.
      const fed = rows.map(({ sequence }, row) => {
        const own = tokens[row]!;
        const scores = logits.subarray(row * vocabSize, (row + 1) * vocabSize);
        const token =
          own.length < ahead || ahead >= guessable[row]! ? undefined : guessOf(sequence, scores, own);
        if (token === undefined) {
          chances[row] = 0;
          return 0;
        }
        const probability = probabilityOf(scores, token);
        own.push(token);
        probabilities[row]!.push(probability);
        chances[row]! *= this.#chances.of(probability);
        return token;
      });
      numExpected += chances.reduce((total, chance) => total + chance, 0) / rows.length;
      if (ahead + 1 >= most || !policy.paysOneMore(chances)) break;
      ({ logits } = await this.#batch.step(rows.length, numSlots, (slot) => fed[slot]!));
    }
    const draftMs = performance.now() - start;
    const numGuesses = Math.max(1, ...tokens.map((own) => own.length));
    if (!policy.paysCheck(numGuesses, numExpected)) {
      policy.toldDropped(numGuesses, draftMs);
      return undefined;
    }
    return { tokens, probabilities, draftMs };
  }

  /** Told what a step without guesses took. */
  toldStep(numRows: number, ms: number): void {
    this.#policyFor(numRows).toldStep(ms);
  }

  /** Told what came of a round. */
  toldRound(guesses: Guesses, rows: readonly CheckedRow[], checkMs: number): void {
    let numTokens = 0;
    for (const [row, { numRight, isEnded }] of rows.entries()) {
      const own = guesses.probabilities[row]!;
      numTokens += Math.min(own.length, numRight) + 1;
      for (const [i, probability] of own.entries()) {
        if (i > numRight || (i === numRight && isEnded)) break;
        this.#chances.told(probability, i < numRight);
      }
    }
    const numGuesses = Math.max(...guesses.tokens.map((own) => own.length));
    this.#policyFor(rows.length).toldRound({
      numGuesses: Math.max(1, numGuesses),
      draftMs: guesses.draftMs,
      checkMs,
      numTokens: numTokens / rows.length,
    });
  }

  dispose(): Promise<void> {
    this.cache.release();
    return this.#decoder.dispose();
  }

  #policyFor(numRows: number): GuessPolicy {
    const size = Math.ceil(Math.log2(numRows));
    let policy = this.#policies.get(size);
    if (!policy) {
      policy = new GuessPolicy(this.#chances);
      this.#policies.set(size, policy);
    }
    return policy;
  }

  /** The draft model's scores of the next token of every row. */
  async #catchUp(rows: readonly SpeculatingRow[], numSlots: number) {
    for (const [slot, { tokens }] of rows.entries()) {
      for (;;) {
        const start = this.cache.lengthOf(slot);
        if (tokens.length - start <= CATCH_UP) break;
        const chunk = tokens.subarray(start, Math.min(tokens.length - 1, start + READ_LENGTH));
        const output = await this.#batch.read(slot, numSlots, [chunk], 'last');
        this.#batch.accept(slot, output, 1, 0, chunk.length);
      }
    }
    const chunks = rows.map(({ tokens }, slot) => tokens.subarray(this.cache.lengthOf(slot)));
    if (chunks.every((chunk) => chunk.length === 1)) {
      return this.#batch.step(rows.length, numSlots, (slot) => chunks[slot]![0]!);
    }
    const output = await this.#batch.read(0, numSlots, chunks, 'last');
    for (const [slot, chunk] of chunks.entries()) {
      this.#batch.accept(slot, output, rows.length, slot, chunk.length);
    }
    return output;
  }
}

/** Undefined for scores that cannot be sampled: a bad guess, not an error of the answer. */
function guessOf(sequence: Sequence, scores: Float32Array, before: readonly number[]): number | undefined {
  try {
    return sequence.propose?.(scores, before);
  } catch {
    return undefined;
  }
}

/** Of a token under the softmax of scores; 0 where they are not numbers. */
function probabilityOf(scores: Float32Array, token: number): number {
  const own = scores[token]!;
  let total = 0;
  for (let i = 0; i < scores.length; i++) total += Math.exp(scores[i]! - own);
  return total >= 1 ? 1 / total : 0;
}
