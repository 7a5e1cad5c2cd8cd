/**
 * The rows of a batch and their slots in the caches. What always holds: the slots in use are 0 to count - 1; first
 * come the rows that generate (all but their last token is in the cache), then those whose prompt is being read; all
 * caches (the model's, a draft model's) have the same slots. A row that leaves gives its slot to the last of its kind.
 */
import type { KeyValueCache } from './key-value-cache.ts';
import type { BranchingSequence, Sequence } from './sequence.ts';

export interface BatchRow {
  readonly sequence: Sequence | BranchingSequence;
  /** Prompt and tokens so far, `numTokens` of them; the cache holds the first ones. */
  readonly tokens: Int32Array;
  numTokens: number;
  /** Place among the rows of one branching sequence. */
  branch: number;
}

export class BatchRows {
  readonly #rows: BatchRow[] = [];
  /** The first one is the model's. */
  readonly #caches: readonly KeyValueCache[];
  #numGenerating = 0;

  constructor(caches: readonly KeyValueCache[]) {
    this.#caches = caches;
  }

  /** By slot. */
  get all(): readonly BatchRow[] {
    return this.#rows;
  }

  get count(): number {
    return this.#rows.length;
  }

  /** Rows in slots 0 to numGenerating - 1 generate. */
  get numGenerating(): number {
    return this.#numGenerating;
  }

  /** -1 for a row that left. */
  slotOf(row: BatchRow): number {
    return this.#rows.indexOf(row);
  }

  /** A new row whose prompt is read, in the last slot. Throws LimitError without memory for `length` positions. */
  add(sequence: Sequence | BranchingSequence, length: number): BatchRow {
    const { prompt, maxTokens } = sequence;
    const tokens = new Int32Array(prompt.length + maxTokens);
    tokens.set(prompt);
    for (const cache of this.#caches) cache.reserve(this.#rows.length + 1, length);
    const row = { sequence, tokens, numTokens: prompt.length, branch: 0 };
    this.#rows.push(row);
    return row;
  }

  /** The row has read its prompt, or all but the last token, and generates from now on. */
  beginGenerating(row: BatchRow): void {
    const slot = this.slotOf(row);
    if (slot < this.#numGenerating) return;
    this.#swap(slot, this.#numGenerating);
    this.#numGenerating++;
  }

  /** A second row that stands where a generating one does. */
  fork(from: BatchRow): BatchRow {
    const row: BatchRow = { ...from, tokens: from.tokens.slice() };
    const slot = this.#rows.length;
    this.#rows.push(row);
    for (const cache of this.#caches) {
      cache.reserve(this.#rows.length, 1);
      cache.copy(this.slotOf(from), slot);
    }
    this.beginGenerating(row);
    return row;
  }

  /** Forgets what the caches hold of a row from `length` on. */
  truncate(row: BatchRow, length: number): void {
    const slot = this.slotOf(row);
    if (slot >= 0) for (const cache of this.#caches) cache.truncate(slot, length);
  }

  remove(row: BatchRow): void {
    let gap = this.slotOf(row);
    for (const cache of this.#caches) cache.clear(gap);
    // The last of its kind fills the gap, then the last row of all.
    if (gap < this.#numGenerating) {
      this.#numGenerating--;
      this.#fill(gap, this.#numGenerating);
      gap = this.#numGenerating;
    }
    this.#fill(gap, this.#rows.length - 1);
    this.#rows.pop();
  }

  /** Removes the rows of a sequence. */
  removeAll(sequence: Sequence | BranchingSequence): void {
    for (const row of this.#rows.filter((one) => one.sequence === sequence)) this.remove(row);
  }

  #fill(gap: number, from: number): void {
    if (gap === from) return;
    this.#rows[gap] = this.#rows[from]!;
    for (const cache of this.#caches) {
      cache.copy(from, gap);
      cache.clear(from);
    }
  }

  #swap(a: number, b: number): void {
    if (a === b) return;
    [this.#rows[a], this.#rows[b]] = [this.#rows[b]!, this.#rows[a]!];
    for (const cache of this.#caches) cache.swap(a, b);
  }
}
