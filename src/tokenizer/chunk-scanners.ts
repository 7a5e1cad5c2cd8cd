/**
 * Hand-written scanners for the two families of pre-tokenizer patterns in wide use, several times faster than
 * the same pattern in a regular expression engine and linear on any input. A scanner gives the end of the
 * chunk that begins at `start`; chunks cover the text without gaps. Each must agree with its pattern in
 * `pre-tokenizer.ts` on every string: tests hold one against the other.
 */
import { classAt, LETTER, NEWLINE, NUMBER, OTHER, runEnd, SPACE, unitsAt } from './character-classes.ts';
import type { TextUnits } from './text-units.ts';

/** End of the chunk that begins at `start`, with `start < length`. Ask in order, from 0. */
export type ChunkScanner = (source: TextUnits, start: number) => number;

const APOSTROPHE = 0x27;
const BLANK = 0x20;

/** Length of an English contraction ('s 't 'm 'd 're 've 'll) at an apostrophe, or 0. */
function contractionLength(units: Uint16Array, index: number, length: number, foldCase: boolean): number {
  if (index + 1 >= length) return 0;
  const fold = foldCase ? 0x20 : 0;
  const first = units[index + 1]! | fold;
  // s, t, m, d
  if (first === 0x73 || first === 0x74 || first === 0x6d || first === 0x64) return 2;
  if (index + 2 >= length) return 0;
  const second = units[index + 2]! | fold;
  // re, ve, ll
  if (second === 0x65 && (first === 0x72 || first === 0x76)) return 3;
  if (second === 0x6c && first === 0x6c) return 3;
  return 0;
}

function whiteSpaceEnd(units: Uint16Array, index: number, length: number): number {
  let end = index;
  while (end < length) {
    const found = classAt(units, end, length);
    if (found !== SPACE && found !== NEWLINE) break;
    end++;
  }
  return end;
}

/** `\s+(?!\S)|\s+`: a run gives its last character to what follows, unless it is alone or ends the text. */
function leaveLastSpace(start: number, end: number, length: number): number {
  return end === length || end - start === 1 ? end : end - 1;
}

/** GPT-2: ` ?\p{L}+`, ` ?\p{N}+` and so on. With `singleDigits`, every number character is a chunk alone. */
export function gpt2Scanner(singleDigits: boolean): ChunkScanner {
  return ({ units, length }, start) => {
    const found = classAt(units, start, length);
    if (found === LETTER) return runEnd(units, start, length, LETTER);
    if (found === NUMBER)
      return singleDigits ? start + unitsAt(units, start, length) : runEnd(units, start, length, NUMBER);
    if (found === OTHER) {
      if (units[start]! === APOSTROPHE) {
        const taken = contractionLength(units, start, length, false);
        if (taken > 0) return start + taken;
      }
      return runEnd(units, start, length, OTHER);
    }
    if (units[start]! === BLANK && start + 1 < length) {
      const next = classAt(units, start + 1, length);
      if (next === LETTER || next === OTHER || (next === NUMBER && !singleDigits)) {
        return runEnd(units, start + 1, length, next);
      }
    }
    const end = whiteSpaceEnd(units, start, length);
    if (singleDigits && end < length && classAt(units, end, length) === NUMBER) return end;
    return leaveLastSpace(start, end, length);
  };
}

/** cl100k and its heirs (Llama 3, Qwen 2): numbers in groups of at most `maxDigits`, newlines kept together. */
export function cl100kScanner(maxDigits: number): ChunkScanner {
  return ({ units, length }, start) => {
    const found = classAt(units, start, length);
    if (found === LETTER) return runEnd(units, start, length, LETTER);
    if (found === NUMBER) {
      let end = start + unitsAt(units, start, length);
      for (let count = 1; count < maxDigits && end < length; count++) {
        if (classAt(units, end, length) !== NUMBER) break;
        end += unitsAt(units, end, length);
      }
      return end;
    }
    const unit = units[start]!;
    if (unit === APOSTROPHE) {
      const taken = contractionLength(units, start, length, true);
      if (taken > 0) return start + taken;
    }
    if (found !== NEWLINE) {
      const after = start + unitsAt(units, start, length);
      const next = after < length ? classAt(units, after, length) : 0;
      if (next === LETTER) return runEnd(units, after, length, LETTER);
      if (found === OTHER || (unit === BLANK && next === OTHER)) {
        return runEnd(units, runEnd(units, found === OTHER ? start : after, length, OTHER), length, NEWLINE);
      }
    }
    const end = whiteSpaceEnd(units, start, length);
    for (let last = end - 1; last >= start; last--) {
      if (classAt(units, last, length) === NEWLINE) return last + 1;
    }
    return leaveLastSpace(start, end, length);
  };
}
