/**
 * Decoding with a cache against the whole model run from the start for every token; and that neither chunks,
 * batches, slots nor padding change what a prompt gets.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import { createLanguageModel, type GenerateOptions } from '../../src/decode/index.ts';
import { initializeWeights } from '../../src/model/initialize.ts';
import { causalMask, logits, segmentMask, transformer } from '../../src/model/transformer.ts';
import { cpuDevice, type Device } from '../../src/runtime/index.node.ts';
import { wasmDevice } from '../../src/runtime/index.web.ts';
import { input, type Tensor } from '../../src/tensor/index.ts';
import { languageModelObjective } from '../../src/train/objective.ts';
import { tinyConfig, tinyModel } from '../fixtures/models/random-model.ts';

const device = cpuDevice({ numThreads: 1 });
const NUM_TOKENS = 14;
const T = 80;

const models = {
  'qwen3, grouped queries': tinyModel(),
  'llama, tied, biases': tinyModel({
    architecture: 'llama',
    tieWordEmbeddings: true,
    attentionBias: true,
    mlpBias: true,
    numKvHeads: 4,
  }),
  'one key head': tinyModel({ numKvHeads: 1, numLayers: 1, headDim: 12 }),
};
type Model = (typeof models)[keyof typeof models];

function randomPrompts(count: number, longest: number, seed: number): number[][] {
  const random = new KeyedRandom(seed);
  return Array.from({ length: count }, (_, i) =>
    Array.from({ length: 1 + random.integer(i, longest) }, (_, j) => random.integer(1000 * (i + 1) + j, 96)),
  );
}

/** Greedy tokens by the whole model, without a cache; and the gap between the best two scores on the way. */
async function slowGreedy({ config, weights }: Model, prompts: readonly number[][]) {
  const parameters = Object.fromEntries([...weights].map(([name, { shape }]) => [name, input(name, shape)]));
  const { hiddenND } = transformer(
    parameters,
    config,
    {
      idsBT: input('ids', [1, T], 'int32'),
      positionsBT: input('positions', [1, T], 'int64'),
      maskTT: causalMask(T),
    },
    { maxPositions: T },
  );
  const program = await device.compile({ y: logits(parameters, config, hiddenND) });
  let gap = Number.POSITIVE_INFINITY;
  const answers: number[][] = [];
  for (const prompt of prompts) {
    const tokens = [...prompt];
    while (tokens.length < prompt.length + NUM_TOKENS) {
      const ids = new Int32Array(T);
      ids.set(tokens);
      const { y } = await program.run({
        ...Object.fromEntries(weights),
        ids,
        positions: BigInt64Array.from({ length: T }, (_, i) => BigInt(i)),
      });
      const V = config.vocabSize;
      const row = ((await y!.read()) as Float32Array).subarray((tokens.length - 1) * V, tokens.length * V);
      const sorted = [...row].sort((a, b) => b - a);
      gap = Math.min(gap, sorted[0]! - sorted[1]!);
      tokens.push(row.indexOf(sorted[0]!));
    }
    answers.push(tokens.slice(prompt.length));
  }
  await program.dispose();
  return { answers, gap };
}

async function fastGreedy(
  { config, weights }: Model,
  prompts: readonly number[][],
  limits: { maxBatchSize?: number; chunkLength?: number; maxCacheBytes?: number } = {},
  on: Device = device,
) {
  const model = await createLanguageModel({ config, weights, device: on, ...limits });
  const completions = await model.generateMany(prompts, { maxTokens: NUM_TOKENS });
  await model.dispose();
  return completions.map(({ tokens }) => tokens);
}

describe.each(Object.entries(models))('cached decoding of %s', (_, model) => {
  const prompts = randomPrompts(14, 60, 5);
  const slow = slowGreedy(model, prompts);

  it('gives the tokens of the whole model', async () => {
    const { answers, gap } = await slow;
    expect(gap).toBeGreaterThan(1e-3);
    expect(new Set(answers.flat()).size).toBeGreaterThan(15);
    expect(await fastGreedy(model, prompts)).toEqual(answers);
  });

  it('gives them for prompts read in chunks of any length', async () => {
    const { answers } = await slow;
    for (const chunkLength of [1, 5, 8, 33]) {
      expect(await fastGreedy(model, prompts, { chunkLength })).toEqual(answers);
    }
  });

  it('gives them one by one, in small batches with refilled slots, and with little memory', async () => {
    const { answers } = await slow;
    const rowBytes =
      128 * 4 * (2 * model.config.numLayers * model.config.numKvHeads * model.config.headDim + 1);
    for (const limits of [
      { maxBatchSize: 1 },
      { maxBatchSize: 3, chunkLength: 16 },
      { maxCacheBytes: 2 * rowBytes },
    ]) {
      expect(await fastGreedy(model, prompts, limits)).toEqual(answers);
    }
  });
});

it('gives the same tokens in WebAssembly', async () => {
  const model = models['qwen3, grouped queries'];
  const prompts = randomPrompts(6, 30, 9);
  const wasm = await fastGreedy(model, prompts, {}, await wasmDevice());
  expect(wasm).toEqual(await fastGreedy(model, prompts));
});

describe('sampled answers', () => {
  const { config, weights } = tinyModel({ initializerRange: 0.2 });
  const limits = [{}, { maxBatchSize: 1 }, { maxBatchSize: 4, chunkLength: 8 }];
  const loaded = Promise.all(limits.map((one) => createLanguageModel({ config, weights, device, ...one })));
  afterAll(async () => {
    for (const model of await loaded) await model.dispose();
  });

  it('depend on seed, choice and prompt, not on company, order or slot', async () => {
    const prompts = randomPrompts(12, 20, 3);
    const options = prompts.map(
      (_, i): GenerateOptions => ({
        maxTokens: 4 + ((5 * i) % 9),
        seed: 7,
        choice: i % 3,
        ...(i % 2 ? { topP: 0.9 } : { temperature: 0.8, topK: 20 }),
      }),
    );
    const [model] = await loaded;
    const alone: number[][] = [];
    for (const [i, prompt] of prompts.entries()) {
      alone.push((await model!.generate(prompt, options[i]!)).tokens);
    }
    for (const one of await loaded) {
      const together = await one.generateMany(prompts, options);
      expect(together.map(({ tokens }) => tokens)).toEqual(alone);
      const backwards = await one.generateMany([...prompts].reverse(), [...options].reverse());
      expect(backwards.map(({ tokens }) => tokens).reverse()).toEqual(alone);
    }
    const other = await model!.generate(prompts[0]!, { ...options[0]!, choice: 9, maxTokens: 12 });
    expect(other.tokens.slice(0, 4)).not.toEqual(alone[0]);
  });

  it('are those of requests that come while others run', async () => {
    const prompts = randomPrompts(9, 20, 4);
    const [model] = await loaded;
    const alone: number[][] = [];
    for (const [i, prompt] of prompts.entries()) {
      alone.push((await model!.generate(prompt, { maxTokens: 3 + 4 * i, seed: i, temperature: 1 })).tokens);
    }
    const late = await Promise.all(
      prompts.map(async (prompt, i) => {
        await new Promise((resolve) => setTimeout(resolve, 2 * i));
        return (await model!.generate(prompt, { maxTokens: 3 + 4 * i, seed: i, temperature: 1 })).tokens;
      }),
    );
    expect(late).toEqual(alone);
  });
});

describe('the segment mask', () => {
  const B = 1;
  const length = 24;
  const config = tinyConfig();
  const weights = initializeWeights(config, 4);

  async function lossOf(
    rows: { ids: number[]; segment: number }[],
    size: number,
    segments: boolean,
  ): Promise<number> {
    const objective = languageModelObjective(config, { batchSize: B, length: size, segments });
    const parameters: Record<string, Tensor> = {};
    for (const [name, { shape }] of weights) parameters[name] = input(name, shape);
    const { loss } = objective.build(parameters, input('lossScale', []));
    const batch = {
      batchSize: B,
      sequenceLength: size,
      inputIds: new Int32Array(size),
      targets: new Int32Array(size),
      lossMask: new Float32Array(size),
      segmentIds: new Int32Array(size),
      positions: new Int32Array(size),
      numTargets: 0,
    };
    let at = 0;
    for (const { ids, segment } of rows) {
      for (let i = 0; i + 1 < ids.length; i++, at++) {
        batch.inputIds[at] = ids[i]!;
        batch.targets[at] = ids[i + 1]!;
        batch.lossMask[at] = 1;
        batch.segmentIds[at] = segment;
        batch.positions[at] = i;
        batch.numTargets++;
      }
    }
    const program = await device.compile({ loss });
    const { loss: result } = await program.run({
      ...Object.fromEntries(weights),
      ...objective.feeds(batch),
      lossScale: Float32Array.of(1),
    });
    const value = Number((await result!.read())[0]);
    await program.dispose();
    return value;
  }

  it('keeps conversations of one row apart: its loss is the sum of theirs', async () => {
    const texts = randomPrompts(3, 6, 12).map((text) => [...text, 5, 9]);
    const separate: number[] = [];
    for (const ids of texts) separate.push(await lossOf([{ ids, segment: 1 }], ids.length - 1, false));
    const rows = texts.map((ids, i) => ({ ids, segment: i + 1 }));
    const packed = await lossOf(rows, length, true);
    const sum = separate.reduce((a, b) => a + b);
    expect(Math.abs(packed - sum) / sum).toBeLessThan(1e-5);
    // Without the mask they would see each other.
    const mixed = await lossOf(rows, length, false);
    expect(Math.abs(mixed - sum) / sum).toBeGreaterThan(1e-3);
  });

  it('lets padding see padding, so that no row of the softmax is empty', async () => {
    const mask = await device.compile({ mask: segmentMask(input('segments', [1, 4])) });
    const { mask: result } = await mask.run({ segments: Float32Array.of(1, 1, 0, 0) });
    const values = Array.from((await result!.read()) as Float32Array, (value) => value === 0);
    expect(values).toEqual(
      [
        [true, false, false, false],
        [true, true, false, false],
        [false, false, true, false],
        [false, false, true, true],
      ].flat(),
    );
    await mask.dispose();
  });
});
