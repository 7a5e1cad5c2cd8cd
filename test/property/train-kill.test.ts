/** Processes that are killed with SIGKILL, before chosen file operations and at random moments. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { runChild } from '../fixtures/training/killed-child.ts';
import { outcomeOf, tinyRun } from '../fixtures/training/tiny-run.ts';

const CHILD = new URL('../fixtures/training/tiny-run-child.ts', import.meta.url);
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-kill-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

test('killed again and again, the run ends bit for bit like one that was left alone', async () => {
  const random = new KeyedRandom(1).fork('kills');
  const path = join(folder, 'killed');
  let numKills = 0;
  for (const kill of [
    { afterOperations: 30 },
    { afterOperations: 60 + random.integer(0, 60) },
    { afterOperations: 150 + random.integer(1, 150) },
    { afterMs: 50 + random.integer(2, 300) },
    { afterMs: 100 + random.integer(3, 400) },
  ]) {
    if (await runChild(CHILD, path, kill)) break;
    numKills++;
  }
  // The first three come long before the end, whatever the machine.
  expect(numKills).toBeGreaterThanOrEqual(3);
  expect(await runChild(CHILD, path)).toBe(true);
  const reference = join(folder, 'reference');
  await tinyRun(reference, cpuDevice({ numThreads: 1 }));
  expect(await outcomeOf(path)).toEqual(await outcomeOf(reference));
  // What the killed processes left half-written is gone.
  for (const part of ['.', 'checkpoints/pretrain', 'checkpoints/sft']) {
    const names = await readdir(join(path, part));
    expect(names.filter((name) => name.includes('plinth-'))).toEqual([]);
  }
});
