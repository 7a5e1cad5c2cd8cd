/** Loading models and the limits of the engine. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadLanguageModel } from '../../src/decode/index.node.ts';
import { createLanguageModel } from '../../src/decode/index.ts';
import { saveCheckpoint } from '../../src/model/checkpoint.node.ts';
import type { Weights } from '../../src/model/initialize.ts';
import { cpuDevice, type Device } from '../../src/runtime/index.node.ts';
import { saveTokenizer } from '../../src/tokenizer/index.node.ts';
import { DEFAULT_TOKENIZER_CONFIG, trainBpe } from '../../src/tokenizer/index.ts';
import { tinyConfig, tinyModel } from '../fixtures/models/random-model.ts';

const device = cpuDevice({ numThreads: 1 });

describe('loading a folder', () => {
  let root = '';
  let folder = '';
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'plinth-load-'));
    folder = join(root, 'model');
  });
  afterEach(() => rm(root, { recursive: true }));

  it('works without a tokenizer, on token ids alone', async () => {
    await saveCheckpoint(folder, tinyModel());
    const model = await loadLanguageModel(folder, { device });
    expect(model.tokenizer).toBeUndefined();
    expect(model.capabilities.chat).toBe(false);
    const { text, tokens } = await model.generate([3, 4], { maxTokens: 4 });
    expect(text).toBe('');
    expect(tokens).toHaveLength(4);
    const chunks: number[][] = [];
    for await (const chunk of model.stream([3, 4], { maxTokens: 4 })) chunks.push(chunk.tokens);
    expect(chunks).toEqual(tokens.map((token) => [token]));
    await expect(model.generate('hello')).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining('no tokenizer'),
    });
    await expect(model.generate([3], { stop: ['x'] })).rejects.toMatchObject({ code: 'config' });
    await expect(model.generate([96])).rejects.toThrow(/token 0 is 96; expected a whole number from 0 to 95/);
    await expect(model.generate([1, -1])).rejects.toThrow(/token 1 is -1/);
    await expect(model.generate([1], { stopTokens: [96] })).rejects.toThrow(/stop token is 96/);
    await model.dispose();
    await expect(loadLanguageModel(folder, { device, requireTokenizer: true })).rejects.toMatchObject({
      code: 'data',
    });
  });

  it("stops at the config's tokens, at generation_config's and at the tokenizer's end token", async () => {
    const tokenizer = trainBpe(['a b c d'.repeat(9)], { vocabSize: 262 });
    const end = tokenizer.idOf('<|im_end|>')!;
    const { config, weights } = tinyModel({ vocabSize: tokenizer.vocabSize, eosTokenIds: [7] });
    const { vocabSize: V, hiddenSize: D } = config;
    // Every token's embedding points along axis 0, and so does one row of the output matrix: that token is
    // the answer to everything.
    const embedding = Float32Array.from(weights.get('model.embed_tokens.weight')!.data);
    for (let id = 0; id < V; id++) embedding[id * D] = 50;
    const answerWith = async (token: number) => {
      const output = new Float32Array(V * D);
      output[token * D] = 1;
      const dir = join(root, `answers-${token}`);
      await saveCheckpoint(dir, {
        config,
        weights: new Map(weights)
          .set('model.embed_tokens.weight', { shape: [V, D], data: embedding })
          .set('lm_head.weight', { shape: [V, D], data: output }),
      });
      await saveTokenizer(dir, tokenizer, DEFAULT_TOKENIZER_CONFIG);
      await writeFile(join(dir, 'generation_config.json'), '{"eos_token_id": [7, 9]}');
      const model = await loadLanguageModel(dir, { device });
      expect(model.capabilities.chat).toBe(true);
      const completion = await model.generate([10, 11], { maxTokens: 3 });
      const more = await model.generate([10, 11], { maxTokens: 3, ignoreStopTokens: true });
      expect(more.tokens).toEqual([token, token, token]);
      await model.dispose();
      return completion;
    };
    for (const token of [7, 9, end]) {
      expect(await answerWith(token)).toMatchObject({ finishReason: 'stop', stopToken: token, tokens: [] });
    }
    expect(await answerWith(20)).toMatchObject({ finishReason: 'length', tokens: [20, 20, 20] });
  });

  it('refuses a folder whose weights are not those of its config', async () => {
    await saveCheckpoint(folder, tinyModel());
    const other = tinyConfig({ hiddenSize: 32 });
    const { toHuggingFaceConfig } = await import('../../src/model/config.ts');
    await writeFile(
      join(folder, 'config.json'),
      JSON.stringify(toHuggingFaceConfig(other, { dtype: 'float32' })),
    );
    await expect(loadLanguageModel(folder, { device })).rejects.toMatchObject({ code: 'format' });
    await expect(loadLanguageModel(join(root, 'nothing'), { device })).rejects.toMatchObject({
      code: expect.stringMatching(/disk|format|data|config/),
    });
  });
});

describe('creating a model refuses', () => {
  it('weights, stop tokens and limits that do not fit', async () => {
    const { config, weights } = tinyModel();
    const without: Weights = new Map([...weights].filter(([name]) => name !== 'lm_head.weight'));
    const bad = { ...config, maxPositionEmbeddings: 0 };
    await expect(createLanguageModel({ config, weights: without, device })).rejects.toThrow(
      /"lm_head.weight" is missing/,
    );
    await expect(createLanguageModel({ config: bad, weights, device })).rejects.toMatchObject({
      code: 'config',
    });
    await expect(createLanguageModel({ config, weights, device, stopTokens: [96] })).rejects.toThrow(
      /Stop token 96/,
    );
    await expect(createLanguageModel({ config, weights, device, maxBatchSize: 0 })).rejects.toThrow(
      /maxBatchSize is 0/,
    );
  });
});

describe('the engine', () => {
  it('refuses a request whose cache exceeds the limit, and goes on with the others', async () => {
    const { config, weights } = tinyModel();
    const bytesPerPosition = 4 * (2 * config.numLayers * config.numKvHeads * config.headDim + 1);
    const model = await createLanguageModel({
      config,
      weights,
      device,
      maxCacheBytes: 64 * bytesPerPosition,
    });
    const long = model.generate([1, 2, 3], { maxTokens: 100 });
    const short = model.generate([1, 2, 3], { maxTokens: 10 });
    await expect(long).rejects.toMatchObject({
      code: 'limit',
      message: expect.stringContaining('maxCacheBytes'),
    });
    expect((await short).tokens).toHaveLength(10);
    await model.dispose();
  });

  it('fails only the requests whose scores are not finite, and leaves nothing of them behind', async () => {
    const { config, weights } = tinyModel();
    const D = config.hiddenSize;
    const embedding = Float32Array.from(weights.get('model.embed_tokens.weight')!.data);
    // Token 50 poisons every sequence that holds it.
    embedding.fill(Number.NaN, 50 * D, 51 * D);
    const poisoned = new Map(weights).set('model.embed_tokens.weight', {
      shape: [config.vocabSize, D],
      data: embedding,
    });
    const clean = await createLanguageModel({ config, weights, device });
    const model = await createLanguageModel({ config, weights: poisoned, device, maxBatchSize: 3 });
    // Longer than the others, so that its numbers would lie in masked places of the next one's slot.
    const poisonTail = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    const prompts = Array.from({ length: 9 }, (_, i) =>
      i % 3 === 1 ? [4, 50, i, ...poisonTail] : [4, 5, i],
    );
    const options = { maxTokens: 6, stopTokens: [50] };
    const results = await Promise.allSettled(prompts.map((prompt) => model.generate(prompt, options)));
    for (const [i, result] of results.entries()) {
      if (i % 3 === 1) {
        expect(result).toMatchObject({ status: 'rejected', reason: { code: 'not-finite' } });
      } else {
        const want = await clean.generate(prompts[i]!, options);
        expect(result).toMatchObject({ status: 'fulfilled', value: { tokens: want.tokens } });
      }
    }
    await model.dispose();
    await clean.dispose();
  });

  it('tells every waiting request when the device fails, and works again afterwards', async () => {
    let isBroken = false;
    const flaky: Device = {
      ...device,
      compile: async (outputs, options) => {
        const executable = await device.compile(outputs, options);
        const run: typeof executable.run = (feeds, names) => {
          if (isBroken) throw new Error('the device is gone');
          return executable.run(feeds, names);
        };
        return {
          program: executable.program,
          run,
          endProfiling: () => executable.endProfiling(),
          dispose: () => executable.dispose(),
        };
      },
    };
    const model = await createLanguageModel({ ...tinyModel(), device: flaky });
    const want = await model.generate([1, 2], { maxTokens: 5 });
    isBroken = true;
    const results = await Promise.allSettled(
      [1, 2, 3].map((id) => model.generate([id, 2], { maxTokens: 5 })),
    );
    for (const result of results) {
      expect(result).toMatchObject({ status: 'rejected', reason: { message: 'the device is gone' } });
    }
    isBroken = false;
    expect((await model.generate([1, 2], { maxTokens: 5 })).tokens).toEqual(want.tokens);
    await model.dispose();
  });

  it('lets timers run while it decodes, so that a timeout can stop it', async () => {
    const model = await createLanguageModel({ ...tinyModel({ maxPositionEmbeddings: 200_000 }), device });
    const { finishReason, tokens } = await model.generate([1, 2], {
      maxTokens: 150_000,
      signal: AbortSignal.timeout(150),
    });
    expect(finishReason).toBe('cancelled');
    expect(tokens.length).toBeGreaterThan(0);
    await model.dispose();
  });
});
