/**
 * Gopher's quality rules (Rae et al. 2021, arXiv 2112.11446, A.1.1 "Quality Filtering"). Where public code reads the
 * paper in another way the reading is a setting: how words are cut, what a bullet is, whether stop words must differ.
 */
import { characterClasses, SPACE } from '../character-classes.ts';
import type { Page } from '../page.ts';
import { WORD_KINDS, type WordKind } from '../page-words.ts';
import { above, below, defineRule, type RuleDefinition, share } from '../rule.ts';

const paper = 'Gopher, arXiv 2112.11446, A.1.1 Quality Filtering';
const words = WORD_KINDS;

const wordCount = defineRule({
  name: 'gopher-word-count',
  description: 'Between minWords and maxWords words that are not symbols alone.',
  source: `${paper}: 50 to 100,000 words`,
  settings: { minWords: 50, maxWords: 100_000, words: 'whitespace' },
  choices: { words },
  create: ({ minWords, maxWords, words }) => ({
    kind: 'document',
    check: (page) => {
      const count = page.words(words as WordKind).numNonSymbol;
      return below('words', count, minWords) ?? above('words', count, maxWords);
    },
  }),
});

const meanWordLength = defineRule({
  name: 'gopher-mean-word-length',
  description: 'Mean length in characters of the words that are not symbols alone.',
  source: `${paper}: 3 to 10`,
  settings: { minMean: 3, maxMean: 10, words: 'whitespace' },
  choices: { words },
  create: ({ minMean, maxMean, words }) => ({
    kind: 'document',
    check: (page) => {
      const { numNonSymbol, numNonSymbolCharacters } = page.words(words as WordKind);
      const mean = share(numNonSymbolCharacters, numNonSymbol);
      return below('mean word length', mean, minMean) ?? above('mean word length', mean, maxMean);
    },
  }),
});

const symbolRatio = defineRule({
  name: 'gopher-symbol-ratio',
  description: 'Hash signs, and ellipses (... or …), for each word.',
  source: `${paper}: 0.1`,
  settings: { maxRatio: 0.1, words: 'whitespace' },
  choices: { words },
  create: ({ maxRatio, words }) => ({
    kind: 'document',
    check: (page) => {
      const numWords = page.words(words as WordKind).count;
      const { numHashes, numEllipses } = symbolsOf(page);
      return (
        above('hash signs per word', share(numHashes, numWords), maxRatio) ??
        above('ellipses per word', share(numEllipses, numWords), maxRatio)
      );
    },
  }),
});

const bulletLines = defineRule({
  name: 'gopher-bullet-lines',
  description: 'Share of lines that begin with a bullet.',
  source: `${paper}: 0.9`,
  settings: { maxFraction: 0.9, bullets: ['•', '-', '*'] },
  create: ({ maxFraction, bullets }) => ({
    kind: 'document',
    check: (page) => {
      if (!bullets.some((bullet) => page.text.includes(bullet))) return null;
      const lines = page.splitLines();
      const count = lines.reduce((sum, line) => {
        const at = firstNonSpace(line);
        return sum + (bullets.some((bullet) => line.startsWith(bullet, at)) ? 1 : 0);
      }, 0);
      return above('lines with a bullet', share(count, lines.length), maxFraction);
    },
  }),
});

const ellipsisLines = defineRule({
  name: 'gopher-ellipsis-lines',
  description: 'Share of lines that end in an ellipsis (... or …).',
  source: `${paper}: 0.3`,
  settings: { maxFraction: 0.3 },
  create: ({ maxFraction }) => ({
    kind: 'document',
    check: (page) => {
      if (symbolsOf(page).numEllipses === 0) return null;
      const lines = page.splitLines();
      let count = 0;
      for (const line of lines) {
        const end = afterLastNonSpace(line);
        if (line.endsWith('...', end) || line.endsWith('…', end)) count++;
      }
      return above('lines ending in an ellipsis', share(count, lines.length), maxFraction);
    },
  }),
});

const alphabeticWords = defineRule({
  name: 'gopher-alphabetic-words',
  description: 'Share of words that hold at least one letter.',
  source: `${paper}: 80 %`,
  settings: { minFraction: 0.8, words: 'whitespace' },
  choices: { words },
  create: ({ minFraction, words }) => ({
    kind: 'document',
    check: (page) => {
      const { numWithLetter, count } = page.words(words as WordKind);
      return below('words with a letter', share(numWithLetter, count), minFraction);
    },
  }),
});

const stopWords = defineRule({
  name: 'gopher-stop-words',
  description: 'Stop words, as written in small letters: different ones, or all occurrences.',
  source: `${paper}: "at least two of the following English words"; datatrove, dolma and NeMo count occurrences`,
  settings: {
    minStopWords: 2,
    distinct: true,
    stopWords: ['the', 'be', 'to', 'of', 'and', 'that', 'have', 'with'],
    words: 'whitespace',
  },
  choices: { words },
  create: ({ minStopWords, distinct, stopWords, words }) => ({
    kind: 'document',
    check: (page) => {
      const cut = page.words(words as WordKind);
      let count = 0;
      for (const word of stopWords) {
        const occurrences = cut.occurrences(word);
        count += distinct ? Math.min(occurrences, 1) : occurrences;
      }
      return below(distinct ? 'different stop words' : 'stop words', count, minStopWords);
    },
  }),
});

function symbolsOf(page: Page): SymbolCounts {
  return page.shared('gopher-symbols', () => countSymbols(page));
}

interface SymbolCounts {
  numHashes: number;
  numEllipses: number;
}

/** Python's text.count('#') and text.count('...') + text.count('…'). */
function countSymbols({ text }: Page): SymbolCounts {
  return { numHashes: countOf(text, '#'), numEllipses: countOf(text, '...') + countOf(text, '…') };
}

/** Occurrences that do not overlap. */
function countOf(text: string, part: string): number {
  let count = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count++;
  return count;
}

function firstNonSpace(line: string): number {
  const classes = characterClasses();
  let at = 0;
  while (at < line.length && (classes[line.charCodeAt(at)]! & SPACE) !== 0) at++;
  return at;
}

function afterLastNonSpace(line: string): number {
  const classes = characterClasses();
  let end = line.length;
  while (end > 0 && (classes[line.charCodeAt(end - 1)]! & SPACE) !== 0) end--;
  return end;
}

export const GOPHER_QUALITY_RULES: readonly RuleDefinition[] = [
  wordCount,
  meanWordLength,
  symbolRatio,
  bulletLines,
  ellipsisLines,
  alphabeticWords,
  stopWords,
];
