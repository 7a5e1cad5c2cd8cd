/** A step of finetuning on packed chats against plain arithmetic on a transformer in plain loops. */
import { describe, expect, test } from 'vitest';
import { conversationRow } from '../../src/align/sft/conversation-row.ts';
import { ConversationBatches, MemoryTokenDataset } from '../../src/data/index.ts';
import { TRAIN_ON, trainingTargets } from '../../src/data/tokens/training-targets.ts';
import { parameterSpecs, type TransformerConfig } from '../../src/model/config.ts';
import { initializeWeights } from '../../src/model/initialize.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import {
  DEFAULT_OPTIMIZER,
  initialState,
  languageModelObjective,
  readState,
  TrainingStep,
} from '../../src/train/index.ts';
import { adamStep, slopes, slowLogprobs, type Weights64 } from '../fixtures/models/slow-transformer.ts';
import { tinyConfig } from '../fixtures/training/tiny-model.ts';

const config: TransformerConfig = {
  ...tinyConfig,
  vocabSize: 11,
  hiddenSize: 8,
  numLayers: 1,
  headDim: 4,
  intermediateSize: 8,
  initializerRange: 0.3,
};
const RATE = 0.01;
const EPSILON = 1e-3;

/** Chats with two answers each but the last: roles and masks as `encodeChat` gives them. */
const CHATS = [
  { tokens: [1, 2, 3, 4, 0, 5, 6, 7, 0], lossMask: [0, 0, 1, 1, 1, 0, 0, 1, 1] },
  { tokens: [1, 8, 9, 0, 5, 2, 0], lossMask: [0, 0, 1, 1, 0, 1, 1] },
  { tokens: [3, 10, 4], lossMask: [0, 0, 1] },
].map((chat) => ({ ...chat, roles: chat.lossMask.map((mask) => (mask ? 2 : 1)) }));

/** The masked mean: -sum m log p / sum m over the tokens from the second on. */
function slowLoss(weights: Weights64, chats: typeof CHATS, masks: readonly Uint8Array[]): number {
  let [total, count] = [0, 0];
  for (const [c, { tokens }] of chats.entries()) {
    for (const [t, logprob] of slowLogprobs(weights, config, tokens).entries()) {
      total -= masks[c]![t + 1]! * logprob;
      count += masks[c]![t + 1]!;
    }
  }
  return total / count;
}

describe('a step on packed chats equals the slow reference', () => {
  test.each(TRAIN_ON)('trained on %s', async (trainOn) => {
    const batches = new ConversationBatches(new MemoryTokenDataset(CHATS, config.vocabSize), {
      batchSize: 2,
      sequenceLength: 10,
      seed: 1,
      trainOn,
    });
    // Two chats share a row, so that segments and positions count.
    expect(batches.rowsPerEpoch).toBe(2);
    const optimizer = { ...DEFAULT_OPTIMIZER, epsilon: EPSILON, weightDecay: 0 };
    const step = await TrainingStep.compile(
      cpuDevice({ numThreads: 1 }),
      languageModelObjective(config, { batchSize: 2, length: 10, segments: true }),
      parameterSpecs(config),
      { optimizer, clipNorm: Number.POSITIVE_INFINITY, accumulate: 1 },
    );
    const start = initializeWeights(config, 2);
    const state = initialState(start, optimizer);
    const result = await step.run(state, [batches.batch(0)], 1, RATE);
    const trained = await readState(state, 'parameter/');
    await step.dispose();

    const weights: Weights64 = new Map(
      [...start].map(([name, { data }]) => [name, Float64Array.from(data as Float32Array)]),
    );
    const masks = CHATS.map(({ lossMask }) => trainingTargets(lossMask, trainOn));
    expect(Math.abs(result.loss - slowLoss(weights, CHATS, masks))).toBeLessThan(1e-5);
    const gradient = slopes(weights, (moved) => slowLoss(moved, CHATS, masks));
    let largest = 0;
    for (const [name, values] of adamStep(weights, gradient, RATE, EPSILON)) {
      const got = trained.get(name)!.data as Float32Array;
      values.forEach((value, i) => {
        largest = Math.max(largest, Math.abs(value - got[i]!));
      });
    }
    expect(largest).toBeLessThan(1e-5);
  });
});

describe('which tokens are targets', () => {
  const [first, second] = CHATS;

  test('every turn of the assistant, its last, or everything', () => {
    expect([...trainingTargets(first!.lossMask, 'assistant')]).toEqual(first!.lossMask);
    expect([...trainingTargets(first!.lossMask, 'last')]).toEqual([0, 0, 0, 0, 0, 0, 0, 1, 1]);
    expect([...trainingTargets(second!.lossMask, 'last')]).toEqual([0, 0, 0, 0, 0, 1, 1]);
    expect([...trainingTargets(first!.lossMask, 'all')]).toEqual(new Array(9).fill(1));
    expect([...trainingTargets([0, 0], 'last')]).toEqual([0, 0]);
    expect([...trainingTargets([1, 1], 'last')]).toEqual([1, 1]);
  });

  test('a cut does not make an earlier turn the last', () => {
    const packed = new ConversationBatches(new MemoryTokenDataset(CHATS, 11), {
      batchSize: 1,
      sequenceLength: 5,
      seed: 1,
      tooLong: 'truncate',
      trainOn: 'last',
    });
    // The first chat's last answer stands behind the cut; of the second one token is left.
    expect(packed.report).toMatchObject({ numPacked: 2, numTruncated: 1, numWithoutTargets: 1 });
    expect(packed.targetsPerEpoch).toBe(2);
  });

  test('a conversation is a row of actions and evidence', () => {
    const encoded = { ids: first!.tokens, lossMask: Uint8Array.from(first!.lossMask) };
    expect(Array.from(conversationRow(encoded).actions)).toEqual(first!.lossMask);
    const last = conversationRow(encoded, { actions: 'last' });
    expect(Array.from(last.actions)).toEqual([0, 0, 0, 0, 0, 0, 0, 1, 1]);
    expect(Array.from(last.tokens)).toEqual(first!.tokens);
  });

  test('once gives every row once', () => {
    const packed = new ConversationBatches(new MemoryTokenDataset(CHATS, 11), {
      batchSize: 2,
      sequenceLength: 8,
      seed: 1,
    });
    const batches = [...packed.once()];
    expect(batches.length).toBe(Math.ceil(packed.rowsPerEpoch / 2));
    expect(batches.reduce((sum, { numTargets }) => sum + numTargets, 0)).toBe(packed.targetsPerEpoch);
  });
});
