/**
 * C4's rules for lines, in the order of its code (tensorflow/datasets, text/c4_utils.py, `clean_page`; Raffel et al.
 * 2020, arXiv 1910.10683, 2.2). A line that an earlier rule removed is not seen by a later one; `lorem ipsum` and a
 * curly bracket end the whole page, and only in a line that has come so far.
 */
import { characterClasses, SPACE, stripSpace } from '../character-classes.ts';
import type { Page } from '../page.ts';
import { type DocumentDrop, defineRule, type LineCheck, type RuleDefinition } from '../rule.ts';

const code = 'C4, tensorflow/datasets text/c4_utils.py clean_page';

const stripLines = defineRule({
  name: 'c4-strip-lines',
  description: 'Takes white space off both ends of each line; \\n between lines.',
  source: code,
  settings: {},
  create: () => ({ kind: 'lines', stripsText: true, begin: () => stripSpace }),
});

const longWord = defineRule({
  name: 'c4-long-word',
  description: 'Removes lines with a longer word.',
  source: `${code}: 1000 characters`,
  settings: { maxWordCharacters: 1000 },
  create: ({ maxWordCharacters }) => {
    const check: LineCheck = (line) => (hasLongerWord(line, maxWordCharacters) ? null : line);
    return {
      kind: 'lines',
      // A longer word means a longer page: most pages are not looked at.
      begin: (page) =>
        page.length > maxWordCharacters && hasLongRun(page, maxWordCharacters) ? check : null,
    };
  },
});

const citation = /\[\p{Nd}*\]|\[edit\]|\[citation needed\]/gu;

const citations = defineRule({
  name: 'c4-citations',
  description: 'Deletes [1], [], [edit] and [citation needed] from lines.',
  source: code,
  settings: {},
  create: () => ({
    kind: 'lines',
    begin: (page) => (page.text.includes('[') ? deleteCitations : null),
  }),
});

const deleteCitations: LineCheck = (line) => (line.includes('[') ? line.replace(citation, '') : line);

const endMark = defineRule({
  name: 'c4-no-endmark',
  description: 'Removes lines that do not end in an end mark, or end in ... .',
  source: `${code}: . ? ! "; datatrove also takes '`,
  settings: { endMarks: ['.', '?', '!', '"'] },
  create: ({ endMarks }) => {
    const check: LineCheck = (line) =>
      endMarks.some((mark) => line.endsWith(mark)) && !line.endsWith('...') ? line : null;
    return { kind: 'lines', begin: () => check };
  },
});

const shortLine = defineRule({
  name: 'c4-short-line',
  description: 'Removes lines with fewer words, by white space.',
  source: `${code}: 5 words; datatrove 3, which FineWeb used`,
  settings: { minWords: 5 },
  create: ({ minWords }) => {
    const check: LineCheck = (line) => (hasWords(line, minWords) ? line : null);
    return { kind: 'lines', begin: () => check };
  },
});

const loremIpsum = phraseRule({
  name: 'c4-lorem-ipsum',
  description: 'Drops documents with lorem ipsum in a line.',
  phrases: ['lorem ipsum'],
  drop: (phrase) => ({ detail: `"${phrase}" in a line` }),
});

const javascript = phraseRule({
  name: 'c4-javascript',
  description: 'Removes lines that speak of JavaScript.',
  phrases: ['javascript'],
  drop: () => null,
});

const curlyBracket = defineRule({
  name: 'c4-curly-bracket',
  description: 'Drops documents with { in a line.',
  source: code,
  settings: { bracket: '{' },
  create: ({ bracket }) => {
    const dropped: DocumentDrop = { detail: `"${bracket}" in a line` };
    const check: LineCheck = (line) => (line.includes(bracket) ? dropped : line);
    return { kind: 'lines', begin: (page) => (page.text.includes(bracket) ? check : null) };
  },
});

const policy = phraseRule({
  name: 'c4-policy',
  description: 'Removes lines about terms of use, privacy and cookies.',
  phrases: [
    'terms of use',
    'privacy policy',
    'cookie policy',
    'uses cookies',
    'use of cookies',
    'use cookies',
  ],
  drop: () => null,
});

const localDuplicates = defineRule({
  name: 'c4-local-duplicate-line',
  description: 'Removes lines that occurred before in the document, whatever their case.',
  source: 'C4, tensorflow/datasets text/c4_utils.py remove_duplicate_text, the part within a page',
  settings: {},
  create: () => ({
    kind: 'lines',
    begin: (page) => {
      if (page.numLines < 2) return null;
      const seen = new Set<string>();
      return (line) => {
        const key = stripSpace(line).toLowerCase();
        if (seen.has(key)) return null;
        seen.add(key);
        return line;
      };
    },
  }),
});

interface PhraseRule {
  name: string;
  description: string;
  phrases: readonly string[];
  drop: (phrase: string) => DocumentDrop | null;
}

/** A rule on lines that hold a phrase in small or capital letters. Lines are searched only on pages that do. */
function phraseRule({ name, description, phrases, drop }: PhraseRule): RuleDefinition {
  return defineRule({
    name,
    description,
    source: code,
    settings: { phrases },
    create: ({ phrases }) => ({
      kind: 'lines',
      begin: (page) => {
        const present = phrases.filter((phrase) => page.lower.includes(phrase));
        if (present.length === 0) return null;
        return (line) => {
          const lower = line.toLowerCase();
          const found = present.find((phrase) => lower.includes(phrase));
          return found === undefined ? line : drop(found);
        };
      },
    }),
  });
}

function hasWords(line: string, min: number): boolean {
  const classes = characterClasses();
  let count = 0;
  let inWord = false;
  for (let i = 0; i < line.length && count < min; i++) {
    const isSpace = (classes[line.charCodeAt(i)]! & SPACE) !== 0;
    if (!isSpace && !inWord) count++;
    inWord = !isSpace;
  }
  return count >= min;
}

/** Whether more than `max` units stand together without white space. */
function hasLongRun(page: Page, max: number): boolean {
  const { codes, length } = page;
  const classes = characterClasses();
  // From one end of a window to the other backwards: a space lets the window jump behind it.
  for (let start = 0; start + max < length; ) {
    let at = start + max;
    while (at >= start && (classes[codes[at]!]! & SPACE) === 0) at--;
    if (at < start) return true;
    start = at + 1;
  }
  return false;
}

/** In characters: a surrogate pair is one. */
function hasLongerWord(line: string, max: number): boolean {
  const classes = characterClasses();
  let count = 0;
  for (let i = 0; i < line.length; i++) {
    const unit = line.charCodeAt(i);
    if ((classes[unit]! & SPACE) !== 0) {
      count = 0;
    } else {
      const before = i > 0 ? line.charCodeAt(i - 1) : 0;
      const isSecondHalf = unit >= 0xdc00 && unit <= 0xdfff && before >= 0xd800 && before <= 0xdbff;
      if (!isSecondHalf && ++count > max) return true;
    }
  }
  return false;
}

export const C4_LINE_RULES: readonly RuleDefinition[] = [
  stripLines,
  longWord,
  citations,
  endMark,
  shortLine,
  loremIpsum,
  javascript,
  curlyBracket,
  policy,
  localDuplicates,
];
