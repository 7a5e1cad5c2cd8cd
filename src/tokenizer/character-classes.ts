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

/** By code point; 0 is "not seen yet", and stays so for surrogates, which are looked at in pairs. */
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

/** Class of the code point at `index`, which must be below `length`. */
export function classAt(units: Uint16Array, index: number, length: number): number {
  return CLASSES[units[index]!]! || unseenClassAt(units, index, length);
}

function unseenClassAt(units: Uint16Array, index: number, length: number): number {
  const unit = units[index]!;
  if (unit < 0xd800 || unit >= 0xe000) return classify(unit);
  if (unitsAt(units, index, length) === 1) return OTHER;
  const codePoint = 0x10000 + ((unit - 0xd800) << 10) + (units[index + 1]! - 0xdc00);
  return CLASSES[codePoint]! || classify(codePoint);
}

/** UTF-16 code units of the code point at `index`: 2 for a surrogate pair, else 1. */
export function unitsAt(units: Uint16Array, index: number, length: number): number {
  if ((units[index]! & 0xfc00) !== 0xd800 || index + 1 >= length) return 1;
  return (units[index + 1]! & 0xfc00) === 0xdc00 ? 2 : 1;
}

/** End of the run of `wanted` that begins at `index` (maybe empty). */
export function runEnd(units: Uint16Array, index: number, length: number, wanted: number): number {
  while (index < length) {
    const found = CLASSES[units[index]!]!;
    if (found === wanted) {
      index++;
      continue;
    }
    if (found !== 0 || unseenClassAt(units, index, length) !== wanted) return index;
    index += unitsAt(units, index, length);
  }
  return index;
}
