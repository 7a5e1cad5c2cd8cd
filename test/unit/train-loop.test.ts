/** The loop and its checkpoints: stopping, resuming, values that are not finite, full disks, damaged folders. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CancelledError, NotFiniteError, PlinthError } from '../../src/core/errors.ts';
import type { PlinthEvent, TrainStepEvent } from '../../src/core/events.ts';
import type { TokenBatch } from '../../src/data/index.ts';
import { parameterSpecs } from '../../src/model/config.ts';
import { initializeWeights } from '../../src/model/initialize.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import {
  DEFAULT_OPTIMIZER,
  DEFAULT_SCHEDULE,
  initialState,
  languageModelObjective,
  readState,
  resumeTraining,
  saveTraining,
  type TrainingState,
  type TrainOptions,
  train,
} from '../../src/train/index.node.ts';
import { tinyConfig, tinyWindows } from '../fixtures/training/tiny-model.ts';

const device = cpuDevice({ numThreads: 1 });
const batches = tinyWindows(2);
const objective = languageModelObjective(tinyConfig, { batchSize: 2, length: 16, segments: true });
const optimizer = DEFAULT_OPTIMIZER;
const NUM_STEPS = 8;
const meta = (step: number) => ({ stage: 'pretrain', step, numSteps: NUM_STEPS, fingerprint: 'abc' });
const freshState = () => initialState(initializeWeights(tinyConfig, 1), optimizer);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-train-'));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true, force: true });
});

function optionsFor(
  state: TrainingState,
  changes: Partial<TrainOptions<TokenBatch>> = {},
): TrainOptions<TokenBatch> {
  return {
    stage: 'pretrain',
    device,
    objective,
    parameters: parameterSpecs(tinyConfig),
    state,
    numSteps: NUM_STEPS,
    batch: (index) => batches.batch(index),
    schedule: { ...DEFAULT_SCHEDULE, warmupSteps: 2 },
    settings: { optimizer, clipNorm: 1, accumulate: 1 },
    ...changes,
  };
}

const saveTo = (path: string, state: TrainingState, everySteps: number) => ({
  everySteps,
  save: (step: number) => saveTraining(path, tinyConfig, state, meta(step)),
});

const resume = (path: string) => resumeTraining(path, 'pretrain', 'abc', optimizer);

async function valuesOf(state: TrainingState): Promise<Map<string, Float32Array>> {
  return new Map([...(await readState(state, ''))].map(([name, { data }]) => [name, data.slice()]));
}

/** The state after `numSteps` steps without any stop. */
async function uninterrupted(): Promise<Map<string, Float32Array>> {
  const state = freshState();
  await train(optionsFor(state));
  return valuesOf(state);
}

async function rejection(work: Promise<unknown>): Promise<PlinthError> {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(PlinthError);
  return error as PlinthError;
}

describe('events', () => {
  test('one a step, in order, with validations and checkpoints where asked for', async () => {
    const state = freshState();
    const events: PlinthEvent[] = [];
    const result = await train(
      optionsFor(state, {
        peakGflops: 50,
        checkpoint: saveTo(folder, state, 3),
        validation: { everySteps: 4, run: async (step) => ({ loss: step, bitsPerByte: step / 2 }) },
        onEvent: (event) => events.push(event),
      }),
    );
    const order = events.map((event) => ('step' in event ? `${event.type} ${event.step}` : event.type));
    expect(order).toEqual([
      'train-step 1',
      'train-step 2',
      'train-step 3',
      'checkpoint 3',
      'train-step 4',
      'validation 4',
      'train-step 5',
      'train-step 6',
      'checkpoint 6',
      'train-step 7',
      'train-step 8',
      'validation 8',
      'checkpoint 8',
    ]);
    const steps = events.filter((event): event is TrainStepEvent => event.type === 'train-step');
    expect(steps.map(({ tokens }) => tokens)).toEqual([32, 64, 96, 128, 160, 192, 224, 256]);
    expect(steps[0]!.learningRate).toBeCloseTo(optimizer.learningRate / 2, 12);
    expect(steps.at(-1)!.learningRate).toBe(0);
    expect(steps.at(-1)!.secondsLeft).toBe(0);
    for (const { gflops, shareOfPeak, tokensPerSecond } of steps) {
      expect(shareOfPeak).toBeCloseTo(gflops / 50, 12);
      expect(tokensPerSecond).toBeGreaterThan(0);
    }
    expect(result).toMatchObject({ steps: 8, tokens: 256, loss: steps.at(-1)!.loss });
    expect((await readdir(folder)).sort()).toEqual(['step-000006', 'step-000008']);
  });

  test('training learns: the loss falls well below a guess', async () => {
    const losses: number[] = [];
    await train(
      optionsFor(freshState(), {
        numSteps: 60,
        onEvent: (event) => event.type === 'train-step' && losses.push(event.loss),
        settings: { optimizer: { ...optimizer, learningRate: 0.01 }, clipNorm: 1, accumulate: 1 },
      }),
    );
    expect(losses[0]).toBeGreaterThan(3.5);
    expect(losses.at(-1)).toBeLessThan(2.5);
  });
});

describe('stopping', () => {
  test('ends the running step, saves, throws, and goes on to the same values', async () => {
    const state = freshState();
    const controller = new AbortController();
    const stopped = train(
      optionsFor(state, {
        checkpoint: saveTo(folder, state, 100),
        signal: controller.signal,
        onEvent: (event) => event.type === 'train-step' && event.step === 3 && controller.abort(),
      }),
    );
    const error = await rejection(stopped);
    expect(error).toBeInstanceOf(CancelledError);
    expect(error.message).toMatch(/after step 3 of 8/);
    expect(await readdir(folder)).toEqual(['step-000003']);
    const saved = (await resume(folder))!;
    expect(saved.meta).toEqual(meta(3));
    await train(optionsFor(saved.state, { startStep: 3 }));
    expect(await valuesOf(saved.state)).toEqual(await uninterrupted());
  });

  test('before the first step there is nothing to save', async () => {
    const state = freshState();
    const signal = AbortSignal.abort();
    const error = await rejection(train(optionsFor(state, { checkpoint: saveTo(folder, state, 1), signal })));
    expect(error).toBeInstanceOf(CancelledError);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('values that are not finite', () => {
  // The first makes weights so large that the next step's loss overflows, the second makes infinite weights.
  test.each([
    [1e30, 5, 4],
    [3.4e38, 4, 3],
  ])(
    'a learning rate of %f stops at step %i, and checkpoint %i is finite',
    async (learningRate, failed, last) => {
      const state = freshState();
      const huge = { ...optimizer, learningRate };
      await train(optionsFor(state, { numSteps: 3, checkpoint: saveTo(folder, state, 1) }));
      const error = await rejection(
        train(
          optionsFor(state, {
            startStep: 3,
            schedule: { ...DEFAULT_SCHEDULE, kind: 'constant', warmupSteps: 0 },
            settings: { optimizer: huge, clipNorm: 1, accumulate: 1 },
            checkpoint: saveTo(folder, state, 1),
          }),
        ),
      );
      expect(error).toBeInstanceOf(NotFiniteError);
      expect((error as NotFiniteError).step).toBe(failed);
      expect(error.message).toContain(`Step ${failed}`);
      const saved = (await resume(folder))!;
      for (const values of (await valuesOf(saved.state)).values())
        expect(values.every(Number.isFinite)).toBe(true);
      expect(saved.meta.step).toBe(last);
    },
  );

  test.each(['parameter/model.norm.weight', 'second/model.layers.0.mlp.up_proj.weight'])(
    '%s with a NaN is never saved',
    async (name) => {
      const state = freshState();
      await saveTraining(folder, tinyConfig, state, meta(1));
      const spoiled = freshState();
      (spoiled.get(name) as { data: Float32Array }).data[3] = Number.NaN;
      const error = await rejection(saveTraining(folder, tinyConfig, spoiled, meta(2)));
      expect(error).toMatchObject({ code: 'not-finite', step: 2 });
      expect(error.message).toContain(name);
      expect(await readdir(folder)).toEqual(['step-000001']);
      expect(await valuesOf((await resume(folder))!.state)).toEqual(await valuesOf(state));
    },
  );
});

describe('a full disk', () => {
  test('wherever it fills up in a checkpoint: a disk error, the one before stays, and training resumes', async () => {
    const expected = await uninterrupted();
    const handle = await open(join(folder, 'probe'), 'w');
    const prototype = Object.getPrototypeOf(handle) as { write(bytes: Uint8Array): Promise<unknown> };
    await handle.close();
    await rm(join(folder, 'probe'));
    const write = prototype.write;
    // A checkpoint of this model has about 75 kB.
    for (const capacityBytes of [0, 900, 20_000, 60_000]) {
      const path = join(folder, `full-${capacityBytes}`);
      const state = freshState();
      await train(
        optionsFor(state, { numSteps: 8, checkpoint: saveTo(path, state, 2), signal: stopAt(2) }),
      ).catch(() => {});
      expect(await readdir(path)).toEqual(['step-000002']);
      let free = capacityBytes;
      const spy = vi.spyOn(prototype, 'write').mockImplementation(function (this: unknown, bytes) {
        if (free < bytes.length) {
          const error = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
          return Promise.reject(error);
        }
        free -= bytes.length;
        return write.call(this as never, bytes);
      });
      const error = await rejection(
        train(optionsFor(state, { startStep: 2, checkpoint: saveTo(path, state, 2) })),
      );
      spy.mockRestore();
      expect(error.code).toBe('disk');
      expect(error.message).toMatch(/ENOSPC.*disk is full/);
      expect(await readdir(path)).toEqual(['step-000002']);
      const saved = (await resume(path))!;
      expect(saved.meta.step).toBe(2);
      await train(optionsFor(saved.state, { startStep: 2, checkpoint: saveTo(path, saved.state, 2) }));
      expect(await valuesOf(saved.state)).toEqual(expected);
    }
  });

  test('of the real kind', async ({ skip }) => {
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=200k', 'tmpfs', folder], { stdio: 'pipe' });
    } catch {
      skip('mounting a small file system is not permitted here');
    }
    try {
      const state = freshState();
      // Two checkpoints fit, a third beside them does not.
      const error = await rejection(train(optionsFor(state, { checkpoint: saveTo(folder, state, 1) })));
      expect(error.code).toBe('disk');
      expect(error.message).toMatch(/free in/);
      const names = await readdir(folder);
      expect(names.length).toBeGreaterThan(0);
      expect(names.every((name) => name.startsWith('step-'))).toBe(true);
      const saved = (await resume(folder))!;
      await train(optionsFor(saved.state, { startStep: saved.meta.step }));
      expect(await valuesOf(saved.state)).toEqual(await uninterrupted());
    } finally {
      execFileSync('umount', [folder]);
    }
  });
});

function stopAt(step: number): AbortSignal {
  // `aborted` is read once before each step.
  let numReads = 0;
  const { signal } = new AbortController();
  return new Proxy(signal, {
    get: (target, key) => (key === 'aborted' ? numReads++ >= step : Reflect.get(target, key)),
  });
}

describe('checkpoints in a folder', () => {
  test('only the newest are kept, and only of this run', async () => {
    const state = freshState();
    await saveTraining(folder, tinyConfig, state, { ...meta(900), fingerprint: 'other' });
    for (const step of [5, 10, 15, 20])
      await saveTraining(folder, tinyConfig, state, meta(step), { keep: 3 });
    expect((await readdir(folder)).sort()).toEqual([
      'step-000010',
      'step-000015',
      'step-000020',
      'step-000900',
    ]);
    expect((await resume(folder))!.meta.step).toBe(20);
  });

  test('those of another stage or other settings are not resumed from', async () => {
    await saveTraining(folder, tinyConfig, freshState(), meta(5));
    expect(await resumeTraining(folder, 'sft', 'abc', optimizer)).toBeUndefined();
    expect(await resumeTraining(folder, 'pretrain', 'abd', optimizer)).toBeUndefined();
    expect(await resume(join(folder, 'nothing-here'))).toBeUndefined();
  });

  test('one that was being deleted when a kill came is passed over', async () => {
    await saveTraining(folder, tinyConfig, freshState(), meta(5));
    await saveTraining(folder, tinyConfig, freshState(), meta(10));
    await rm(join(folder, 'step-000010', 'training.json'));
    expect((await resume(folder))!.meta.step).toBe(5);
  });

  test.each<[string, (path: string) => Promise<void>, RegExp]>([
    ['training.json', (path) => writeFile(join(path, 'training.json'), '{"st'), /training\.json is damaged/],
    ['training.json', (path) => writeFile(join(path, 'training.json'), 'null'), /training\.json is damaged/],
    ['optimizer.safetensors', (path) => rm(join(path, 'optimizer.safetensors')), /optimizer\.safetensors/],
    [
      'optimizer.safetensors',
      (path) => cutInHalf(join(path, 'optimizer.safetensors')),
      /optimizer\.safetensors/,
    ],
    ['model.safetensors', (path) => cutInHalf(join(path, 'model.safetensors')), /model\.safetensors/],
    ['config.json', (path) => rm(join(path, 'config.json')), /config\.json/],
  ])('a damaged %s is an error that names it and the way on', async (_, damage, message) => {
    await saveTraining(folder, tinyConfig, freshState(), meta(5));
    const path = await saveTraining(folder, tinyConfig, freshState(), meta(10));
    await damage(path);
    const error = await rejection(resume(folder));
    expect(error.message).toMatch(message);
    expect(error.message).toContain('Delete this folder to go on from the checkpoint before it.');
    await rm(path, { recursive: true });
    expect((await resume(folder))!.meta.step).toBe(5);
  });

  test('of another optimizer, the state does not fit and is refused', async () => {
    await saveTraining(folder, tinyConfig, freshState(), meta(5));
    const muon = { ...optimizer, name: 'muon' as const };
    const error = await rejection(resumeTraining(folder, 'pretrain', 'abc', muon));
    expect(error.message).toMatch(/lacks "momentum\/.*" of shape \[\d+, \d+\]/);
  });
});

async function cutInHalf(path: string): Promise<void> {
  const bytes = await readFile(path);
  await writeFile(path, bytes.subarray(0, bytes.length >> 1));
}
