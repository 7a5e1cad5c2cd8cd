/** Preference finetuning of a folder: what it learns holds on prompts kept aside; adapters; what is refused. */
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadCheckpoint } from '../../src/model/checkpoint.node.ts';
import type { Accounting } from '../../src/recipe/accounting.ts';
import type { PreferOptions } from '../../src/recipe/post-training/prefer-on-pairs.node.ts';
import { plinthInProcess } from '../fixtures/cli/plinth-in-process.ts';
import { TinyPreferences } from '../fixtures/training/tiny-preferences.ts';

const tiny = new TinyPreferences();
beforeAll(() => tiny.write());
afterAll(() => tiny.remove());

describe('the shorter answer comes to be preferred on prompts that were kept aside', () => {
  test.each(['dpo', 'ipo', 'orpo', 'simpo', 'hinge'])('%s', async (loss) => {
    const { outcome, events } = await tiny.prefer(`rule-${loss}`, { loss });
    const validations = events.filter((event) => event.type === 'validation');
    expect(validations.length).toBe(8);
    const [first, last] = [validations[0]!.metrics!, outcome.validationMetrics!];
    expect(last.accuracy).toBeGreaterThan(0.9);
    expect(last.margin).toBeGreaterThan(first.margin!);
    expect(last.rewardChosen! - last.rewardRejected!).toBeCloseTo(last.margin!, 4);
    const steps = events.filter((event) => event.type === 'train-step');
    expect(steps.length).toBe(24);
    // With the end of the turn.
    expect(steps[0]!.metrics!.lengthChosen).toBeLessThan(4.01);
    expect(steps[0]!.metrics!.lengthRejected).toBeGreaterThan(6.9);
    if (loss === 'dpo') expect(steps[0]!.loss).toBeCloseTo(Math.LN2, 4);
    expect(events.filter((event) => event.type === 'note').map(({ message }) => message)).toEqual([
      expect.stringMatching(/pairs\.jsonl: 1 lines skipped; the first, line 65 .*: none of/),
    ]);
  });

  test('the folder has a report of what it took', async () => {
    const { outcome, events } = await tiny.prefer('rule-dpo', { loss: 'dpo' });
    const { accounting } = JSON.parse(readFileSync(`${outcome.folder}/report.json`, 'utf8')) as {
      accounting: Accounting;
    };
    const [stage] = accounting.stages;
    expect(accounting.stages).toHaveLength(1);
    expect(stage).toMatchObject({ stage: 'prefer', shareOfFlops: 1 });
    // Nothing is trained a second time; the figures are those of the first.
    expect(events.filter(({ type }) => type === 'train-step')).toHaveLength(0);
    expect(stage!.training!.flops % 24).toBe(0);
    expect(stage!.seconds).toBeGreaterThan(0);
  });

  test('kto, from labelled answers and from pairs', async () => {
    for (const files of [[tiny.at('labels.jsonl')], [tiny.at('pairs.jsonl')]]) {
      const { outcome } = await tiny.prefer('rule-kto', {
        loss: 'kto',
        files,
        fresh: true,
        learningRate: 5e-3,
        steps: 40,
      });
      const { accuracy, rewardChosen, rewardRejected, kl } = outcome.validationMetrics!;
      // Right is above beta times z for a good answer, and below it for a bad one.
      expect(accuracy).toBeGreaterThan(0.7);
      expect(rewardChosen! - rewardRejected!).toBeGreaterThan(0.5);
      expect(kl).toBeGreaterThanOrEqual(0);
    }
  });

  test('with an adapter, whose base is the reference and stays as it is', async () => {
    const before = readFileSync(tiny.at('model', 'model.safetensors'));
    const lowRank = { rank: 4, alpha: 8, targets: 'all-linear', merge: true } as const;
    const { outcome, events } = await tiny.prefer('adapter', { lowRank, learningRate: 1e-2 });
    expect(outcome.validationMetrics!.accuracy).toBeGreaterThan(0.9);
    expect(readdirSync(tiny.at('adapter', 'adapter'))).toContain('adapter_model.safetensors');
    expect(readFileSync(tiny.at('model', 'model.safetensors')).equals(before)).toBe(true);
    const [step] = events.filter((event) => event.type === 'train-step');
    expect(step!.loss).toBeCloseTo(Math.LN2, 4);
    const merged = await loadCheckpoint(outcome.modelFolder);
    expect(merged.weights.size).toBeGreaterThan(0);
  });
});

describe('what is refused', () => {
  test('other settings, or a model that has changed, in a folder that is taken', async () => {
    cpSync(tiny.at('model'), tiny.at('other'), { recursive: true });
    const model = tiny.at('other');
    await tiny.prefer('changed', { model, steps: 1 });
    const bytes = readFileSync(tiny.at('other', 'model.safetensors'));
    // The last bit of the last number.
    bytes[bytes.length - 4]! ^= 1;
    writeFileSync(tiny.at('other', 'model.safetensors'), bytes);
    await expect(tiny.prefer('changed', { model, steps: 1 })).rejects.toThrow(/weights: "[0-9a-f]+" before/);
    await tiny.prefer('taken', { steps: 1 });
    await expect(tiny.prefer('taken', { steps: 1, values: { beta: 0.5 } })).rejects.toThrow(
      /beta: 0.1 before, 0.5 now/,
    );
    await expect(tiny.prefer('taken', { steps: 1, loss: 'orpo' })).rejects.toThrow(/loss: "dpo" before/);
  });

  test.each<[string, Partial<PreferOptions>, RegExp]>([
    ['an unknown loss', { loss: 'ppo' }, /no loss "ppo"; expected one of dpo, ipo/],
    [
      "another loss's setting",
      { loss: 'orpo', values: { beta: 1 } },
      /orpo has no setting beta; it has lambda/,
    ],
    ['a setting out of range', { values: { beta: 0 } }, /beta must be above 0, got 0/],
    ['half the labels wrong', { values: { labelSmoothing: 0.5 } }, /below 0.5/],
    ['a share that leaves nothing', { validationShare: 1 }, /validationShare must be from 0/],
    ['rows beyond the context', { length: 1000 }, /context is 160 tokens/],
    ['rows too short for any answer', { length: 4 }, /None of 48 pairs can be trained on.*more than the 5/],
    ['labels for a loss of pairs', { files: ['labels'] }, /is a pair or a ranking.*kto/],
  ])('%s', async (_, changes, message) => {
    const files = (changes.files ?? ['pairs']).map((name) => tiny.at(`${name}.jsonl`));
    await expect(tiny.prefer('refused', { fresh: true, ...changes, files })).rejects.toThrow(message);
  });
});

describe('plinth prefer', () => {
  const run = (...args: string[]) =>
    plinthInProcess(tiny.path, ['prefer', '--model', 'model', '--threads', '1', '--length', '48', ...args]);

  test('trains and tells the result as one line of JSON', async () => {
    const { code, stdout } = await run(
      ...['--data', 'pairs.jsonl', '--out', 'cli', '--loss', 'ipo', '--no-per-token', '--beta', '0.2'],
      ...['--steps', '3', '--json'],
    );
    expect(code).toBe(0);
    const outcome = JSON.parse(stdout) as { steps: number; validationMetrics: { accuracy: number } };
    expect(outcome).toMatchObject({ steps: 3, numItems: 58 });
    expect(outcome.validationMetrics.accuracy).toBeGreaterThanOrEqual(0);
    const { request } = JSON.parse(readFileSync(tiny.at('cli', 'settings.json'), 'utf8')) as {
      request: Record<string, unknown>;
    };
    expect(request).toMatchObject({ kind: 'prefer', loss: 'ipo', beta: 0.2, perToken: false, batchSize: 8 });
  });

  test("another loss's flag is refused, and so is an unknown loss", async () => {
    const gamma = await run('--data', 'pairs.jsonl', '--out', 'no', '--gamma', '1');
    expect(gamma.code).toBe(1);
    expect(gamma.stderr).toContain('dpo has no setting gamma; it has beta, labelSmoothing, sftWeight');
    const loss = await run('--data', 'pairs.jsonl', '--out', 'no', '--loss', 'ppo');
    expect(loss.code).not.toBe(0);
    expect(loss.stderr).toContain('dpo, ipo, kto, orpo, simpo, hinge');
  });
});
