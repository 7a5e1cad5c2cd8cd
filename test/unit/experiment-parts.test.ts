/** The parts of an experiment: rows by share, batches of a mix, the plan, the checks, bits per document. */
import { beforeAll, describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { KeyedRandom } from '../../src/core/random.ts';
import { MemoryTokenDataset, tokenizeText, WindowBatches } from '../../src/data/index.ts';
import {
  bitsPerByteOf,
  type DocumentBits,
  estimateBitsPerByte,
  estimateDifference,
} from '../../src/evaluate/index.ts';
import { parameterSpecs } from '../../src/model/config.ts';
import { checkExperimentData, defineExperiment } from '../../src/recipe/experiment/experiment.ts';
import { planExperimentSteps, planShape } from '../../src/recipe/experiment/plan-experiment.ts';
import { DocumentLoss } from '../../src/recipe/stages/document-loss.ts';
import { MixedBatches, rowsByShare } from '../../src/recipe/stages/mixed-batches.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { type Tokenizer, trainBpe } from '../../src/tokenizer/index.ts';
import {
  DEFAULT_OPTIMIZER,
  initialState,
  LossEvaluator,
  languageModelObjective,
} from '../../src/train/index.ts';
import { tinyModel } from '../fixtures/models/random-model.ts';
import { sentences, tinyData, tinyExperiment } from '../fixtures/training/tiny-experiment.ts';

describe('rowsByShare', () => {
  test.each([
    [[0.5, 0.5], 32, [16, 16]],
    [[0.9, 0.1], 32, [29, 3]],
    [[0.99, 0.01], 32, [31, 1]],
    [[1, 0], 8, [8, 0]],
    [[1 / 3, 1 / 3, 1 / 3], 8, [3, 3, 2]],
    [[0.97, 0.01, 0.01, 0.01], 4, [1, 1, 1, 1]],
  ])('shares %j of %i rows are %j', (shares, batchSize, rows) => {
    expect(rowsByShare(shares, batchSize)).toEqual(rows);
  });

  test('rows add up, and no share is more than a row off unless it was rounded up to one', () => {
    const random = new KeyedRandom(1).fork('shares');
    for (let i = 0; i < 200; i++) {
      const weights = Array.from({ length: 2 + (i % 6) }, (_, k) => 0.02 + random.uniform(i * 10 + k));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const shares = weights.map((weight) => weight / total);
      const rows = rowsByShare(shares, 64);
      expect(rows.reduce((sum, count) => sum + count, 0)).toBe(64);
      rows.forEach((count, k) => {
        expect(count).toBeGreaterThanOrEqual(1);
        if (shares[k]! * 64 >= 1) expect(Math.abs(count - shares[k]! * 64)).toBeLessThan(1 + weights.length);
      });
    }
  });

  test('more sources than rows are refused', () => {
    expect(() => rowsByShare([0.4, 0.3, 0.3], 2)).toThrow(/at least 3/);
  });
});

test('a mixed batch is the batches of its parts one below the other, whatever step is asked for first', () => {
  const sets = [10, 50].map(
    (first) => new MemoryTokenDataset([{ tokens: Array.from({ length: 40 }, (_, i) => first + i) }], 100),
  );
  const options = { sequenceLength: 5, seed: 2, documentSegments: true };
  const parts = sets.map((dataset, i) => ({ dataset, numRows: i + 1 }));
  const mixed = new MixedBatches(parts, options);
  for (const step of [7, 0, 3]) {
    const batch = mixed.batch(step);
    const each = parts.map(({ dataset, numRows }) =>
      new WindowBatches(dataset, { ...options, batchSize: numRows }).batch(step),
    );
    expect(batch.inputIds).toEqual(Int32Array.from(each.flatMap(({ inputIds }) => [...inputIds])));
    expect(batch.targets).toEqual(Int32Array.from(each.flatMap(({ targets }) => [...targets])));
    expect(batch.numTargets).toBe(each[0]!.numTargets + each[1]!.numTargets);
    expect(batch.inputIds).toHaveLength(15);
    expect([...batch.inputIds.slice(0, 5)].every((id) => id < 50)).toBe(true);
    expect([...batch.inputIds.slice(5)].every((id) => id >= 50)).toBe(true);
  }
});

describe('bits per byte over documents', () => {
  const documents = (bits: readonly number[]): DocumentBits[] =>
    bits.map((one) => ({ bits: one, bytes: 10 }));

  test('weighs bytes, not documents', () => {
    expect(
      bitsPerByteOf([
        { bits: 10, bytes: 10 },
        { bits: 270, bytes: 90 },
      ]),
    ).toBeCloseTo(2.8, 12);
  });

  test('an interval over documents is as wide as theory has it', () => {
    const random = new KeyedRandom(4);
    const bits = Array.from(random.normals(400, 2), (value) => 20 + value);
    const { value, interval } = estimateBitsPerByte([documents(bits)]);
    // 1.96 standard errors of a mean of 400 with standard deviation .2.
    const half = (1.96 * 0.2) / 20;
    expect(value).toBeCloseTo(2, 1);
    expect(value - interval[0]).toBeGreaterThan(0.8 * half);
    expect(value - interval[0]).toBeLessThan(1.2 * half);
    expect(interval[1] - value).toBeLessThan(1.2 * half);
  });

  test('pairs take the documents’ own difficulty out of a difference', () => {
    const random = new KeyedRandom(5);
    const hard = Array.from(random.normals(100, 8), (value) => 40 + value);
    const worse = hard.map((bits, i) => bits + 1 + 0.2 * Math.sin(i));
    const { value, interval } = estimateDifference([documents(worse)], [documents(hard)]);
    expect(value).toBeCloseTo(0.1, 2);
    expect(interval[0]).toBeGreaterThan(0.09);
    expect(interval[1]).toBeLessThan(0.11);
    const alone = estimateBitsPerByte([documents(worse)]).interval;
    expect(alone[1] - alone[0]).toBeGreaterThan(5 * (interval[1] - interval[0]));
  });

  test('one document has no interval', () => {
    expect(estimateBitsPerByte([documents([20])]).interval).toEqual([Number.NaN, Number.NaN]);
  });
});

describe('DocumentLoss', () => {
  const device = cpuDevice({ numThreads: 1 });
  let tokenizer: Tokenizer;
  beforeAll(() => {
    tokenizer = trainBpe(
      sentences('low', 30, 'train').map(({ text }) => text),
      { vocabSize: 300 },
    );
  });

  test('gives each document the loss that training would, window by window', async () => {
    const { config, weights } = tinyModel({ vocabSize: tokenizer.vocabSize });
    const T = 16;
    // Lengths below, at and above a window, with and without a remainder.
    const texts = sentences('low', 5, 'test').map(({ text }, i) => text.slice(0, [9, 40, 55, 80, 103][i]));
    const loss = await DocumentLoss.compile(device, config, { batchSize: 3, length: T });
    const measured = await loss.measure(weights, tokenizer, texts);
    await loss.dispose();
    const endId = [...tokenizer.specialTokens.values()][0]!;
    for (const [i, text] of texts.entries()) {
      const ids = tokenizer.encode(text);
      let nats = 0;
      for (let start = 0; start < ids.length - 1; start += T) {
        const window = ids.slice(start, start + T + 1);
        const length = window.length - 1;
        const objective = languageModelObjective(config, { batchSize: 1, length, segments: true });
        const evaluator = await LossEvaluator.compile(device, objective, parameterSpecs(config));
        const set = new MemoryTokenDataset([{ tokens: window }], config.vocabSize);
        const batch = new WindowBatches(set, {
          batchSize: 1,
          sequenceLength: length,
          seed: 1,
          documentSegments: true,
        });
        const result = await evaluator.run(initialState(weights, DEFAULT_OPTIMIZER), [batch.batch(0)]);
        await evaluator.dispose();
        nats += result.loss * result.numItems;
      }
      expect(measured[i]!.bits).toBeCloseTo(nats / Math.LN2, 3);
      const first = tokenizer.tokenBytes(ids[0]!).length;
      expect(measured[i]!.bytes).toBe(new TextEncoder().encode(text).length - first);
    }
    expect(tokenizeText(texts[0]!, tokenizer, endId).tokens.length).toBeGreaterThan(1);
  });

  test('an untrained model needs about log2 of the vocabulary for each token', async () => {
    const { config, weights } = tinyModel({ vocabSize: tokenizer.vocabSize, initializerRange: 1e-4 });
    const loss = await DocumentLoss.compile(device, config, { batchSize: 2, length: 16 });
    const text = sentences('low', 1, 'test')[0]!.text;
    const [measured] = await loss.measure(weights, tokenizer, [text]);
    await loss.dispose();
    const numTargets = tokenizer.encode(text).length - 1;
    expect(measured!.bits / numTargets).toBeCloseTo(Math.log2(config.vocabSize), 2);
  });
});

describe('the plan', () => {
  const measured = { secondsPerStep: 0.1, secondsSoFar: 10, numModels: 6, numEvaluationBatches: 20 };

  test('keeps to the minutes, and more models get fewer steps each', () => {
    let before = Number.POSITIVE_INFINITY;
    for (const numModels of [2, 4, 8, 16]) {
      const { numSteps, plannedSeconds } = planExperimentSteps({ minutes: 10 }, { ...measured, numModels });
      expect(numSteps).toBeLessThan(before);
      expect(plannedSeconds).toBeLessThanOrEqual(600);
      expect(plannedSeconds).toBeGreaterThan(540);
      before = numSteps;
    }
  });

  test('a budget too small still takes a few steps, and the planned time says so', () => {
    const { numSteps, plannedSeconds } = planExperimentSteps({ minutes: 0.1 }, measured);
    expect(numSteps).toBe(20);
    expect(plannedSeconds).toBeGreaterThan(12);
  });

  test('settings of finetuning are refused by name', () => {
    expect(() => planShape({ minutes: 10 }, 6, { sftSteps: 5 })).toThrow(/"sftSteps" has no effect/);
    expect(() => planShape({ minutes: 10 }, 6, { proseShare: 0.2 })).toThrow(ConfigError);
    expect(planShape({ minutes: 10 }, 6, { vocabSize: 700 }).vocabSize).toBe(700);
  });
});

describe('checks', () => {
  test.each([
    [{ name: 'a b' }, /name "a b"/],
    [{ minutes: 0 }, /minutes.*got 0/],
    [{ numSeeds: 0 }, /seeds.*got 0/],
  ])('an experiment with %j is refused', (change, message) => {
    expect(() => defineExperiment({ ...tinyExperiment, ...change })).toThrow(message);
  });

  test('data that compares nothing, leaks or does not add up is refused by name', () => {
    const data = tinyData();
    const [both, lowOnly] = data.arms as [(typeof data.arms)[number], (typeof data.arms)[number]];
    expect(() => checkExperimentData(data)).not.toThrow();
    expect(() => checkExperimentData({ ...data, arms: [both] })).toThrow(/1 arms/);
    expect(() => checkExperimentData({ ...data, baseline: 'none' })).toThrow(/"none", the baseline/);
    expect(() => checkExperimentData({ ...data, arms: [both, both] })).toThrow(/two are named "both"/);
    const half = { ...lowOnly, parts: [{ ...lowOnly.parts[0]!, share: 0.5 }] };
    expect(() => checkExperimentData({ ...data, arms: [both, half] })).toThrow(/"low only" add up to 0.5/);
    const empty = { ...lowOnly, parts: [{ ...lowOnly.parts[0]!, documents: [] }] };
    expect(() => checkExperimentData({ ...data, arms: [both, empty] })).toThrow(/part "low" has no document/);
    const leak = { ...data.evaluations[0]!, documents: [both.parts[0]!.documents[3]!] };
    expect(() => checkExperimentData({ ...data, evaluations: [leak] })).toThrow(
      /low-train-3 of evaluation "low" is also trained on/,
    );
  });
});
