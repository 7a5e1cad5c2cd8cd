/**
 * Requests that go wrong beside healthy ones: each fails alone with its reason, and the healthy answers are, to the
 * bit, those that the model gives without them. Damaged weights make the scores of some requests NaN.
 */
import { describe, expect, it } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import {
  type Completion,
  type CreateLanguageModelOptions,
  createLanguageModel,
  type GenerateOptions,
} from '../../src/decode/index.ts';
import type { TransformerConfig } from '../../src/model/config.ts';
import type { MixedWeights } from '../../src/model/quantized.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { tinyModel } from '../fixtures/models/random-model.ts';

const device = cpuDevice({ numThreads: 1 });
const POISON = 50;
const shapes: Record<string, Partial<TransformerConfig>> = {
  'grouped queries': { numKvHeads: 2 },
  'one key head of size 10': { numKvHeads: 1, headDim: 10, numLayers: 1 },
};

/** The model with NaN in one row of a matrix. */
function damaged({ weights }: { weights: MixedWeights }, name: string, row: number): MixedWeights {
  const { shape, data } = weights.get(name) as { shape: number[]; data: Float32Array };
  const copy = Float32Array.from(data);
  copy.fill(Number.NaN, row * shape[1]!, (row + 1) * shape[1]!);
  return new Map(weights).set(name, { shape, data: copy });
}

function textOf(random: KeyedRandom, length: number, start: readonly number[] = []): number[] {
  return [...start, ...Array.from({ length: length - start.length }, (_, i) => random.integer(i, POISON))];
}

/** What must be equal to the bit. */
const bits = ({ tokens, logprobs }: Completion) => ({ tokens, logprobs });

describe.each(Object.entries(shapes))('a model with %s', (_, shape) => {
  const model = tinyModel(shape);
  const random = new KeyedRandom(8);
  const shared = textOf(random.fork('shared'), 40);
  const requests = Array.from({ length: 60 }, (_, i) => {
    const own = random.fork(`request ${i}`);
    const length = 2 + own.integer(100, i % 4 === 0 ? 90 : 25);
    const prompt = textOf(own, length, i % 3 === 0 ? shared.slice(0, length - 1) : []);
    const options: GenerateOptions = {
      maxTokens: 1 + own.integer(101, 24),
      temperature: i % 2,
      seed: i,
      logprobs: 2,
      bannedTokens: [POISON],
    };
    return { prompt, options };
  });
  const isPoisoned = (i: number) => i % 4 === 1 || i % 7 === 3;
  /** Poison in the middle of the prompt; some begin like healthy ones, some are long and read in many chunks. */
  const withPoison = requests.map(({ prompt, options }, i) => {
    if (!isPoisoned(i)) return { prompt, options };
    const at = random.fork('poison').integer(i, prompt.length);
    const tail = textOf(random.fork(`tail ${i}`), i % 2 ? 40 : 1);
    return { prompt: [...prompt.slice(0, at), POISON, ...prompt.slice(at + 1), ...tail], options };
  });

  async function healthyAnswers() {
    const clean = await createLanguageModel({ ...model, device, prefixCacheBytes: 0 });
    const answers: Completion[] = [];
    for (const { prompt, options } of requests) answers.push(await clean.generate(prompt, options));
    await clean.dispose();
    return answers;
  }
  const healthy = healthyAnswers();

  const limits: Record<string, Partial<CreateLanguageModelOptions>> = {
    'the default limits': {},
    'small batches, chunks of 7 tokens': { maxBatchSize: 5, chunkLength: 7 },
    'no prefix cache, chunks of 3 tokens': { maxBatchSize: 8, chunkLength: 3, prefixCacheBytes: 0 },
  };
  it.each(Object.entries(limits))('fails poisoned requests alone: %s', async (_, more) => {
    const weights = damaged(model, 'model.embed_tokens.weight', POISON);
    const one = await createLanguageModel({ ...model, weights, device, ...more });
    for (let round = 0; round < 2; round++) {
      const results = await Promise.allSettled(
        withPoison.map(({ prompt, options }) => one.generate(prompt, options)),
      );
      for (const [i, result] of results.entries()) {
        if (isPoisoned(i)) {
          expect(result).toMatchObject({ status: 'rejected', reason: { code: 'not-finite' } });
        } else {
          expect(result.status === 'fulfilled' ? bits(result.value) : result.reason, `request ${i}`).toEqual(
            bits((await healthy)[i]!),
          );
        }
      }
      expect(one.use).toMatchObject({ numRunning: 0, numWaiting: 0 });
    }
    // Alone again, in slots that poisoned ones had.
    for (const i of [0, 12]) {
      const { prompt, options } = requests[i]!;
      expect(bits(await one.generate(prompt, options))).toEqual(bits((await healthy)[i]!));
    }
    await one.dispose();
  });

  it('is not poisoned by cancelled requests whose prompt was half read', async () => {
    const weights = damaged(model, 'model.embed_tokens.weight', POISON);
    const one = await createLanguageModel({ ...model, weights, device, maxBatchSize: 4, chunkLength: 2 });
    const poison = Array.from({ length: 12 }, (_, i) => {
      const abort = new AbortController();
      setTimeout(() => abort.abort(), 3 * (i + 1));
      const prompt = [POISON, ...textOf(random.fork(`cancelled ${i}`), 120)];
      return one.generate(prompt, { signal: abort.signal, maxTokens: 4 }).catch(() => undefined);
    });
    const some = requests.slice(0, 30);
    const answers = await Promise.all(some.map(({ prompt, options }) => one.generate(prompt, options)));
    await Promise.all(poison);
    for (const [i, answer] of answers.entries()) expect(bits(answer)).toEqual(bits((await healthy)[i]!));
    await one.dispose();
  });
});

describe('a model whose scores of one token are NaN', () => {
  const model = tinyModel({}, 4);
  const weights = damaged(model, 'lm_head.weight', POISON);

  it('fails every request by name and place, also where the token may not be chosen', async () => {
    const one = await createLanguageModel({ ...model, weights, device });
    for (const options of [{}, { temperature: 1, allowedTokens: [1, 2, 3] }]) {
      await expect(one.generate([1, 2, 3], options)).rejects.toMatchObject({
        code: 'not-finite',
        message: expect.stringContaining('the logit of token 50 is NaN'),
      });
    }
    expect(one.use.numRunning).toBe(0);
    await one.dispose();
  });
});

describe('requests that cannot be sampled', () => {
  const model = tinyModel({}, 2);

  it('fail with the reason of their settings, in one batch with healthy ones', async () => {
    const one = await createLanguageModel({ ...model, device, maxBatchSize: 8 });
    const clean = await createLanguageModel({ ...model, device, maxBatchSize: 1 });
    const prompts = Array.from({ length: 24 }, (_, i) => textOf(new KeyedRandom(i), 3 + (i % 9)));
    const options = (i: number): GenerateOptions => ({
      maxTokens: 6 + (i % 5),
      temperature: 1,
      seed: i,
      logprobs: 1,
    });
    // A token that the vocabulary does not have is found out only where scores are at hand.
    const bad: GenerateOptions = { bannedTokens: Array.from({ length: 96 }, (_, id) => id) };
    const results = await Promise.allSettled(
      prompts.map((prompt, i) => one.generate(prompt, i % 3 === 2 ? bad : options(i))),
    );
    for (const [i, result] of results.entries()) {
      if (i % 3 === 2) expect(result).toMatchObject({ status: 'rejected', reason: { code: 'config' } });
      else {
        const want = await clean.generate(prompts[i]!, options(i));
        expect(result.status === 'fulfilled' ? bits(result.value) : result.reason).toEqual(bits(want));
      }
    }
    expect(one.use.numRunning).toBe(0);
    await one.dispose();
    await clean.dispose();
  });

  it('are refused before they run when a token id is none', async () => {
    const one = await createLanguageModel({ ...model, device });
    for (const id of [-1, 96, 1.5, Number.NaN]) {
      await expect(one.generate([1, id, 2])).rejects.toMatchObject({
        code: 'data',
        message: `The prompt's token 1 is ${id}; expected a whole number from 0 to 95.`,
      });
    }
    await expect(
      one.generateMany([
        [1, 2],
        [3, 400],
      ]),
    ).rejects.toMatchObject({ code: 'data' });
    expect(one.use).toMatchObject({ numRunning: 0, numWaiting: 0, numSteps: 0 });
    await one.dispose();
  });
});

describe('with a draft model', () => {
  it('a guess that the model would choke on changes nothing', async () => {
    // Few tokens, so that the draft model often guesses the one whose embedding is damaged.
    const shape = { vocabSize: 6, eosTokenIds: [] };
    const model = tinyModel(shape, 5);
    const draft = tinyModel({ ...shape, numLayers: 1 }, 6);
    const weights = damaged(model, 'model.embed_tokens.weight', 5);
    const plain = await createLanguageModel({ ...model, weights, device, prefixCacheBytes: 0 });
    const ahead = await createLanguageModel({ ...model, weights, device, draft });
    const prompts = Array.from({ length: 40 }, (_, i) =>
      Array.from({ length: 2 + (i % 11) }, (_, j) => new KeyedRandom(i).integer(j, 5)),
    );
    // The draft model has no such ban: it is the chain that has, in guessing too; a stop token has none.
    const options: GenerateOptions = { maxTokens: 20, logprobs: 1, stopTokens: [5] };
    const answers = await ahead.generateMany(prompts, options);
    for (const [i, prompt] of prompts.entries()) {
      expect(bits(answers[i]!), `prompt ${i}`).toEqual(bits(await plain.generate(prompt, options)));
    }
    expect(answers.filter(({ tokens }) => tokens.length > 3).length).toBeGreaterThan(10);
    await plain.dispose();
    await ahead.dispose();
  });
});
