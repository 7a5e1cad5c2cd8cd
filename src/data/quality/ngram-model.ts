/**
 * An n-gram language model over symbol ids with interpolated modified Kneser-Ney smoothing (Chen and Goodman 1998,
 * TR-10-98, section 3; discounts by equation 26), the smoothing of cc_net's KenLM models. Given any context the
 * probabilities of all symbols and of the end sum to 1, also after rare n-grams were cut away: what a context's kept
 * n-grams do not take goes to the next shorter context (as in Heafield et al. 2013), and at last evenly to all symbols.
 */
import { ConfigError, FormatError } from '../../core/errors.ts';
import type { NgramCounts } from './ngram-counter.ts';
import { MAX_NGRAM_ORDER } from './ngram-counter.ts';
import { NgramTrie } from './ngram-trie.ts';

/** Discounts where counts of counts are too few or uneven to estimate them (KenLM's --discount_fallback). */
const FALLBACK_DISCOUNTS: readonly [number, number, number] = [0.5, 1, 1.5];

export interface NgramModelParts {
  order: number;
  /** Symbols are 0 .. numSymbols - 1; the last one is the end. */
  numSymbols: number;
  /** [numNodes] node 0 is the root; parents come before children. */
  parents: Int32Array;
  symbols: Int32Array;
  /** [numNodes] discounted probability of the node's last symbol after its parent. */
  shares: Float32Array;
  /** [numNodes] weight of the next shorter context when the node is the context. */
  backoffs: Float32Array;
}

export class NgramModel {
  readonly order: number;
  readonly numSymbols: number;
  readonly #trie: NgramTrie;
  readonly #parts: NgramModelParts;
  readonly #contexts: Int32Array;
  readonly #beginning: number;
  #numContexts = 0;

  /** @throws FormatError when the parts do not fit together */
  constructor(parts: NgramModelParts) {
    checkParts(parts);
    this.order = parts.order;
    this.numSymbols = parts.numSymbols;
    this.#parts = parts;
    this.#trie = NgramTrie.of(parts.parents, parts.symbols);
    this.#contexts = new Int32Array(parts.order);
    this.#beginning = this.#trie.child(0, parts.numSymbols);
  }

  get numNodes(): number {
    return this.#parts.parents.length;
  }

  get parts(): Readonly<NgramModelParts> {
    return this.#parts;
  }

  /** Begins a sequence; `next` goes on from here. */
  start(): void {
    this.#contexts[0] = 0;
    this.#numContexts = 1;
    if (this.order > 1) this.#contexts[this.#numContexts++] = this.#beginning;
  }

  /** The probability of a symbol after those since `start`, which it then joins. */
  next(symbol: number): number {
    return this.#step(symbol, true);
  }

  /** The probability of a symbol after those since `start`, which stay as they are. */
  peek(symbol: number): number {
    return this.#step(symbol, false);
  }

  #step(symbol: number, joins: boolean): number {
    const contexts = this.#contexts;
    const { shares, backoffs } = this.#parts;
    const numContexts = this.#numContexts;
    let probability = 1 / this.numSymbols;
    let previous = 0;
    for (let k = 0; k < numContexts; k++) {
      const context = contexts[k]!;
      if (joins) contexts[k] = previous;
      let node = -1;
      if (context >= 0) {
        probability *= backoffs[context]!;
        // An n-gram whose shorter end was not kept was not kept either.
        if (previous >= 0) {
          node = this.#trie.child(context, symbol);
          if (node >= 0) probability += shares[node]!;
        }
      }
      previous = node;
    }
    if (joins && numContexts < this.order) contexts[this.#numContexts++] = previous;
    return probability;
  }

  /** Bits of a whole sequence and its end: -log2 of its probability. */
  bits(symbols: ArrayLike<number>): number {
    this.start();
    let bits = 0;
    for (let i = 0; i < symbols.length; i++) bits -= Math.log2(this.next(symbols[i]!));
    return bits - Math.log2(this.next(this.numSymbols - 1));
  }
}

/**
 * Estimates a model from counts.
 * @param minCounts minCounts[n - 1]: n-grams of order n that occur less often are cut away; not falling with n, and 1
 *   for single symbols
 * @throws ConfigError for other minCounts
 */
export function estimateNgramModel(counted: NgramCounts, minCounts: readonly number[]): NgramModel {
  const { order, numSymbols, trie, counts, numBefore } = counted;
  if (
    minCounts.length !== order ||
    minCounts[0] !== 1 ||
    minCounts.some((least, i) => i > 0 && !(least >= minCounts[i - 1]!))
  ) {
    throw new ConfigError(
      `minCounts are [${minCounts.join(', ')}]; expected ${order} numbers that begin with 1 and never fall.`,
    );
  }
  const { numNodes } = trie;
  const parents = new Int32Array(numNodes);
  for (let node = 0; node < numNodes; node++) parents[node] = trie.parentOf(node);
  const beginning = trie.child(0, numSymbols);
  const orders = new Uint8Array(numNodes);
  // Kneser-Ney's counts: of the longest n-grams occurrences, of others the different symbols before, but where nothing
  // can stand before, occurrences again.
  const adjusted = new Int32Array(numNodes);
  for (let node = 1; node < numNodes; node++) {
    orders[node] = orders[parents[node]!]! + 1;
    adjusted[node] = orders[node] === order || numBefore[node] === 0 ? counts[node]! : numBefore[node]!;
  }
  if (beginning >= 0) adjusted[beginning] = 0;
  const discounts = discountsByOrder(order, orders, adjusted);
  const totals = new Float64Array(numNodes);
  for (let node = 1; node < numNodes; node++) totals[parents[node]!]! += adjusted[node]!;
  const isKept = (node: number): boolean =>
    counts[node]! >= minCounts[orders[node]! - 1]! || node === beginning;
  const shareOf = (node: number): number => {
    if (adjusted[node] === 0) return 0;
    const discount = discounts[orders[node]!]![Math.min(adjusted[node]!, 3) - 1]!;
    return Math.max(adjusted[node]! - discount, 0) / totals[parents[node]!]!;
  };
  const keptShares = new Float64Array(numNodes);
  for (let node = 1; node < numNodes; node++)
    if (isKept(node)) keptShares[parents[node]!]! += Math.fround(shareOf(node));
  const shares: number[] = [0];
  const backoffs: number[] = [1 - keptShares[0]!];
  for (let node = 1; node < numNodes; node++) {
    if (!isKept(node)) continue;
    shares.push(shareOf(node));
    backoffs.push(1 - keptShares[node]!);
  }
  trie.compact(isKept);
  const keptParents = new Int32Array(trie.numNodes).fill(-1);
  const keptSymbols = new Int32Array(trie.numNodes).fill(-1);
  for (let node = 1; node < trie.numNodes; node++) {
    keptParents[node] = trie.parentOf(node);
    keptSymbols[node] = trie.symbolOf(node);
  }
  return new NgramModel({
    order,
    numSymbols,
    parents: keptParents,
    symbols: keptSymbols,
    shares: Float32Array.from(shares),
    backoffs: Float32Array.from(backoffs),
  });
}

/** Discounts for counts 1, 2 and 3 or more, by order (Chen and Goodman, equation 26). */
function discountsByOrder(
  order: number,
  orders: Uint8Array,
  adjusted: Int32Array,
): (readonly [number, number, number])[] {
  const numWith = Array.from({ length: order + 1 }, () => [0, 0, 0, 0, 0]);
  for (let node = 1; node < orders.length; node++) {
    const count = adjusted[node]!;
    if (count >= 1 && count <= 4) numWith[orders[node]!]![count]!++;
  }
  return numWith.map(([, n1, n2, n3, n4]) => {
    const y = n1! / (n1! + 2 * n2!);
    const discounts = [1 - (2 * y * n2!) / n1!, 2 - (3 * y * n3!) / n2!, 3 - (4 * y * n4!) / n3!] as const;
    const usable = discounts.every((discount, i) => discount > 0 && discount <= i + 1);
    return usable ? discounts : FALLBACK_DISCOUNTS;
  });
}

function checkParts({ order, numSymbols, parents, symbols, shares, backoffs }: NgramModelParts): void {
  const { length } = parents;
  const fail = (what: string): never => {
    throw new FormatError(`The n-gram model does not fit together: ${what}.`);
  };
  if (!Number.isInteger(order) || order < 1 || order > MAX_NGRAM_ORDER) fail(`order ${order}`);
  if (!Number.isInteger(numSymbols) || numSymbols < 2) fail(`${numSymbols} symbols`);
  if (length < 1 || symbols.length !== length || shares.length !== length || backoffs.length !== length) {
    fail(`arrays of ${length}, ${symbols.length}, ${shares.length} and ${backoffs.length} n-grams`);
  }
  const isWeight = (value: number): boolean => value >= -1e-6 && value <= 1 + 1e-6;
  const orders = new Uint8Array(length);
  for (let node = 0; node < length; node++) {
    if (!isWeight(shares[node]!) || !isWeight(backoffs[node]!))
      fail(`n-gram ${node} has weights outside 0 to 1`);
    if (node === 0) continue;
    const parent = parents[node]!;
    if (!(parent >= 0 && parent < node) || orders[parent]! >= order)
      fail(`n-gram ${node} hangs on ${parent}`);
    orders[node] = orders[parent]! + 1;
    if (!(symbols[node]! >= 0 && symbols[node]! <= numSymbols))
      fail(`n-gram ${node} ends in ${symbols[node]}`);
  }
}
