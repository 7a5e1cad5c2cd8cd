/**
 * The words of a folded text as 64-bit hashes (two lanes of 32 bits), and runs of them as one hash. A word is a
 * run of characters between spaces. Scripts that write no spaces (Han, kana, Thai, Lao, Khmer, Burmese, Tibetan
 * ...) have no words without a dictionary; there each character counts as a word. Knows nothing of what the
 * hashes are for.
 */
import { SPACE, type TextFolder, UNSPACED } from './character-folding.ts';

/** Odd multipliers of two lanes: fractional parts of square roots of primes, as in SHA-2. */
const STEP_1 = 0x9e3779b1 | 0;
const STEP_2 = 0x85ebca77 | 0;
const START_1 = 0x243f6a88;
const START_2 = 0x13198a2e;
/** Larger buffers are not kept after use. */
const MAX_KEPT_WORDS = 1 << 20;
/** Bases of the rolling hashes of runs of words. */
const BASE_1 = 0x5f356495;
const BASE_2 = 0x2c1b3c6d;

/** Spreads every input bit over all output bits (MurmurHash3's finalizer). Returns an int32. */
export function mix32(value: number): number {
  let h = value ^ (value >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

export class WordHasher {
  /** Hashes of the words in the first `numWords` entries, one array a lane. */
  words1: Int32Array<ArrayBuffer> = new Int32Array(1024);
  words2: Int32Array<ArrayBuffer> = new Int32Array(1024);
  numWords = 0;
  readonly #contextCharacters: number;

  /**
   * `contextCharacters`: how many characters before a character of an unspaced script belong to its word, 0 to 3.
   * With more of them a run of n words spans more text, as n words of other scripts do.
   */
  constructor(contextCharacters: 0 | 3 = 0) {
    this.#contextCharacters = contextCharacters;
  }

  /** With `spans`, notes index of the first value and the end of each word: two entries a word. */
  hash(folded: TextFolder, spans?: number[]): this {
    const { values, length } = folded;
    if (this.words1.length <= length) {
      const size = Math.max(length + 1, 2 * this.words1.length);
      this.words1 = new Int32Array(size);
      this.words2 = new Int32Array(size);
    }
    this.numWords = hashWords(values, length, this.#contextCharacters > 0, this.words1, this.words2, spans);
    return this;
  }

  /** Lets go of buffers too large to keep. */
  release(): void {
    if (this.words1.length <= MAX_KEPT_WORDS) return;
    this.words1 = new Int32Array(1024);
    this.words2 = new Int32Array(1024);
  }
}

/**
 * The loop of `WordHasher.hash`. Nothing may follow the loop but its result: entered in the middle, as a first long
 * text does, the optimized code would be left at every exit.
 */
function hashWords(
  values: Int32Array,
  length: number,
  hasContext: boolean,
  words1: Int32Array,
  words2: Int32Array,
  spans: number[] | undefined,
): number {
  // Constants of other modules are not folded into the loop: reading them there costs more than the hashing.
  const space = SPACE;
  const unspaced = UNSPACED;
  let numWords = 0;
  let h1 = START_1;
  let h2 = START_2;
  let wordStart = -1;
  // A space stands after the last value, so that no word is left over.
  for (let i = 0; i <= length; i++) {
    const value = values[i]!;
    if (value !== space && value < unspaced) {
      if (wordStart === -1) wordStart = i;
      h1 = Math.imul(h1 ^ value, STEP_1);
      h1 ^= h1 >>> 15;
      h2 = Math.imul(h2 ^ value, STEP_2);
      h2 = (h2 << 13) | (h2 >>> 19);
      continue;
    }
    if (wordStart !== -1) {
      if (spans) spans.push(wordStart, i);
      words1[numWords] = mix32(h1 ^ h2);
      words2[numWords++] = mix32(h2 + START_1);
      h1 = START_1;
      h2 = START_2;
      wordStart = -1;
    }
    if (value >= unspaced) {
      if (spans) spans.push(i, i + 1);
      let c1 = mix32(value);
      let c2 = mix32(value ^ START_2);
      if (hasContext) {
        for (let at = i - 1; at >= 0 && at >= i - 3 && values[at]! >= unspaced; at--) {
          c1 = mix32(Math.imul(c1, STEP_1) ^ values[at]!);
          c2 = mix32(Math.imul(c2, STEP_2) ^ values[at]!);
        }
      }
      words1[numWords] = c1;
      words2[numWords++] = c2;
    }
  }
  return numWords;
}

/**
 * Hashes all runs of `size` items into `out` and returns how many there are; fewer items than `size` make one
 * run of what there is, none make none. `out` needs one entry an item. May be `items` itself.
 */
export function hashRuns(items: Int32Array, numItems: number, size: number, out: Int32Array): number {
  if (numItems === 0) return 0;
  const base = BASE_1;
  let h = 0;
  const first = Math.min(size, numItems);
  let oldest = 1;
  for (let i = 0; i < first; i++) {
    h = (Math.imul(h, base) + items[i]!) | 0;
    oldest = Math.imul(oldest, base);
  }
  const numRuns = Math.max(1, numItems - size + 1);
  // `out` may overlay `items`: entry i is read for the last time just before it is written.
  for (let i = 0; i < numRuns; i++) {
    const leaving = items[i]!;
    const entering = i + 1 < numRuns ? items[i + size]! : 0;
    out[i] = mix32(h);
    h = (Math.imul(h, base) + entering - Math.imul(leaving, oldest)) | 0;
  }
  return numRuns;
}

/** One run of `size` items from `start` on, by another function than that of `hashRuns`. */
export function hashRunAgain(items: Int32Array, start: number, size: number): number {
  const base = BASE_2;
  let h = 0;
  for (let i = start; i < start + size; i++) h = (Math.imul(h, base) + items[i]!) | 0;
  return mix32(h);
}
