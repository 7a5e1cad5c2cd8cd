/** One training step: accumulation, rematerialisation, and what happens to the state when a step fails. */
import { describe, expect, test } from 'vitest';
import { ConfigError, NotFiniteError } from '../../src/core/errors.ts';
import type { TokenBatch } from '../../src/data/index.ts';
import { parameterSpecs } from '../../src/model/config.ts';
import { initializeWeights } from '../../src/model/initialize.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import {
  DEFAULT_OPTIMIZER,
  initialState,
  LossEvaluator,
  languageModelObjective,
  readState,
  type StepSettings,
  type TrainingState,
  TrainingStep,
} from '../../src/train/index.ts';
import { tinyConfig, tinyWindows } from '../fixtures/training/tiny-model.ts';

const device = cpuDevice({ numThreads: 1 });
const specs = parameterSpecs(tinyConfig);
const LENGTH = 16;
// A larger epsilon keeps Adam from turning rounding of near-zero gradients into whole steps.
const optimizer = { ...DEFAULT_OPTIMIZER, epsilon: 1e-4 };
const freshState = (name: 'adamw' | 'muon' = 'adamw') =>
  initialState(initializeWeights(tinyConfig, 1), { ...optimizer, name });

async function compiled(batchSize: number, changes: Partial<StepSettings> = {}, remat = false) {
  const objective = languageModelObjective(tinyConfig, {
    batchSize,
    length: LENGTH,
    segments: true,
    ...(remat && { remat }),
  });
  return TrainingStep.compile(device, objective, specs, {
    optimizer,
    clipNorm: 1,
    accumulate: 1,
    ...changes,
  });
}

/** Rows [from, to) of a batch, with only `numTargets` of its targets counted if given. */
function rows(batch: TokenBatch, from: number, to: number): TokenBatch {
  const part = <T extends Int32Array | Float32Array>(values: T) =>
    values.slice(from * LENGTH, to * LENGTH) as T;
  const lossMask = part(batch.lossMask);
  return {
    batchSize: to - from,
    sequenceLength: LENGTH,
    inputIds: part(batch.inputIds),
    targets: part(batch.targets),
    lossMask,
    segmentIds: part(batch.segmentIds),
    positions: part(batch.positions),
    numTargets: lossMask.reduce((a, b) => a + b, 0),
  };
}

/** Counts all targets of the first two rows, one of the next two, and none of the last two. */
function unevenBatch(step: number): TokenBatch {
  const batch = tinyWindows(6).batch(step);
  const counted = batch.lossMask.findIndex((value, i) => i >= 2 * LENGTH && value === 1);
  const lossMask = batch.lossMask.map((value, i) => (i < 2 * LENGTH || i === counted ? value : 0));
  return { ...batch, lossMask, numTargets: lossMask.reduce((a, b) => a + b, 0) };
}

async function largestDifference(a: TrainingState, b: TrainingState): Promise<number> {
  let largest = 0;
  const other = await readState(b, '');
  for (const [name, { data }] of await readState(a, '')) {
    const values = other.get(name)!.data;
    expect(values.length).toBe(data.length);
    data.forEach((value, i) => {
      largest = Math.max(largest, Math.abs(value - values[i]!));
    });
  }
  return largest;
}

describe('gradient accumulation', () => {
  test.each(['adamw', 'muon'] as const)(
    'three micro-batches with 20-odd, 1 and 0 targets equal one batch of all rows (%s)',
    async (name) => {
      const settings = { optimizer: { ...optimizer, name } };
      const whole = await compiled(6, settings);
      const parts = await compiled(2, { ...settings, accumulate: 3 });
      const [a, b] = [freshState(name), freshState(name)];
      for (let step = 1; step <= 5; step++) {
        const batch = unevenBatch(step);
        const micro = [rows(batch, 0, 2), rows(batch, 2, 4), rows(batch, 4, 6)];
        expect(micro[0]!.numTargets).toBeGreaterThan(20);
        expect(micro.slice(1).map(({ numTargets }) => numTargets)).toEqual([1, 0]);
        const one = await whole.run(a, [batch], step, 2e-3);
        const many = await parts.run(b, micro, step, 2e-3);
        expect(Math.abs(one.loss - many.loss)).toBeLessThan(1e-5);
        expect(Math.abs(one.gradientNorm - many.gradientNorm)).toBeLessThan(1e-5);
      }
      expect(await largestDifference(a, b)).toBeLessThan(1e-5);
      expect(await largestDifference(a, freshState(name))).toBeGreaterThan(5e-3);
      await whole.dispose();
      await parts.dispose();
    },
  );

  test('reports the FLOPs of all micro-batches', async () => {
    const whole = await compiled(6);
    const parts = await compiled(2, { accumulate: 3 });
    // 6 N per token: forward 2, backward 4; attention and the tied output come on top.
    expect(parts.flops / whole.flops).toBeCloseTo(1, 6);
    await whole.dispose();
    await parts.dispose();
  });

  test('another number of batches than it was compiled for is refused', async () => {
    const step = await compiled(6);
    const batch = tinyWindows(6).batch(0);
    await expect(step.run(freshState(), [batch, batch], 1, 1e-3)).rejects.toThrow(ConfigError);
    await expect(step.run(freshState(), [batch, batch], 1, 1e-3)).rejects.toThrow(/2 batches.*for 1/);
    await step.dispose();
  });

  test.each([
    [{ accumulate: 0 }, /accumulate.*got 0/],
    [{ accumulate: 1.5 }, /accumulate.*1\.5/],
    [{ clipNorm: -1 }, /clipNorm.*-1/],
    [{ clipNorm: Number.NaN }, /clipNorm.*NaN/],
  ])('settings of %o are refused', async (changes, message) => {
    await expect(compiled(2, changes)).rejects.toThrow(ConfigError);
    await expect(compiled(2, changes)).rejects.toThrow(message);
  });
});

test('rematerialisation changes nothing but memory', async () => {
  const plain = await compiled(4);
  const saving = await compiled(4, {}, true);
  const [a, b] = [freshState(), freshState()];
  for (let step = 1; step <= 5; step++) {
    const batch = tinyWindows(4).batch(step);
    const one = await plain.run(a, [batch], step, 1e-2);
    const two = await saving.run(b, [batch], step, 1e-2);
    expect(two.loss).toBeCloseTo(one.loss, 6);
  }
  expect(await largestDifference(a, b)).toBeLessThan(1e-6);
  await plain.dispose();
  await saving.dispose();
});

test('validation of the same batch gives the loss that the step saw', async () => {
  const step = await compiled(4);
  const objective = languageModelObjective(tinyConfig, { batchSize: 4, length: LENGTH, segments: true });
  const evaluator = await LossEvaluator.compile(device, objective, specs);
  const state = freshState();
  const batches = [0, 1].map((i) => tinyWindows(4).batch(i));
  const before = await evaluator.run(state, [batches[0]!]);
  const { loss } = await step.run(state, [batches[0]!], 1, 1e-2);
  expect(before.loss).toBeCloseTo(loss, 6);
  expect(before.numItems).toBe(batches[0]!.numTargets);
  // A fresh model guesses: about ln(vocabulary).
  expect(loss).toBeCloseTo(Math.log(tinyConfig.vocabSize), 0);
  const both = await evaluator.run(state, batches);
  const each = [await evaluator.run(state, [batches[0]!]), await evaluator.run(state, [batches[1]!])];
  const mean =
    each.reduce((total, one) => total + one.loss * one.numItems, 0) / (each[0]!.numItems + each[1]!.numItems);
  expect(both.loss).toBeCloseTo(mean, 6);
  expect((await evaluator.run(state, [])).loss).toBeNaN();
  await evaluator.dispose();
  await step.dispose();
});

describe('a step that is not finite', () => {
  test.each([1, 2])('names the step and leaves the state untouched (accumulate %i)', async (accumulate) => {
    const step = await compiled(2, { accumulate });
    const state = freshState();
    const batchAt = (i: number) => Array.from({ length: accumulate }, (_, k) => tinyWindows(2).batch(i + k));
    await step.run(state, batchAt(0), 1, 1e-2);
    const good = await readState(state, '');
    const before = new Map([...good].map(([name, { data }]) => [name, data.slice()]));
    const broken = batchAt(1);
    broken.at(-1)!.lossMask.set([Number.POSITIVE_INFINITY], 3);
    const error = await step.run(state, broken, 2, 1e-2).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(NotFiniteError);
    expect(error).toMatchObject({ code: 'not-finite', step: 2 });
    expect((error as Error).message).toMatch(/Step 2: loss (NaN|Infinity)/);
    for (const [name, { data }] of await readState(state, '')) expect(data).toEqual(before.get(name));
    // The state is good: the next step works on it.
    const after = await step.run(state, batchAt(1), 2, 1e-2);
    expect(after.loss).toBeLessThan(5);
    await step.dispose();
  });

  test('weights that are not a number are found at once', async () => {
    const step = await compiled(2);
    const state = freshState();
    const weight = state.get('parameter/model.layers.1.mlp.up_proj.weight') as { data: Float32Array };
    weight.data[7] = Number.NaN;
    await expect(step.run(state, [tinyWindows(2).batch(0)], 5, 1e-2)).rejects.toMatchObject({ step: 5 });
    await step.dispose();
  });
});
