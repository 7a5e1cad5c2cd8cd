/** Reinforcement: the same seed gives the same curve, also when it was stopped; a collapse stops and names the last good policy. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COLLAPSE_LIMITS, CollapseError } from '../../src/align/rl/index.ts';
import type { PlinthEvent, TrainStepEvent } from '../../src/core/events.ts';
import { loadCheckpoint } from '../../src/model/checkpoint.node.ts';
import type { Accounting } from '../../src/recipe/accounting.ts';
import {
  letterReward,
  outcomeOf,
  STEPS,
  tinyGrpo,
  tinyPpo,
  tinyReinforcement,
} from '../fixtures/training/tiny-reinforcement.ts';

let root: string;
let expected: Awaited<ReturnType<typeof outcomeOf>>;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'plinth-rl-'));
  await tinyReinforcement(root, join(root, 'reference'), tinyPpo);
  expected = await outcomeOf(join(root, 'reference'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

test('every update is told once, with the figures of its iteration', () => {
  expect(expected.steps.map(({ step }) => step)).toEqual(Array.from({ length: STEPS * 4 }, (_, i) => i + 1));
  const figures = expected.steps.map(({ metrics }) => metrics!);
  for (const one of figures) {
    expect(one.reward).toBeGreaterThan(0);
    expect(one.reward).toBeLessThan(1);
    expect(one.length).toBeLessThanOrEqual(8);
    expect(one.entropy).toBeGreaterThan(1);
  }
  // The policy is its own reference until the first update, and moves away then.
  expect(Math.abs(figures[0]!.kl!)).toBeLessThan(1e-4);
  expect(figures.at(-1)!.kl).toBeGreaterThan(0.01);
  expect(figures[0]!.ratioSpread).toBe(0);
  expect(figures[3]!.ratioSpread).toBeGreaterThan(0);
  // The weight follows the target from iteration to iteration.
  expect(figures[0]!.klWeight).toBe(tinyPpo.klWeight);
  expect(figures[4]!.klWeight).toBeCloseTo(tinyPpo.klWeight * 0.98, 12);
  expect(expected.validations.length).toBeGreaterThan(4);
  expect(expected.samples.length).toBe(STEPS);
});

test('the report accounts for updates, answers and the passes over them', () => {
  const { iterations, stages } = expected.report as unknown as {
    iterations: { length: number; promptLength: number }[];
    stages: Accounting['stages'];
  };
  const [rl] = stages;
  const numAnswers = tinyPpo.promptsPerStep * tinyPpo.groupSize;
  const numTokens = iterations.reduce((sum, { length }) => sum + Math.round(length) * numAnswers, 0);
  expect(iterations).toHaveLength(STEPS);
  expect(rl!.generation!.tokens).toBe(numTokens);
  const numPrompt = iterations.reduce((sum, one) => sum + Math.round(one.promptLength) * numAnswers, 0);
  // Once by the policy, once by the reference.
  expect(rl!.scoring!.tokens).toBe(2 * (numTokens + numPrompt));
  expect(rl!.training!.flops).toBeGreaterThan(rl!.generation!.flops);
  expect(rl!.flops).toBe(rl!.training!.flops + rl!.generation!.flops + rl!.scoring!.flops);
});

test('stopped inside an iteration, it is saved where it can go on, and goes on to the same end', async () => {
  const path = join(root, 'stopped');
  const stop = new AbortController();
  const onEvent = (event: PlinthEvent) => {
    if (event.type === 'train-step' && event.step === 6) stop.abort();
  };
  const stopped = tinyReinforcement(root, path, tinyPpo, { onEvent, signal: stop.signal });
  await expect(stopped).rejects.toMatchObject({ code: 'cancelled' });
  expect(await readdir(join(path, 'checkpoints', 'rl'))).toEqual(['step-000008']);
  await tinyReinforcement(root, path, tinyPpo);
  expect(await outcomeOf(path)).toEqual(expected);
});

describe('GRPO', () => {
  test('raises the reward', async () => {
    const rewards: number[] = [];
    const settings = { ...tinyGrpo, groupSize: 32 };
    const { modelFolder } = await tinyReinforcement(root, join(root, 'grpo'), settings, {
      steps: 16,
      learningRate: 3e-2,
      onEvent: (event) => {
        if (event.type === 'train-step') rewards.push(event.metrics!.reward!);
      },
    });
    expect(rewards[0]).toBeLessThan(0.3);
    expect(rewards.at(-1)).toBeGreaterThan(0.7);
    expect((await loadCheckpoint(modelFolder)).config.hiddenSize).toBe(16);
  });

  test('the same seed gives the same curve, another one another', async () => {
    await tinyReinforcement(root, join(root, 'first'), tinyGrpo, { steps: 3 });
    await tinyReinforcement(root, join(root, 'again'), tinyGrpo, { steps: 3 });
    const outcome = await outcomeOf(join(root, 'first'));
    expect(await outcomeOf(join(root, 'again'))).toEqual(outcome);
    await tinyReinforcement(root, join(root, 'other'), { ...tinyGrpo, seed: 2 }, { steps: 1 });
    const [first] = (await outcomeOf(join(root, 'other'))).steps;
    expect(first!.metrics!.reward).not.toBe(outcome.steps[0]!.metrics!.reward);
  });

  test('leaves groups without spread out and counts them; further prompts take their place if wanted', async () => {
    // Every answer to "a" and "b" earns the same.
    const reward = {
      name: 'half flat',
      score: async (answers: Parameters<typeof letterReward.score>[0]) => {
        const letters = await letterReward.score(answers);
        return letters.map((one, i) => ('ab'.includes(answers[i]!.messages[0]!.content) ? 0.5 : one));
      },
    };
    const told = async (folder: string, resampleRounds: number) => {
      const figures: Record<string, number>[] = [];
      await tinyReinforcement(
        root,
        join(root, folder),
        { ...tinyGrpo, resampleRounds },
        {
          steps: 4,
          reward,
          onEvent: (event) => {
            if (event.type === 'train-step') figures.push({ ...(event as TrainStepEvent).metrics });
          },
        },
      );
      return figures;
    };
    const dropped = await told('dropped', 0);
    // Four prompts in two iterations: two of them flat in each pass.
    expect(dropped.reduce((sum, { flatGroups }) => sum + flatGroups!, 0)).toBe(2);
    for (const { flatGroups, numLearned } of dropped) expect(numLearned).toBe((1 - flatGroups!) * 8);
    const replaced = await told('replaced', 3);
    for (const { numLearned } of replaced) expect(numLearned).toBe(8);
  });
});

test('a reward that is no number stops the training and names the answer', async () => {
  const reward = { name: 'broken', score: (answers: readonly unknown[]) => answers.map(() => Number.NaN) };
  const broken = tinyReinforcement(root, join(root, 'broken'), tinyGrpo, { reward });
  await expect(broken).rejects.toThrow(/The reward "broken" gave NaN for the answer/);
});

test('a policy that leaves its limits stops the training; the last one within them is kept and named', async () => {
  const path = join(root, 'collapsed');
  const limits = { ...COLLAPSE_LIMITS, patience: 2, maxKlPerToken: 0.001 };
  const failed = await tinyReinforcement(root, path, tinyGrpo, {
    steps: 25,
    learningRate: 1e-2,
    limits,
  }).catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(CollapseError);
  const { lastGood, message } = failed as CollapseError;
  expect(message).toMatch(/Stopped at iteration \d+: the KL from the reference rose to .* nats by token/);
  expect(message).toContain(join(path, 'last-good'));
  expect((await loadCheckpoint(lastGood!)).config.hiddenSize).toBe(16);
  // The guard remembers what happened before a stop: the same command ends the same way, at once.
  const again = tinyReinforcement(root, path, tinyGrpo, { steps: 25, learningRate: 1e-2, limits });
  await expect(again).rejects.toThrow(message);
  const log = await readFile(join(path, 'metrics.jsonl'), 'utf8');
  expect(log).toContain('"klPerToken"');
});
