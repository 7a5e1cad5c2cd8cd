/**
 * What kind of character a UTF-16 unit is, as a table that page scans look up instead of running a regex on every
 * character. White space and line breaks are Python's (`str.split`, `str.splitlines`), because the rules were
 * defined by Python code; letters, digits and punctuation are Unicode's. Characters beyond the BMP are looked up
 * one by one (`classAt`).
 */

export const SPACE = 1;
export const LINE_BREAK = 2;
export const LETTER = 4;
export const DIGIT = 8;
/** Punctuation, symbols and control characters: a word of these alone is a symbol, not a word. */
export const SYMBOL = 16;
/** A letter of a script that is written without spaces between words. */
export const UNSPACED = 32;
export const SURROGATE = 64;

const letter = /\p{L}/u;
const digit = /\p{Nd}/u;
const symbol = /[\p{P}\p{S}\p{Cc}]/u;
const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\u30fc\uff70]/u;
/** Python's str.isspace for the BMP; tab to carriage return, the separators 1c to 1f, and Unicode's spaces. */
const isPythonSpace = (code: number): boolean =>
  (code >= 0x09 && code <= 0x0d) ||
  (code >= 0x1c && code <= 0x20) ||
  code === 0x85 ||
  code === 0xa0 ||
  code === 0x1680 ||
  (code >= 0x2000 && code <= 0x200a) ||
  code === 0x2028 ||
  code === 0x2029 ||
  code === 0x202f ||
  code === 0x205f ||
  code === 0x3000;

/** Where Python's str.splitlines breaks. */
const isPythonLineBreak = (code: number): boolean =>
  (code >= 0x0a && code <= 0x0d) ||
  (code >= 0x1c && code <= 0x1e) ||
  code === 0x85 ||
  code === 0x2028 ||
  code === 0x2029;

let table: Uint8Array | null = null;

/** 65,536 entries, one for each UTF-16 unit; built at the first call (about 15 ms). */
export function characterClasses(): Uint8Array {
  if (table !== null) return table;
  table = new Uint8Array(0x1_0000);
  for (let code = 0; code < 0x1_0000; code++) {
    table[code] = code >= 0xd800 && code < 0xe000 ? SURROGATE : classOf(String.fromCharCode(code));
  }
  return table;
}

function classOf(char: string): number {
  let bits = 0;
  if (isPythonSpace(char.charCodeAt(0))) bits |= SPACE;
  if (isPythonLineBreak(char.charCodeAt(0))) bits |= LINE_BREAK;
  if (letter.test(char)) bits |= LETTER;
  if (digit.test(char)) bits |= DIGIT;
  if (symbol.test(char)) bits |= SYMBOL;
  if (unspaced.test(char)) bits |= UNSPACED;
  return bits;
}

const beyondBmp = new Map<number, number>();

/** Class of the character that begins at `at`; half of a surrogate pair alone has no class. */
export function classAt(codes: Uint16Array, at: number, end: number): number {
  const code = codes[at]!;
  const bits = characterClasses()[code]!;
  if ((bits & SURROGATE) === 0) return bits;
  if (code >= 0xdc00 || at + 1 >= end) return 0;
  const low = codes[at + 1]!;
  if (low < 0xdc00 || low > 0xdfff) return 0;
  const point = 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  let known = beyondBmp.get(point);
  if (known === undefined) {
    known = classOf(String.fromCodePoint(point));
    beyondBmp.set(point, known);
  }
  return known;
}

/** Python's `str.strip`. */
export function stripSpace(text: string): string {
  const classes = characterClasses();
  let start = 0;
  let end = text.length;
  while (start < end && (classes[text.charCodeAt(start)]! & SPACE) !== 0) start++;
  while (end > start && (classes[text.charCodeAt(end - 1)]! & SPACE) !== 0) end--;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

/** Bytes of the text in UTF-8; half of a surrogate pair alone counts as U+FFFD, as it would be written. */
export function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x80) continue;
    if (code < 0x800) bytes++;
    else bytes += 2;
    // Four bytes for the two units of a pair: two more for the first, none for the second.
    if (code >= 0xd800 && code < 0xdc00) {
      const low = text.charCodeAt(i + 1);
      if (low >= 0xdc00 && low < 0xe000) i++;
    }
  }
  return bytes;
}
