/** A rule on regular expressions of the user's: removes the lines that match, or drops the document. */
import { ConfigError, messageOf } from '../../../core/errors.ts';
import { defineRule, type LineOutcome, type RuleDefinition } from '../rule.ts';

const actions = ['remove-line', 'drop-document'] as const;

const listPatterns = defineRule({
  name: 'list-patterns',
  description:
    'Removes lines that match a pattern, or drops their documents. Only the first maxLineCharacters of a line are ' +
    'matched, which bounds the time of a pattern whose time grows with a power of the length; a repetition inside ' +
    'a repetition, whose time can double with each character, is refused.',
  source: 'patterns of your own',
  settings: {
    patterns: [] as readonly string[],
    flags: 'iu',
    action: 'remove-line',
    maxLineCharacters: 2000,
  },
  choices: { action: actions },
  create: ({ patterns, flags, action, maxLineCharacters }) => {
    const compiled = patterns.map((pattern, index) => compilePattern(pattern, flags, index));
    const outcomes: LineOutcome[] = patterns.map((pattern) =>
      action === 'remove-line' ? null : { detail: `a line matches /${pattern.slice(0, 60)}/` },
    );
    return {
      kind: 'lines',
      begin: () => {
        if (compiled.length === 0) return null;
        return (line) => {
          const start = line.length > maxLineCharacters ? line.slice(0, maxLineCharacters) : line;
          const found = compiled.findIndex((regex) => regex.test(start));
          return found < 0 ? line : outcomes[found]!;
        };
      },
    };
  },
});

/** @throws ConfigError with the place in the list and in the pattern. */
export function compilePattern(pattern: string, flags: string, index: number): RegExp {
  const fail = (reason: string, at: number): ConfigError =>
    new ConfigError(`Pattern ${index + 1}, /${pattern}/, at character ${at + 1}: ${reason}.`);
  if (/[^imsuv]/.test(flags)) {
    throw new ConfigError(`Pattern flags "${flags}": expected some of i, m, s, u, v.`);
  }
  try {
    const regex = new RegExp(pattern, flags);
    const nested = nestedRepetition(pattern);
    if (nested === null) return regex;
    throw fail('a repetition inside a repetition can take exponential time; write it as one', nested);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw fail(reasonOf(error), faultOf(pattern, flags, messageOf(error)));
  }
}

/** V8: "Invalid regular expression: /(a/u: Unterminated group" -> "Unterminated group". */
function reasonOf(error: unknown): string {
  const message = messageOf(error);
  return message.slice(message.lastIndexOf(': ') + 2);
}

/** 0-based: the opening that is not closed, else the end of the shortest beginning with the same fault. */
function faultOf(pattern: string, flags: string, message: string): number {
  const fault = message.slice(message.lastIndexOf(': '));
  if (/unterminated group/i.test(fault)) return openGroups(pattern).at(-1) ?? 0;
  for (let end = 1; end < pattern.length; end++) {
    try {
      new RegExp(pattern.slice(0, end), flags);
    } catch (error) {
      if (messageOf(error).endsWith(fault)) return end - 1;
    }
  }
  return Math.max(pattern.length - 1, 0);
}

function openGroups(pattern: string): number[] {
  const open: number[] = [];
  walk(pattern, {
    open: (at) => open.push(at),
    close: () => open.pop(),
    repeat: () => {},
  });
  return open;
}

/** Where an unbounded repetition repeats a group that holds one, such as (a+)+; null for none. */
function nestedRepetition(pattern: string): number | null {
  let found: number | null = null;
  const inside: boolean[] = [false];
  /** Whether the item before a repetition was a group that holds one. */
  let closed = false;
  walk(pattern, {
    open: () => inside.push(false),
    close: () => {
      closed = inside.pop() ?? false;
      if (closed) inside[inside.length - 1] = true;
    },
    repeat: (at, afterGroup) => {
      if (afterGroup && closed) found ??= at;
      inside[inside.length - 1] = true;
    },
  });
  return found;
}

interface PatternVisitor {
  open(at: number): void;
  close(at: number): void;
  /** `*`, `+`, `{n,}`. */
  repeat(at: number, afterGroup: boolean): void;
}

function walk(pattern: string, visit: PatternVisitor): void {
  let inClass = false;
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at];
    if (char === '\\') at++;
    else if (inClass) inClass = char !== ']';
    else if (char === '[') inClass = true;
    else if (char === '(') visit.open(at);
    else if (char === ')') visit.close(at);
    else if (char === '*' || char === '+' || (char === '{' && /^\{\d+,\}/.test(pattern.slice(at, at + 20)))) {
      visit.repeat(at, pattern[at - 1] === ')');
    }
  }
}

export const PATTERN_RULES: readonly RuleDefinition[] = [listPatterns];
