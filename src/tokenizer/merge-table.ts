/**
 * The merges of a BPE vocabulary as a hash table in typed arrays: (left id, right id) -> rank and merged id.
 * Open addressing with linear probing, at most half full. Lower rank merges first.
 */
import { hashPair } from './pair-table.ts';

export class MergeTable {
  readonly size: number;
  /** Left id, right id and merged id of each merge, in rank order: 3 entries a merge. */
  readonly triples: Int32Array;
  readonly #mask: number;
  /** Slot -> rank + 1; 0 is free. */
  readonly #slots: Int32Array;

  constructor(triples: Int32Array) {
    this.triples = triples;
    this.size = triples.length / 3;
    let capacity = 16;
    while (capacity < 2 * this.size) capacity *= 2;
    this.#mask = capacity - 1;
    this.#slots = new Int32Array(capacity);
    for (let rank = 0; rank < this.size; rank++) {
      let slot = this.#home(triples[3 * rank]!, triples[3 * rank + 1]!);
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
      this.#slots[slot] = rank + 1;
    }
  }

  #home(left: number, right: number): number {
    return hashPair(left, right) & this.#mask;
  }

  /** Rank of the merge of two neighbours, or -1. When a pair is listed twice the first rank counts. */
  rankOf(left: number, right: number): number {
    const slots = this.#slots;
    const triples = this.triples;
    let slot = this.#home(left, right);
    for (;;) {
      const rank = slots[slot]! - 1;
      if (rank < 0) return -1;
      if (triples[3 * rank] === left && triples[3 * rank + 1] === right) return rank;
      slot = (slot + 1) & this.#mask;
    }
  }

  mergedId(rank: number): number {
    return this.triples[3 * rank + 2]!;
  }
}
