/**
 * Turns an Oniguruma pattern, as it stands in `tokenizer.json`, into a JavaScript RegExp that matches the same
 * text. Covers what pre-tokenizer patterns use: `(?i: )` groups (ASCII letters only), `\s \S \d \D`, needless
 * escapes. What JavaScript cannot say (possessive quantifiers, POSIX brackets, set operations) is an error.
 * A pattern can still be slow: repetition of a repetition is refused, the rest is up to the engine.
 */
import { FormatError, messageOf } from '../core/errors.ts';

export const MAX_PATTERN_LENGTH = 4096;

const SHORTHANDS: Record<string, string> = {
  s: '\\p{White_Space}',
  S: '\\P{White_Space}',
  d: '\\p{Nd}',
  D: '\\P{Nd}',
};
const SYNTAX_CHARACTERS = '^$\\.*+?()[]{}|/';

/** Compiles with the flags `gu`. Throws FormatError with the pattern and the reason. */
export function compilePattern(pattern: string, field = 'pre-tokenizer pattern'): RegExp {
  if (pattern.length === 0 || pattern.length > MAX_PATTERN_LENGTH) {
    throw new FormatError(
      `${field}: ${pattern.length} characters long; expected 1 to ${MAX_PATTERN_LENGTH}. ` +
        'Use one of the named pre-tokenizers instead.',
    );
  }
  try {
    const source = translate(pattern);
    return new RegExp(source, 'gu');
  } catch (error) {
    throw new FormatError(
      `${field}: ${JSON.stringify(pattern)} is not a pattern that can be used here (${messageOf(error)}). ` +
        'Supported: literals, classes, \\p{..}, \\s, \\d, groups, lookaheads, (?i:..) and plain quantifiers.',
      { cause: error },
    );
  }
}

interface Group {
  foldCase: boolean;
  hasRepetition: boolean;
}

function translate(pattern: string): string {
  let source = '';
  let inClass = false;
  const groups: Group[] = [{ foldCase: false, hasRepetition: false }];
  let closed: Group | undefined;
  for (let i = 0; i < pattern.length; i++) {
    const character = pattern[i]!;
    const group = groups.at(-1)!;
    const justClosed = closed;
    closed = undefined;
    if (character === '\\') {
      const next = pattern[++i];
      if (next === undefined) throw new Error('it ends with a backslash');
      if (SHORTHANDS[next] !== undefined) source += SHORTHANDS[next];
      else if (/[wWhHbBAzZGKRX1-9]/.test(next)) throw new Error(`\\${next} is not supported`);
      else if (/[a-zA-Z]/.test(next) || SYNTAX_CHARACTERS.includes(next) || (inClass && next === '-')) {
        source += `\\${next}`;
        // The braces of \p{..} hold a name, whose letters must not be folded.
        const braces = /^\{[^}]*\}/.exec(pattern.slice(i + 1));
        if (braces !== null) {
          source += braces[0];
          i += braces[0].length;
        }
      } else source += next;
      continue;
    }
    if (inClass) {
      if (character === '[' || pattern.startsWith('&&', i))
        throw new Error('nested classes are not supported');
      if (character === ']') inClass = false;
      source += group.foldCase && character !== ']' ? foldInClass(pattern, i) : character;
      continue;
    }
    if (character === '[') {
      inClass = true;
      source += character;
      if (pattern[i + 1] === '^') source += pattern[++i];
      continue;
    }
    if (character === '(') {
      const fold = pattern.startsWith('(?i:', i);
      groups.push({ foldCase: fold || group.foldCase, hasRepetition: false });
      if (fold) {
        source += '(?:';
        i += 3;
      } else source += character;
      continue;
    }
    if (character === ')') {
      if (groups.length === 1) throw new Error('unmatched )');
      closed = groups.pop()!;
      if (closed.hasRepetition) groups.at(-1)!.hasRepetition = true;
      source += character;
      continue;
    }
    if (character === '*' || character === '+' || /^\{\d*,\}/.test(pattern.slice(i))) {
      if (pattern[i - 1] === '+' || pattern[i - 1] === '*' || (character === '+' && pattern[i - 1] === '?')) {
        throw new Error('possessive quantifiers are not supported');
      }
      if (justClosed?.hasRepetition)
        throw new Error('a repetition of a repetition can take exponential time');
      group.hasRepetition = true;
    }
    source += group.foldCase && /[a-zA-Z]/.test(character) ? bothCases(character, '[', ']') : character;
  }
  return source;
}

function bothCases(letter: string, open: string, close: string): string {
  return `${open}${letter.toLowerCase()}${letter.toUpperCase()}${close}`;
}

/** A class member inside `(?i: )`: letters in both cases; a range of letters is beyond what is supported. */
function foldInClass(pattern: string, index: number): string {
  const character = pattern[index]!;
  if (!/[a-zA-Z]/.test(character)) return character;
  if (pattern[index + 1] === '-' && pattern[index + 2] !== ']') throw new Error('a range inside (?i: )');
  return bothCases(character, '', '');
}
