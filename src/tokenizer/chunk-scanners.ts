/**
 * Hand-written scanners for the two families of pre-tokenizer patterns in wide use, several times faster than
 * the same pattern in a regular expression engine and linear on any input. A scanner gives the end of the
 * chunk that begins at `start`; chunks cover the text without gaps. Each must agree with its pattern in
 * `pre-tokenizer.ts` on every string: tests hold one against the other.
 */
import { classAt, LETTER, NEWLINE, NUMBER, OTHER, runEnd, SPACE, unitsAt } from './character-classes.ts';

/** End of the chunk that begins at `start`, with `start < text.length`. */
export type ChunkScanner = (text: string, start: number) => number;

const APOSTROPHE = 0x27;
const BLANK = 0x20;

/** Length of an English contraction ('s 't 'm 'd 're 've 'll) at an apostrophe, or 0. */
function contractionLength(text: string, index: number, foldCase: boolean): number {
  if (index + 1 >= text.length) return 0;
  const fold = foldCase ? 0x20 : 0;
  const first = text.charCodeAt(index + 1) | fold;
  // s, t, m, d
  if (first === 0x73 || first === 0x74 || first === 0x6d || first === 0x64) return 2;
  if (index + 2 >= text.length) return 0;
  const second = text.charCodeAt(index + 2) | fold;
  // re, ve, ll
  if (second === 0x65 && (first === 0x72 || first === 0x76)) return 3;
  if (second === 0x6c && first === 0x6c) return 3;
  return 0;
}

function whiteSpaceEnd(text: string, index: number): number {
  let end = index;
  while (end < text.length) {
    const found = classAt(text, end);
    if (found !== SPACE && found !== NEWLINE) break;
    end++;
  }
  return end;
}

/** `\s+(?!\S)|\s+`: a run gives its last character to what follows, unless it is alone or ends the text. */
function leaveLastSpace(text: string, start: number, end: number): number {
  return end === text.length || end - start === 1 ? end : end - 1;
}

/** GPT-2: ` ?\p{L}+`, ` ?\p{N}+` and so on. With `singleDigits`, every number character is a chunk alone. */
export function gpt2Scanner(singleDigits: boolean): ChunkScanner {
  return (text, start) => {
    const found = classAt(text, start);
    if (found === LETTER) return runEnd(text, start, LETTER);
    if (found === NUMBER) return singleDigits ? start + unitsAt(text, start) : runEnd(text, start, NUMBER);
    if (found === OTHER) {
      if (text.charCodeAt(start) === APOSTROPHE) {
        const length = contractionLength(text, start, false);
        if (length > 0) return start + length;
      }
      return runEnd(text, start, OTHER);
    }
    if (text.charCodeAt(start) === BLANK && start + 1 < text.length) {
      const next = classAt(text, start + 1);
      if (next === LETTER || next === OTHER || (next === NUMBER && !singleDigits)) {
        return runEnd(text, start + 1, next);
      }
    }
    const end = whiteSpaceEnd(text, start);
    if (singleDigits && end < text.length && classAt(text, end) === NUMBER) return end;
    return leaveLastSpace(text, start, end);
  };
}

/** cl100k and its heirs (Llama 3, Qwen 2): numbers in groups of at most `maxDigits`, newlines kept together. */
export function cl100kScanner(maxDigits: number): ChunkScanner {
  return (text, start) => {
    const found = classAt(text, start);
    if (found === LETTER) return runEnd(text, start, LETTER);
    if (found === NUMBER) {
      let end = start + unitsAt(text, start);
      for (let count = 1; count < maxDigits && end < text.length; count++) {
        if (classAt(text, end) !== NUMBER) break;
        end += unitsAt(text, end);
      }
      return end;
    }
    const unit = text.charCodeAt(start);
    if (unit === APOSTROPHE) {
      const length = contractionLength(text, start, true);
      if (length > 0) return start + length;
    }
    if (found !== NEWLINE) {
      const after = start + unitsAt(text, start);
      const next = after < text.length ? classAt(text, after) : 0;
      if (next === LETTER) return runEnd(text, after, LETTER);
      if (found === OTHER || (unit === BLANK && next === OTHER)) {
        return runEnd(text, runEnd(text, found === OTHER ? start : after, OTHER), NEWLINE);
      }
    }
    const end = whiteSpaceEnd(text, start);
    for (let last = end - 1; last >= start; last--) {
      if (classAt(text, last) === NEWLINE) return last + 1;
    }
    return leaveLastSpace(text, start, end);
  };
}
