/** Reinforcement in processes that are killed with SIGKILL before chosen file operations. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runChild } from '../fixtures/training/killed-child.ts';
import { outcomeOf, tinyPpo, tinyReinforcement } from '../fixtures/training/tiny-reinforcement.ts';

const CHILD = new URL('../fixtures/training/tiny-reinforcement-child.ts', import.meta.url);
let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'plinth-rl-kill-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

test('killed again and again, it ends bit for bit like one that was left alone', async () => {
  const reference = join(root, 'reference');
  await tinyReinforcement(root, reference, tinyPpo);
  const path = join(root, 'killed');
  let numKills = 0;
  for (const afterOperations of [25, 70, 110, 130]) {
    if (await runChild(CHILD, path, { afterOperations })) break;
    numKills++;
  }
  expect(numKills).toBeGreaterThanOrEqual(2);
  expect(await runChild(CHILD, path)).toBe(true);
  expect(await outcomeOf(path)).toEqual(await outcomeOf(reference));
  const kept = await readdir(join(path, 'checkpoints', 'rl'));
  expect(kept.sort()).toEqual(['step-000020', 'step-000024']);
});
