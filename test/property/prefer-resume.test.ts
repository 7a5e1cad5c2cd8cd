/** Preference finetuning that is stopped or killed anywhere ends with the same bytes as one that was left alone. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CancelledError } from '../../src/core/errors.ts';
import type { PlinthEvent } from '../../src/core/events.ts';
import type { PreferOptions } from '../../src/recipe/post-training/prefer-on-pairs.node.ts';
import { closeAbandoned, runUntilCrash } from '../fixtures/training/crash-points.ts';
import { TinyPreferences } from '../fixtures/training/tiny-preferences.ts';

const tiny = new TinyPreferences();
const small = { steps: 9, batchSize: 4 };
const LOSSES = ['dpo', 'kto'] as const;

beforeAll(async () => {
  await tiny.write();
  for (const loss of LOSSES) await tiny.prefer(`straight-${loss}`, { ...small, loss });
});
afterAll(async () => {
  await closeAbandoned();
  tiny.remove();
});

test.each(LOSSES)('%s: a stopped training goes on to the same bytes', async (loss) => {
  const controller = new AbortController();
  const stopAt = (event: PlinthEvent) => {
    if (event.type === 'train-step' && event.step === 4) controller.abort();
  };
  const stopped = `stopped-${loss}`;
  await expect(
    tiny.prefer(stopped, { ...small, loss, signal: controller.signal, onEvent: stopAt }),
  ).rejects.toBeInstanceOf(CancelledError);
  const { events } = await tiny.prefer(stopped, { ...small, loss });
  expect(events.some(({ type }) => type === 'progress')).toBe(false);
  expect(tiny.weightsOf(stopped).equals(tiny.weightsOf(`straight-${loss}`))).toBe(true);
  const steps = readFileSync(tiny.at(stopped, 'metrics.jsonl'), 'utf8').match(/"train-step"/g);
  expect(steps).toHaveLength(9);
  // The same request once more has nothing to do.
  expect((await tiny.prefer(stopped, { ...small, loss })).outcome.loss).toBeNaN();
});

test('stopped while the reference is computed, it goes on from the answers that it had', async () => {
  const controller = new AbortController();
  const stopSoon = (event: PlinthEvent) => {
    if (event.type === 'progress' && event.done === 12) controller.abort();
  };
  const run = (changes: Partial<PreferOptions> = {}) => tiny.prefer('early', { ...small, ...changes });
  await expect(run({ signal: controller.signal, onEvent: stopSoon })).rejects.toThrow(
    /Stopped after 12 of 48 references/,
  );
  const { events } = await run();
  const [first] = events.filter((event) => event.type === 'progress');
  expect(first).toMatchObject({ done: 16, total: 48 });
  expect(tiny.weightsOf('early').equals(tiny.weightsOf('straight-dpo'))).toBe(true);
});

test('killed before any file operation, it ends with the same bytes', async () => {
  let numCrashes = 0;
  // Each kill a little later than the one before, from before the first file to the result's last.
  while (!(await runUntilCrash(3 + 17 * numCrashes, () => tiny.prefer('killed', small)))) {
    numCrashes++;
    expect(numCrashes).toBeLessThan(20);
  }
  expect(numCrashes).toBeGreaterThan(3);
  expect(tiny.weightsOf('killed').equals(tiny.weightsOf('straight-dpo'))).toBe(true);
});
