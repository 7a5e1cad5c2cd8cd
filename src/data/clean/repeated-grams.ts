/**
 * How much of a page stands in repeated n-grams of words. Three ways of counting, because the Gopher paper says
 * only "the fraction of characters contained within" them, each character once:
 * - 'paper': words inside the most frequent n-gram, or inside any second or later occurrence of an n-gram; each word
 *   once; characters of words over characters of all words. An n-gram that occurs once repeats nothing.
 * - 'datatrove': joined length times occurrences of the top n-gram (even one that occurs once); for duplicates a
 *   scan from the left that jumps over each repeated n-gram; both over all characters of the text. n-grams are
 *   compared word by word here, there as joined letters.
 * - 'dolma': first occurrences count too, and overlapping n-grams count each time, in the part and in the whole.
 */
import { type GramLevel, topGram } from './gram-counts.ts';
import type { Page } from './page.ts';
import type { PageWords, WordKind } from './page-words.ts';
import type { CountingVariant } from './repeated-spans.ts';

/** Share of the characters in the most frequent n-gram; of several the one that comes first. */
export function topGramShare(page: Page, n: number, kind: WordKind, variant: CountingVariant): number {
  const words = page.words(kind);
  if (words.count < n) return 0;
  const level = words.grams.level(n);
  const top = topGram(level);
  if (variant === 'paper') return top === null ? 0 : coveredByGram(words, level, n, top.gram);
  const at = top === null ? 0 : level.positions[firstOf(level, top.gram)]!;
  const characters = words.charactersBefore[at + n]! - words.charactersBefore[at]!;
  const count = top?.count ?? 1;
  if (variant === 'dolma') return (count * characters) / words.numCharacters;
  return (count * (characters + n - 1)) / page.numCharacters;
}

/** Share of the characters in n-grams that occur more than once. */
export function repeatedGramShare(page: Page, n: number, kind: WordKind, variant: CountingVariant): number {
  const words = page.words(kind);
  if (words.count < n) return 0;
  const level = words.grams.level(n);
  if (level.length === 0) return 0;
  if (variant === 'paper') return coveredByCopies(words, level, n);
  if (variant === 'dolma') return overlapping(words, level, n);
  return skippedCharacters(words, level, n) / page.numCharacters;
}

function firstOf(level: GramLevel, gram: number): number {
  let j = 0;
  while (level.grams[j] !== gram) j++;
  return j;
}

function coveredByGram(words: PageWords, level: GramLevel, n: number, gram: number): number {
  const before = words.charactersBefore;
  let covered = 0;
  let coveredTo = 0;
  for (let j = 0; j < level.length; j++) {
    if (level.grams[j] !== gram) continue;
    const from = Math.max(level.positions[j]!, coveredTo);
    coveredTo = level.positions[j]! + n;
    covered += before[coveredTo]! - before[from]!;
  }
  return covered / words.numCharacters;
}

let seen = new Uint8Array(64);

/** A fresh flag for each gram. */
function clearSeen(numGrams: number): Uint8Array {
  if (seen.length < numGrams) seen = new Uint8Array(2 ** (32 - Math.clz32(numGrams)));
  else seen.fill(0, 0, numGrams);
  return seen;
}

function coveredByCopies(words: PageWords, level: GramLevel, n: number): number {
  const flags = clearSeen(level.numGrams);
  const before = words.charactersBefore;
  let covered = 0;
  let coveredTo = 0;
  for (let j = 0; j < level.length; j++) {
    const gram = level.grams[j]!;
    if (flags[gram] === 0) {
      flags[gram] = 1;
      continue;
    }
    const from = Math.max(level.positions[j]!, coveredTo);
    coveredTo = level.positions[j]! + n;
    covered += before[coveredTo]! - before[from]!;
  }
  return covered / words.numCharacters;
}

function skippedCharacters(words: PageWords, level: GramLevel, n: number): number {
  const flags = clearSeen(level.numGrams);
  const before = words.charactersBefore;
  let characters = 0;
  let next = 0;
  for (let j = 0; j < level.length; j++) {
    const position = level.positions[j]!;
    if (position < next) continue;
    const gram = level.grams[j]!;
    if (flags[gram] === 0) {
      flags[gram] = 1;
      continue;
    }
    characters += before[position + n]! - before[position]!;
    next = position + n;
  }
  return characters;
}

function overlapping(words: PageWords, level: GramLevel, n: number): number {
  const before = words.charactersBefore;
  let whole = 0;
  for (let i = 0; i + n <= words.count; i++) whole += before[i + n]! - before[i]!;
  let part = 0;
  for (let j = 0; j < level.length; j++) {
    const position = level.positions[j]!;
    part += before[position + n]! - before[position]!;
  }
  return part / whole;
}
