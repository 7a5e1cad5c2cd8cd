/**
 * Whatever the text: every rule set ends in a kept document or a counted drop, counts add up and merge in any order,
 * cleaning is deterministic, and time is linear in the length.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addCleanCounts,
  type CleanCounts,
  Cleaner,
  cleanSummary,
  emptyCleanCounts,
  RULE_SET_NAMES,
  type RuleSetSpec,
  ruleSetOf,
} from '../../src/data/clean/index.ts';
import { documentOf } from '../fixtures/data/cleaning.ts';

const services = {
  identifyLanguage: (text: string) => ({ language: text.length % 5 === 0 ? 'fr' : 'en', score: 0.9 }),
};

const lists: RuleSetSpec = {
  name: 'lists',
  rules: [{ rule: 'list-words', list: ['spam', 'two words'] }, 'c4-local-duplicate-line', 'c4-citations'],
  lists: {
    domains: ['bad.example'],
    words: { list: ['spam'], minDocumentMatches: 2 },
    patterns: ['^junk', '\\d{9}'],
  },
};

/** Thresholds so low that short texts get through to the later rules. */
const loose: RuleSetSpec = {
  name: 'loose',
  extends: ['c4'],
  rules: [
    { rule: 'c4-short-line', minWords: 1 },
    { rule: 'c4-sentence-count', minSentences: 0 },
    { rule: 'c4-sentence-count-after-duplicates', minSentences: 0 },
  ],
};

const sets: (string | RuleSetSpec)[] = [...RULE_SET_NAMES, lists, loose];

const piece = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom('The cat and the dog went to be with that. ', 'It is so. ', 'spam '),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom('\n', '\r\n', '\n\n', '\u2028', '[3]', '{', 'javascript', '...', '"'),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('lorem ipsum', 'junk', 'Terms of Use', '  ', '\t', '# ', '• ', '1234567890'),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 8 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('\ud800', '\udc00', '\0', '你好世界', 'สวัสดี', '😀', '[\ud83d[1]\ude00'),
  },
);
const anyText = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(''));

function cleanerOf(chosen: readonly (string | RuleSetSpec)[]): Cleaner {
  return new Cleaner(
    chosen.map((set) => ruleSetOf(set)),
    services,
  );
}

function expectAddedUp(counts: CleanCounts): void {
  const summary = cleanSummary(counts);
  const sum = (values: Record<string, number>) => Object.values(values).reduce((a, b) => a + b, 0);
  expect(summary.documents.in).toBe(summary.documents.out + sum(summary.dropped));
  expect(summary.lines.in).toBe(summary.lines.out + sum(summary.lines.dropped));
  let { in: documents } = counts.documents;
  let { in: bytes } = counts.bytes;
  for (const rule of counts.rules) {
    expect(rule.documentsIn).toBe(documents);
    expect(rule.bytesIn).toBe(bytes);
    expect(rule.documentsOut).toBeLessThanOrEqual(rule.documentsIn);
    expect(rule.bytesOut).toBeLessThanOrEqual(rule.bytesIn);
    for (const value of [rule.linesIn, rule.linesDropped, rule.linesOfDroppedDocuments, rule.bytesOut]) {
      expect(value).toBeGreaterThanOrEqual(0);
    }
    documents = rule.documentsOut;
    bytes = rule.bytesOut;
  }
  expect(documents).toBe(counts.documents.out);
  expect(bytes).toBe(counts.bytes.out);
}

describe('any text', () => {
  test('is kept or dropped by a rule that counts it, in every set', () => {
    const encoder = new TextEncoder();
    fc.assert(
      fc.property(fc.array(anyText, { minLength: 1, maxLength: 3 }), fc.nat(sets.length - 1), (texts, at) => {
        const cleaner = cleanerOf([sets[at]!]);
        let bytesIn = 0;
        let bytesOut = 0;
        const dropped: Record<string, number> = {};
        for (const text of texts) {
          const result = cleaner.clean(documentOf(text, { url: 'https://bad.example/x' }));
          bytesIn += encoder.encode(text).length;
          if (result.kept) {
            expect(result.document.text).not.toBe('');
            bytesOut += encoder.encode(result.document.text).length;
          } else {
            expect(result.detail).not.toBe('');
            expect(result.document.text).toBe(text);
            dropped[result.rule] = (dropped[result.rule] ?? 0) + 1;
          }
        }
        expect(cleaner.counts.bytes).toEqual({ in: bytesIn, out: bytesOut });
        expect(cleanSummary(cleaner.counts).dropped).toEqual(dropped);
        expectAddedUp(cleaner.counts);
      }),
      { numRuns: 300 },
    );
  });

  test('through all sets one after the other adds up too', () => {
    fc.assert(
      fc.property(fc.array(anyText, { maxLength: 4 }), (texts) => {
        const cleaner = cleanerOf([loose, lists, 'c4', 'gopher']);
        for (const text of texts) cleaner.clean(documentOf(text));
        expectAddedUp(cleaner.counts);
      }),
      { numRuns: 150 },
    );
  });

  test('gives the same result again, also from a cleaner that has seen other texts', () => {
    fc.assert(
      fc.property(anyText, anyText, fc.nat(sets.length - 1), (text, before, at) => {
        const fresh = cleanerOf([sets[at]!]);
        const used = cleanerOf([sets[at]!]);
        used.clean(documentOf(before));
        expect(used.clean(documentOf(text))).toEqual(fresh.clean(documentOf(text)));
      }),
      { numRuns: 200 },
    );
  });

  test('cleaned by C4’s rules for lines stays as it is, unless deleting a citation makes a new one', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const once = cleanerOf([loose]).clean(documentOf(text));
        fc.pre(once.kept && !once.document.text.includes('['));
        const again = cleanerOf([loose]).clean(once.document);
        // A deleted mark can leave white space at the ends of a line, which only a second pass strips.
        const stripped = (value: string) =>
          value
            .split('\n')
            .map((line) => line.trim())
            .join('\n');
        expect(again.kept).toBe(true);
        expect(stripped(again.document.text)).toBe(stripped(once.document.text));
      }),
      { numRuns: 200 },
    );
  });
});

describe('counts', () => {
  test('merge in any grouping to the counts of one cleaner', () => {
    fc.assert(
      fc.property(fc.array(anyText, { minLength: 3, maxLength: 6 }), (texts) => {
        const whole = cleanerOf(['gopher', loose]);
        const parts = texts.map((text) => {
          const part = cleanerOf(['gopher', loose]);
          part.clean(documentOf(text));
          whole.clean(documentOf(text));
          return part.counts;
        });
        const left = emptyCleanCounts();
        for (const part of parts) addCleanCounts(left, part);
        const right = emptyCleanCounts();
        const rest = emptyCleanCounts();
        for (const part of parts.slice(1)) addCleanCounts(rest, part);
        addCleanCounts(right, parts[0]!);
        addCleanCounts(right, rest);
        expect(left).toEqual(whole.counts);
        expect(right).toEqual(whole.counts);
        expect(JSON.parse(JSON.stringify(left))).toEqual(left);
      }),
      { numRuns: 50 },
    );
  });

  test('of other rules are refused', () => {
    const [c4, gopher] = [cleanerOf(['c4']), cleanerOf(['gopher'])];
    c4.clean(documentOf('x'));
    gopher.clean(documentOf('x'));
    expect(() => addCleanCounts(c4.counts, gopher.counts)).toThrow(/different rules/);
  });
});

describe('hard texts', () => {
  const million = 400_000;
  const texts: [string, string][] = [
    ['one line of 400 KB', 'x'.repeat(million)],
    ['one line of 400 KB of words', 'word and '.repeat(million / 9)],
    ['many newlines', '\n'.repeat(million)],
    ['many \\r\\n', '\r\n'.repeat(million / 2)],
    ['many spaces', ' '.repeat(million)],
    ['brackets without end', '['.repeat(million)],
    ['digits after brackets', `[${'1'.repeat(million)}`],
    ['http again and again', 'http://'.repeat(million / 7)],
    ['many full stops', '. '.repeat(million / 2)],
    ['letters of one word', 'a '.repeat(million / 2)],
    ['different words', Array.from({ length: 60_000 }, (_, i) => i.toString(36)).join(' ')],
    ['lone surrogates', '\ud800'.repeat(million / 4)],
    ['emoji', '😀'.repeat(million / 4)],
    ['Thai without a space', 'ภาษาไทย'.repeat(10_000)],
  ];

  test.each(texts)('%s: every set, in time', (_, text) => {
    // Long enough for a busy machine, far too short for anything quadratic at this length.
    const start = performance.now();
    for (const set of sets) cleanerOf([set]).clean(documentOf(text));
    expect(performance.now() - start).toBeLessThan(15_000);
  });
});
