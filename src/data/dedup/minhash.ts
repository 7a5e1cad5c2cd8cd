/**
 * MinHash signatures (Broder 1997): k hash functions, each keeping its least value over the shingles of a text.
 * Two texts agree in a function with the probability of their Jaccard similarity J, so the share of agreements
 * estimates J with standard error sqrt(J(1-J)/k). Bands of rows make keys for finding pairs (locality-sensitive
 * hashing). Same method and text, same signature, on any machine.
 *
 * A text with fewer words than a shingle has one shingle of all its words. A text without words has no shingle:
 * its signature is all ones, and it is nobody's duplicate.
 */
import { KeyedRandom } from '../../core/random.ts';
import { TextFolder, UNSPACED } from './character-folding.ts';
import { type MinHashMethod, type ResolvedMinHashMethod, resolveMinHash } from './dedup-method.ts';
import { NO_KEY, writeKey } from './unit-hasher.ts';
import { hashRuns, mix32, WordHasher } from './word-hasher.ts';

/** Shingles that go through all hash functions before the next ones: 16 KB, the half of a first-level cache. */
const BLOCK_SHINGLES = 4096;
/** Rows kept for the verification of pairs, as one byte each. */
const MAX_SKETCH_BYTES = 256;
const GREATEST = 0x7fffffff;
const SIGN = 0x80000000 | 0;
const KEY_STEP_1 = 0x9e3779b1 | 0;
const KEY_STEP_2 = 0x85ebca77 | 0;

export class MinHasher {
  readonly method: ResolvedMinHashMethod;
  readonly numHashes: number;
  /** Bytes of a sketch: what is kept of a signature to estimate similarities. */
  readonly sketchBytes: number;
  readonly #folder: TextFolder;
  readonly #words = new WordHasher(3);
  /** Function j maps x to multipliers[j] * x + offsets[j] modulo 2^32: one to one, since multipliers are odd. */
  readonly #multipliers: Int32Array;
  readonly #offsets: Int32Array;
  /** Signed least values: comparing int32 is faster than uint32, and any fixed order serves. */
  readonly #minima: Int32Array;

  /** @throws ConfigError for settings out of range. */
  constructor(method: Omit<MinHashMethod, 'kind'> = {}) {
    this.method = resolveMinHash(method);
    const { numBands, rowsPerBand, seed, normalize } = this.method;
    this.numHashes = numBands * rowsPerBand;
    this.sketchBytes = Math.min(this.numHashes, MAX_SKETCH_BYTES);
    this.#folder = new TextFolder(normalize);
    // Four functions go through the shingles together.
    const padded = 4 * Math.ceil(this.numHashes / 4);
    this.#multipliers = new Int32Array(padded);
    this.#offsets = new Int32Array(padded);
    this.#minima = new Int32Array(padded);
    const random = new KeyedRandom(seed).fork('minhash');
    for (let j = 0; j < padded; j++) {
      this.#multipliers[j] = random.uint32(2 * j) | 1;
      this.#offsets[j] = random.uint32(2 * j + 1);
    }
  }

  /** One uint32 for each hash function; band b is at [b * rowsPerBand, (b + 1) * rowsPerBand). */
  signature(text: string): Uint32Array {
    this.sign(text);
    const signature = new Uint32Array(this.numHashes);
    for (let j = 0; j < this.numHashes; j++) signature[j] = this.#minima[j]! ^ SIGN;
    return signature;
  }

  /** Computes the signature that the `write` functions write. Returns the number of shingles, repeats included. */
  sign(text: string): number {
    const minima = this.#minima.fill(GREATEST);
    const shingles = this.#shingles(text);
    const numShingles = this.#numShingles;
    for (let start = 0; start < numShingles; start += BLOCK_SHINGLES) {
      const end = Math.min(numShingles, start + BLOCK_SHINGLES);
      leastValues(shingles, start, end, this.#multipliers, this.#offsets, minima);
    }
    this.#folder.release();
    this.#words.release();
    return numShingles;
  }

  #numShingles = 0;

  #shingles(text: string): Int32Array {
    const { unit, size } = this.method.shingle;
    const folded = this.#folder.fold(text);
    if (unit === 'word') {
      const { words1, numWords } = this.#words.hash(folded);
      this.#numShingles = hashRuns(words1, numWords, size, words1);
      return words1;
    }
    const { values, length } = folded;
    for (let i = 0; i < length; i++) values[i] = mix32(values[i]! & (UNSPACED - 1));
    this.#numShingles = hashRuns(values, length, size, values);
    return values;
  }

  /** Writes a 64-bit key for each band, high and low word in turn; (0, 0) for a text without shingles. */
  writeBandKeys(out: Uint32Array, at: number): void {
    const { numBands, rowsPerBand } = this.method;
    const minima = this.#minima;
    for (let band = 0; band < numBands; band++) {
      if (this.#numShingles === 0) {
        out[at + 2 * band] = NO_KEY;
        out[at + 2 * band + 1] = NO_KEY;
        continue;
      }
      let h1 = 0x243f6a88;
      let h2 = 0x13198a2e;
      for (let row = band * rowsPerBand; row < (band + 1) * rowsPerBand; row++) {
        const value = minima[row]!;
        h1 = mix32(Math.imul(h1, KEY_STEP_1) ^ value);
        h2 = mix32(Math.imul(h2, KEY_STEP_2) + value);
      }
      writeKey(h1, h2, out, at + 2 * band);
    }
  }

  /** Writes `sketchBytes` bytes: one of each of up to 256 evenly spread rows (b-bit minwise hashing, b = 8). */
  writeSketch(out: Uint8Array, at: number): void {
    const { sketchBytes } = this;
    for (let i = 0; i < sketchBytes; i++) {
      out[at + i] = mix32(this.#minima[Math.floor((i * this.numHashes) / sketchBytes)]!);
    }
  }
}

/** Share of functions in which two signatures of the same method agree: an unbiased estimate of Jaccard. */
export function estimateJaccard(a: Uint32Array, b: Uint32Array): number {
  let numEqual = 0;
  for (let i = 0; i < a.length; i++) if (a[i] === b[i]) numEqual++;
  return numEqual / a.length;
}

/** The same from sketches; chance agreements of a byte are taken out (Li and König 2010, eq. 4 for rare shingles). */
export function estimateJaccardFromSketches(
  a: Uint8Array,
  atA: number,
  b: Uint8Array,
  atB: number,
  length: number,
): number {
  let numEqual = 0;
  for (let i = 0; i < length; i++) if (a[atA + i] === b[atB + i]) numEqual++;
  return Math.max(0, (numEqual / length - 1 / 256) / (1 - 1 / 256));
}

/** Four functions at a time: each shingle is read once for them, and their least values stay in registers. */
function leastValues(
  shingles: Int32Array,
  start: number,
  end: number,
  multipliers: Int32Array,
  offsets: Int32Array,
  minima: Int32Array,
): void {
  for (let j = 0; j < minima.length; j += 4) {
    const a0 = multipliers[j]!;
    const a1 = multipliers[j + 1]!;
    const a2 = multipliers[j + 2]!;
    const a3 = multipliers[j + 3]!;
    const b0 = offsets[j]!;
    const b1 = offsets[j + 1]!;
    const b2 = offsets[j + 2]!;
    const b3 = offsets[j + 3]!;
    let least0 = minima[j]!;
    let least1 = minima[j + 1]!;
    let least2 = minima[j + 2]!;
    let least3 = minima[j + 3]!;
    for (let i = start; i < end; i++) {
      const shingle = shingles[i]!;
      const h0 = (Math.imul(shingle, a0) + b0) | 0;
      const h1 = (Math.imul(shingle, a1) + b1) | 0;
      const h2 = (Math.imul(shingle, a2) + b2) | 0;
      const h3 = (Math.imul(shingle, a3) + b3) | 0;
      if (h0 < least0) least0 = h0;
      if (h1 < least1) least1 = h1;
      if (h2 < least2) least2 = h2;
      if (h3 < least3) least3 = h3;
    }
    minima[j] = least0;
    minima[j + 1] = least1;
    minima[j + 2] = least2;
    minima[j + 3] = least3;
  }
}
