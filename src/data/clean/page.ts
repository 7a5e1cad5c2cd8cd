/**
 * A document's text while rules look at it, with what several rules need computed once and only when asked for:
 * UTF-16 units, bytes, characters, lines, words, n-grams, the lower-case text, the language. One page object serves
 * all documents of a cleaner one after the other; its arrays grow to the largest document and stay.
 */
import type { Document } from '../document.ts';
import { characterClasses, LINE_BREAK, stripSpace, utf8Bytes } from './character-classes.ts';
import { PageWords, type WordKind } from './page-words.ts';

export interface LanguageGuess {
  language: string;
  score: number;
}

export type IdentifyLanguage = (text: string) => LanguageGuess;

export class Page {
  readonly #identify: IdentifyLanguage | undefined;
  #document: Document | null = null;
  #language: LanguageGuess | null = null;
  #lower: string | null = null;
  #lineEnds: Int32Array<ArrayBuffer> = new Int32Array(256);
  #hasLineEnds = false;
  /** Whether lines end in anything but \n. */
  #hasOtherBreaks = false;
  readonly #whitespaceWords = new PageWords('whitespace');
  readonly #tokens = new PageWords('tokens');
  #hasWhitespaceWords = false;
  #hasTokens = false;
  readonly #shared = new Map<string, unknown>();

  text = '';
  /** UTF-16 units: the first `length` entries. */
  codes = new Uint16Array(4096);
  length = 0;
  numBytes = 0;
  /** Code points, Python's len(text). */
  numCharacters = 0;
  numNewlines = 0;
  /** Lines by Python's `str.splitlines`. */
  numLines = 0;

  constructor(identify?: IdentifyLanguage) {
    this.#identify = identify;
  }

  get document(): Document {
    return this.#document!;
  }

  get canIdentify(): boolean {
    return this.#identify !== undefined;
  }

  /** Goes on with another text of the same document. */
  change(text: string): void {
    const tail = this.text.startsWith(text) ? this.text.slice(text.length) : null;
    if (tail !== null && stripSpace(tail) === '') this.#trim(text, tail);
    else this.load(this.document, text);
  }

  /** White space at the end goes, the commonest change; units and words stay as they are. */
  #trim(text: string, tail: string): void {
    const isAscii = this.numBytes === this.length;
    this.text = text;
    this.length = text.length;
    this.numBytes -= utf8Bytes(tail);
    this.numCharacters -= tail.length;
    this.numNewlines -= tail.split('\n').length - 1;
    this.#language = null;
    this.#lower = isAscii && this.#lower !== null ? this.#lower.slice(0, text.length) : null;
    this.#hasLineEnds = false;
    this.#shared.clear();
    this.numLines = this.#hasOtherBreaks
      ? countLines(this.codes, this.length)
      : this.numNewlines + (this.length > 0 && this.codes[this.length - 1] !== 10 ? 1 : 0);
  }

  /** Begins with a text; everything computed for the one before is forgotten. */
  load(document: Document, text: string): void {
    this.#document = document;
    this.text = text;
    this.#language = null;
    this.#lower = null;
    this.#hasLineEnds = false;
    this.#hasWhitespaceWords = false;
    this.#hasTokens = false;
    if (this.#shared.size > 0) this.#shared.clear();
    const length = text.length;
    if (this.codes.length < length) this.codes = new Uint16Array(2 ** (32 - Math.clz32(length)));
    const codes = this.codes;
    let bytes = length;
    let numPairs = 0;
    let numNewlines = 0;
    let hasOtherBreaks = false;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      codes[i] = code;
      if (code < 0x20) {
        if (code === 10) numNewlines++;
        else if ((code >= 11 && code <= 13) || (code >= 0x1c && code <= 0x1e)) hasOtherBreaks = true;
      } else if (code >= 0x80) {
        bytes++;
        if (code >= 0x800) {
          bytes++;
          if (code === 0x2028 || code === 0x2029) hasOtherBreaks = true;
          else if (isLow(code) && i > 0 && isHigh(codes[i - 1]!)) {
            // The pair takes four bytes; its first half has been counted as three, this one as three more.
            bytes -= 2;
            numPairs++;
          }
        } else if (code === 0x85) {
          hasOtherBreaks = true;
        }
      }
    }
    this.length = length;
    this.numBytes = bytes;
    this.numCharacters = length - numPairs;
    this.numNewlines = numNewlines;
    this.#hasOtherBreaks = hasOtherBreaks;
    this.numLines = hasOtherBreaks
      ? countLines(codes, length)
      : numNewlines + (length > 0 && codes[length - 1] !== 10 ? 1 : 0);
  }

  /** Python's `text.splitlines()`. */
  splitLines(): string[] {
    if (this.#hasOtherBreaks) return splitAtBreaks(this.text, this.codes);
    const lines = this.text.split('\n');
    if (lines.at(-1) === '') lines.pop();
    return lines;
  }

  /** Positions of the ends of `text.split('\n')`: numNewlines + 1 of them, the last being `length`. */
  get lineEnds(): Int32Array {
    if (!this.#hasLineEnds) {
      this.#hasLineEnds = true;
      const count = this.numNewlines + 1;
      if (this.#lineEnds.length < count) this.#lineEnds = new Int32Array(2 ** (32 - Math.clz32(count)));
      let line = 0;
      for (let at = this.text.indexOf('\n'); at >= 0; at = this.text.indexOf('\n', at + 1)) {
        this.#lineEnds[line++] = at;
      }
      this.#lineEnds[line] = this.length;
    }
    return this.#lineEnds;
  }

  get lower(): string {
    this.#lower ??= this.text.toLowerCase();
    return this.#lower;
  }

  words(kind: WordKind): PageWords {
    if (kind === 'whitespace') {
      if (!this.#hasWhitespaceWords) this.#whitespaceWords.cut(this.codes, this.length);
      this.#hasWhitespaceWords = true;
      return this.#whitespaceWords;
    }
    if (!this.#hasTokens) this.#tokens.cut(this.codes, this.length);
    this.#hasTokens = true;
    return this.#tokens;
  }

  /** Characters (code points) in [start, end). */
  charactersIn(start: number, end: number): number {
    let count = end - start;
    if (this.numCharacters === this.length) return count;
    for (let i = start + 1; i < end; i++) {
      if (isLow(this.codes[i]!) && isHigh(this.codes[i - 1]!)) count--;
    }
    return count;
  }

  /** What several rules compute from this text, once. */
  shared<T>(key: string, compute: () => T): T {
    if (!this.#shared.has(key)) this.#shared.set(key, compute());
    return this.#shared.get(key) as T;
  }

  /** From `meta.language` and `meta.languageScore` when the document has both, else by the identifier; else null. */
  get language(): LanguageGuess | null {
    if (this.#language === null) {
      const { language, languageScore } = this.document.meta;
      if (typeof language === 'string' && typeof languageScore === 'number') {
        this.#language = { language, score: languageScore };
      } else if (this.#identify !== undefined) {
        this.#language = this.#identify(this.text);
      }
    }
    return this.#language;
  }
}

function isHigh(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}

function isLow(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}

function countLines(codes: Uint16Array, length: number): number {
  const classes = characterClasses();
  const lineBreak = LINE_BREAK;
  let count = 0;
  let start = 0;
  for (let i = 0; i < length; i++) {
    if ((classes[codes[i]!]! & lineBreak) === 0) continue;
    if (codes[i] === 13 && i + 1 < length && codes[i + 1] === 10) i++;
    count++;
    start = i + 1;
  }
  return start < length ? count + 1 : count;
}

function splitAtBreaks(text: string, codes: Uint16Array): string[] {
  const classes = characterClasses();
  const lineBreak = LINE_BREAK;
  const lines: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if ((classes[codes[i]!]! & lineBreak) === 0) continue;
    lines.push(text.slice(start, i));
    if (codes[i] === 13 && i + 1 < text.length && codes[i + 1] === 10) i++;
    start = i + 1;
  }
  if (start < text.length) lines.push(text.slice(start));
  return lines;
}
