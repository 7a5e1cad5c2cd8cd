/**
 * NeMo Curator's heuristics for English that are its own (filters/heuristic_filter.py, thresholds of
 * config/heuristic_filter_en.yaml). An empty document fails each share, as there.
 */
import { characterClasses, classAt, DIGIT, stripSpace } from '../character-classes.ts';
import type { Page } from '../page.ts';
import { above, below, defineRule, type RuleDefinition } from '../rule.ts';

const source = 'NeMo Curator, heuristic_filter.py and heuristic_filter_en.yaml';

/** A rule on the share of characters that `count` counts. */
function characterRule(
  name: string,
  what: string,
  maxFraction: number,
  count: (page: Page) => number,
): RuleDefinition {
  return defineRule({
    name,
    description: `Share of ${what}.`,
    source: `${source}: ${maxFraction}`,
    settings: { maxFraction },
    create: ({ maxFraction }) => ({
      kind: 'document',
      check: (page) => above(what, shareOf(count(page), page.numCharacters), maxFraction),
    }),
  });
}

function shareOf(part: number, whole: number): number {
  return whole === 0 ? 1 : part / whole;
}

interface CharacterCounts {
  numPlain: number;
  numDigits: number;
  numSpaces: number;
  numBrackets: number;
}

const plain = 1;
const space = 2;
const bracket = 4;

/** Bits of ASCII characters and the angle brackets' code, by the sets of the source. */
const asciiBits = new Uint8Array(0x80);
for (let code = 0; code < 0x80; code++) {
  const char = String.fromCharCode(code);
  if (/[a-zA-Z0-9\n?!,.]/.test(char)) asciiBits[code]! |= plain;
  if ('\t\n\r\b '.includes(char)) asciiBits[code]! |= space;
  if ('{}[]()'.includes(char)) asciiBits[code]! |= bracket;
}

function charactersOf(page: Page): CharacterCounts {
  return page.shared('nemo-characters', () => {
    const { codes, length } = page;
    const classes = characterClasses();
    const counts = { numPlain: 0, numDigits: 0, numSpaces: 0, numBrackets: 0 };
    for (let i = 0; i < length; i++) {
      const code = codes[i]!;
      if (code < 0x80) {
        const bits = asciiBits[code]!;
        if ((bits & plain) !== 0) counts.numPlain++;
        if ((bits & space) !== 0) counts.numSpaces++;
        if ((bits & bracket) !== 0) counts.numBrackets++;
      } else if (code === 0x27e8 || code === 0x27e9) {
        counts.numBrackets++;
      }
      const kind = classes[code]!;
      if ((kind & DIGIT) !== 0 || (code >= 0xd800 && code < 0xdc00 && isDigitAt(page, i))) counts.numDigits++;
    }
    return counts;
  });
}

function isDigitAt(page: Page, at: number): boolean {
  return (classAt(page.codes, at, page.length) & DIGIT) !== 0;
}

/** Characters of http:// and https:// addresses, whose rest is of letters, digits and [$-_@.&+!*(),%]. */
function countUrlCharacters({ text, length }: Page): number {
  let count = 0;
  for (let at = text.indexOf('http'); at >= 0; ) {
    let from = at + 4;
    if (text.charCodeAt(from) === 0x73) from++;
    if (!text.startsWith('://', from)) {
      at = text.indexOf('http', at + 4);
      continue;
    }
    from += 3;
    let end = from;
    while (end < length && isUrlUnit(text.charCodeAt(end))) end++;
    if (end > from) count += end - at;
    at = text.indexOf('http', Math.max(end, at + 4));
  }
  return count;
}

function isUrlUnit(code: number): boolean {
  return (code >= 0x24 && code <= 0x5f) || (code >= 0x61 && code <= 0x7a) || code === 0x21;
}

const ellipsisMarks = new Set(['...', '[...]', '…', '(...)', '[…]', '-»']);

const symbols = defineRule({
  name: 'nemo-symbol-words',
  description: 'Share of words that are an ellipsis or #.',
  source: `${source}: 0.1`,
  settings: { maxFraction: 0.1 },
  create: ({ maxFraction }) => ({
    kind: 'document',
    check: (page) => {
      const words = page.words('whitespace');
      let count = words.occurrences('#');
      for (const mark of ellipsisMarks) count += words.occurrences(mark);
      return above('symbol words', shareOf(count, words.count), maxFraction);
    },
  }),
});

const boilerplate = defineRule({
  name: 'nemo-boilerplate',
  description:
    'Share of paragraphs (parted by an empty line) with a policy phrase; lorem ipsum anywhere drops.',
  source: `${source}: 0.4`,
  settings: {
    maxFraction: 0.4,
    phrases: [
      'terms of use',
      'privacy policy',
      'cookie policy',
      'uses cookies',
      'privacy overview',
      'use of cookies',
      'use cookies',
      'privacy & cookies policy',
      'privacy and cookies policy',
      'cookies are absolutely essential for the website to function properly',
    ] as readonly string[],
  },
  create: ({ maxFraction, phrases }) => ({
    kind: 'document',
    check: ({ lower }) => {
      if (lower.includes('lorem ipsum')) return '"lorem ipsum" in the text';
      const present = phrases.filter((phrase) => lower.includes(phrase));
      if (present.length === 0) return null;
      const paragraphs = lower.split('\n\n');
      const count = paragraphs.filter((text) => present.some((phrase) => text.includes(phrase))).length;
      return above('paragraphs with boilerplate', count / paragraphs.length, maxFraction);
    },
  }),
});

interface UniqueShares {
  pieces: number;
  characters: number;
}

function uniqueShares(pieces: readonly string[]): UniqueShares {
  const unique = new Set(pieces);
  const lengthOf = (texts: Iterable<string>) => {
    let sum = 0;
    for (const text of texts) sum += text.length;
    return sum;
  };
  const whole = lengthOf(pieces);
  return {
    pieces: pieces.length === 0 ? 0 : unique.size / pieces.length,
    characters: whole === 0 ? 0 : lengthOf(unique) / whole,
  };
}

function linesOf(page: Page): string[] {
  return page.shared('nemo-lines', () => page.text.split('\n').filter((line) => stripSpace(line) !== ''));
}

function uniqueRule(name: string, part: keyof UniqueShares, of: 'lines' | 'paragraphs', minFraction: number) {
  const what = part === 'pieces' ? `unique ${of}` : `characters in unique ${of}`;
  return defineRule({
    name,
    description: `Share of ${what}, each counted once.`,
    source: `${source}: ${minFraction}`,
    settings: { minFraction },
    create: ({ minFraction }) => ({
      kind: 'document',
      check: (page) => {
        const shares = page.shared(`nemo-unique-${of}`, () =>
          uniqueShares(of === 'lines' ? linesOf(page) : page.text.split('\n\n')),
        );
        return below(what, shares[part], minFraction);
      },
    }),
  });
}

const punctuation = defineRule({
  name: 'nemo-line-punctuation',
  description: 'Share of lines without an end mark.',
  source: `${source}: 0.85`,
  settings: { maxFraction: 0.85, endMarks: ['.', '?', '!', '"', "'"] as readonly string[] },
  create: ({ maxFraction, endMarks }) => ({
    kind: 'document',
    check: (page) => {
      const lines = linesOf(page);
      const count = lines.filter((line) => {
        const stripped = stripSpace(line);
        return !endMarks.some((mark) => stripped.endsWith(mark));
      }).length;
      return above('lines without an end mark', shareOf(count, lines.length), maxFraction);
    },
  }),
});

const longWord = defineRule({
  name: 'nemo-long-word',
  description: 'Drops documents with a longer word.',
  source: `${source}: 1000 characters`,
  settings: { maxWordCharacters: 1000 },
  create: ({ maxWordCharacters }) => ({
    kind: 'document',
    check: (page) => above('longest word', page.words('whitespace').longest(), maxWordCharacters),
  }),
});

export const NEMO_RULES: readonly RuleDefinition[] = [
  characterRule(
    'nemo-non-alphanumeric',
    'characters other than letters, digits, line ends and ?!,.',
    0.25,
    (page) => page.numCharacters - charactersOf(page).numPlain,
  ),
  symbols,
  characterRule('nemo-numbers', 'digits', 0.15, (page) => charactersOf(page).numDigits),
  characterRule('nemo-urls', 'characters of addresses', 0.2, countUrlCharacters),
  characterRule('nemo-white-space', 'white space', 0.25, (page) => charactersOf(page).numSpaces),
  characterRule('nemo-parentheses', 'brackets', 0.1, (page) => charactersOf(page).numBrackets),
  boilerplate,
  uniqueRule('nemo-repeated-lines', 'pieces', 'lines', 0.7),
  uniqueRule('nemo-repeated-paragraphs', 'pieces', 'paragraphs', 0.7),
  uniqueRule('nemo-repeated-line-characters', 'characters', 'lines', 0.8),
  uniqueRule('nemo-repeated-paragraph-characters', 'characters', 'paragraphs', 0.8),
  punctuation,
  longWord,
];
