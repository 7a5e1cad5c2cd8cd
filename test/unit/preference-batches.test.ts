/** Items of two rows and their batches: what stands beside what, how often, and what padding counts for. */
import { describe, expect, test } from 'vitest';
import { PreferenceBatches } from '../../src/align/preference/preference-batches.ts';
import type { LabelledAnswer, PreferenceRecord } from '../../src/align/preference/preference-data.ts';
import {
  labelItems,
  type PreferenceItem,
  preferenceItems,
} from '../../src/align/preference/preference-items.ts';
import { PREFERENCE_LOSSES, preferenceSettings } from '../../src/align/preference/preference-loss.ts';
import {
  type PreferenceBatch,
  preferenceObjective,
} from '../../src/align/preference/preference-objective.ts';
import {
  preparePreferences,
  secondsPerPreferenceStep,
} from '../../src/align/preference/prepare-preferences.ts';
import { answeredRow, type SequenceRow } from '../../src/align/sequence-row.ts';
import { parameterSpecs } from '../../src/model/config.ts';
import { initializeWeights } from '../../src/model/initialize.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { chatMl, trainBpe } from '../../src/tokenizer/index.ts';
import { DEFAULT_OPTIMIZER, initialState, LossEvaluator, TrainingStep } from '../../src/train/index.ts';
import { fullModel } from '../../src/train/trainable.ts';
import { tinyConfig } from '../fixtures/training/tiny-model.ts';

const tokenizer = trainBpe([], { vocabSize: 259 });
const config = { ...tinyConfig, vocabSize: tokenizer.vocabSize, maxPositionEmbeddings: 64 };
const device = cpuDevice({ numThreads: 1 });
const LENGTH = 48;
const encoding = { tokenizer, chatFormat: chatMl, length: LENGTH, seed: 1 };

/** Items that can be told apart by their first token; every third is bad. */
const items: PreferenceItem[] = Array.from({ length: 10 }, (_, i) => ({
  first: answeredRow([i + 1], [20]),
  second: answeredRow([i + 1], [21, 22]),
  isGood: i % 3 !== 2,
}));
const options = { batchSize: 4, length: 5, seed: 7 };
const reference = Float32Array.from({ length: 20 }, (_, i) => -i);

/** Numbers of the items of a batch. */
const itemsOf = ({ tokens, mask }: PreferenceBatch) =>
  Array.from(mask.entries()).flatMap(([b, value]) => (value === 1 ? [tokens.inputIds[b * 5]! - 1] : []));

describe('batches', () => {
  const batches = new PreferenceBatches(items, { ...options, reference });

  test('each epoch holds every item once, in an order of its own', () => {
    const given = Array.from({ length: 5 }, (_, step) => itemsOf(batches.batch(step))).flat();
    const epochs = [given.slice(0, 10), given.slice(10)];
    const all = items.map((_, i) => i);
    for (const epoch of epochs) expect(epoch.toSorted((a, b) => a - b)).toEqual(all);
    expect(epochs[0]).not.toEqual(epochs[1]);
    expect(epochs[0]).not.toEqual(all);
  });

  test('a batch depends on its number alone', () => {
    const again = new PreferenceBatches(items, { ...options, reference });
    for (const step of [9, 2, 31]) expect(again.batch(step)).toEqual(batches.batch(step));
    const other = new PreferenceBatches(items, { ...options, reference, seed: 8 });
    expect([0, 1, 2].map((step) => itemsOf(other.batch(step)))).not.toEqual(
      [0, 1, 2].map((step) => itemsOf(batches.batch(step))),
    );
  });

  test('bad answers are spread evenly, and their weights make up for their number', () => {
    for (let step = 0; step < 20; step++) {
      const { isGood, classWeight } = batches.batch(step);
      const numGood = isGood.reduce((a, b) => a + b);
      expect([2, 3]).toContain(numGood);
      isGood.forEach((good, b) => {
        expect(classWeight[b]).toBeCloseTo(good ? 10 / 7 : 10 / 3, 5);
      });
    }
  });

  test('both rows of an item and both references stand in their halves', () => {
    const { tokens, reference: fed, isGood } = batches.batch(0);
    const numbers = itemsOf(batches.batch(0));
    numbers.forEach((i, b) => {
      expect(tokens.inputIds[(4 + b) * 5]).toBe(i + 1);
      expect(tokens.targets.slice(b * 5, b * 5 + 1)).toEqual(Int32Array.of(20));
      expect(tokens.targets.slice((4 + b) * 5, (4 + b) * 5 + 2)).toEqual(Int32Array.of(21, 22));
      expect([fed[b], fed[4 + b]]).toEqual([-2 * i, -2 * i - 1]);
      expect(isGood[b]).toBe(items[i]!.isGood ? 1 : 0);
    });
  });

  test('validation goes over every item once, or over some that are spread over all', () => {
    expect([...batches.inOrder()].map(itemsOf)).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
    ]);
    expect([...batches.inOrder(5)].map(itemsOf)).toEqual([[0, 2, 4, 6], [8]]);
    expect([...batches.inOrder()].map(({ numItems }) => numItems)).toEqual([4, 4, 2]);
  });
});

describe('mismatched answers', () => {
  const label = (prompt: string, answer: string): LabelledAnswer => ({
    messages: [{ role: 'user', content: prompt }],
    answer: [{ role: 'assistant', content: answer }],
    isGood: true,
  });
  const text = ({ tokens }: SequenceRow) => tokenizer.decode(Array.from(tokens), { special: 'keep' });
  const promptText = (prompt: string) => `<|im_start|>user\n${prompt}<|im_end|>\n<|im_start|>assistant\n`;

  test("are another prompt's answers to the same prompt, each of them once", () => {
    const labels = ['a', 'b', 'c', 'd'].map((name) => label(name, name.toUpperCase()));
    const found = labelItems(labels, encoding).items;
    found.forEach(({ first, second }, i) => {
      const prompt = promptText('abcd'[i]!);
      expect(text(first)).toBe(`${prompt}${'ABCD'[i]}<|im_end|>`);
      expect(text(second)).toMatch(new RegExp(`[^${'ABCD'[i]}]<\\|im_end\\|>$`));
      expect(text(second).startsWith(prompt)).toBe(true);
      expect(Array.from(second.actions)).toEqual(Array.from(first.actions));
    });
    expect(new Set(found.map(({ second }) => text(second).at(-11))).size).toBe(4);
  });

  test('are not to the same prompt while there is another one', () => {
    const labels = [label('a', 'A'), label('a', 'B'), label('a', 'C'), label('z', 'Z')];
    const found = labelItems(labels, encoding).items;
    for (const { second } of found.slice(0, 3)) expect(text(second)).toBe(`${promptText('a')}Z<|im_end|>`);
  });

  test('are cut to the row', () => {
    const long = label('p'.repeat(12), 'A');
    const longAnswer = label('q', 'answer of many words');
    const [first] = labelItems([long, longAnswer], encoding).items;
    const cut = text(first!.second);
    expect(`${promptText('p'.repeat(12))}answer of many words`.startsWith(cut)).toBe(true);
    expect(first!.second.tokens.length).toBe(LENGTH + 1);
    expect(first!.second.actions.length).toBe(LENGTH + 1);
  });

  test('need a second answer', () => {
    expect(() => labelItems([label('a', 'A')], encoding)).toThrow(/One labelled answer is too few/);
  });
});

test('what does not fit a row is left out with its number and the reason', () => {
  const pair = (chosen: string): PreferenceRecord => ({
    kind: 'pair',
    messages: [{ role: 'user', content: 'x' }],
    chosen: [{ role: 'assistant', content: chosen }],
    rejected: [{ role: 'assistant', content: 'no' }],
  });
  const { items: found, report } = preferenceItems(
    [pair('yes'), pair('y'.repeat(60)), pair('yes!')],
    PREFERENCE_LOSSES.dpo,
    encoding,
  );
  expect(found.length).toBe(2);
  expect(report).toMatchObject({ numRead: 2, numSkipped: 1 });
  expect(report.skipped[0]).toEqual({
    position: 'pair 2',
    reason: expect.stringMatching(/^\d+ tokens, more than the 49 of a row$/),
  });
});

describe('training from preferences in memory', () => {
  const weights = initializeWeights({ ...config, initializerRange: 0.3 }, 1);
  const model = { config, weights, tokenizer, chatFormat: chatMl, padId: 0 };
  const records: PreferenceRecord[] = ['a', 'bc', 'def', 'ghij', 'klmno'].map((word, i) => ({
    kind: 'ranking',
    messages: [{ role: 'user', content: word }],
    answers: ['x', 'yy', 'zzz'].map((one) => [{ role: 'assistant', content: one.repeat(1 + (i % 3)) }]),
    ranks: [1, 2, 3],
  }));
  const prepare = (loss: string, batchSize: number) =>
    preparePreferences(records, {
      model,
      settings: preferenceSettings(loss),
      batchSize,
      length: LENGTH,
      seed: 1,
      device,
    });

  test.each(['dpo', 'kto', 'simpo'])('%s: rows of padding count for nothing', async (loss) => {
    // Of three answers three pairs, or (the middle one says nothing) two labels; in one batch, for KTO's z is its own.
    const numItems = loss === 'kto' ? 10 : 15;
    const evaluated = [];
    for (const batchSize of [numItems, numItems + 2]) {
      const { objective, batches } = await prepare(loss, batchSize);
      const evaluator = await LossEvaluator.compile(device, objective, parameterSpecs(config));
      const state = initialState(
        initializeWeights({ ...config, initializerRange: 0.3 }, 2),
        DEFAULT_OPTIMIZER,
      );
      evaluated.push(await evaluator.run(state, batches.inOrder()));
      await evaluator.dispose();
    }
    const [whole, padded] = evaluated;
    expect([whole!.numItems, padded!.numItems]).toEqual([numItems, numItems]);
    expect(padded!.loss).toBeCloseTo(whole!.loss, 5);
    for (const [name, value] of Object.entries(whole!.metrics)) {
      expect(padded!.metrics[name], name).toBeCloseTo(value, 4);
    }
  });

  test('a model that is its own reference has margins of 0', async () => {
    const { objective, batches } = await prepare('dpo', 4);
    const evaluator = await LossEvaluator.compile(device, objective, parameterSpecs(config));
    const { loss, metrics } = await evaluator.run(
      initialState(weights, DEFAULT_OPTIMIZER),
      batches.inOrder(),
    );
    expect(loss).toBeCloseTo(Math.LN2, 5);
    for (const name of ['margin', 'rewardChosen', 'rewardRejected', 'kl']) {
      expect(Math.abs(metrics[name]!), name).toBeLessThan(1e-4);
    }
    await evaluator.dispose();
  });

  test('nothing is computed backward through mismatched answers', async () => {
    const flopsOf = async (loss: string) => {
      const objective = preferenceObjective(
        config,
        { batchSize: 4, length: LENGTH },
        preferenceSettings(loss),
      );
      const step = await TrainingStep.compile(device, objective, parameterSpecs(config), {
        optimizer: DEFAULT_OPTIMIZER,
        clipNorm: 1,
        accumulate: 1,
      });
      await step.dispose();
      return step.flops;
    };
    // Forward 1, backward 2: of both rows 6, of one of them 4.
    expect((await flopsOf('kto')) / (await flopsOf('dpo'))).toBeCloseTo(2 / 3, 2);
  });

  test('a step can be timed without changing anything', async () => {
    const prepared = await prepare('dpo', 2);
    const before = structuredClone([...weights]);
    const seconds = await secondsPerPreferenceStep(prepared, fullModel(config, weights), device);
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThan(60);
    expect([...weights]).toEqual(before);
  });
});
