/** C4's and mC4's rules for whole pages (tensorflow/datasets, text/c4_utils.py). */
import { defineRule, figure, type RuleDefinition } from '../rule.ts';
import { countSentences } from '../sentence-count.ts';

const file = 'tensorflow/datasets text/c4_utils.py';

const pageLength = defineRule({
  name: 'c4-page-length',
  description: 'Drops documents with more characters.',
  source: `C4, ${file} is_valid_length: 190,000`,
  settings: { maxCharacters: 190_000 },
  create: ({ maxCharacters }) => ({
    kind: 'document',
    check: ({ numCharacters }) =>
      numCharacters > maxCharacters ? `${numCharacters} characters > ${maxCharacters}` : null,
  }),
});

/** Counted line by line, as C4's loop does. */
function sentenceRule(name: string, description: string, source: string): RuleDefinition {
  return defineRule({
    name,
    description,
    source,
    settings: { minSentences: 3 },
    create: ({ minSentences }) => ({
      kind: 'document',
      check: (page) => {
        let count = 0;
        for (const line of page.splitLines()) {
          if (count >= minSentences) return null;
          count += countSentences(line, minSentences - count);
        }
        return count < minSentences ? `${figure(count)} sentences < ${minSentences}` : null;
      },
    }),
  });
}

const sentences = sentenceRule(
  'c4-sentence-count',
  'Drops documents with fewer sentences left.',
  `C4, ${file} clean_page: 3; datatrove 5, which FineWeb used`,
);

const sentencesAfterDuplicates = sentenceRule(
  'c4-sentence-count-after-duplicates',
  'Drops documents with fewer sentences left after duplicate lines.',
  `C4, ${file} remove_duplicate_text: 3`,
);

const longLines = defineRule({
  name: 'mc4-long-lines',
  description: 'Keeps documents with at least minLines lines of minCharacters characters.',
  source: `mC4, arXiv 2010.11934, 3.1, and ${file} paragraph_filter: 3 lines of 200`,
  settings: { minLines: 3, minCharacters: 200 },
  create: ({ minLines, minCharacters }) => ({
    kind: 'document',
    check: (page) => {
      const { lineEnds, numNewlines } = page;
      let count = 0;
      let start = 0;
      for (let line = 0; line <= numNewlines && count < minLines; line++) {
        const end = lineEnds[line]!;
        if (end - start >= minCharacters && page.charactersIn(start, end) >= minCharacters) count++;
        start = end + 1;
      }
      return count < minLines ? `${count} lines of ${minCharacters} characters < ${minLines}` : null;
    },
  }),
});

export const C4_PAGE_RULES: readonly RuleDefinition[] = [
  pageLength,
  sentences,
  sentencesAfterDuplicates,
  longLines,
];
