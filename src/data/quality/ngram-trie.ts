/**
 * n-grams of symbol ids as a trie in flat arrays: node 0 is the empty n-gram, every other node is its parent's n-gram
 * with one more symbol. Children are found by open addressing on (parent, symbol), compared exactly. 24 to
 * 40 bytes a node with the counts of `NgramCounter`.
 */
import { LimitError } from '../../core/errors.ts';

/** Keys and slots of so many nodes are arrays of a gigabyte each. */
export const MAX_TRIE_NODES = 1 << 27;

export class NgramTrie {
  numNodes = 1;
  /** Parent and symbol of each node, side by side so that a look-up meets both at once. */
  #keys = new Int32Array(2048).fill(-1, 0, 2);
  /** Node in each slot; 0 is empty, as the root is nobody's child. */
  #slots = new Int32Array(2048);

  /** Nodes there is room for before the trie grows. */
  get capacity(): number {
    return this.#keys.length / 2;
  }

  parentOf(node: number): number {
    return this.#keys[2 * node]!;
  }

  symbolOf(node: number): number {
    return this.#keys[2 * node + 1]!;
  }

  /** The child of `parent` for a symbol, or -1. */
  child(parent: number, symbol: number): number {
    const slots = this.#slots;
    const keys = this.#keys;
    const mask = slots.length - 1;
    let slot = hashOf(parent, symbol) & mask;
    for (let node = slots[slot]!; node !== 0; node = slots[slot]!) {
      if (keys[2 * node] === parent && keys[2 * node + 1] === symbol) return node;
      slot = (slot + 1) & mask;
    }
    return -1;
  }

  /** Adds a child that is not there yet and returns it. */
  add(parent: number, symbol: number): number {
    if (this.numNodes === this.capacity) this.#grow();
    const node = this.numNodes++;
    this.#keys[2 * node] = parent;
    this.#keys[2 * node + 1] = symbol;
    this.#place(node);
    return node;
  }

  #place(node: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = hashOf(this.parentOf(node), this.symbolOf(node)) & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = node;
  }

  #grow(): void {
    const capacity = 2 * this.capacity;
    if (capacity > MAX_TRIE_NODES) {
      throw new LimitError(`More than ${MAX_TRIE_NODES} n-grams; lower maxNodes, the order or the text.`);
    }
    this.#keys = grown(this.#keys, 2 * capacity);
    this.#rehash(2 * capacity);
  }

  #rehash(numSlots: number): void {
    this.#slots = new Int32Array(numSlots);
    for (let node = 1; node < this.numNodes; node++) this.#place(node);
  }

  /**
   * Drops the nodes for which `keep` is false; a kept node's parent must be kept. Nodes keep their order and get new
   * numbers: the result maps old to new, -1 for dropped ones.
   */
  compact(keep: (node: number) => boolean): Int32Array {
    const renumbered = new Int32Array(this.numNodes).fill(-1);
    renumbered[0] = 0;
    let numKept = 1;
    for (let node = 1; node < this.numNodes; node++) {
      if (!keep(node)) continue;
      renumbered[node] = numKept;
      this.#keys[2 * numKept] = renumbered[this.parentOf(node)]!;
      this.#keys[2 * numKept + 1] = this.symbolOf(node);
      numKept++;
    }
    this.numNodes = numKept;
    this.#rehash(this.#slots.length);
    return renumbered;
  }

  /** A trie of given nodes, parents before children; the caller has checked them. */
  static of(parents: Int32Array, symbols: Int32Array): NgramTrie {
    const trie = new NgramTrie();
    trie.numNodes = parents.length;
    trie.#keys = new Int32Array(2 * parents.length);
    for (let node = 0; node < parents.length; node++) {
      trie.#keys[2 * node] = parents[node]!;
      trie.#keys[2 * node + 1] = symbols[node]!;
    }
    let numSlots = 2048;
    while (numSlots < 2 * parents.length) numSlots *= 2;
    trie.#rehash(numSlots);
    return trie;
  }
}

function hashOf(parent: number, symbol: number): number {
  let h = Math.imul(parent, 0x9e3779b1) ^ Math.imul(symbol + 1, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  return h ^ (h >>> 13);
}

export function grown(values: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(length);
  larger.set(values);
  return larger;
}
