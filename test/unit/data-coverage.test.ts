/** Coverage: facets of documents, counts that add up, and gaps against an evaluation. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  amountsBy,
  CoverageCounter,
  type CoverageCounts,
  coverageGaps,
  domainOf,
  type Facets,
  lengthClassOf,
  MAX_DOMAINS,
  OTHER_DOMAINS,
  totalOf,
} from '../../src/data/coverage/index.ts';
import type { Document } from '../../src/data/index.ts';

const documentOf = (meta: Document['meta'], source = 'texts/notes.txt'): Document => ({
  id: '1',
  text: 'text',
  source,
  meta,
});
const facets = (language: string, domain = 'web', quality = 'good', length = '1k to 5k'): Facets => ({
  language,
  domain,
  quality,
  length,
});

describe('the domain of a document', () => {
  test.each([
    [{ domain: 'law', url: 'https://a.example/x' }, 'law'],
    [{ category: ' sports ' }, 'sports'],
    [{ url: 'https://www.News.example:8080/a?b=c' }, 'news.example'],
    [{ url: 'http://user:pw@host.example/x' }, 'host.example'],
    [{ url: 'not a url' }, 'notes'],
    [{ domain: '' }, 'notes'],
    [{}, 'notes'],
  ])('%j is %s', (meta, expected) => {
    expect(domainOf(documentOf(meta as Document['meta']))).toBe(expected);
  });

  test('is the first folder below what was asked for, else the file name without endings', () => {
    const options = { roots: ['corpus/'] };
    expect(domainOf(documentOf({}, 'corpus/medicine/2020/a.jsonl.gz'), options)).toBe('medicine');
    expect(domainOf(documentOf({}, 'corpus/cases.jsonl.gz'), options)).toBe('cases');
    expect(domainOf(documentOf({}, 'other/deep/cases.warc.wet.gz'), options)).toBe('deep');
    expect(domainOf(documentOf({}, 'deep/cases.txt'), { roots: ['deep/cases.txt'] })).toBe('cases');
    expect(domainOf(documentOf({}, '.hidden'), options)).toBe('.hidden');
  });

  test('is the column that was named, and no other', () => {
    const options = { domainColumn: 'subject' };
    expect(domainOf(documentOf({ subject: 7, domain: 'law' }), options)).toBe('7');
    expect(domainOf(documentOf({ domain: 'law' }), options)).toBe('notes');
  });
});

test('classes of length begin at their numbers', () => {
  const lengths = [0, 199, 200, 999, 1000, 4999, 5000, 19_999, 20_000, 1_000_000];
  expect(lengths.map((length) => lengthClassOf('x'.repeat(length)))).toEqual([
    'under 200',
    'under 200',
    '200 to 1k',
    '200 to 1k',
    '1k to 5k',
    '1k to 5k',
    '5k to 20k',
    '5k to 20k',
    '20k and more',
    '20k and more',
  ]);
});

describe('counts', () => {
  const sortedCells = ({ cells }: CoverageCounts): string[] =>
    cells.map((cell) => JSON.stringify(cell)).sort();

  test('add up to the whole, however documents are dealt to shards', () => {
    const name = fc.constantFrom('en', 'vi', 'my', 'unknown');
    const documents = fc.array(fc.tuple(name, fc.string({ maxLength: 3 }), fc.nat(1000), fc.nat(9)));
    fc.assert(
      fc.property(documents, fc.nat(4), (items, seed) => {
        const whole = new CoverageCounter();
        const shards = [new CoverageCounter(), new CoverageCounter(), new CoverageCounter()];
        for (const [i, [language, domain, bytes, tokens]] of items.entries()) {
          whole.add(facets(language, domain), bytes, tokens);
          shards[(i * 7 + seed) % 3]!.add(facets(language, domain), bytes, tokens);
        }
        const merged = new CoverageCounter();
        for (const shard of shards) merged.addCounts(shard.counts);
        expect(sortedCells(merged.counts)).toEqual(sortedCells(whole.counts));
        expect(totalOf(merged.counts)).toEqual({
          documents: items.length,
          bytes: items.reduce((sum, item) => sum + item[2], 0),
          tokens: items.reduce((sum, item) => sum + item[3], 0),
        });
      }),
      { numRuns: 100 },
    );
  });

  test('more domains than the bound are counted together and none is lost', () => {
    const counter = new CoverageCounter();
    for (let i = 0; i < MAX_DOMAINS + 100; i++) counter.add(facets('en', `host-${i}`), 10);
    counter.add(facets('en', 'host-0'), 10);
    const domains = amountsBy(counter.counts, 'domain');
    expect(domains.size).toBe(MAX_DOMAINS + 1);
    expect(domains.get(OTHER_DOMAINS)).toEqual({ documents: 100, bytes: 1000, tokens: 0 });
    expect(domains.get('host-0')).toEqual({ documents: 2, bytes: 20, tokens: 0 });
    expect(totalOf(counter.counts).documents).toBe(MAX_DOMAINS + 101);
  });
});

describe('gaps against an evaluation', () => {
  const countsOf = (amounts: [language: string, domain: string, documents: number, bytes: number][]) => {
    const counter = new CoverageCounter();
    for (const [language, domain, documents, bytes] of amounts) {
      for (let i = 0; i < documents; i++) counter.add(facets(language, domain), bytes / documents);
    }
    return counter.counts;
  };

  test('no Vietnamese in, no Vietnamese out', () => {
    const training = countsOf([
      ['en', 'web', 100, 5e6],
      ['de', 'web', 3, 9000],
    ]);
    const evaluation = countsOf([
      ['en', 'web', 50, 5000],
      ['vi', 'web', 30, 3000],
      ['de', 'web', 20, 2000],
      ['unknown', 'web', 5, 100],
    ]);
    const gaps = coverageGaps(training, evaluation);
    expect(gaps.map(({ facet, name }) => `${facet} ${name}`)).toEqual(['language vi', 'language de']);
    expect(gaps[0]).toMatchObject({ evaluationDocuments: 30, trainingDocuments: 0, trainingBytes: 0 });
    expect(gaps[0]!.message).toBe(
      'The evaluation has 30 items in Vietnamese (vi), the training data has none: no Vietnamese in, no Vietnamese out.',
    );
    expect(gaps[1]!.message).toBe(
      'The evaluation has 20 items in German (de), the training data only 3 documents (9000 bytes).',
    );
  });

  test('a language that hardly occurs in the evaluation is not asked for', () => {
    const training = countsOf([['en', 'web', 100, 5e6]]);
    const evaluation = countsOf([
      ['en', 'web', 999, 1e5],
      ['vi', 'web', 1, 100],
    ]);
    expect(coverageGaps(training, evaluation)).toEqual([]);
    expect(coverageGaps(training, evaluation, { minEvaluationShare: 0 })).toHaveLength(1);
  });

  test('domains are compared when both sides use the same names, or when that is asked for', () => {
    const training = countsOf([
      ['en', 'law', 100, 5e6],
      ['en', 'sports', 100, 5e6],
    ]);
    const other = countsOf([['en', 'medicine', 10, 1e3]]);
    const both = countsOf([
      ['en', 'medicine', 10, 1e3],
      ['en', 'law', 10, 1e3],
    ]);
    expect(coverageGaps(training, both)).toMatchObject([{ facet: 'domain', name: 'medicine' }]);
    expect(coverageGaps(training, other)).toEqual([]);
    expect(coverageGaps(training, other, { domains: true })).toMatchObject([{ name: 'medicine' }]);
    expect(coverageGaps(training, both, { domains: false })).toEqual([]);
  });
});
