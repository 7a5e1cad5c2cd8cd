/**
 * The core of BPE training (Sennrich et al. 2016) on chunks that were counted before: symbols stand in one
 * linked list over all chunks, a merge visits only the places where its pair stands, and counts of the
 * neighbouring pairs are corrected there. The pair with the largest count comes off a heap with lazy refresh.
 *
 * No token is learned twice: two ways to merge the same bytes would need a merge across their border in one of
 * the places, and then the bytes would not be one token there. So every pair that a merge brings about holds the
 * new token, its count only falls from then on, and its places are listed from left to right.
 *
 * Work is bound by the number of places merged, not by chunk length, so one endless chunk is no special case.
 */
import { PairHeap } from './pair-heap.ts';
import { PairTable } from './pair-table.ts';

/**
 * Which of several pairs with the same count merges first. `pair-ids`: the smaller left id, then the smaller
 * right id (Hugging Face tokenizers). `greater-bytes`: the pair whose bytes are lexicographically greater,
 * left then right (Stanford CS336, assignment 1).
 */
export type TieBreak = 'pair-ids' | 'greater-bytes';

export interface CountedChunks {
  /** Byte values of all chunks, one after the other. */
  bytes: Uint8Array;
  /** Chunk i is `bytes[starts[i], starts[i + 1])`; one entry more than there are chunks. */
  starts: Int32Array;
  /** How often each chunk occurs. */
  counts: Float64Array;
}

export interface LearnedMerges {
  /** Token bytes by id: the 256 bytes, then the merged tokens. */
  tokens: Uint8Array[];
  /** (left id, right id, merged id) per merge. */
  triples: number[];
}

export interface LearnOptions {
  /** Stop at this many tokens, the 256 bytes included. */
  numTokens: number;
  minFrequency: number;
  tieBreak: TieBreak;
  /** Called with the number of tokens after every merge. */
  onMerge?: (numTokens: number) => void;
}

export function learnMerges(chunks: CountedChunks, options: LearnOptions): LearnedMerges {
  return new MergeLearner(chunks, options).run();
}

class MergeLearner {
  readonly #options: LearnOptions;
  readonly #tokens: Uint8Array[] = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
  readonly #triples: number[] = [];
  readonly #pairs = new PairTable();
  readonly #heap: PairHeap;
  readonly #chunkCounts: Float64Array;
  /** Per position: the symbol there (-1 when it was merged away), its neighbours (-1 at a chunk's ends). */
  readonly #symbols: Int32Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #chunkOf: Int32Array;
  #positions = new Int32Array(4096);

  constructor(chunks: CountedChunks, options: LearnOptions) {
    this.#options = options;
    const pairs = this.#pairs;
    this.#heap = new PairHeap(
      options.tieBreak === 'pair-ids'
        ? (a, b) =>
            pairs.left[a] !== pairs.left[b]
              ? pairs.left[a]! < pairs.left[b]!
              : pairs.right[a]! < pairs.right[b]!
        : (a, b) =>
            (compareBytes(this.#tokens[pairs.left[a]!]!, this.#tokens[pairs.left[b]!]!) ||
              compareBytes(this.#tokens[pairs.right[a]!]!, this.#tokens[pairs.right[b]!]!)) > 0,
    );
    const numChunks = chunks.counts.length;
    const numPositions = chunks.starts[numChunks]!;
    this.#chunkCounts = chunks.counts;
    this.#symbols = new Int32Array(numPositions);
    this.#next = new Int32Array(numPositions);
    this.#previous = new Int32Array(numPositions);
    this.#chunkOf = new Int32Array(numPositions);
    for (let chunk = 0; chunk < numChunks; chunk++) {
      const start = chunks.starts[chunk]!;
      const end = chunks.starts[chunk + 1]!;
      for (let position = start; position < end; position++) {
        this.#symbols[position] = chunks.bytes[position]!;
        this.#next[position] = position + 1 < end ? position + 1 : -1;
        this.#previous[position] = position > start ? position - 1 : -1;
        this.#chunkOf[position] = chunk;
        if (position + 1 === end) continue;
        const pair = pairs.intern(chunks.bytes[position]!, chunks.bytes[position + 1]!);
        pairs.counts[pair]! += chunks.counts[chunk]!;
        pairs.addPosition(pair, position);
      }
    }
    for (let pair = 0; pair < pairs.size; pair++) this.#pushIfFrequent(pair);
  }

  run(): LearnedMerges {
    const counts = () => this.#pairs.counts;
    while (this.#heap.size > 0 && this.#tokens.length < this.#options.numTokens) {
      const pushedCount = this.#heap.topCount;
      const pair = this.#heap.pop();
      const count = counts()[pair]!;
      if (count !== pushedCount) {
        this.#pushIfFrequent(pair);
        continue;
      }
      this.#merge(pair);
      this.#options.onMerge?.(this.#tokens.length);
    }
    return { tokens: this.#tokens, triples: this.#triples };
  }

  #pushIfFrequent(pair: number): void {
    const count = this.#pairs.counts[pair]!;
    if (count >= this.#options.minFrequency) this.#heap.push(pair, count);
  }

  #merge(pair: number): void {
    const pairs = this.#pairs;
    const left = pairs.left[pair]!;
    const right = pairs.right[pair]!;
    const merged = this.#tokens.push(joined(this.#tokens[left]!, this.#tokens[right]!)) - 1;
    this.#triples.push(left, right, merged);
    const firstNewPair = pairs.size;

    const taken = pairs.takePositions(pair, this.#positions);
    this.#positions = taken.positions;
    const positions = taken.positions.subarray(0, taken.count);

    const symbols = this.#symbols;
    const next = this.#next;
    const previous = this.#previous;
    for (let i = 0; i < positions.length; i++) {
      const at = positions[i]!;
      const second = next[at]!;
      // Merged away since, by a neighbour or by an overlapping place ("aaa": the left one merges).
      if (symbols[at] !== left || second < 0 || symbols[second] !== right) continue;
      const weight = this.#chunkCounts[this.#chunkOf[at]!]!;
      const before = previous[at]!;
      const after = next[second]!;
      if (before >= 0) {
        this.#lose(symbols[before]!, left, weight);
        this.#gain(symbols[before]!, merged, weight, before);
      }
      if (after >= 0) {
        this.#lose(right, symbols[after]!, weight);
        this.#gain(merged, symbols[after]!, weight, at);
        previous[after] = at;
      }
      symbols[at] = merged;
      symbols[second] = -1;
      next[at] = after;
    }
    // Every place of the pair is gone; what #lose took off it while places overlapped means nothing.
    pairs.counts[pair] = 0;
    for (let gained = firstNewPair; gained < pairs.size; gained++) this.#pushIfFrequent(gained);
  }

  #lose(left: number, right: number, weight: number): void {
    const pair = this.#pairs.find(left, right);
    this.#pairs.counts[pair]! -= weight;
  }

  #gain(left: number, right: number, weight: number, position: number): void {
    const pair = this.#pairs.intern(left, right);
    this.#pairs.counts[pair]! += weight;
    this.#pairs.addPosition(pair, position);
  }
}

function joined(left: Uint8Array, right: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(left.length + right.length);
  bytes.set(left);
  bytes.set(right, left.length);
  return bytes;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}
