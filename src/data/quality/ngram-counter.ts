/**
 * Counts the n-grams of symbol sequences up to an order, with what Kneser-Ney smoothing needs: how often each occurs
 * and after how many different symbols. Every sequence stands between a beginning, which is only ever context, and an
 * end, which is predicted like a symbol. Memory is bounded: when the trie is full, n-grams seen once (then
 * up to twice, four times ...) are dropped and counted as pruned.
 */
import { ConfigError, LimitError } from '../../core/errors.ts';
import { grown, MAX_TRIE_NODES, NgramTrie } from './ngram-trie.ts';

export const MAX_NGRAM_ORDER = 8;

export interface NgramCounts {
  readonly order: number;
  /** Symbols are 0 .. numSymbols - 1; the last one is the end. */
  readonly numSymbols: number;
  readonly trie: NgramTrie;
  /** [numNodes] occurrences. */
  readonly counts: Int32Array;
  /** [numNodes] different symbols before it; 0 for the longest n-grams and those that stand at a beginning. */
  readonly numBefore: Int32Array;
  /** n-grams dropped to stay within memory. */
  readonly numPruned: number;
}

export class NgramCounter {
  readonly order: number;
  readonly numSymbols: number;
  readonly maxNodes: number;
  readonly #trie = new NgramTrie();
  #counts = new Int32Array(1024);
  #numBefore = new Int32Array(1024);
  #numPruned = 0;
  /** Nodes of the latest 0 .. order - 1 symbols. */
  readonly #contexts: Int32Array;
  #numContexts = 0;

  /**
   * @param numOrdinary number of symbols of the text; the end comes on top
   * @throws ConfigError for an order outside 1 .. 8 or fewer nodes than symbols
   */
  constructor(order: number, numOrdinary: number, maxNodes: number) {
    if (!Number.isInteger(order) || order < 1 || order > MAX_NGRAM_ORDER) {
      throw new ConfigError(`order is ${order}; expected a whole number from 1 to ${MAX_NGRAM_ORDER}.`);
    }
    const least = 4 * numOrdinary;
    if (!Number.isInteger(maxNodes) || maxNodes < least || maxNodes > MAX_TRIE_NODES) {
      throw new ConfigError(
        `maxNodes is ${maxNodes}; expected a whole number from ${least} (4 a symbol) to ${MAX_TRIE_NODES}.`,
      );
    }
    this.order = order;
    this.numSymbols = numOrdinary + 1;
    this.maxNodes = maxNodes;
    this.#contexts = new Int32Array(order);
  }

  /** Adds one sequence of symbols in [0, numOrdinary). */
  add(symbols: ArrayLike<number>): void {
    const contexts = this.#contexts;
    contexts[0] = 0;
    this.#numContexts = 1;
    if (this.order > 1) {
      // The beginning is symbol number numSymbols.
      const beginning = this.#trie.child(0, this.numSymbols);
      contexts[1] = beginning >= 0 ? beginning : this.#add(0, this.numSymbols);
      this.#numContexts = 2;
    }
    for (let i = 0; i <= symbols.length; i++) {
      if (this.#trie.numNodes + this.order > this.maxNodes) this.#prune();
      this.#count(i === symbols.length ? this.numSymbols - 1 : symbols[i]!);
    }
  }

  #add(parent: number, symbol: number): number {
    const node = this.#trie.add(parent, symbol);
    const length = this.#trie.capacity;
    if (length > this.#counts.length) {
      this.#counts = grown(this.#counts, length);
      this.#numBefore = grown(this.#numBefore, length);
    }
    return node;
  }

  #count(symbol: number): void {
    const contexts = this.#contexts;
    const numContexts = this.#numContexts;
    // After context k, the node of the k latest symbols with this one; it is context k + 1 of the next symbol.
    let previous = 0;
    for (let k = 0; k < numContexts; k++) {
      const context = contexts[k]!;
      contexts[k] = previous;
      let node = this.#trie.child(context, symbol);
      if (node < 0) {
        node = this.#add(context, symbol);
        // A longer n-gram seen for the first time: its shorter end has one more symbol that comes before.
        if (k > 0) this.#numBefore[previous]!++;
      }
      this.#counts[node]!++;
      previous = node;
    }
    if (numContexts < this.order) contexts[this.#numContexts++] = previous;
  }

  /** Drops the rarest n-grams of two symbols and more until a quarter of the room is free. */
  #prune(): void {
    const before = this.#trie.numNodes;
    for (let count = 1; this.#trie.numNodes > 0.75 * this.maxNodes; count *= 2) {
      if (count > 1 << 30) {
        throw new LimitError(`maxNodes ${this.maxNodes} is too small for this text; raise it.`);
      }
      this.#dropUpTo(count);
    }
    this.#numPruned += before - this.#trie.numNodes;
  }

  #dropUpTo(count: number): void {
    const trie = this.#trie;
    const counts = this.#counts;
    // Contexts under way stay, or their next symbol would have nowhere to go.
    const inUse = new Set<number>();
    for (let k = 0; k < this.#numContexts; k++) {
      for (let node = this.#contexts[k]!; node > 0; node = trie.parentOf(node)) inUse.add(node);
    }
    const isKept = (node: number): boolean =>
      trie.parentOf(node) === 0 || counts[node]! > count || inUse.has(node);
    const numOld = trie.numNodes;
    const renumbered = trie.compact(isKept);
    for (let node = 1; node < numOld; node++) {
      const to = renumbered[node]!;
      if (to < 0) continue;
      counts[to] = counts[node]!;
      this.#numBefore[to] = this.#numBefore[node]!;
    }
    counts.fill(0, trie.numNodes);
    this.#numBefore.fill(0, trie.numNodes);
    for (let k = 0; k < this.#numContexts; k++) {
      this.#contexts[k] = renumbered[this.#contexts[k]!]!;
    }
  }

  /** What was counted; the counter must not be used afterwards. */
  finish(): NgramCounts {
    return {
      order: this.order,
      numSymbols: this.numSymbols,
      trie: this.#trie,
      counts: this.#counts.subarray(0, this.#trie.numNodes),
      numBefore: this.#numBefore.subarray(0, this.#trie.numNodes),
      numPruned: this.#numPruned,
    };
  }
}
