/** Several tokens read in one run, as guesses are checked, give to the bit what one step after another gives. */
import { describe, expect, it } from 'vitest';
import { Decoder } from '../../src/decode/decoder.ts';
import { DecoderBatch } from '../../src/decode/decoder-batch.ts';
import { KeyValueCache } from '../../src/decode/key-value-cache.ts';
import type { TransformerConfig } from '../../src/model/config.ts';
import { quantizeWeights } from '../../src/model/quantize/quantize-weights.ts';
import type { MixedWeights } from '../../src/model/quantized.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { tinyModel } from '../fixtures/models/random-model.ts';

const base = { vocabSize: 500, numLayers: 2, initializerRange: 0.05, maxPositionEmbeddings: 256 };
const shapes: [string, Partial<TransformerConfig>, 8 | undefined][] = [
  [
    'a key head for each query head',
    { hiddenSize: 192, intermediateSize: 512, numHeads: 6, numKvHeads: 6, headDim: 32 },
    undefined,
  ],
  [
    'grouped queries',
    { hiddenSize: 320, intermediateSize: 840, numHeads: 10, numKvHeads: 5, headDim: 32 },
    undefined,
  ],
  [
    'one key head of size 80',
    { hiddenSize: 250, intermediateSize: 702, numHeads: 8, numKvHeads: 1, headDim: 80 },
    undefined,
  ],
  ['8 bits', { hiddenSize: 64, intermediateSize: 96, headDim: 16 }, 8],
];
const LENGTH = 120;
const tokens = Int32Array.from({ length: LENGTH + 18 }, (_, i) => (i * 131) % base.vocabSize);

describe.each(shapes)('a model with %s', (_, shape, bits) => {
  const { config, weights: floats } = tinyModel({ ...base, ...shape });
  const weights: MixedWeights = bits ? quantizeWeights(config, floats, { bits }).weights : floats;

  /** Scores after each of the last 18 tokens and what is then in the cache, those read in `cuts`. */
  async function scores(numThreads: number, how: 'step' | 'read', cuts: readonly number[]) {
    const decoder = new Decoder(config, weights, cpuDevice({ numThreads }), 'strict');
    const cache = new KeyValueCache(config, 2 ** 28);
    const batch = new DecoderBatch(decoder, cache);
    cache.reserve(1, LENGTH);
    batch.accept(0, await batch.read(0, 1, [tokens.subarray(0, LENGTH)], 'last'), 1, 0, LENGTH);
    const logits: number[] = [];
    let at = LENGTH;
    for (const count of cuts) {
      const chunk = tokens.subarray(at, at + count);
      if (how === 'step') logits.push(...(await batch.step(1, 1, () => chunk[0]!)).logits);
      else {
        const output = await batch.read(0, 1, [chunk], 'all');
        batch.accept(0, output, 1, 0, count);
        logits.push(...output.logits);
      }
      at += count;
    }
    expect(cache.lengthOf(0)).toBe(tokens.length);
    const held = [...cache.extract(0, LENGTH, 18)];
    await decoder.dispose();
    return { logits, held };
  }

  it.each([1, 2])('on %i threads', async (numThreads) => {
    const steps = await scores(numThreads, 'step', Array(18).fill(1));
    expect(steps.logits).toHaveLength(18 * config.vocabSize);
    // Past the end of a block of 64 places too.
    for (const cuts of [[18], [2, 3, 5, 8], [1, 9, 1, 7]]) {
      expect(await scores(numThreads, 'read', cuts)).toEqual(steps);
    }
  });
});
