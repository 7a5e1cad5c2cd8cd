/**
 * The character classes that pre-tokenizer patterns speak of, one byte per code point, filled on first sight
 * by the engine's own Unicode tables. White space is the Unicode property `White_Space`, as in Oniguruma and
 * llama.cpp; JavaScript's `\s` differs (it has U+FEFF and lacks U+0085). Lone surrogates are `OTHER`.
 */

export const LETTER = 1;
export const NUMBER = 2;
/** White space other than CR and LF. */
export const SPACE = 3;
export const NEWLINE = 4;
export const OTHER = 5;

const CLASSES = new Uint8Array(0x110000);
const IS_LETTER = /^\p{L}$/u;
const IS_NUMBER = /^\p{N}$/u;
const IS_SPACE = /^\p{White_Space}$/u;

for (let codePoint = 0; codePoint < 128; codePoint++) classify(codePoint);

function classify(codePoint: number): number {
  const character = String.fromCodePoint(codePoint);
  let found = OTHER;
  if (codePoint === 10 || codePoint === 13) found = NEWLINE;
  else if (IS_LETTER.test(character)) found = LETTER;
  else if (IS_NUMBER.test(character)) found = NUMBER;
  else if (IS_SPACE.test(character)) found = SPACE;
  CLASSES[codePoint] = found;
  return found;
}

/** Class of the code point at `index`, which must be below `text.length`. */
export function classAt(text: string, index: number): number {
  const unit = text.charCodeAt(index);
  if (unit < 128) return CLASSES[unit]!;
  const codePoint = unit >= 0xd800 && unit < 0xdc00 ? text.codePointAt(index)! : unit;
  return CLASSES[codePoint]! || classify(codePoint);
}

/** UTF-16 code units of the code point at `index`: 2 for a surrogate pair, else 1. */
export function unitsAt(text: string, index: number): number {
  const unit = text.charCodeAt(index);
  if (unit < 0xd800 || unit >= 0xdc00) return 1;
  return text.codePointAt(index)! > 0xffff ? 2 : 1;
}

/** End of the run of `wanted` that begins at `index` (maybe empty). */
export function runEnd(text: string, index: number, wanted: number): number {
  const length = text.length;
  while (index < length) {
    const unit = text.charCodeAt(index);
    if (unit < 128) {
      if (CLASSES[unit] !== wanted) return index;
      index++;
      continue;
    }
    if (classAt(text, index) !== wanted) return index;
    index += unitsAt(text, index);
  }
  return index;
}
