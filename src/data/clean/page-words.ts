/**
 * The words of a page, cut once and numbered, for all rules that count words. Two ways of cutting:
 * - 'whitespace': what stands between white space, as in the Gopher paper and dolma;
 * - 'tokens': the same with the punctuation at a word's ends cut off, each run of one mark being a word of its own.
 *   This comes close to the word tokenizers of datatrove; clitics (don't) and hyphens stay whole here.
 * Runs of a script that is written without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese) are cut into words
 * by Intl.Segmenter in both ways. Lengths are in characters (code points).
 */
import {
  characterClasses,
  classAt,
  LETTER,
  SPACE,
  SURROGATE,
  SYMBOL,
  UNSPACED,
} from './character-classes.ts';
import { GramCounts } from './gram-counts.ts';
import { hashFactor, SpanTable, startHash } from './span-table.ts';

export const WORD_KINDS = ['whitespace', 'tokens'] as const;
export type WordKind = (typeof WORD_KINDS)[number];

/** Longer runs of an unspaced script are segmented in pieces: a segmenter's dictionary search is not linear. */
const maxSegmentedUnits = 1000;
let segmenter: Intl.Segmenter | null = null;

export class PageWords {
  readonly #kind: WordKind;
  readonly #table = new SpanTable();
  readonly #grams = new GramCounts();
  #codes: Uint16Array = new Uint16Array(0);
  #gramsStarted = false;
  count = 0;
  /** [count] number of each word; equal words have equal numbers. */
  ids = new Int32Array(1024);
  /** [count + 1] characters in the words before each one. */
  charactersBefore = new Int32Array(1025);
  /** Words with at least one letter. */
  numWithLetter = 0;
  /** Words that are not punctuation, symbols and control characters alone, and their characters. */
  numNonSymbol = 0;
  numNonSymbolCharacters = 0;

  constructor(kind: WordKind) {
    this.#kind = kind;
  }

  get numCharacters(): number {
    return this.charactersBefore[this.count]!;
  }

  /** Occurrences of a word, as written. */
  occurrences(word: string): number {
    const id = this.#table.find(this.#codes, word);
    return id < 0 ? 0 : this.#table.counts[id]!;
  }

  /** n-grams of the words; valid until the next `cut`. */
  get grams(): GramCounts {
    if (!this.#gramsStarted) {
      this.#gramsStarted = true;
      this.#grams.start(this.ids, this.count, this.#table.counts);
    }
    return this.#grams;
  }

  /** Longest word in characters. */
  longest(): number {
    let longest = 0;
    for (let i = 0; i < this.count; i++) {
      longest = Math.max(longest, this.charactersBefore[i + 1]! - this.charactersBefore[i]!);
    }
    return longest;
  }

  cut(codes: Uint16Array, length: number): void {
    this.#codes = codes;
    this.#gramsStarted = false;
    this.count = 0;
    this.numWithLetter = 0;
    this.numNonSymbol = 0;
    this.numNonSymbolCharacters = 0;
    this.#table.clear(length >> 3);
    const classes = characterClasses();
    // Copies: a constant of another module costs a look-up each time it is read in a loop.
    const space = SPACE;
    const factor = hashFactor;
    const unusual = SURROGATE | UNSPACED;
    const special = unusual | (this.#kind === 'tokens' ? SYMBOL : 0);
    let at = 0;
    while (at < length) {
      if ((classes[codes[at]!]! & space) !== 0) {
        at++;
        continue;
      }
      const start = at;
      let any = 0;
      let all = 0xff;
      let hash = startHash;
      for (; at < length; at++) {
        const code = codes[at]!;
        const bits = classes[code]!;
        if ((bits & space) !== 0) break;
        any |= bits;
        all &= bits;
        hash = Math.imul(hash ^ code, factor);
      }
      if ((any & special) === 0) this.#push(start, at, hash, at - start, any, all);
      else if ((any & unusual) === 0) this.#cutMarks(start, at);
      else this.#cutSpecial(start, at);
    }
  }

  #push(start: number, end: number, hash: number, numCharacters: number, any: number, all: number): void {
    const index = this.count++;
    if (index >= this.ids.length) this.#grow();
    this.ids[index] = this.#table.intern(this.#codes, start, end, hash);
    this.charactersBefore[index + 1] = this.charactersBefore[index]! + numCharacters;
    if ((any & LETTER) !== 0) this.numWithLetter++;
    if ((all & SYMBOL) === 0) {
      this.numNonSymbol++;
      this.numNonSymbolCharacters += numCharacters;
    }
  }

  /** A word of which nothing is known yet. */
  #pushSpan(start: number, end: number): void {
    const codes = this.#codes;
    const classes = characterClasses();
    const factor = hashFactor;
    let any = 0;
    let all = 0xff;
    let hash = startHash;
    for (let i = start; i < end; i++) {
      const code = codes[i]!;
      const bits = classes[code]!;
      any |= bits;
      all &= bits;
      hash = Math.imul(hash ^ code, factor);
    }
    let numCharacters = end - start;
    if ((any & SURROGATE) !== 0) {
      any = 0;
      all = 0xff;
      numCharacters = 0;
      for (let i = start; i < end; i += widthAt(codes, i, end)) {
        const bits = classAt(codes, i, end);
        any |= bits;
        all &= bits;
        numCharacters++;
      }
    }
    this.#push(start, end, hash, numCharacters, any, all);
  }

  /** What stands between white space and has punctuation at its ends, an unspaced script or surrogates in it. */
  #cutSpecial(start: number, end: number): void {
    const codes = this.#codes;
    let from = start;
    let at = start;
    while (at < end) {
      if ((classAt(codes, at, end) & UNSPACED) === 0) {
        at += widthAt(codes, at, end);
        continue;
      }
      if (from < at) this.#cutSpaced(from, at);
      from = at;
      while (at < end && (classAt(codes, at, end) & UNSPACED) !== 0) at += widthAt(codes, at, end);
      this.#cutUnspaced(from, at);
      from = at;
    }
    if (from < end) this.#cutSpaced(from, end);
  }

  #cutSpaced(start: number, end: number): void {
    if (this.#kind === 'whitespace') this.#pushSpan(start, end);
    else this.#cutMarks(start, end);
  }

  /** Punctuation at both ends becomes words of its own. */
  #cutMarks(start: number, end: number): void {
    const codes = this.#codes;
    const classes = characterClasses();
    let first = start;
    let last = end;
    while (first < end && (classes[codes[first]!]! & SYMBOL) !== 0) first++;
    while (last > first && (classes[codes[last - 1]!]! & SYMBOL) !== 0) last--;
    this.#pushMarks(start, first);
    if (first < last) this.#pushSpan(first, last);
    this.#pushMarks(last, end);
  }

  /** Each run of one mark as a word. */
  #pushMarks(start: number, end: number): void {
    const codes = this.#codes;
    for (let from = start; from < end; ) {
      let at = from + 1;
      while (at < end && codes[at] === codes[from]) at++;
      this.#pushSpan(from, at);
      from = at;
    }
  }

  #cutUnspaced(start: number, end: number): void {
    segmenter ??= new Intl.Segmenter(undefined, { granularity: 'word' });
    for (let from = start; from < end; ) {
      let to = Math.min(from + maxSegmentedUnits, end);
      if (to < end && this.#codes[to]! >= 0xdc00 && this.#codes[to]! <= 0xdfff) to--;
      const piece = String.fromCharCode(...this.#codes.subarray(from, to));
      for (const { index, segment } of segmenter.segment(piece)) {
        this.#pushSpan(from + index, from + index + segment.length);
      }
      from = to;
    }
  }

  #grow(): void {
    const ids = new Int32Array(this.ids.length * 2);
    ids.set(this.ids);
    const charactersBefore = new Int32Array(ids.length + 1);
    charactersBefore.set(this.charactersBefore);
    this.ids = ids;
    this.charactersBefore = charactersBefore;
  }
}

/** 2 for a surrogate pair, else 1. */
function widthAt(codes: Uint16Array, at: number, end: number): number {
  const code = codes[at]!;
  if (code < 0xd800 || code > 0xdbff || at + 1 >= end) return 1;
  const low = codes[at + 1]!;
  return low >= 0xdc00 && low <= 0xdfff ? 2 : 1;
}
