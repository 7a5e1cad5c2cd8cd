/**
 * Speculative decoding (Leviathan et al. 2023; Chen et al. 2023): a small model guesses some tokens ahead, the large
 * one reads them in one run. A guess is taken only where it is the very token that the large model's sequence
 * chooses there, with its own draws: the output is that of plain decoding, token for token, greedy or sampled.
 */

import type { Decoder } from './decoder.ts';
import { DecoderBatch } from './decoder-batch.ts';
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

/** What the draft model lags behind by more than this, it reads row by row. */
const CATCH_UP = 64;
const READ_LENGTH = 512;

export class Speculation {
  /** The draft model's, with the slots of the large one's. */
  readonly cache: KeyValueCache;
  readonly #decoder: Decoder;
  readonly #batch: DecoderBatch;
  readonly #maxTokens: number;
  #numAhead: number;
  /** Share of guesses taken lately. */
  #rate = 0.7;

  constructor({ decoder, maxTokens }: DraftOptions, maxCacheBytes: number) {
    this.#decoder = decoder;
    this.#maxTokens = maxTokens;
    this.#numAhead = Math.min(4, maxTokens);
    this.cache = new KeyValueCache(decoder.config, maxCacheBytes);
    this.#batch = new DecoderBatch(decoder, this.cache);
  }

  /** Guesses for the rows in slots 0..rows.length-1, none where a sequence has no more than one token left. */
  async propose(rows: readonly SpeculatingRow[], numSlots: number): Promise<number[][]> {
    const { vocabSize } = this.#decoder.config;
    const guesses: number[][] = rows.map(() => []);
    const most = Math.min(this.#numAhead, Math.max(...rows.map(({ numLeft }) => numLeft - 1)));
    if (most <= 0) return guesses;
    let { logits } = await this.#catchUp(rows, numSlots);
    for (let ahead = 0; ahead < most; ahead++) {
      // A row that is done goes on with any token; nobody looks at it.
      const fed = rows.map(({ sequence, numLeft }, row) => {
        const own = guesses[row]!;
        if (own.length < ahead || ahead >= numLeft - 1 || !sequence.propose) return 0;
        const scores = logits.subarray(row * vocabSize, (row + 1) * vocabSize);
        try {
          own.push(sequence.propose(scores, own));
        } catch {
          // Scores that cannot be sampled are a bad guess, not an error of the answer.
          return 0;
        }
        return own.at(-1)!;
      });
      if (ahead + 1 < most) {
        ({ logits } = await this.#batch.step(rows.length, numSlots, (slot) => fed[slot]!));
      }
    }
    return guesses;
  }

  /** Told how many of a row's guesses were right; guesses further ahead while that pays. */
  tell(right: number, guessed: number): void {
    if (guessed === 0) return;
    this.#rate += 0.05 * (Math.min(right, guessed) / guessed - this.#rate);
    const wanted =
      this.#rate > 0.8 ? 8 : this.#rate > 0.6 ? 5 : this.#rate > 0.4 ? 3 : this.#rate > 0.2 ? 2 : 1;
    this.#numAhead = Math.min(this.#maxTokens, wanted);
  }

  dispose(): Promise<void> {
    this.cache.release();
    return this.#decoder.dispose();
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
