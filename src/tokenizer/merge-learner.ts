/**
 * The core of BPE training (Sennrich et al. 2016) on chunks that were counted before: symbols stand in one
 * linked list over all chunks, a merge visits only the places where its pair stands, and counts of the
 * neighbouring pairs are corrected there. The pair with the largest count comes off a heap with lazy refresh.
 * Work is bound by the number of places merged, not by chunk length, so one endless chunk is no special case.
 */

import { alphabetFromBytes } from './byte-alphabet.ts';
import { growInt32 } from './growing-arrays.ts';
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
  readonly #idOfBytes = new Map<string, number>();
  readonly #triples: number[] = [];
  readonly #pairs = new PairTable();
  readonly #heap: PairHeap;
  readonly #chunkCounts: Float64Array;
  /** Per position: the symbol there (-1 when it was merged away), its neighbours (-1 at a chunk's ends). */
  readonly #symbols: Int32Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #chunkOf: Int32Array;
  /** Pairs that gained occurrences in the current merge. */
  #gained = new Int32Array(1024);
  #numGained = 0;
  #mergeNumber = 0;
  #gainedIn = new Int32Array(4096);
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
    this.#tokens.forEach((bytes, id) => {
      this.#idOfBytes.set(alphabetFromBytes(bytes), id);
    });
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
        // Counts only fall after a push, except where a second way to an old token was found (see #merge).
        if (count < pushedCount) this.#pushIfFrequent(pair);
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
    const merged = this.#mergedId(left, right);
    this.#triples.push(left, right, merged);
    this.#mergeNumber++;
    this.#numGained = 0;
    pairs.counts[pair] = 0;

    const taken = pairs.takePositions(pair, this.#positions);
    this.#positions = taken.positions;
    const positions = taken.positions.subarray(0, taken.count);
    // In order of position, so that of overlapping places ("aaa") the left one merges.
    if (!isAscending(positions)) positions.sort();

    const symbols = this.#symbols;
    const next = this.#next;
    const previous = this.#previous;
    for (let i = 0; i < positions.length; i++) {
      const at = positions[i]!;
      const second = next[at]!;
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
    for (let i = 0; i < this.#numGained; i++) this.#pushIfFrequent(this.#gained[i]!);
  }

  #lose(left: number, right: number, weight: number): void {
    const pair = this.#pairs.find(left, right);
    this.#pairs.counts[pair]! -= weight;
  }

  #gain(left: number, right: number, weight: number, position: number): void {
    const pair = this.#pairs.intern(left, right);
    this.#pairs.counts[pair]! += weight;
    this.#pairs.addPosition(pair, position);
    this.#gainedIn = growInt32(this.#gainedIn, pair + 1);
    if (this.#gainedIn[pair] === this.#mergeNumber) return;
    this.#gainedIn[pair] = this.#mergeNumber;
    this.#gained = growInt32(this.#gained, this.#numGained + 1);
    this.#gained[this.#numGained++] = pair;
  }

  /** A new id, or the old one when these bytes are a token already: a vocabulary has each token once. */
  #mergedId(left: number, right: number): number {
    const leftBytes = this.#tokens[left]!;
    const rightBytes = this.#tokens[right]!;
    const bytes = new Uint8Array(leftBytes.length + rightBytes.length);
    bytes.set(leftBytes);
    bytes.set(rightBytes, leftBytes.length);
    const key = alphabetFromBytes(bytes);
    const known = this.#idOfBytes.get(key);
    if (known !== undefined) return known;
    this.#idOfBytes.set(key, this.#tokens.length);
    return this.#tokens.push(bytes) - 1;
  }
}

function isAscending(values: Int32Array): boolean {
  for (let i = 1; i < values.length; i++) if (values[i - 1]! > values[i]!) return false;
  return true;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}
