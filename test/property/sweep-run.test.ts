/** Whole sweeps: what they write, that stops and kills change no figure, and what they refuse. */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CancelledError, ConfigError, DataError } from '../../src/core/errors.ts';
import type { PlinthEvent } from '../../src/core/events.ts';
import { MemoryTokenDataset, openTokenShards, WindowBatches } from '../../src/data/index.node.ts';
import { loadCheckpoint } from '../../src/model/index.node.ts';
import { initializeWeights } from '../../src/model/initialize.ts';
import { trainStage } from '../../src/recipe/stages/train-stage.node.ts';
import { HeldOutEvaluator, heldOutBatches } from '../../src/recipe/sweep/held-out.ts';
import { runSweep, type SweepResult, type SweepTokens } from '../../src/recipe/sweep/index.node.ts';
import { type SweepReport, sweepSummary } from '../../src/recipe/sweep/index.ts';
import { prepareTextTokens } from '../../src/recipe/sweep/sweep-tokens.node.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { lossOf, readLawFile } from '../../src/scaling/index.ts';
import { closeAbandoned, runUntilCrash } from '../fixtures/training/crash-points.ts';
import { runTinySweep, TINY_OPTIMIZER, TINY_SHAPES, writeTinyText } from '../fixtures/training/tiny-sweep.ts';

let folder: string;
let text: string;
let reference: string;
let result: SweepResult;
const events: PlinthEvent[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-sweep-'));
  text = await writeTinyText(folder);
  reference = join(folder, 'reference');
  result = await runTinySweep([text], reference, { onEvent: (event) => events.push(event) });
});
afterAll(async () => {
  await closeAbandoned();
  await rm(folder, { recursive: true, force: true });
});

/** The points without what a clock decides. */
async function pointsIn(path: string): Promise<unknown[]> {
  const lines = (await readFile(join(path, 'points.jsonl'), 'utf8')).trim().split('\n');
  return lines.map((line) => ({ ...(JSON.parse(line) as object), seconds: 0 }));
}

describe('a finished sweep', () => {
  test('has every size at every token count, each size reading the same ones', () => {
    const { points, sizes, heldBack } = result.report;
    expect(sizes.map(({ shape }) => shape)).toEqual(TINY_SHAPES);
    expect(points).toHaveLength(16);
    const counts = (size: number) =>
      points.filter((point) => point.size === size).map(({ tokens }) => tokens);
    for (const size of [1, 2, 3]) expect(counts(size)).toEqual(counts(0));
    expect(heldBack.map(({ tokens }) => tokens)).toEqual(counts(3));
    for (const point of points) {
      expect(point.tokens).toBe(point.steps * 8 * 32);
      expect(point.epochs).toBeLessThanOrEqual(4);
      expect(point.loss).toBeGreaterThan(0);
      expect(point.loss).toBeLessThan(Math.log(300) + 0.2);
      expect(point.flops / point.steps).toBeCloseTo(sizes[point.size]!.flopsPerStep, -3);
    }
  });

  test('learns: more tokens and more weights have less loss, exactly as the journal says', async () => {
    const { points } = result.report;
    const last = points.filter(({ steps }) => steps === points.at(-1)!.steps).map(({ loss }) => loss);
    expect(last[3]).toBeLessThan(last[0]! - 0.2);
    const largest = points.filter(({ size }) => size === 3).map(({ loss }) => loss);
    expect(largest).toEqual([...largest].sort((a, b) => b - a));
    expect(await pointsIn(reference)).toEqual(points.map((point) => ({ ...point, seconds: 0 })));
  });

  test('predicts the largest size from the others alone and says how far off it was', () => {
    const { heldBack, heldOutLaw, points } = result.report;
    for (const one of heldBack) {
      const actual = points.find(({ size, tokens }) => size === 3 && tokens === one.tokens)!;
      expect(one.actual).toBe(actual.loss);
      expect(one.predicted).toBeCloseTo(lossOf(heldOutLaw, one), 10);
      expect(one.miss).toBeCloseTo(one.predicted / actual.loss - 1, 12);
      expect(one.interval![0]).toBeLessThan(one.interval![1]);
    }
    expect(heldOutLaw.numPoints).toBe(12);
    expect(result.report.law.numPoints).toBe(16);
  });

  test('leaves law, report, page and the largest model behind, and no checkpoints', async () => {
    const law = readLawFile(await readFile(join(reference, 'law.json'), 'utf8'), 'law.json');
    expect(law.points).toHaveLength(16);
    const { E, A, B, alpha, beta } = result.report.law;
    expect(law.law).toMatchObject({ E, A, B, alpha, beta });
    expect(law.law.source).toMatch(/sweep on tiny\.jsonl/);
    const page = await readFile(join(reference, 'report.html'), 'utf8');
    expect(page).toContain('24x1');
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
    const report = JSON.parse(await readFile(join(reference, 'report.json'), 'utf8')) as SweepReport;
    expect(report.points).toHaveLength(16);
    const { config } = await loadCheckpoint(join(reference, 'model'));
    expect(config.hiddenSize).toBe(24);
    expect(await readdir(join(reference, 'model'))).toContain('tokenizer.json');
    expect(await readdir(join(reference, 'sizes')).catch(() => [])).toEqual([]);
    expect(sweepSummary(report)).toMatch(/Held back 24x1 predicted at .*too (high|low)/);
  });

  test('sets the sharp measure beside the smooth one', () => {
    const { emergence, points } = result.report;
    expect(emergence.map(({ length }) => length)).toEqual([1, 2, 4, 8, 16]);
    for (const { length, points: series } of emergence) {
      expect(series.map(({ flops }) => flops)).toEqual(
        points.map(({ flops }) => flops).sort((a, b) => a - b),
      );
      for (const one of series) {
        expect(one.expected).toBeCloseTo(Math.exp(-length * one.crossEntropy), 12);
        expect(one.exactMatch).toBeLessThanOrEqual(1);
        expect(one.exactMatch).toBeGreaterThanOrEqual(0);
      }
    }
    const of = (k: number) => emergence.find(({ length }) => length === k)!.points.at(-1)!;
    expect(of(1).exactMatch).toBeGreaterThan(0.1);
    expect(of(1).independent).toBeCloseTo(of(1).exactMatch, 12);
    expect(of(2).exactMatch).toBeLessThanOrEqual(of(1).exactMatch);
    expect(of(16).exactMatch).toBeLessThanOrEqual(of(8).exactMatch);
  });

  test('tells its stages, counts steps without gaps, and is not run again', async () => {
    const done = events.flatMap((event) =>
      event.type === 'stage' && event.state === 'done' ? [event.stage] : [],
    );
    expect(done).toEqual([
      'data',
      'plan',
      'size 1 of 4',
      'size 2 of 4',
      'size 3 of 4',
      'law',
      'largest size',
      'report',
    ]);
    const steps = events.flatMap((event) =>
      event.type === 'train-step' && event.stage === 'largest size' ? [event.step] : [],
    );
    expect(steps).toEqual(steps.map((_, i) => i + 1));
    const again: PlinthEvent[] = [];
    const second = await runTinySweep([text], reference, { onEvent: (event) => again.push(event) });
    expect(second.trained).toBe(false);
    expect(again).toEqual([]);
    expect(second.report.points).toHaveLength(16);
  });
});

test('a branch is, bit for bit, the model of a run of its own with that many steps', async () => {
  const device = await cpuDevice({ numThreads: 1 });
  const { points, settings, sizes } = result.report;
  const { config, weights } = await loadCheckpoint(join(reference, 'model'));
  const train = await openTokenShards(join(reference, 'data'), 'train');
  const validation = await openTokenShards(join(reference, 'data'), 'validation');
  const shape = { batchSize: 8, sequenceLength: 32, seed: 1, documentSegments: true };
  const evaluator = await HeldOutEvaluator.compile(device, config, shape);
  const heldOut = heldOutBatches(new WindowBatches(validation, shape), 1e6, undefined);
  const own = points.filter(({ size }) => size === sizes.length - 1);
  for (const point of [own[0]!, own.at(-1)!]) {
    const trained = await trainStage({
      stage: 'own',
      checkpoints: join(folder, `own-${point.steps}`),
      fingerprint: 'own',
      device,
      config,
      weights: () => initializeWeights(config, 1),
      batches: new WindowBatches(train, shape),
      numSteps: point.steps,
      optimizer: TINY_OPTIMIZER,
      schedule: settings.schedule,
      clipNorm: 1,
      onEvent: () => {},
    });
    const state = new Map([...trained.weights].map(([name, value]) => [`parameter/${name}`, value]));
    expect((await evaluator.run(state, heldOut)).loss).toBe(point.loss);
    if (point === own.at(-1)) {
      for (const [name, { data }] of trained.weights) expect([...weights.get(name)!.data]).toEqual([...data]);
    }
  }
  await evaluator.dispose();
});

describe('stops and kills', () => {
  test('a stop at any step leaves a folder that goes on to the same figures', async () => {
    const out = join(folder, 'stopped');
    let stops = 0;
    for (const after of [1, 75, 150]) {
      const stop = new AbortController();
      let steps = 0;
      const run = runTinySweep([text], out, {
        signal: stop.signal,
        onEvent: (event) => {
          if (event.type === 'train-step' && ++steps === after) stop.abort();
        },
      });
      await expect(run).rejects.toBeInstanceOf(CancelledError);
      stops++;
    }
    expect(stops).toBe(3);
    const { report } = await runTinySweep([text], out);
    expect(await pointsIn(out)).toEqual(await pointsIn(reference));
    expect(report.heldBack.map(({ miss }) => miss)).toEqual(result.report.heldBack.map(({ miss }) => miss));
  });

  test.each([40, 160])('a kill before file operation %i costs no figure', async (numOperations) => {
    const out = join(folder, `killed-${numOperations}`);
    await runUntilCrash(numOperations, () => runTinySweep([text], out));
    await runTinySweep([text], out);
    expect(await pointsIn(out)).toEqual(await pointsIn(reference));
  });

  test('a damaged journal line is named, and without it that model is trained again', async () => {
    const out = join(folder, 'damaged');
    await cp(reference, out, { recursive: true });
    await rm(join(out, 'report.json'));
    const journal = await readFile(join(out, 'points.jsonl'), 'utf8');
    const lines = journal.trim().split('\n');
    await writeFile(join(out, 'points.jsonl'), `${[...lines.slice(0, 5), '{"size": 1,'].join('\n')}\n`);
    await expect(runTinySweep([text], out)).rejects.toThrow(/points\.jsonl, line 6/);
    await writeFile(join(out, 'points.jsonl'), `${[...lines.slice(0, 5), ...lines.slice(6)].join('\n')}\n`);
    await runTinySweep([text], out);
    const byPlace = (a: unknown, b: unknown) => JSON.stringify(a).localeCompare(JSON.stringify(b));
    expect((await pointsIn(out)).sort(byPlace)).toEqual((await pointsIn(reference)).sort(byPlace));
  });
});

test('predicting only leaves the largest size untrained; the same folder trains it later', async () => {
  const out = join(folder, 'later');
  const { report } = await runTinySweep([text], out, { trainLargest: false });
  expect(report.points).toHaveLength(12);
  expect(report.heldBack.every(({ actual }) => actual === undefined)).toBe(true);
  expect(sweepSummary(report)).toMatch(/Held back 24x1 predicted at .*not trained/);
  const page = await readFile(join(out, 'report.html'), 'utf8');
  expect(page).not.toMatch(/NaN|undefined|Infinity/);
  const later = await runTinySweep([text], out, { trainLargest: true });
  expect(later.trained).toBe(true);
  expect(later.report.heldBack.map(({ predicted }) => predicted)).toEqual(
    report.heldBack.map(({ predicted }) => predicted),
  );
  expect(await pointsIn(out)).toEqual(await pointsIn(reference));
  // Asking for less than is there changes nothing.
  expect((await runTinySweep([text], out, { trainLargest: false })).trained).toBe(false);
});

test('one long text is cut: its end is held out, and nothing of it is in training', async () => {
  const path = join(folder, 'long.txt');
  const words = Array.from({ length: 6000 }, (_, i) => `w${(i * 7919) % 613}`);
  await writeFile(path, words.join(' '));
  const out = join(folder, 'long');
  const options = { files: [path], vocabSize: 400, seed: 1, onEvent: () => {} };
  const { tokenizer } = await prepareTextTokens(out, 'long', options);
  const [train, validation] = await Promise.all(
    ['train', 'validation'].map(async (name) => {
      const set = await openTokenShards(join(out, 'data'), name);
      expect(set.numDocuments).toBe(1);
      return tokenizer!.decode([...set.readTokens(0, set.numTokens - 1)]);
    }),
  );
  expect(train! + validation!).toBe(words.join(' '));
  expect(validation!.length / (train!.length + validation!.length)).toBeCloseTo(0.1, 2);
});

test('tokens may come from elsewhere', async () => {
  const { report } = await runSweep({
    tokens: tokensOf(30),
    folder: join(folder, 'elsewhere'),
    device: await cpuDevice({ numThreads: 1 }),
    minutes: 3,
    sizes: TINY_SHAPES,
    settings: { batchSize: 4, contextLength: 16, optimizer: TINY_OPTIMIZER, seed: 7 },
  });
  expect(report.data).toMatchObject({ files: ['sequence of 30'], vocabSize: 48, numTrainTokens: 30 * 62 });
  expect(report.points.every(({ bitsPerByte }) => Number.isNaN(bitsPerByte))).toBe(true);
  expect(report.points.at(-1)!.loss).toBeLessThan(report.points[0]!.loss);
  expect(report.settings.seed).toBe(7);
});

describe('refusals', () => {
  const expectRefusal = async (
    run: Promise<unknown>,
    kind: typeof ConfigError | typeof DataError,
    message: RegExp,
  ) => {
    const error = await run.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(kind);
    expect((error as Error).message).toMatch(message);
  };
  const out = (name: string) => join(folder, 'refused', name);

  test('files that are not there or hold no text', async () => {
    await expectRefusal(runTinySweep([join(folder, 'none.txt')], out('a')), DataError, /could not be read/);
    const empty = join(folder, 'empty.txt');
    await writeFile(empty, ' \n');
    await expectRefusal(runTinySweep([empty], out('b')), DataError, /No text/);
  });

  test('too little text, with what would help', async () => {
    const short = join(folder, 'short.txt');
    await writeFile(short, 'one two three four five six seven eight nine ten '.repeat(8));
    await expectRefusal(runTinySweep([short], out('c')), DataError, /[Gg]ive more text/);
    const some = join(folder, 'some.txt');
    await writeFile(some, Array.from({ length: 700 }, (_, i) => `w${(i * 37) % 101}`).join(' '));
    const run = runTinySweep([some], out('d'), { settings: { batchSize: 32 } });
    await expectRefusal(run, ConfigError, /passes over it are only/);
  });

  test('too few minutes, with how many more', async () => {
    const run = runTinySweep([text], out('e'), { minutes: 0.2 });
    await expectRefusal(run, ConfigError, /more minutes/);
  });

  test('sizes that do not rise, too few, and options that contradict', async () => {
    await expectRefusal(
      runTinySweep([text], out('f'), { sizes: [...TINY_SHAPES].reverse() }),
      ConfigError,
      /smallest first/,
    );
    await expectRefusal(runTinySweep([text], out('g'), { sizes: 3 }), ConfigError, /4 to 12 sizes/);
    await expectRefusal(
      runTinySweep([text], out('h'), { minutes: 0 }),
      ConfigError,
      /minutes must be above 0/,
    );
    await expectRefusal(runTinySweep([], out('i')), ConfigError, /No file/);
    await expectRefusal(
      runTinySweep([text], out('j'), { tokens: tokensOf(3) }),
      ConfigError,
      /either files or tokens/,
    );
  });

  test('options of text where tokens are given', async () => {
    const run = runSweep({
      tokens: tokensOf(3),
      vocabSize: 300,
      folder: out('k'),
      device: await cpuDevice({ numThreads: 1 }),
      minutes: 1,
    });
    await expectRefusal(run, ConfigError, /"vocabSize" has no effect/);
  });

  test('a folder of another request or of something else, unless it is to begin anew', async () => {
    const run = runTinySweep([text], reference, { settings: { seed: 2 } });
    await expectRefusal(run, ConfigError, /other settings \(settings/);
    const other = out('other');
    await mkdir(other, { recursive: true });
    await writeFile(join(other, 'report.json'), '{}');
    await expectRefusal(runTinySweep([text], other), ConfigError, /no sweep's folder/);
    expect(await pointsIn(reference)).toHaveLength(16);
  });
});

/** A sequence that a small model learns, as tokens from memory. */
function tokensOf(numDocuments: number): SweepTokens {
  const sequence = (d: number) => Array.from({ length: 61 }, (_, i) => 1 + ((i * i + d * (i % 5)) % 47));
  const dataset = (from: number, to: number) =>
    new MemoryTokenDataset(
      Array.from({ length: to - from }, (_, d) => ({ tokens: [...sequence(from + d), 0] })),
      48,
    );
  const train = dataset(0, numDocuments);
  // 256 targets and one: four whole batches of 4 rows of 16 tokens.
  const validation = new MemoryTokenDataset(
    [{ tokens: Array.from({ length: 257 }, (_, i) => 1 + ((i * i) % 47)) }],
    48,
  );
  return {
    identity: `sequence of ${numDocuments}`,
    vocabSize: 48,
    endOfTextId: 0,
    numTokens: train.numTokens,
    train: (shape) => new WindowBatches(train, { ...shape, documentSegments: true }),
    validation: (shape) => new WindowBatches(validation, { ...shape, documentSegments: true }),
  };
}
