/**
 * One smooth and one sharp measure of the same predictions. The smooth one is the cross-entropy of a token; the sharp
 * one is whether all k tokens of a span are predicted right. If tokens were right independently with probability
 * exp(-CE), the sharp one would be exp(-k CE): flat at 0 for long, then rising "suddenly" where the smooth one only
 * goes on falling (Schaeffer, Miranda and Koyejo 2023, section 2). Pure functions.
 */
import type { SpanMatch } from './sweep.ts';

/** Adds up spans over rows of predictions. */
export class SpanCounter {
  readonly #lengths: readonly number[];
  readonly #matches: Float64Array;
  readonly #spans: Float64Array;

  constructor(lengths: readonly number[]) {
    this.#lengths = lengths;
    this.#matches = new Float64Array(lengths.length);
    this.#spans = new Float64Array(lengths.length);
  }

  /**
   * A row of token positions: whether each counts (a span never crosses one that does not) and whether its token was
   * the likeliest. Every run of k counted positions is a span; spans overlap.
   */
  addRow(counts: ArrayLike<number>, hits: ArrayLike<number>): void {
    let counted = 0;
    let right = 0;
    for (let t = 0; t < counts.length; t++) {
      // Lengths of the runs of counted and of right positions that end here.
      counted = counts[t] ? counted + 1 : 0;
      right = counts[t] && hits[t] ? right + 1 : 0;
      for (let i = 0; i < this.#lengths.length; i++) {
        const length = this.#lengths[i]!;
        if (counted >= length) this.#spans[i]!++;
        if (right >= length) this.#matches[i]!++;
      }
    }
  }

  results(): SpanMatch[] {
    return this.#lengths.map((length, i) => ({
      length,
      matches: this.#matches[i]!,
      spans: this.#spans[i]!,
    }));
  }
}

/** Share of spans that are right; NaN where no span is that long. */
export function exactMatch({ matches, spans }: SpanMatch): number {
  return spans > 0 ? matches / spans : Number.NaN;
}

/** Schaeffer et al. 2023, section 2: exp(-k CE), CE in nats a token. */
export function expectedMatch(length: number, crossEntropy: number): number {
  return Math.exp(-length * crossEntropy);
}

/** What k right tokens would have if they were right independently: accuracy^k. */
export function independentMatch(length: number, tokenAccuracy: number): number {
  return tokenAccuracy ** length;
}
