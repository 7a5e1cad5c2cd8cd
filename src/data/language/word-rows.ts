/**
 * Text -> the sum of its fastText input rows: for each word between ASCII white space its own row, if the
 * dictionary has it, and one row for each character n-gram of `<word>` whose bucket was kept. Sums of words seen
 * before come from a table of bounded size, looked up by a hash of the word's code units and compared unit by
 * unit, so a result never depends on what was asked before. One instance must not be shared between threads.
 *
 * Hashes are fastText's FNV-1a over UTF-8 bytes taken as signed chars. A lone surrogate counts as U+FFFD, as in
 * any encoder. Unlike fastText, a literal `</s>` in the text does not end it.
 */
import type { FastTextModel } from './fasttext-model.ts';

const FNV_BASIS = 0x811c9dc5 | 0;
const FNV_PRIME = 0x01000193;

/** Words kept with their sums (64 bytes each at 16 columns); a full table is emptied and fills again. */
const MAX_CACHED_WORDS = 1 << 16;
const NUM_SLOTS = 1 << 18;
/** Code units of all cached words together. */
const MAX_CACHED_UNITS = 1 << 20;
/** Longer words are summed each time: in scripts without spaces they hardly ever come back. */
const MAX_CACHED_LENGTH = 48;

const DICTIONARY_MASK = (1 << 14) - 1;

const END_OF_TEXT = '</s>';
const LABEL_PREFIX = '__label__';

/** Space, tab, line feed, vertical tab, form feed, carriage return and NUL separate words. */
function isSeparator(unit: number): boolean {
  return unit === 32 || (unit >= 9 && unit <= 13) || unit === 0;
}

export class WordRows {
  readonly #model: FastTextModel;
  /** Kept buckets: one bit for each bucket, and an open-addressing table from bucket to row. */
  readonly #keptBuckets: Uint8Array;
  readonly #bucketKeys: Int32Array;
  readonly #bucketValues: Int32Array;
  readonly #bucketMask: number;

  readonly #slotHash = new Int32Array(NUM_SLOTS);
  /** Word index + 1; 0 is empty. */
  readonly #slotWord = new Int32Array(NUM_SLOTS);
  readonly #wordStart = new Int32Array(MAX_CACHED_WORDS);
  readonly #wordLength = new Uint8Array(MAX_CACHED_WORDS);
  readonly #wordNumRows = new Int32Array(MAX_CACHED_WORDS);
  readonly #wordSums: Float32Array;
  readonly #units = new Uint16Array(MAX_CACHED_UNITS);
  #numWords = 0;
  #numUnits = 0;

  /** Sum of one word. */
  readonly #sum: Float64Array;
  /** Hashes of the n-grams of 0 .. maxN characters that end at the current character. */
  readonly #hashes: Int32Array;
  #numRows = 0;
  /** A bit for each hash of a dictionary word, so that most other words need no look-up. */
  readonly #dictionaryBits = new Uint8Array(DICTIONARY_MASK + 1);

  constructor(model: FastTextModel) {
    this.#model = model;
    this.#wordSums = new Float32Array(MAX_CACHED_WORDS * model.dim);
    this.#sum = new Float64Array(model.dim);
    this.#hashes = new Int32Array(model.maxN + 1);
    for (const word of model.words.keys()) {
      let hash = FNV_BASIS;
      for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), FNV_PRIME);
      this.#dictionaryBits[(hash >>> 3) & DICTIONARY_MASK]! |= 1 << (hash & 7);
    }
    this.#keptBuckets = new Uint8Array((model.numBuckets >>> 3) + 1);
    let size = 1024;
    while (size < 2 * model.bucketRows.size) size *= 2;
    this.#bucketMask = size - 1;
    this.#bucketKeys = new Int32Array(size).fill(-1);
    this.#bucketValues = new Int32Array(size);
    for (const [bucket, row] of model.bucketRows) {
      this.#keptBuckets[bucket >>> 3]! |= 1 << (bucket & 7);
      let slot = Math.imul(bucket, 0x9e3779b1) & this.#bucketMask;
      while (this.#bucketKeys[slot] !== -1) slot = (slot + 1) & this.#bucketMask;
      this.#bucketKeys[slot] = bucket;
      this.#bucketValues[slot] = row;
    }
  }

  /** Adds the rows of all words in text[start, end) to `into` [dim] and returns how many rows that were. */
  addText(text: string, start: number, end: number, into: Float64Array): number {
    const dim = this.#model.dim;
    const slotWord = this.#slotWord;
    const slotHash = this.#slotHash;
    const wordSums = this.#wordSums;
    let numRows = 0;
    let i = start;
    while (i < end) {
      let unit = text.charCodeAt(i);
      if (unit <= 32 && isSeparator(unit)) {
        i++;
        continue;
      }
      const wordStart = i;
      let hash = FNV_BASIS;
      do {
        hash = Math.imul(hash ^ unit, FNV_PRIME);
        i++;
        if (i >= end) break;
        unit = text.charCodeAt(i);
      } while (unit > 32 || !isSeparator(unit));
      const length = i - wordStart;
      if (length > MAX_CACHED_LENGTH) {
        this.#sumWord(text, wordStart, i, hash);
        for (let column = 0; column < dim; column++) into[column]! += this.#sum[column]!;
        numRows += this.#numRows;
        continue;
      }
      let slot = (hash ^ (hash >>> 15)) & (NUM_SLOTS - 1);
      let word = -1;
      for (let entry = slotWord[slot]!; entry !== 0; entry = slotWord[slot]!) {
        if (slotHash[slot] === hash && this.#isWord(entry - 1, text, wordStart, length)) {
          word = entry - 1;
          break;
        }
        slot = (slot + 1) & (NUM_SLOTS - 1);
      }
      if (word < 0) word = this.#remember(text, wordStart, i, hash, slot);
      const from = word * dim;
      for (let column = 0; column < dim; column++) into[column]! += wordSums[from + column]!;
      numRows += this.#wordNumRows[word]!;
    }
    return numRows;
  }

  /** Adds the row of the end of a text, which fastText appends to every line. */
  addEnd(into: Float64Array): number {
    const row = this.#model.words.get(END_OF_TEXT);
    if (row === undefined) return 0;
    const { dim, inputRows } = this.#model;
    for (let column = 0; column < dim; column++) into[column]! += inputRows[row * dim + column]!;
    return 1;
  }

  #isWord(word: number, text: string, start: number, length: number): boolean {
    if (this.#wordLength[word] !== length) return false;
    const units = this.#units;
    const from = this.#wordStart[word]!;
    for (let i = 0; i < length; i++) if (units[from + i] !== text.charCodeAt(start + i)) return false;
    return true;
  }

  /** Computes a word's sum and keeps it; `slot` is where its probing ended. Returns the word's index. */
  #remember(text: string, start: number, end: number, hash: number, slot: number): number {
    const length = end - start;
    let at = slot;
    if (this.#numWords === MAX_CACHED_WORDS || this.#numUnits + length > MAX_CACHED_UNITS) {
      this.#slotWord.fill(0);
      this.#numWords = 0;
      this.#numUnits = 0;
      at = (hash ^ (hash >>> 15)) & (NUM_SLOTS - 1);
    }
    this.#sumWord(text, start, end, hash);
    const word = this.#numWords++;
    this.#slotWord[at] = word + 1;
    this.#slotHash[at] = hash;
    this.#wordStart[word] = this.#numUnits;
    this.#wordLength[word] = length;
    this.#wordNumRows[word] = this.#numRows;
    for (let i = start; i < end; i++) this.#units[this.#numUnits++] = text.charCodeAt(i);
    this.#wordSums.set(this.#sum, word * this.#model.dim);
    return word;
  }

  /** Leaves the sum of the rows of text[start, end) in #sum and their number in #numRows. */
  #sumWord(text: string, start: number, end: number, hash: number): void {
    this.#sum.fill(0);
    this.#numRows = 0;
    if (text.startsWith(LABEL_PREFIX, start)) return;
    if ((this.#dictionaryBits[(hash >>> 3) & DICTIONARY_MASK]! & (1 << (hash & 7))) !== 0) {
      const word = text.slice(start, end);
      const row = this.#model.words.get(word);
      if (row !== undefined) {
        this.#addRow(row);
        this.#numRows++;
        if (word === END_OF_TEXT) return;
      }
    }
    const { minN, maxN, numBuckets } = this.#model;
    const hashes = this.#hashes;
    const keptBuckets = this.#keptBuckets;
    const bucketKeys = this.#bucketKeys;
    const bucketMask = this.#bucketMask;
    let numRows = 0;
    let numCharacters = 0;
    hashes[0] = FNV_BASIS;
    // The word stands between `<` and `>`.
    for (let i = start - 1; i <= end; i++) {
      let code = i < start ? 0x3c : i === end ? 0x3e : text.charCodeAt(i);
      if (code >= 0xd800 && code < 0xe000) {
        const low = code < 0xdc00 && i + 1 < end ? text.charCodeAt(i + 1) : 0;
        if (low >= 0xdc00 && low < 0xe000) {
          code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
          i++;
        } else code = 0xfffd;
      }
      numCharacters++;
      // Every n-gram that ends here is the next shorter one that ended a character before, and this character.
      for (let n = Math.min(numCharacters, maxN); n >= 1; n--) {
        const gram = hashCharacter(hashes[n - 1]!, code);
        hashes[n] = gram;
        if (n < minN || (n === 1 && (i < start || i === end))) continue;
        const bucket = (gram >>> 0) % numBuckets;
        if ((keptBuckets[bucket >>> 3]! & (1 << (bucket & 7))) === 0) continue;
        let slot = Math.imul(bucket, 0x9e3779b1) & bucketMask;
        while (bucketKeys[slot] !== bucket) slot = (slot + 1) & bucketMask;
        this.#addRow(this.#bucketValues[slot]!);
        numRows++;
      }
    }
    this.#numRows += numRows;
  }

  #addRow(row: number): void {
    const { dim, inputRows } = this.#model;
    const sum = this.#sum;
    const from = row * dim;
    for (let column = 0; column < dim; column++) sum[column]! += inputRows[from + column]!;
  }
}

/** FNV-1a over a character's UTF-8 bytes as signed chars: bytes from 0x80 on turn the upper 24 bits over. */
function hashCharacter(hash: number, code: number): number {
  if (code < 0x80) return Math.imul(hash ^ code, FNV_PRIME);
  let h = hash;
  if (code < 0x800) {
    h = Math.imul(h ^ ~0xff ^ (0xc0 | (code >> 6)), FNV_PRIME);
  } else {
    if (code < 0x10000) {
      h = Math.imul(h ^ ~0xff ^ (0xe0 | (code >> 12)), FNV_PRIME);
    } else {
      h = Math.imul(h ^ ~0xff ^ (0xf0 | (code >> 18)), FNV_PRIME);
      h = Math.imul(h ^ ~0xff ^ (0x80 | ((code >> 12) & 0x3f)), FNV_PRIME);
    }
    h = Math.imul(h ^ ~0xff ^ (0x80 | ((code >> 6) & 0x3f)), FNV_PRIME);
  }
  return Math.imul(h ^ ~0xff ^ (0x80 | (code & 0x3f)), FNV_PRIME);
}
