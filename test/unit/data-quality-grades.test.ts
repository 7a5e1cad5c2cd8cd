/** Perplexity counted in fine bins comes out as head, middle and tail of each language. */
import { expect, test } from 'vitest';
import { amountsBy, type CoverageCell } from '../../src/data/coverage/index.ts';
import { gradeBins } from '../../src/data/pipeline/quality-grader.node.ts';

const cell = (language: string, bin: number, documents: number): CoverageCell => [
  language,
  'web',
  `perplexity bin ${bin}`,
  'under 200',
  documents,
  documents * 100,
  0,
];

test('terciles of documents, language by language, whatever the order of cells', () => {
  const cells = [
    ...Array.from({ length: 30 }, (_, bin) => cell('en', (bin * 7) % 30, 10)),
    ...Array.from({ length: 30 }, (_, bin) => cell('de', 500 + bin, 1)),
  ];
  const counts = gradeBins({ cells });
  const english = gradeBins({ cells: cells.filter(([language]) => language === 'en') });
  for (const [grade, documents] of [
    ['head', 110],
    ['middle', 110],
    ['tail', 110],
  ] as const) {
    expect(amountsBy(counts, 'quality').get(grade)?.documents).toBe(documents);
  }
  expect(amountsBy(english, 'quality').get('head')).toEqual({ documents: 100, bytes: 10_000, tokens: 0 });
  expect(gradeBins({ cells: [...cells].reverse() }).cells.length).toBe(counts.cells.length);
});

test('a lower perplexity is never a worse grade', () => {
  const { cells } = gradeBins({ cells: [cell('en', 3, 3), cell('en', 90, 3), cell('en', 40, 3)] });
  expect(cells.map((one) => one[2])).toEqual(['head', 'tail', 'middle']);
});

test('other grades stay as they are', () => {
  const cells: CoverageCell[] = [['en', 'web', 'good 0.8 to 1.0', 'under 200', 3, 300, 0]];
  expect(gradeBins({ cells }).cells).toEqual(cells);
});
