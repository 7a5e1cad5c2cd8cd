/** Whole experiments: the same seed gives the same figures, stops change nothing, and the matrix says what it must. */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CancelledError, ConfigError } from '../../src/core/errors.ts';
import type { PlinthEvent } from '../../src/core/events.ts';
import { KeyedRandom } from '../../src/core/random.ts';
import { loadCheckpoint } from '../../src/model/index.node.ts';
import { defaultExperimentFolder, type ExperimentResult } from '../../src/recipe/index.node.ts';
import type { ExperimentReport } from '../../src/recipe/index.ts';
import { closeAbandoned, runUntilCrash } from '../fixtures/training/crash-points.ts';
import { runTinyExperiment, tinyExperiment } from '../fixtures/training/tiny-experiment.ts';

let folder: string;
let reference: string;
let result: ExperimentResult;
const events: PlinthEvent[] = [];
const stagesDone = (list: readonly PlinthEvent[]) =>
  list.flatMap((event) => (event.type === 'stage' && event.state === 'done' ? [event.stage] : []));
const stepsOf = (list: readonly PlinthEvent[]) => list.filter(({ type }) => type === 'train-step').length;

/** The figures without what depends on clock, folder or machine. */
async function figuresIn(path: string): Promise<unknown> {
  const report = JSON.parse(await readFile(join(path, 'report.json'), 'utf8')) as ExperimentReport;
  const { arms, evaluations, matrix, comparisons, tokenizer } = report;
  return { arms, evaluations, matrix, comparisons, tokenizer };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-experiment-'));
  reference = join(folder, 'reference');
  result = await runTinyExperiment(reference, { onEvent: (event) => events.push(event) });
});
afterAll(async () => {
  await closeAbandoned();
  await rm(folder, { recursive: true, force: true });
});

describe('a finished experiment', () => {
  const cell = (arm: string, evaluation: string) =>
    result.report.matrix.find((one) => one.arm === arm && one.evaluation === evaluation)!;

  test('shows as a number that a language left out is not learned', () => {
    expect(cell('low only', 'high').value - cell('both', 'high').value).toBeGreaterThan(0.3);
    const missing = result.report.comparisons.find(({ evaluation }) => evaluation === 'high')!;
    expect(missing.value).toBeCloseTo(cell('low only', 'high').value - cell('both', 'high').value, 10);
    expect(missing.interval[0]).toBeGreaterThan(0);
    expect(cell('both', 'low').value).toBeLessThan(8);
  });

  test('gives every model the same steps and tokens, and says how often each part was read', () => {
    const { budget, arms } = result.report;
    expect(budget).toMatchObject({ steps: 25, tokens: 25 * 4 * 32, numSeeds: 2 });
    expect(stepsOf(events)).toBe(4 * 25);
    for (const { parts, models } of arms) {
      expect(models.map(({ seed }) => seed)).toEqual([1, 2]);
      expect(parts.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 12);
      for (const part of parts) {
        expect(part.epochs).toBeCloseTo((part.share * budget.tokens) / part.numTokens, 10);
      }
    }
  });

  test('has its mean between its seeds, and intervals that hold it', () => {
    for (const { value, interval, bySeed } of result.report.matrix) {
      expect(bySeed).toHaveLength(2);
      expect(value).toBeCloseTo((bySeed[0]! + bySeed[1]!) / 2, 12);
      expect(interval[0]).toBeLessThanOrEqual(value);
      expect(interval[1]).toBeGreaterThanOrEqual(value);
    }
  });

  test('goes through its stages, arm by arm and seed by seed', () => {
    expect(stagesDone(events)).toEqual([
      'tokenizer',
      'plan',
      'both, seed 1',
      'low only, seed 1',
      'both, seed 2',
      'low only, seed 2',
      'report',
    ]);
  });

  test('keeps its models, not its checkpoints', async () => {
    const path = join(reference, 'arms', 'both', 'seed-1');
    expect((await readdir(path)).sort()).toEqual(['metrics.jsonl', 'model', 'result.json']);
    const { config } = await loadCheckpoint(join(path, 'model'));
    expect(config.vocabSize).toBe(result.report.tokenizer.vocabSize);
  });

  test('is handed back at once, and refuses other settings', async () => {
    const again = await runTinyExperiment(reference);
    expect(again.trained).toBe(false);
    expect(again.report).toEqual(JSON.parse(await readFile(join(reference, 'report.json'), 'utf8')));
    await expect(runTinyExperiment(reference, { numSeeds: 1 })).rejects.toThrow(
      /numSeeds: 2, now 1.*--fresh/,
    );
  });
});

describe('sameness', () => {
  test('killed between any two file operations and started again until it ends', async () => {
    const single = join(folder, 'single');
    await runTinyExperiment(single, { numSeeds: 1 });
    const random = new KeyedRandom(8).fork('crashes');
    const path = join(folder, 'killed');
    const run = () => runTinyExperiment(path, { numSeeds: 1, checkpointSeconds: 0 });
    let numCrashes = 0;
    while (!(await runUntilCrash(60 + random.integer(numCrashes, 1500), run))) {
      numCrashes++;
      expect(numCrashes).toBeLessThan(100);
    }
    expect(numCrashes).toBeGreaterThan(2);
    expect(await figuresIn(path)).toEqual(await figuresIn(single));
  });

  test('a finished arm is not trained again, and a stopped one goes on from its checkpoint', async () => {
    const path = join(folder, 'stopped');
    const controller = new AbortController();
    const first: PlinthEvent[] = [];
    const stopped = runTinyExperiment(path, {
      signal: controller.signal,
      onEvent: (event) => {
        first.push(event);
        if (event.type === 'train-step' && event.stage === 'low only, seed 1' && event.step === 10)
          controller.abort();
      },
    });
    await expect(stopped).rejects.toBeInstanceOf(CancelledError);
    const second: PlinthEvent[] = [];
    await runTinyExperiment(path, { onEvent: (event) => second.push(event) });
    expect(stepsOf(first)).toBe(35);
    expect(stepsOf(second)).toBe(65);
    expect(await figuresIn(path)).toEqual(await figuresIn(reference));
  });

  test('a damaged result is named with what to do', async () => {
    const path = join(folder, 'damaged');
    await cp(join(folder, 'single'), path, { recursive: true });
    await rm(join(path, 'report.json'));
    await writeFile(join(path, 'arms', 'both', 'seed-1', 'result.json'), '{"arm":"both"}');
    await expect(runTinyExperiment(path, { numSeeds: 1 })).rejects.toThrow(
      /result\.json is damaged.*Delete it to train this model again/,
    );
  });

  test('a folder of something else is refused, and left as it is', async () => {
    const path = await mkdtemp(join(folder, 'other-'));
    await writeFile(join(path, 'recipe.json'), '{}');
    const options = { fresh: true };
    await expect(runTinyExperiment(path, options)).rejects.toThrow(ConfigError);
    await expect(runTinyExperiment(path, options)).rejects.toThrow(
      /holds recipe\.json but no experiment\.json/,
    );
    expect(await readFile(join(path, 'recipe.json'), 'utf8')).toBe('{}');
  });
});

test('the default folder names what differs from the experiment', () => {
  expect(defaultExperimentFolder(tinyExperiment, { minutes: 1, numSeeds: 2 })).toBe(join('runs', 'tongues'));
  expect(defaultExperimentFolder(tinyExperiment, { minutes: 2, numSeeds: 3, seed: 4 })).toBe(
    join('runs', 'tongues-2min-3seeds-seed4'),
  );
});
