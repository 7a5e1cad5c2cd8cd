/**
 * The trainer's book of symbol pairs: how often each pair of neighbours occurs, and at which positions. Pairs
 * are numbered as they appear; counts and lists live in typed arrays (about 28 bytes a pair and 8 a position),
 * so tens of millions of positions fit where a Map of Sets would not.
 */
import { growFloat64, growInt32 } from './growing-arrays.ts';

export class PairTable {
  size = 0;
  left = new Int32Array(4096);
  right = new Int32Array(4096);
  /** Weighted number of occurrences; a float so that sums over a large corpus stay exact to 2^53. */
  counts = new Float64Array(4096);
  /** First and last node of each pair's list of positions, or -1. */
  #heads = new Int32Array(4096);
  #tails = new Int32Array(4096);
  /** Slot -> pair number + 1; 0 is free. */
  #slots = new Int32Array(8192);
  #mask = 8191;
  #nodePosition = new Int32Array(4096);
  #nodeNext = new Int32Array(4096);
  #numNodes = 0;
  #freeNode = -1;

  /** Number of the pair, or -1. */
  find(left: number, right: number): number {
    return this.#slots[this.#probe(left, right)]! - 1;
  }

  /** Number of the pair, which is added with count 0 if it is new. */
  intern(left: number, right: number): number {
    const slot = this.#probe(left, right);
    const found = this.#slots[slot]! - 1;
    if (found >= 0) return found;
    const pair = this.size++;
    this.left = growInt32(this.left, this.size);
    this.right = growInt32(this.right, this.size);
    this.counts = growFloat64(this.counts, this.size);
    this.#heads = growInt32(this.#heads, this.size);
    this.#tails = growInt32(this.#tails, this.size);
    this.left[pair] = left;
    this.right[pair] = right;
    this.#heads[pair] = -1;
    this.#tails[pair] = -1;
    this.#slots[slot] = this.size;
    if (2 * this.size > this.#mask) this.#rehash();
    return pair;
  }

  /** Adds a position to the end of the pair's list. */
  addPosition(pair: number, position: number): void {
    let node = this.#freeNode;
    if (node >= 0) this.#freeNode = this.#nodeNext[node]!;
    else {
      node = this.#numNodes++;
      this.#nodePosition = growInt32(this.#nodePosition, this.#numNodes);
      this.#nodeNext = growInt32(this.#nodeNext, this.#numNodes);
    }
    this.#nodePosition[node] = position;
    this.#nodeNext[node] = -1;
    const tail = this.#tails[pair]!;
    if (tail < 0) this.#heads[pair] = node;
    else this.#nodeNext[tail] = node;
    this.#tails[pair] = node;
  }

  /** Copies the pair's positions to `out`, forgets them, and returns the array (grown if needed) and count. */
  takePositions(
    pair: number,
    out: Int32Array<ArrayBuffer>,
  ): { positions: Int32Array<ArrayBuffer>; count: number } {
    let count = 0;
    let positions = out;
    let node = this.#heads[pair]!;
    while (node >= 0) {
      positions = growInt32(positions, count + 1);
      positions[count++] = this.#nodePosition[node]!;
      const next = this.#nodeNext[node]!;
      this.#nodeNext[node] = this.#freeNode;
      this.#freeNode = node;
      node = next;
    }
    this.#heads[pair] = -1;
    this.#tails[pair] = -1;
    return { positions, count };
  }

  #probe(left: number, right: number): number {
    let slot = hashPair(left, right) & this.#mask;
    for (;;) {
      const pair = this.#slots[slot]! - 1;
      if (pair < 0 || (this.left[pair] === left && this.right[pair] === right)) return slot;
      slot = (slot + 1) & this.#mask;
    }
  }

  #rehash(): void {
    const capacity = 2 * (this.#mask + 1);
    this.#mask = capacity - 1;
    this.#slots = new Int32Array(capacity);
    for (let pair = 0; pair < this.size; pair++) {
      let slot = hashPair(this.left[pair]!, this.right[pair]!) & this.#mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
      this.#slots[slot] = pair + 1;
    }
  }
}

/** Mixes two ids to 32 bits for a power-of-two table. */
export function hashPair(left: number, right: number): number {
  let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}
