/** Prose beside facts: cleaned and counted, mixed in a fixed share, measured on documents kept aside. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CancelledError } from '../../src/core/errors.ts';
import type { PlinthEvent } from '../../src/core/events.ts';
import { KeyedRandom } from '../../src/core/random.ts';
import { type Document, openTokenShards } from '../../src/data/index.node.ts';
import { type ProseSource, type Report, renderReport, runRecipe } from '../../src/recipe/index.node.ts';
import { reportSummary } from '../../src/recipe/report/text.ts';
import { recipeOutcome, tinyRecipe } from '../fixtures/training/tiny-recipe.ts';

const SUBJECTS =
  'the old miller,a young teacher,the harbour master,every farmer,our neighbour,the quiet doctor,that sailor,the mayor'.split(
    ',',
  );
const VERBS = 'walked,looked,wrote,sang,waited,worked,travelled,listened'.split(',');
const PLACES =
  'by the river,in the long garden,under the bridge,near the church,behind the market,on the hill,at the station'.split(
    ',',
  );
const ENDINGS =
  'and the rain had to stop,that winter was cold,with bread and salt,to be home early,of which nobody spoke,and have tea'.split(
    ',',
  );

/** English paragraphs of more than fifty words, no two much alike. */
function paragraphs(): Document[] {
  const random = new KeyedRandom(6).fork('paragraphs');
  return Array.from({ length: 40 }, (_, i) => {
    const pick = (at: number, list: readonly string[]) => random.pick(i * 100 + at, list);
    const sentences = Array.from({ length: 8 }, (_, k) => {
      const words = [SUBJECTS, VERBS, PLACES, ENDINGS].map((list, n) => pick(k * 4 + n, list)).join(' ');
      return `${words[0]!.toUpperCase()}${words.slice(1)}.`;
    });
    return { id: `page-${i}`, text: sentences.join(' '), source: 'towns', meta: {} };
  });
}

const towns: ProseSource = {
  name: 'towns',
  licence: 'CC0-1.0',
  domain: 'reference',
  language: 'en',
  documents: () => [
    ...paragraphs(),
    ...paragraphs()
      .slice(0, 6)
      .map((document) => ({ ...document, id: `copy of ${document.id}` })),
    { id: 'short', text: 'This is far too short to be kept by the rules.', source: 'towns', meta: {} },
    {
      id: 'german',
      text: 'Die Stadt liegt zwischen den Hügeln und dem Fluss, und viele Wege führen von ihr zum Hafen am Meer.',
      source: 'towns',
      meta: {},
    },
  ],
};

const absent: ProseSource = {
  name: 'almanac',
  licence: 'public domain',
  domain: 'reference',
  language: 'en',
  documents: () => {
    createRequire(import.meta.url).resolve('plinth-almanac-that-is-not-installed/package.json');
    return [];
  },
};

const recipe = {
  ...tinyRecipe,
  prose: [towns, absent],
  settings: { ...tinyRecipe.settings, proseShare: 0.25 },
};

let folder: string;
let report: Report;
const events: PlinthEvent[] = [];
const run = (path: string, options: Parameters<typeof runRecipe>[1] = {}) =>
  runRecipe(recipe, { folder: path, numThreads: 1, checkpointSeconds: 1000, ...options });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-prose-'));
  ({ report } = await run(join(folder, 'reference'), { onEvent: (event) => events.push(event) }));
}, 180_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a run with prose', () => {
  test('counts what came in, what was dropped by which rule, and what is left', () => {
    const source = report.data.prose!.sources[0]!;
    expect(source.numDocuments.in).toBe(48);
    const dropped = Object.values(source.dropped).reduce((sum, count) => sum + count, 0);
    expect(source.numDocuments.out).toBe(48 - dropped);
    expect(source.dropped).toMatchObject({ 'other-language': 1, 'gopher-word-count': 1 });
    // Of the six copies those whose original the rules had kept.
    expect(source.dropped.duplicate).toBeGreaterThan(1);
    expect(source.dropped.duplicate).toBeLessThanOrEqual(6);
    expect(source.numBytes.out).toBeLessThan(source.numBytes.in);
  });

  test('a source whose package is not installed is a note and a line of the report, not a failure', () => {
    expect(report.data.prose!.sources[1]).toMatchObject({
      name: 'almanac',
      numDocuments: { in: 0, out: 0 },
      missing: expect.stringContaining('plinth-almanac-that-is-not-installed'),
    });
    const notes = events.filter((event) => event.type === 'note' && event.level === 'warning');
    expect(notes).toHaveLength(1);
    expect(notes[0]).toMatchObject({
      message: expect.stringMatching(/Prose "almanac" is left out.*goes on/),
    });
  });

  test('what a source throws for another reason ends the run', async () => {
    const broken = { ...towns, documents: () => JSON.parse('{') as Document[] };
    const path = join(folder, 'broken');
    await expect(runRecipe({ ...recipe, prose: [broken] }, { folder: path })).rejects.toThrow(SyntaxError);
  });

  test('its share and coverage are those of the batches and the token sets', async () => {
    const { prose, coverage } = report.data;
    expect(prose!.share).toBe(2 / 8);
    const set = await openTokenShards(join(folder, 'reference', 'data'), 'prose');
    expect(prose!.numTokens).toBe(set.numTokens);
    expect(prose!.numDocuments).toBe(set.numDocuments);
    expect(prose!.epochs).toBeCloseTo((2 * 48 * 6) / set.numTokens, 10);
    expect(coverage!.map(({ language, domain }) => [language, domain])).toEqual([
      ['en', 'facts'],
      ['en', 'reference'],
    ]);
    expect(coverage![1]!.numTokens).toBe(set.numTokens);
    expect(coverage![0]!.numTokens).toBe(report.data.numTokens);
    set.close();
  });

  test('documents kept aside are measured, and reach no training set', () => {
    const { numDocuments, numBytes, pretrained, finetuned } = report.evaluation.prose!;
    const { out } = report.data.prose!.sources[0]!.numDocuments;
    expect(numDocuments).toBe(out - report.data.prose!.numDocuments);
    expect(numDocuments).toBeGreaterThan(0);
    expect(numBytes).toBeGreaterThan(100);
    for (const { value } of [pretrained, finetuned]) {
      expect(value).toBeGreaterThan(1);
      expect(value).toBeLessThan(9);
    }
  });

  test('page and summary show them', () => {
    const html = renderReport(report);
    for (const part of [
      'Coverage',
      'Dropped from towns, by rule',
      'gopher word count',
      'left out: Cannot find module',
    ])
      expect(html).toContain(part);
    expect(html).toContain(report.evaluation.prose!.pretrained.value.toFixed(3));
    expect(reportSummary(report)).toContain('Bits per byte of prose');
  });
});

test('stopped while it trains, it goes on to the same bytes and figures', async () => {
  const path = join(folder, 'stopped');
  const controller = new AbortController();
  const onEvent = (event: PlinthEvent) => {
    if (event.type === 'train-step' && event.step === 3) controller.abort();
  };
  await expect(run(path, { signal: controller.signal, onEvent })).rejects.toBeInstanceOf(CancelledError);
  await run(path);
  expect(await recipeOutcome(path)).toEqual(await recipeOutcome(join(folder, 'reference')));
});

test('other prose, or another share, is another run', async () => {
  const path = join(folder, 'reference');
  const fewer = { ...towns, documents: () => paragraphs().slice(0, 30) };
  const options = { folder: path, numThreads: 1 };
  await expect(runRecipe({ ...recipe, prose: [fewer, absent] }, options)).rejects.toThrow(/dataDigest/);
  await expect(run(path, { overrides: { proseShare: 0.5 } })).rejects.toThrow(/"proseShare":0.5/);
});

test('a share of 0 reads no prose and leaves no trace of it', async () => {
  const path = join(folder, 'none');
  const { report: without } = await run(path, { overrides: { proseShare: 0 } });
  expect(without.data.prose).toBeUndefined();
  expect(without.evaluation.prose).toBeUndefined();
  expect(await readFile(join(path, 'data', 'documents.json'), 'utf8')).not.toContain('"prose"');
});
