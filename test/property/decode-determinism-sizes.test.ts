/** One answer, to the bit, where kernels cut their work: matrices of real sizes on two threads, and quantised ones. */
import { expect, it } from 'vitest';
import {
  type CreateLanguageModelOptions,
  createLanguageModel,
  type GenerateOptions,
} from '../../src/decode/index.ts';
import type { TransformerConfig } from '../../src/model/config.ts';
import { quantizeWeights } from '../../src/model/quantize/quantize-weights.ts';
import type { MixedWeights } from '../../src/model/quantized.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { tinyModel } from '../fixtures/models/random-model.ts';

const devices = [1, 2].map((numThreads) => cpuDevice({ numThreads }));
const large = {
  vocabSize: 1000,
  hiddenSize: 320,
  intermediateSize: 840,
  numHeads: 9,
  numKvHeads: 3,
  headDim: 32,
  numLayers: 1,
};
const odd = { ...large, hiddenSize: 250, intermediateSize: 702, numHeads: 8, numKvHeads: 1, headDim: 80 };
const own = { ...large, hiddenSize: 256, intermediateSize: 520, numHeads: 4, numKvHeads: 4, headDim: 64 };
const small = { hiddenSize: 64, intermediateSize: 96, headDim: 16, vocabSize: 200 };

const models: [string, Partial<TransformerConfig>, 8 | 4 | undefined][] = [
  ['320 wide, 3 key heads', large, undefined],
  ['250 wide, one key head of size 80', odd, undefined],
  ['256 wide, a key head of size 64 for each query head', own, undefined],
  ['64 wide in 8 bits', small, 8],
  ['64 wide in 4 bits', small, 4],
];

it.each(models)('a model %s', async (_, shape, bits) => {
  const { config, weights: floats } = tinyModel({
    ...shape,
    maxPositionEmbeddings: 256,
    initializerRange: bits ? 0.3 : 0.05,
  });
  const weights: MixedWeights = bits ? quantizeWeights(config, floats, { bits }).weights : floats;
  const prompt = Array.from({ length: 100 }, (_, i) => (i * 131) % config.vocabSize);
  const options: GenerateOptions = { maxTokens: 8, temperature: 1, seed: 3, logprobs: 1 };
  const answers = new Set<string>();
  const runs: [number, Partial<CreateLanguageModelOptions>, number][] = [
    [0, { maxBatchSize: 1, prefixCacheBytes: 0 }, 1],
    [0, { maxBatchSize: 16, chunkLength: 50 }, 12],
    [1, { maxBatchSize: 5, chunkLength: 13 }, 12],
    [1, { draft: { config, weights } }, 7],
    [1, { maxBatchSize: 1 }, 1],
  ];
  for (const [device, limits, count] of runs) {
    const one = await createLanguageModel({ config, weights, device: devices[device]!, ...limits });
    // Every third is the one; the others begin like it.
    const prompts = Array.from({ length: count }, (_, i) =>
      i % 3 === 0 ? prompt : prompt.slice(0, 1 + i * 9),
    );
    const completions = await one.generateMany(prompts, options);
    for (const [i, { tokens, logprobs }] of completions.entries()) {
      if (i % 3 === 0) answers.add(JSON.stringify([tokens, logprobs]));
    }
    await one.dispose();
  }
  expect(answers.size).toBe(1);
});
