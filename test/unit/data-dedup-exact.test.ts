/** Exact duplicates by document, paragraph and line: what counts as equal, what stays, what is counted. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError, DataError } from '../../src/core/errors.ts';
import {
  Deduplicator,
  type DedupMethod,
  type Folding,
  findDuplicatesInMemory,
  resolveMethod,
} from '../../src/data/dedup/index.ts';
import type { Document } from '../../src/data/document.ts';

function deduplicate(texts: readonly string[], method: DedupMethod) {
  const documents: Document[] = texts.map((text, i) => ({ id: `d${i}`, text, source: 's', meta: {} }));
  const deduplicator = new Deduplicator(findDuplicatesInMemory(documents, method), method);
  const verdicts = documents.map((document, i) => deduplicator.apply(document, i));
  const kept = verdicts.flatMap((verdict) => (verdict.kept ? [verdict.document.text] : []));
  const details = verdicts.flatMap((verdict) => (verdict.kept ? [] : [`${verdict.rule}: ${verdict.detail}`]));
  return { kept, details, counts: deduplicator.counts };
}

describe('documents', () => {
  test('that are equal leave the first', () => {
    const { kept, details, counts } = deduplicate(['a', 'b', 'a', 'c', 'b', 'a'], {
      kind: 'exact',
      unit: 'document',
    });
    expect(kept).toEqual(['a', 'b', 'c']);
    expect(details).toEqual([0, 1, 0].map((i) => `duplicate: same as document ${i}`));
    expect(counts.documents).toEqual({ in: 6, out: 3 });
    expect(counts.bytes).toEqual({ in: 6, out: 3 });
    expect(counts.duplicates).toEqual({ documents: 3, shortened: 0, units: 0 });
  });

  test.each<[Folding, string, string, boolean]>([
    ['none', 'A b', 'a b', false],
    ['none', 'a b', 'a b ', false],
    ['c4', ' A b\n', 'a B', true],
    ['c4', 'a  b', 'a b', false],
    ['cc-net', 'In 1999 — yes', 'in 2024  yes', true],
    ['cc-net', 'In 199 yes', 'in 2024 yes', false],
    ['cc-net', 'yes, sir.', 'yes sir', false],
    ['datatrove', 'Yes,  Sír: 3.14!', 'yes sir 7', true],
    ['datatrove', 'yes sir', 'yessir', false],
  ])('%s: %j and %j equal: %s', (normalize, a, b, equal) => {
    expect(deduplicate([a, b], { kind: 'exact', unit: 'document', normalize }).kept).toHaveLength(
      equal ? 1 : 2,
    );
  });

  test('without text are not duplicates', () => {
    expect(deduplicate(['', '', ''], { kind: 'exact', unit: 'document' }).kept).toHaveLength(3);
  });
});

describe('lines', () => {
  const method: DedupMethod = { kind: 'exact', unit: 'line' };

  test('that occur earlier go, in other documents and in the same one', () => {
    const { kept, details, counts } = deduplicate(
      [
        'Home\n\nFirst text\nHOME \nMore',
        'home\nFirst text',
        'Second text\nhome\n',
        'Third\n\n\nhome\nEnd\n',
      ],
      method,
    );
    expect(kept).toEqual(['Home\n\nFirst text\nMore', 'Second text\n', 'Third\n\n\nEnd\n']);
    expect(details).toEqual(['duplicate: every line occurs earlier']);
    expect(counts).toEqual({
      documents: { in: 4, out: 3 },
      bytes: { in: 27 + 15 + 17 + 17, out: 21 + 12 + 12 },
      duplicates: { documents: 1, shortened: 3, units: 5 },
    });
  });

  test('are what a set of seen lines gives, for any texts', () => {
    const line = fc.constantFrom('a', 'A', ' a\t', 'b', 'c c', '', ' ', '\r', 'ß', '\ud800', '😀 x', '…');
    const text = fc.array(line, { maxLength: 8 }).map((lines) => lines.join('\n'));
    fc.assert(
      fc.property(fc.array(fc.oneof(text, fc.string({ unit: 'binary' })), { maxLength: 8 }), (texts) => {
        const seen = new Set<string>();
        const expected = texts.map((each) => {
          const kept = each.split('\n').filter((one) => {
            const key = one.trim().toLowerCase();
            if (key === '') return false;
            const isNew = !seen.has(key);
            seen.add(key);
            return isNew;
          });
          return kept;
        });
        const { kept } = deduplicate(texts, method);
        // Blank lines stay or go with their neighbours and do not count; texts of blank lines alone stay.
        const left = kept.map((each) => each.split('\n').filter((one) => one.trim() !== ''));
        expect(left.filter((lines) => lines.length > 0)).toEqual(
          expected.filter((lines) => lines.length > 0),
        );
      }),
    );
  });
});

describe('paragraphs', () => {
  const method: DedupMethod = { kind: 'exact', unit: 'paragraph' };

  test('are runs of lines between blank ones', () => {
    const { kept, counts } = deduplicate(
      ['One\ntwo\n\nCookies 2024\n \n\nThree\n', 'Four\n\ncookies 1999', 'one\n\nOne\nTwo\n\ntwo'],
      method,
    );
    expect(kept).toEqual(['One\ntwo\n\nCookies 2024\n \n\nThree\n', 'Four', 'one\n\ntwo']);
    expect(counts.duplicates).toEqual({ documents: 0, shortened: 2, units: 2 });
  });

  test('without anything left when normalized stay and do not keep a document alive', () => {
    const { kept, details } = deduplicate(['a\n\n…', '…\n\na', '…'], method);
    expect(kept).toEqual(['a\n\n…', '…']);
    expect(details).toHaveLength(1);
  });
});

describe('a deduplicator', () => {
  test('says when the documents are not those that were searched', () => {
    const method: DedupMethod = { kind: 'exact', unit: 'line' };
    const deduplicator = new Deduplicator(findDuplicatesInMemory([{ text: 'a\nb' }], method), method);
    const document = { id: 'x', text: 'a\nb\nc', source: 's', meta: {} };
    expect(() => deduplicator.apply(document, 0)).toThrow(/has 3 lines; there were 2/);
    expect(() => deduplicator.apply(document, 1)).toThrow(DataError);
  });
});

test('settings that do not exist are refused with the known ones', () => {
  expect(() => resolveMethod({ kind: 'exact', unit: 'word' as 'line' })).toThrow(/document, paragraph, line/);
  expect(() => resolveMethod({ kind: 'minhash', preset: 'x' as 'nemo' })).toThrow(/datatrove.*refinedweb/);
  expect(() => resolveMethod({ kind: 'minhash', numBands: 0 })).toThrow(ConfigError);
  expect(() => resolveMethod({ kind: 'minhash', minSimilarity: 80 })).toThrow(/between 0 and 1/);
  expect(() => resolveMethod({ kind: 'fuzzy' } as never)).toThrow(/'fuzzy'/);
});
