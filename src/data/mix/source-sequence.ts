/**
 * The endless sequence of one source's documents: each epoch is a permutation of all of them, a pure function of
 * (seed, source name, epoch, number of documents). So a source's order does not depend on which others there are,
 * and a part of the sequence begins where an earlier one stopped.
 */
import { KeyedRandom } from '../../core/random.ts';

/** Permutations kept: a walk needs one, and the next when it crosses into the next epoch. */
const MAX_KEPT = 2;

export class SourceSequence {
  /** Size of each document in the unit of the budget. */
  readonly sizes: ArrayLike<number>;
  readonly epochSize: number;
  readonly #random: KeyedRandom;
  readonly #jitter: KeyedRandom;
  readonly #permutations = new Map<number, Uint32Array>();

  constructor(name: string, sizes: ArrayLike<number>, seed: number) {
    this.sizes = sizes;
    let sum = 0;
    for (let i = 0; i < sizes.length; i++) sum += sizes[i]!;
    this.epochSize = sum;
    this.#random = new KeyedRandom(seed).fork('mix').fork(name);
    this.#jitter = this.#random.fork('place');
  }

  get numDocuments(): number {
    return this.sizes.length;
  }

  /** Index of the document at place `at` of the sequence (0-based). */
  documentAt(at: number): number {
    const epoch = Math.floor(at / this.numDocuments);
    return this.#permutation(epoch)[at - epoch * this.numDocuments]!;
  }

  /** A uniform number in [0, 1) that belongs to place `at`. */
  jitterAt(at: number): number {
    return this.#jitter.uniform(at);
  }

  /**
   * How many documents from place `from` on come nearest to `wanted` in size without passing `limit`, and what
   * they hold. Whole epochs are counted at once.
   */
  take(from: number, wanted: number, limit: number): { numDocuments: number; size: number } {
    if (this.epochSize === 0 || !(wanted > 0)) return { numDocuments: 0, size: 0 };
    const aim = Math.min(wanted, limit);
    // n documents in a row that begin at `from` are an epoch's worth only from its start; so walk to it first.
    let numDocuments = 0;
    let size = 0;
    for (;;) {
      const atEpochStart = (from + numDocuments) % this.numDocuments === 0;
      const numEpochs = atEpochStart ? Math.floor((aim - size) / this.epochSize) : 0;
      if (numEpochs > 0) {
        numDocuments += numEpochs * this.numDocuments;
        size += numEpochs * this.epochSize;
      }
      if (size >= aim) return { numDocuments, size };
      const next = this.sizes[this.documentAt(from + numDocuments)]!;
      const isNearer = size + next - aim <= aim - size;
      if (size + next > limit || !isNearer) return { numDocuments, size };
      numDocuments++;
      size += next;
    }
  }

  #permutation(epoch: number): Uint32Array {
    let order = this.#permutations.get(epoch);
    if (!order) {
      if (this.#permutations.size >= MAX_KEPT) {
        this.#permutations.delete(Math.min(...this.#permutations.keys()));
      }
      order = this.#random.fork(`epoch-${epoch}`).permutation(this.numDocuments);
      this.#permutations.set(epoch, order);
    }
    return order;
  }
}
