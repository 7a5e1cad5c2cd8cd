/**
 * Gopher's repetition rules (Rae et al. 2021, arXiv 2112.11446, A.1.1 "Repetition Removal", thresholds of Table A1).
 * `variant` picks how repetition is counted (repeated-spans.ts, repeated-grams.ts), `words` how words are cut.
 */

import type { Page } from '../page.ts';
import { WORD_KINDS, type WordKind } from '../page-words.ts';
import { repeatedGramShare, topGramShare } from '../repeated-grams.ts';
import {
  COUNTING_VARIANTS,
  type CountingVariant,
  type RepeatedShares,
  repeatedLines,
  repeatedParagraphs,
} from '../repeated-spans.ts';
import { above, defineRule, type RuleDefinition } from '../rule.ts';

const paper = 'Gopher, arXiv 2112.11446, Table A1';
const variants = COUNTING_VARIANTS;

function spanRule(
  name: string,
  what: string,
  maxFraction: number,
  shares: (page: Page, variant: CountingVariant) => RepeatedShares,
  part: keyof RepeatedShares,
): RuleDefinition {
  return defineRule({
    name,
    description: `Share of ${what}.`,
    source: `${paper}: ${maxFraction.toFixed(2)}`,
    settings: { maxFraction, variant: 'paper' },
    choices: { variant: variants },
    create: ({ maxFraction, variant }) => ({
      kind: 'document',
      check: (page) => above(what, shares(page, variant as CountingVariant)[part], maxFraction),
    }),
  });
}

function topRule(n: number, maxFraction: number): RuleDefinition {
  const what = `characters in the top ${n}-gram`;
  return defineRule({
    name: `gopher-top-${n}-gram`,
    description: `Share of ${what}.`,
    source: `${paper}: ${maxFraction.toFixed(2)}`,
    settings: { maxFraction, variant: 'paper', words: 'whitespace' },
    choices: { variant: variants, words: WORD_KINDS },
    create: ({ maxFraction, variant, words }) => ({
      kind: 'document',
      check: (page) =>
        above(what, topGramShare(page, n, words as WordKind, variant as CountingVariant), maxFraction),
    }),
  });
}

function duplicateRule(n: number, maxFraction: number): RuleDefinition {
  const what = `characters in duplicate ${n}-grams`;
  return defineRule({
    name: `gopher-duplicate-${n}-grams`,
    description: `Share of ${what}.`,
    source: `${paper}: ${maxFraction.toFixed(2)}`,
    settings: { maxFraction, variant: 'paper', words: 'whitespace' },
    choices: { variant: variants, words: WORD_KINDS },
    create: ({ maxFraction, variant, words }) => ({
      kind: 'document',
      check: (page) =>
        above(what, repeatedGramShare(page, n, words as WordKind, variant as CountingVariant), maxFraction),
    }),
  });
}

export const GOPHER_REPETITION_RULES: readonly RuleDefinition[] = [
  spanRule('gopher-duplicate-paragraphs', 'duplicate paragraphs', 0.3, repeatedParagraphs, 'spans'),
  spanRule(
    'gopher-duplicate-paragraph-characters',
    'characters in duplicate paragraphs',
    0.2,
    repeatedParagraphs,
    'characters',
  ),
  spanRule('gopher-duplicate-lines', 'duplicate lines', 0.3, repeatedLines, 'spans'),
  spanRule(
    'gopher-duplicate-line-characters',
    'characters in duplicate lines',
    0.2,
    repeatedLines,
    'characters',
  ),
  topRule(2, 0.2),
  topRule(3, 0.18),
  topRule(4, 0.16),
  duplicateRule(5, 0.15),
  duplicateRule(6, 0.14),
  duplicateRule(7, 0.13),
  duplicateRule(8, 0.12),
  duplicateRule(9, 0.11),
  duplicateRule(10, 0.1),
];
