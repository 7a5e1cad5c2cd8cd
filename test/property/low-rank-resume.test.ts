/** The training of an adapter that was stopped anywhere ends bit for bit like one that was not. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import { initializeWeights } from '../../src/model/initialize.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import {
  DEFAULT_OPTIMIZER,
  DEFAULT_SCHEDULE,
  languageModelObjective,
  onTrainable,
  trainResumably,
} from '../../src/train/index.node.ts';
import { lowRankModel } from '../../src/train/low-rank.ts';
import { closeAbandoned, runUntilCrash } from '../fixtures/training/crash-points.ts';
import { tinyConfig, tinyWindows } from '../fixtures/training/tiny-model.ts';

const NUM_STEPS = 6;
const device = cpuDevice({ numThreads: 1 });
const base = initializeWeights(tinyConfig, 1);
const batches = tinyWindows(2);
let folder: string;
let expected: Awaited<ReturnType<typeof outcomeOf>>;

async function trainIn(path: string, checkpointSeconds = 0) {
  const trainable = lowRankModel(tinyConfig, base, {
    rank: 2,
    alpha: 4,
    targets: ['q_proj', 'up_proj'],
    seed: 5,
  });
  const objective = languageModelObjective(tinyConfig, { batchSize: 2, length: 16, segments: true });
  return trainResumably({
    stage: 'sft',
    checkpoints: path,
    fingerprint: 'adapter',
    device,
    objective: onTrainable(objective, trainable),
    parameters: trainable.specs,
    initial: () => trainable.initial,
    config: tinyConfig,
    batch: (index) => batches.batch(index),
    numSteps: NUM_STEPS,
    settings: { optimizer: { ...DEFAULT_OPTIMIZER, learningRate: 0.02 }, clipNorm: 1, accumulate: 2 },
    schedule: { ...DEFAULT_SCHEDULE, warmupSteps: 2 },
    checkpointSeconds,
    onEvent: () => {},
  });
}

async function outcomeOf(path: string) {
  const last = join(path, `step-${String(NUM_STEPS).padStart(6, '0')}`);
  const bytes = (name: string) => readFile(join(last, name), 'base64');
  return {
    files: (await readdir(last)).sort(),
    tensors: await bytes('optimizer.safetensors'),
    meta: await bytes('training.json'),
    weights: (await trainIn(path)).weights,
  };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-low-rank-'));
  await trainIn(join(folder, 'reference'), 1000);
  expected = await outcomeOf(join(folder, 'reference'));
});
afterAll(async () => {
  await closeAbandoned();
  await rm(folder, { recursive: true, force: true });
});

test('a checkpoint holds A and B and no model', () => {
  expect(expected.files).toEqual(['optimizer.safetensors', 'training.json']);
  const names = [...expected.weights.keys()].sort();
  expect(names).toHaveLength(8);
  expect(names[0]).toBe('model.layers.0.mlp.up_proj.lora_A.weight');
  const b = expected.weights.get('model.layers.0.mlp.up_proj.lora_B.weight')!.data;
  expect(b.some((value) => Math.abs(value) > 1e-3)).toBe(true);
});

test('stopped between file operations and started again until it ends', async () => {
  const random = new KeyedRandom(2).fork('crashes');
  const path = join(folder, 'stopped');
  let numCrashes = 0;
  while (
    !(await runUntilCrash(70 + random.integer(numCrashes, 50), async () => {
      await trainIn(path);
    }))
  ) {
    numCrashes++;
    expect(numCrashes).toBeLessThan(100);
  }
  expect(numCrashes).toBeGreaterThan(1);
  expect(await outcomeOf(path)).toEqual(expected);
});
