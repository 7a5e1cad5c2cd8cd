/** A recipe's process killed with SIGKILL in every stage and started again: the same model, the same report. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import { runChild } from '../fixtures/training/killed-child.ts';
import { recipeOutcome, runTinyRecipe } from '../fixtures/training/tiny-recipe.ts';

const CHILD = new URL('../fixtures/training/tiny-recipe-child.ts', import.meta.url);
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-recipe-kill-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

test('killed again and again, a recipe ends with the same model and the same report', async () => {
  const random = new KeyedRandom(2).fork('kills');
  const path = join(folder, 'killed');
  let numKills = 0;
  for (const kill of [
    { afterOperations: 20 + random.integer(0, 60) },
    { afterOperations: 120 + random.integer(1, 120) },
    { afterOperations: 150 + random.integer(2, 150) },
    { afterMs: 20 + random.integer(3, 900) },
  ]) {
    if (await runChild(CHILD, path, kill)) break;
    numKills++;
  }
  // The first three come long before the end, whatever the machine.
  expect(numKills).toBeGreaterThanOrEqual(3);
  expect(await runChild(CHILD, path)).toBe(true);
  const reference = join(folder, 'reference');
  await runTinyRecipe(reference);
  expect(await recipeOutcome(path)).toEqual(await recipeOutcome(reference));
  expect((await readdir(path)).filter((name) => name.includes('plinth-'))).toEqual([]);
});
