/** A run that was stopped anywhere, any number of times, ends bit for bit like one that was not. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { closeAbandoned, runUntilCrash } from '../fixtures/training/crash-points.ts';
import {
  type Outcome,
  outcomeOf,
  PRETRAIN_STEPS,
  SFT_STEPS,
  tinyRun,
} from '../fixtures/training/tiny-run.ts';

const device = cpuDevice({ numThreads: 1 });
let folder: string;
let expected: Outcome;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-resume-'));
  await tinyRun(join(folder, 'reference'), device);
  expected = await outcomeOf(join(folder, 'reference'));
});
afterAll(async () => {
  await closeAbandoned();
  await rm(folder, { recursive: true, force: true });
});

test('the reference is complete: every step once, with validations', () => {
  expect(expected.steps.length).toBe(PRETRAIN_STEPS + SFT_STEPS);
  expect(new Set(expected.steps).size).toBe(expected.steps.length);
  expect(expected.validations.length).toBeGreaterThan(3);
});

test('the same seed gives the same bytes, with other times between checkpoints too', async () => {
  await tinyRun(join(folder, 'again'), device, 1000);
  expect(await outcomeOf(join(folder, 'again'))).toEqual(expected);
});

test('stopped between any two file operations and started again until it ends', async () => {
  const random = new KeyedRandom(1).fork('crashes');
  const path = join(folder, 'stopped');
  let numCrashes = 0;
  // From less than a checkpoint to several.
  while (!(await runUntilCrash(40 + random.integer(numCrashes, 201), () => tinyRun(path, device)))) {
    numCrashes++;
    expect(numCrashes).toBeLessThan(200);
  }
  expect(numCrashes).toBeGreaterThan(4);
  expect(await outcomeOf(path)).toEqual(expected);
  const kept = (await readdir(join(path, 'checkpoints', 'sft'))).filter((name) => name.startsWith('step-'));
  expect(kept.sort()).toEqual(['step-000005', 'step-000006']);
});
