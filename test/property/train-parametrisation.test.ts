/** Checkpoints of a stage belong to their parametrisation: resumed under it bit for bit, and under no other. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CancelledError } from '../../src/core/errors.ts';
import type { PlinthEvent } from '../../src/core/events.ts';
import { initializeWeights, type Parametrisation, type Weights } from '../../src/model/index.ts';
import { type TrainStageOptions, trainStage } from '../../src/recipe/stages/train-stage.node.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { DEFAULT_OPTIMIZER, DEFAULT_SCHEDULE } from '../../src/train/index.ts';
import { tinyConfig, tinyWindows } from '../fixtures/training/tiny-model.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'plinth-parametrisation-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const mup: Parametrisation = { kind: 'mup', baseWidth: 4 };

function stage(folder: string, parametrisation?: Parametrisation, options: Partial<TrainStageOptions> = {}) {
  return trainStage({
    stage: 'pretrain',
    checkpoints: join(root, folder),
    fingerprint: 'settings',
    device: cpuDevice({ numThreads: 1 }),
    config: tinyConfig,
    weights: () => initializeWeights(tinyConfig, 1, parametrisation),
    batches: tinyWindows(),
    numSteps: 6,
    optimizer: DEFAULT_OPTIMIZER,
    parametrisation,
    schedule: DEFAULT_SCHEDULE,
    clipNorm: 1,
    onEvent: () => {},
    ...options,
  });
}

async function stopAfter(step: number, folder: string, parametrisation?: Parametrisation) {
  const controller = new AbortController();
  const onEvent = (event: PlinthEvent) => {
    if (event.type === 'train-step' && event.step === step) controller.abort();
  };
  const stopped = stage(folder, parametrisation, { onEvent, signal: controller.signal });
  await expect(stopped).rejects.toThrow(CancelledError);
}

const values = (weights: Weights) => [...weights.values()].map(({ data }) => [...data]);

test('a stopped stage goes on under its parametrisation and ends as if it had not stopped', async () => {
  const whole = await stage('whole', mup);
  await stopAfter(3, 'stopped', mup);
  let resumedAt = -1;
  const resumed = await stage('stopped', mup, {
    onResume: async (step) => {
      resumedAt = step;
    },
  });
  expect(resumedAt).toBe(3);
  expect(values(resumed.weights)).toEqual(values(whole.weights));
  expect(values((await stage('standard')).weights)).not.toEqual(values(whole.weights));
});

test.each([
  ['standard', undefined],
  ['another base width', { kind: 'mup', baseWidth: 8 }],
] satisfies [string, Parametrisation | undefined][])(
  '%s starts at step 0 beside them, and says so',
  async (_, other) => {
    await stopAfter(3, 'other', mup);
    const notes: string[] = [];
    let resumedAt = -1;
    await stage('other', other, {
      onResume: async (step) => {
        resumedAt = step;
      },
      onEvent: (event) => {
        if (event.type === 'note') notes.push(event.message);
      },
    });
    expect(resumedAt).toBe(0);
    expect(notes.join()).toMatch(/of other settings/);
    await rm(join(root, 'other'), { recursive: true, force: true });
  },
);
