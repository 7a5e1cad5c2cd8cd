/**
 * The keys and values of running sequences, in memory of our own that is fed to programs without a copy.
 * Each sequence has a slot; the slots in use are 0 to numSlots - 1, so that any run of them is one view.
 * Slots share one capacity; places beyond a sequence's length are masked and hold finite numbers (a mask adds, and
 * what is not finite would stay so): a slot that holds others is zeroed wherever it forgets some.
 */
import { LimitError } from '../core/errors.ts';
import type { TransformerConfig } from '../model/config.ts';
import { keyName, valueName } from '../model/decoder-graph.ts';
import { MASKED } from '../model/transformer.ts';
import type { HostArray } from '../runtime/device.ts';

/**
 * Capacity grows in steps of so many positions: every run reads all of it. Kernels cut rows of whole multiples of 64
 * alike, so a longer cache changes no bit of a sum.
 */
const GROWTH = 64;
/** `#finite` of a slot without a number that is not finite. */
const ALL = 2 ** 31 - 1;

export class KeyValueCache {
  readonly #numLayers: number;
  readonly #numHeads: number;
  readonly #headSize: number;
  /** Keys and values of layer after layer, each [slots, heads, capacity, head size]. */
  #arrays: Float32Array[] = [];
  readonly #maxBytes: number;
  /** [slots, capacity]: 0 where a place may be read. */
  #mask = new Float32Array(0);
  #lengths = new Int32Array(0);
  /** By slot: the numbers of so many places are known to be finite. */
  #finite = new Int32Array(0);
  #capacity = 0;
  #maxSlots = 0;
  /** Places that there is memory for; `#maxSlots` times `#capacity` of them are in use. */
  #numPlaces = 0;
  /** Sum of the lengths. */
  #numHeld = 0;
  #views = new Map<string, Record<string, HostArray>>();

  /** Room is made ahead of need only within `maxBytes`. */
  constructor(config: TransformerConfig, maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#numLayers = config.numLayers;
    this.#numHeads = config.numKvHeads;
    this.#headSize = config.headDim;
  }

  /** Bytes that one position of one slot takes. */
  get bytesPerPosition(): number {
    return 4 * (2 * this.#numLayers * this.#numHeads * this.#headSize + 1);
  }

  /** Capacity that is allocated for a length. */
  static capacityFor(length: number): number {
    return Math.ceil(length / GROWTH) * GROWTH;
  }

  /** Positions that every slot has room for. */
  get capacity(): number {
    return this.#capacity;
  }

  lengthOf(slot: number): number {
    return this.#lengths[slot]!;
  }

  /**
   * Makes room for `length` positions in slots 0..numSlots-1; no later slot may be in use. A run reads all of a slot,
   * so an empty cache takes no more places than are asked for, of the memory that it has. Throws LimitError without
   * memory.
   */
  reserve(numSlots: number, length: number): void {
    const needed = KeyValueCache.capacityFor(length);
    const capacity = this.#numHeld === 0 ? needed : Math.max(this.#capacity, needed);
    if (numSlots <= this.#maxSlots && capacity === this.#capacity) return;
    // In the same memory, numbers that are not finite would stay where no slot knows of them.
    const fits = numSlots * capacity <= this.#numPlaces && this.#finite.every((place) => place === ALL);
    if (fits) this.#layOut(this.#arrays, Math.floor(this.#numPlaces / capacity), capacity);
    else {
      const wished = numSlots <= this.#maxSlots ? numSlots : 2 * this.#maxSlots;
      const affordable = Math.floor(this.#maxBytes / (capacity * this.bytesPerPosition));
      const slots = Math.max(numSlots, Math.min(wished, affordable));
      this.#layOut(this.#allocate(slots, capacity), slots, capacity);
      this.#numPlaces = slots * capacity;
    }
  }

  #allocate(slots: number, capacity: number): Float32Array[] {
    const size = slots * this.#numHeads * capacity * this.#headSize;
    try {
      return Array.from({ length: 2 * this.#numLayers }, () => new Float32Array(size));
    } catch {
      throw new LimitError(
        `The cache of keys and values does not fit into memory: ${slots} sequences of ${capacity} positions at ` +
          `${this.bytesPerPosition} bytes. Lower maxBatchSize or maxTokens.`,
      );
    }
  }

  /** Moves what the slots hold to where it belongs among `slots` of `capacity`, in new arrays or in those there are. */
  #layOut(arrays: Float32Array[], slots: number, capacity: number): void {
    const H = this.#numHeads;
    const C = this.#headSize;
    const mask = new Float32Array(slots * capacity).fill(MASKED);
    const lengths = new Int32Array(slots);
    lengths.set(this.#lengths.subarray(0, slots));
    const finite = new Int32Array(slots).fill(ALL);
    finite.set(this.#finite.subarray(0, slots));
    // From the last to the first: a slot that holds something never gets smaller, so nothing is overwritten.
    for (let slot = Math.min(this.#maxSlots, slots) - 1; slot >= 0; slot--) {
      const count = lengths[slot]!;
      if (count === 0) continue;
      mask.fill(0, slot * capacity, slot * capacity + count);
      for (let i = 0; i < arrays.length; i++) {
        for (let row = (slot + 1) * H - 1; row >= slot * H; row--) {
          const from = row * this.#capacity * C;
          arrays[i]!.set(this.#arrays[i]!.subarray(from, from + count * C), row * capacity * C);
        }
      }
    }
    this.#arrays = arrays;
    this.#mask = mask;
    this.#lengths = lengths;
    this.#finite = finite;
    this.#capacity = capacity;
    this.#maxSlots = slots;
    this.#views.clear();
  }

  /**
   * Adds the first `count` new positions of row `row` to a slot.
   * `present` is [2 numLayers, numRows, heads, T, head size], as a decoder's run returns it.
   */
  append(slot: number, present: Float32Array, numRows: number, row: number, count: number): void {
    const H = this.#numHeads;
    const C = this.#headSize;
    const capacity = this.#capacity;
    const length = this.#lengths[slot]!;
    const T = present.length / (this.#arrays.length * numRows * H * C);
    const size = count * C;
    // Stays 0 while all numbers are finite.
    let trouble = 0;
    for (let i = 0; i < this.#arrays.length; i++) {
      const array = this.#arrays[i]!;
      for (let head = 0; head < H; head++) {
        const from = ((i * numRows + row) * H + head) * T * C;
        const to = ((slot * H + head) * capacity + length) * C;
        // For a few numbers a loop beats making a view.
        if (size > 256) array.set(present.subarray(from, from + size), to);
        else for (let j = 0; j < size; j++) array[to + j] = present[from + j]!;
        for (let j = from; j < from + size; j++) trouble += 0 * present[j]!;
      }
    }
    if (trouble !== 0) this.#finite[slot] = Math.min(this.#finite[slot]!, length);
    this.#mask.fill(0, slot * capacity + length, slot * capacity + length + count);
    this.#lengths[slot] = length + count;
    this.#numHeld += count;
  }

  /** Forgets the positions of a slot from `length` on. */
  truncate(slot: number, length: number): void {
    const old = this.#lengths[slot]!;
    if (length >= old) return;
    this.#mask.fill(MASKED, slot * this.#capacity + length, slot * this.#capacity + old);
    this.#lengths[slot] = length;
    this.#numHeld -= old - length;
    if (this.#finite[slot]! >= old) return;
    for (const array of this.#arrays) {
      for (let head = 0; head < this.#numHeads; head++) {
        const row = (slot * this.#numHeads + head) * this.#capacity;
        array.fill(0, (row + length) * this.#headSize, (row + old) * this.#headSize);
      }
    }
    if (this.#finite[slot]! >= length) this.#finite[slot] = ALL;
  }

  /** Some of a slot's numbers are not finite. */
  isDamaged(slot: number): boolean {
    return this.#finite[slot] !== ALL;
  }

  /** Makes slot `to` the same as slot `from`. */
  copy(from: number, to: number): void {
    if (from === to) return;
    this.truncate(to, 0);
    const rowSize = this.#capacity * this.#headSize;
    const size = this.#lengths[from]! * this.#headSize;
    for (const array of this.#arrays) {
      for (let head = 0; head < this.#numHeads; head++) {
        const start = (from * this.#numHeads + head) * rowSize;
        array.copyWithin((to * this.#numHeads + head) * rowSize, start, start + size);
      }
    }
    this.#mask.copyWithin(to * this.#capacity, from * this.#capacity, (from + 1) * this.#capacity);
    this.#lengths[to] = this.#lengths[from]!;
    this.#numHeld += this.#lengths[to]!;
    this.#finite[to] = this.#finite[from]!;
  }

  /** Keys and values of positions start..start+count-1 of a slot: [2 numLayers, heads, count, head size]. */
  extract(slot: number, start: number, count: number): Float32Array {
    const size = count * this.#headSize;
    const rows = new Float32Array(this.#arrays.length * this.#numHeads * size);
    let at = 0;
    for (const array of this.#arrays) {
      for (let head = 0; head < this.#numHeads; head++, at += size) {
        const from = ((slot * this.#numHeads + head) * this.#capacity + start) * this.#headSize;
        rows.set(array.subarray(from, from + size), at);
      }
    }
    return rows;
  }

  /** Appends the first `count` positions of what `extract` gave. */
  restore(slot: number, rows: Float32Array, count: number): void {
    this.append(slot, rows, 1, 0, count);
  }

  /** Feeds of `count` empty slots with `places` places: one block of zeros for all. */
  emptyFeeds(count: number, places: number): Record<string, HostArray> {
    const shape = [count, this.#numHeads, places, this.#headSize];
    const data = new Float32Array(count * this.#numHeads * places * this.#headSize);
    const feeds: Record<string, HostArray> = {};
    for (let layer = 0; layer < this.#numLayers; layer++) {
      feeds[keyName(layer)] = { data, shape };
      feeds[valueName(layer)] = { data, shape };
    }
    return feeds;
  }

  /** Exchanges two slots. */
  swap(a: number, b: number): void {
    const count = this.#lengths[a]!;
    const rows = this.extract(a, 0, count);
    this.copy(b, a);
    this.clear(b);
    this.restore(b, rows, count);
  }

  /** Empties a slot. */
  clear(slot: number): void {
    this.truncate(slot, 0);
  }

  /** Feeds for `count` slots from `first` on: views, valid until `reserve` grows the cache. */
  feeds(first: number, count: number): Readonly<Record<string, HostArray>> {
    const key = `${first} ${count}`;
    const known = this.#views.get(key);
    if (known) return known;
    const capacity = this.#capacity;
    const block = this.#numHeads * capacity * this.#headSize;
    const shape = [count, this.#numHeads, capacity, this.#headSize];
    const view = (array: Float32Array): HostArray => ({
      data: array.subarray(first * block, (first + count) * block),
      shape,
    });
    const feeds: Record<string, HostArray> = {
      'past/mask': {
        data: this.#mask.subarray(first * capacity, (first + count) * capacity),
        shape: [count, 1, 1, capacity],
      },
    };
    for (let layer = 0; layer < this.#numLayers; layer++) {
      feeds[keyName(layer)] = view(this.#arrays[2 * layer]!);
      feeds[valueName(layer)] = view(this.#arrays[2 * layer + 1]!);
    }
    this.#views.set(key, feeds);
    return feeds;
  }

  /** Gives back what slots from `numSlots` on take, when that is most of it. */
  shrink(numSlots: number): void {
    if (this.#maxSlots <= 4 * numSlots) return;
    const block = this.#numHeads * this.#capacity * this.#headSize;
    this.#arrays = this.#arrays.map((array) => array.slice(0, numSlots * block));
    this.#mask = this.#mask.slice(0, numSlots * this.#capacity);
    this.#lengths = this.#lengths.slice(0, numSlots);
    this.#finite = this.#finite.slice(0, numSlots);
    this.#maxSlots = numSlots;
    this.#numPlaces = numSlots * this.#capacity;
    this.#views.clear();
  }

  /** Gives the memory back; every slot is empty. */
  release(): void {
    this.#arrays = [];
    this.#mask = new Float32Array(0);
    this.#lengths = new Int32Array(0);
    this.#finite = new Int32Array(0);
    this.#capacity = 0;
    this.#maxSlots = 0;
    this.#numPlaces = 0;
    this.#numHeld = 0;
    this.#views.clear();
  }

  get sizeBytes(): number {
    return this.#numPlaces * this.bytesPerPosition;
  }
}
