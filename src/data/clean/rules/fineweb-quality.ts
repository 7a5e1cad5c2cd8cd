/**
 * FineWeb's own rules (Penedo et al. 2024, arXiv 2406.17557, 3.5; thresholds of huggingface/datatrove,
 * filters/fineweb_quality_filter.py). Lines are split at \n and not stripped.
 */

import { characterClasses, SPACE } from '../character-classes.ts';
import { WORD_KINDS, type WordKind } from '../page-words.ts';
import { defineRule, figure, type RuleDefinition, share } from '../rule.ts';
import { SpanTable } from '../span-table.ts';

const source = 'FineWeb, datatrove filters/fineweb_quality_filter.py';

const linePunctuation = defineRule({
  name: 'fineweb-line-punctuation',
  description: 'Share of lines that end in an end mark; at the threshold the document is dropped.',
  source: `${source}: 0.12`,
  settings: { minFraction: 0.12, endMarks: ['.', "'", '"', '!', '?'] },
  create: ({ minFraction, endMarks }) => {
    const marks = new Set(endMarks.map((mark) => mark.charCodeAt(mark.length - 1)));
    return {
      kind: 'document',
      check: ({ codes, lineEnds, numNewlines, length }) => {
        let count = 0;
        let start = 0;
        for (let line = 0; line <= numNewlines; line++) {
          const end = lineEnds[line]!;
          if (end > start && marks.has(codes[end - 1]!)) count++;
          start = end + 1;
        }
        const fraction = length === 0 ? 0 : count / (numNewlines + 1);
        return fraction <= minFraction
          ? `lines with an end mark ${figure(fraction)} <= ${minFraction}`
          : null;
      },
    };
  },
});

const shortLines = defineRule({
  name: 'fineweb-short-lines',
  description: 'Share of lines of at most maxCharacters; at the threshold the document is dropped.',
  source: `${source}: 0.67 of 30 characters`,
  settings: { maxFraction: 0.67, maxCharacters: 30 },
  create: ({ maxFraction, maxCharacters }) => ({
    kind: 'document',
    check: (page) => {
      const { lineEnds, numNewlines } = page;
      let count = 0;
      let start = 0;
      for (let line = 0; line <= numNewlines; line++) {
        const end = lineEnds[line]!;
        if (end - start <= 2 * maxCharacters && page.charactersIn(start, end) <= maxCharacters) count++;
        start = end + 1;
      }
      const fraction = count / (numNewlines + 1);
      return fraction >= maxFraction ? `short lines ${figure(fraction)} >= ${maxFraction}` : null;
    },
  }),
});

const table = new SpanTable();

const duplicateLines = defineRule({
  name: 'fineweb-duplicate-line-characters',
  description: 'Share of characters in copies of an earlier line; at the threshold the document is dropped.',
  source: `${source}: 0.01 (the paper says 0.1)`,
  settings: { maxFraction: 0.01 },
  create: ({ maxFraction }) => ({
    kind: 'document',
    check: (page) => {
      const { codes, lineEnds, numNewlines } = page;
      table.clear();
      let copied = 0;
      let start = 0;
      for (let line = 0; line <= numNewlines; line++) {
        const end = lineEnds[line]!;
        if (!isBlank(codes, start, end)) {
          const { size } = table;
          table.add(codes, start, end);
          if (table.size === size) copied += page.charactersIn(start, end);
        }
        start = end + 1;
      }
      const fraction = share(copied, page.numCharacters - numNewlines);
      return fraction >= maxFraction
        ? `characters in duplicate lines ${figure(fraction)} >= ${maxFraction}`
        : null;
    },
  }),
});

const newlines = defineRule({
  name: 'fineweb-newlines-per-word',
  description: 'Line ends for each word.',
  source: `${source}: 0.3`,
  settings: { maxRatio: 0.3, words: 'tokens' },
  choices: { words: WORD_KINDS },
  create: ({ maxRatio, words }) => ({
    kind: 'document',
    check: (page) => {
      const ratio = share(page.numNewlines, page.words(words as WordKind).count);
      return ratio > maxRatio ? `line ends per word ${figure(ratio)} > ${maxRatio}` : null;
    },
  }),
});

function isBlank(codes: Uint16Array, start: number, end: number): boolean {
  const classes = characterClasses();
  for (let i = start; i < end; i++) if ((classes[codes[i]!]! & SPACE) === 0) return false;
  return true;
}

export const FINEWEB_QUALITY_RULES: readonly RuleDefinition[] = [
  linePunctuation,
  shortLines,
  duplicateLines,
  newlines,
];
