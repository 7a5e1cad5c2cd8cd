/**
 * A max-heap of pairs by count with lazy refresh: an entry keeps the count it was pushed with, and whoever
 * pops it compares that with the pair's count of today. Ties go to `isBefore`.
 */
import { growFloat64, growInt32 } from './growing-arrays.ts';

export class PairHeap {
  size = 0;
  #pairs = new Int32Array(4096);
  #counts = new Float64Array(4096);
  readonly #isBefore: (pair: number, other: number) => boolean;

  /** `isBefore` orders two pairs of equal count; it must be a strict order that never changes. */
  constructor(isBefore: (pair: number, other: number) => boolean) {
    this.#isBefore = isBefore;
  }

  /** Count of the top entry when it was pushed. */
  get topCount(): number {
    return this.#counts[0]!;
  }

  push(pair: number, count: number): void {
    this.#pairs = growInt32(this.#pairs, this.size + 1);
    this.#counts = growFloat64(this.#counts, this.size + 1);
    let index = this.size++;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#precedes(pair, count, parent)) break;
      this.#move(parent, index);
      index = parent;
    }
    this.#pairs[index] = pair;
    this.#counts[index] = count;
  }

  /** Removes and returns the top pair; the heap must not be empty. */
  pop(): number {
    const top = this.#pairs[0]!;
    this.size--;
    const pair = this.#pairs[this.size]!;
    const count = this.#counts[this.size]!;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= this.size) break;
      if (child + 1 < this.size && this.#precedes(this.#pairs[child + 1]!, this.#counts[child + 1]!, child))
        child++;
      if (this.#precedes(pair, count, child)) break;
      this.#move(child, index);
      index = child;
    }
    this.#pairs[index] = pair;
    this.#counts[index] = count;
    return top;
  }

  #precedes(pair: number, count: number, index: number): boolean {
    const other = this.#counts[index]!;
    return count !== other ? count > other : this.#isBefore(pair, this.#pairs[index]!);
  }

  #move(from: number, to: number): void {
    this.#pairs[to] = this.#pairs[from]!;
    this.#counts[to] = this.#counts[from]!;
  }
}
