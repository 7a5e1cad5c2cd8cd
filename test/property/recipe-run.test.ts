/** Whole recipes: the same seed gives the same bytes, stops change nothing, and the report says what it must. */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CancelledError, ConfigError } from '../../src/core/errors.ts';
import type { PlinthEvent } from '../../src/core/events.ts';
import { KeyedRandom } from '../../src/core/random.ts';
import { loadCheckpoint } from '../../src/model/index.node.ts';
import { defaultRunFolder, type RunResult } from '../../src/recipe/index.node.ts';
import { closeAbandoned, runUntilCrash } from '../fixtures/training/crash-points.ts';
import { recipeOutcome, runTinyRecipe, tinyRecipe } from '../fixtures/training/tiny-recipe.ts';

let folder: string;
let reference: string;
let result: RunResult;
const events: PlinthEvent[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-recipe-'));
  reference = join(folder, 'reference');
  result = await runTinyRecipe(reference, { onEvent: (event) => events.push(event) });
});
afterAll(async () => {
  await closeAbandoned();
  await rm(folder, { recursive: true, force: true });
});

describe('a finished run', () => {
  test.each([
    'wallSeconds',
    'peakRssBytes',
    'machine.sgemmGflops',
    'train.tokensPerSecond',
    'train.gflops',
    'train.shareOfPeak',
    'train.finalLoss',
    'evaluation.heldOutPhrasing.exactMatch',
    'evaluation.unknown.abstention',
    'evaluation.unknown.falseAbstention',
    'evaluation.bitsPerByte',
  ])('reports %s as a finite number, in memory and in report.json', async (key) => {
    const stored = JSON.parse(await readFile(join(reference, 'report.json'), 'utf8')) as unknown;
    for (const report of [result.report, stored]) {
      const value = key.split('.').reduce((at, part) => (at as Record<string, unknown>)[part], report);
      expect(Number.isFinite(value)).toBe(true);
    }
  });

  test('has a report that agrees with its parts', async () => {
    const { report } = result;
    expect(report.train.steps).toBe(12);
    // Pairs are two rows each.
    expect(report.train.tokens).toBe(10 * 8 * 48 + 2 * 16 * 48);
    expect(report.curves.map(({ stage, points }) => [stage, points.length])).toEqual([
      ['pretrain', 6],
      ['sft', 4],
      ['prefer', 2],
    ]);
    expect(report.curves[0]!.points[0]!.loss).toBeCloseTo(Math.log(report.tokenizer.vocabSize), 0);
    expect(report.curves[0]!.validation.at(-1)!.bitsPerByte).toBe(report.evaluation.bitsPerByte);
    expect(report.wallSeconds).toBeLessThan(600);
    expect(report.plan.stages.every(({ seconds }) => seconds > 0 && seconds < report.wallSeconds)).toBe(true);
    const { config, weights } = await loadCheckpoint(result.modelFolder);
    expect(config.vocabSize).toBe(report.tokenizer.vocabSize);
    const numParameters = [...weights.values()].reduce((total, { data }) => total + data.length, 0);
    expect(numParameters).toBe(report.model.numParameters);
  });

  test('goes through its eight stages in order', () => {
    const stages = events.flatMap((event) =>
      event.type === 'stage' && event.state === 'done' ? [event.stage] : [],
    );
    expect(stages).toEqual(['facts', 'tokenizer', 'plan', 'pretrain', 'sft', 'prefer', 'evaluate', 'report']);
  });

  test('preferences move the last norm and nothing else, and are told before and after', async () => {
    const before = await loadCheckpoint(join(reference, 'checkpoints', 'sft', 'step-000004'));
    const after = await loadCheckpoint(result.modelFolder);
    const moved = [...after.weights].filter(([name, { data }]) =>
      data.some((value, i) => value !== before.weights.get(name)!.data[i]),
    );
    expect(moved.map(([name]) => name)).toEqual(['model.norm.weight']);
    const { numQuestions, numAnswers, numPairs, pairsByFault, changes } = result.report.preference!;
    expect(numAnswers).toBe(4 * numQuestions);
    expect(numPairs).toBeGreaterThan(0);
    expect(Object.values(pairsByFault).reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(
      numPairs,
    );
    const right = changes.find(({ name }) => name === 'right')!;
    expect(right.after.value).toBe(result.report.evaluation.heldOutPhrasing.exactMatch);
    expect(right.numAnswers).toBe(result.report.evaluation.heldOutPhrasing.score.numQuestions);
    expect(changes.map(({ name }) => name)).toContain('distinct');
  });

  test('accounts for the time and the arithmetic of every stage', () => {
    const { stages, total } = result.report.accounting!;
    const of = (name: string) => stages.find(({ stage }) => stage === name)!;
    expect(stages.map(({ stage }) => stage)).toEqual([
      'facts',
      'tokenizer',
      'plan',
      'pretrain',
      'sft',
      'prefer',
      'evaluate',
    ]);
    // Of the same program: FLOPs by steps.
    expect(of('pretrain').training!.flops / 6).toBe(of('sft').training!.flops / 4);
    expect(of('pretrain').training!.tokens).toBe(6 * 8 * 48);
    expect(of('prefer').generation!.tokens).toBeGreaterThan(result.report.preference!.numAnswers);
    // Chosen and rejected answers of every pair under the reference.
    expect(of('prefer').scoring!.tokens).toBeGreaterThan(2 * result.report.preference!.numPairs);
    expect(of('evaluate').training).toBeUndefined();
    expect(stages.reduce((sum, { shareOfFlops }) => sum + shareOfFlops, 0)).toBeCloseTo(1, 10);
    expect(total.seconds).toBeLessThan(result.report.wallSeconds);
  });

  test('without steps of preferences it has no such stage, and ends with the finetuned model', async () => {
    const path = join(folder, 'without-preferences');
    const { report, modelFolder } = await runTinyRecipe(path, { overrides: { preferSteps: 0 } });
    expect(report.preference).toBeUndefined();
    expect(report.plan.stages.map(({ stage }) => stage)).toEqual(['pretrain', 'sft']);
    const { weights } = await loadCheckpoint(modelFolder);
    const sft = await loadCheckpoint(join(reference, 'checkpoints', 'sft', 'step-000004'));
    for (const [name, { data }] of weights) expect(data).toEqual(sft.weights.get(name)!.data);
  });

  test('is handed back at once when asked for again, and refuses other settings', async () => {
    const before = await readFile(join(reference, 'report.json'), 'utf8');
    const again = await runTinyRecipe(reference);
    expect(again.trained).toBe(false);
    expect(again.report).toEqual(JSON.parse(before));
    await expect(runTinyRecipe(reference, { seed: 7 })).rejects.toThrow(ConfigError);
    await expect(runTinyRecipe(reference, { seed: 7 })).rejects.toThrow(/"seed":7.*--fresh/);
    expect(await readFile(join(reference, 'report.json'), 'utf8')).toBe(before);
  });

  test('damaged, its report.json is an error that says how to make it again', async () => {
    const path = join(folder, 'damaged');
    await cp(reference, path, { recursive: true });
    const before = await recipeOutcome(path);
    await writeFile(join(path, 'report.json'), '{"name": "riv');
    await expect(runTinyRecipe(path)).rejects.toThrow(/report\.json is not JSON.*Delete it/);
    await rm(join(path, 'report.json'));
    expect((await runTinyRecipe(path)).trained).toBe(true);
    expect(await recipeOutcome(path)).toEqual(before);
  });
});

describe('sameness', () => {
  test('the same seed gives the same bytes, with other times between checkpoints too', async () => {
    const path = join(folder, 'again');
    await runTinyRecipe(path, { checkpointSeconds: 1000 });
    expect(await recipeOutcome(path)).toEqual(await recipeOutcome(reference));
  });

  test('another seed gives another model', async () => {
    const path = join(folder, 'other-seed');
    await runTinyRecipe(path, { seed: 2, checkpointSeconds: 1000 });
    const [a, b] = [await recipeOutcome(path), await recipeOutcome(reference)];
    expect(a.files['model.safetensors']).not.toBe(b.files['model.safetensors']);
  });

  test('stopped between any two file operations and started again until it ends', async () => {
    const random = new KeyedRandom(5).fork('crashes');
    const path = join(folder, 'stopped');
    let numCrashes = 0;
    while (!(await runUntilCrash(40 + random.integer(numCrashes, 300), () => runTinyRecipe(path)))) {
      numCrashes++;
      expect(numCrashes).toBeLessThan(100);
    }
    expect(numCrashes).toBeGreaterThan(3);
    expect(await recipeOutcome(path)).toEqual(await recipeOutcome(reference));
  });

  test('stopped on request in each stage, it goes on to the same result', async () => {
    const path = join(folder, 'cancelled');
    for (const stage of ['tokenizer', 'plan', 'pretrain', 'sft', 'prefer', 'evaluate']) {
      const controller = new AbortController();
      const run = runTinyRecipe(path, {
        signal: controller.signal,
        onEvent: (event) => {
          // In training after a step, elsewhere as soon as the stage begins.
          const isDue = ['pretrain', 'sft', 'prefer'].includes(stage) ? event.type === 'train-step' : true;
          if (isDue && 'stage' in event && event.stage === stage) controller.abort();
        },
      });
      await expect(run, stage).rejects.toBeInstanceOf(CancelledError);
      expect(await readdir(path)).not.toContain('report.json');
    }
    expect((await runTinyRecipe(path)).trained).toBe(true);
    expect(await recipeOutcome(path)).toEqual(await recipeOutcome(reference));
  });
});

test('the default folder names what differs from the recipe', () => {
  expect(defaultRunFolder(tinyRecipe)).toBe(join('runs', 'rivers'));
  expect(defaultRunFolder(tinyRecipe, { minutes: 1 })).toBe(join('runs', 'rivers'));
  expect(defaultRunFolder(tinyRecipe, { minutes: 2 })).toBe(join('runs', 'rivers-2min'));
  expect(defaultRunFolder(tinyRecipe, { minutes: 0.5, seed: 3 })).toBe(join('runs', 'rivers-0.5min-seed3'));
  expect(defaultRunFolder(tinyRecipe, { params: 1e6, flops: 1e15 })).toBe(
    join('runs', 'rivers-1000000params-1000000000000000flops'),
  );
});
