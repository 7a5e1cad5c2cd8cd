/**
 * One request has one answer, and its log-probabilities are equal to the bit: whatever runs beside it, in batches and
 * chunks of any size, on one thread and two, after its prompt was read before, and with a draft model guessing ahead.
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
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { tinyModel } from '../fixtures/models/random-model.ts';

const oneThread = cpuDevice({ numThreads: 1 });
const twoThreads = cpuDevice({ numThreads: 2 });
const VOCAB = 40;
const size = { vocabSize: VOCAB, hiddenSize: 16, intermediateSize: 24, maxPositionEmbeddings: 1600 };
const shapes: Record<string, Partial<TransformerConfig>> = {
  'grouped queries': { ...size, numHeads: 4, numKvHeads: 2 },
  'a key head for each query head': { ...size, numHeads: 3, numKvHeads: 3, numLayers: 1 },
  'one key head of size 10': { ...size, numHeads: 4, numKvHeads: 1, headDim: 10, numLayers: 1 },
};

type Limits = Omit<CreateLanguageModelOptions, 'config' | 'weights' | 'device'>;
type Request = readonly [prompt: number[], options: GenerateOptions];

function textOf(random: KeyedRandom, length: number): number[] {
  return Array.from({ length }, (_, i) => random.integer(i, VOCAB));
}

/** What must be equal to the bit: JSON writes numbers so that each is read as itself. */
const bits = ({ tokens, logprobs, finishReason }: Completion) =>
  JSON.stringify([tokens, finishReason, logprobs]);

/** Strangers of all lengths; some begin like `prompt`. */
function strangers(count: number, seed: number, prompt: readonly number[]): Request[] {
  return Array.from({ length: count }, (_, i) => {
    const random = new KeyedRandom(seed).fork(`stranger ${i}`);
    const own = textOf(random, 1 + random.integer(1000, 70));
    const shared = prompt.slice(0, random.integer(1001, prompt.length + 1));
    return [
      i % 3 === 0 ? [...shared, ...own] : own,
      { maxTokens: 1 + random.integer(1002, 30), temperature: i % 2, seed: i },
    ];
  });
}

/** The same requests in an order of the seed's. */
function shuffled(requests: readonly Request[], seed: number): Request[] {
  const random = new KeyedRandom(seed);
  return requests
    .map((request, i) => ({ request, at: random.uniform(i) }))
    .sort((a, b) => a.at - b.at)
    .map(({ request }) => request);
}

describe.each(Object.entries(shapes))('a model with %s', (_, shape) => {
  const model = tinyModel(shape, 3);
  const draft = tinyModel({ ...shape, numLayers: 1 }, 9);
  const prompt = textOf(new KeyedRandom(1), 37);
  const options: GenerateOptions = { maxTokens: 14, temperature: 1, seed: 11, logprobs: 3 };

  async function on<Result>(
    limits: Limits,
    run: (one: Awaited<ReturnType<typeof createLanguageModel>>) => Promise<Result>,
    device = oneThread,
  ): Promise<Result> {
    const one = await createLanguageModel({ ...model, device, ...limits });
    try {
      return await run(one);
    } finally {
      await one.dispose();
    }
  }

  const alone = on({ maxBatchSize: 1, prefixCacheBytes: 0 }, (one) => one.generate(prompt, options)).then(
    bits,
  );

  const settings: [string, Limits, typeof oneThread][] = [
    ['batches of 1, chunks of 1', { maxBatchSize: 1, chunkLength: 1 }, oneThread],
    ['batches of 2, no prefix cache', { maxBatchSize: 2, prefixCacheBytes: 0 }, oneThread],
    ['batches of 5, chunks of 5', { maxBatchSize: 5, chunkLength: 5 }, oneThread],
    ['batches of 32', { maxBatchSize: 32 }, oneThread],
    ['batches of 9, 2 threads', { maxBatchSize: 9, prefixCacheBytes: 0 }, twoThreads],
    ['batches of 32, 2 threads, chunks of 16', { maxBatchSize: 32, chunkLength: 16 }, twoThreads],
    ['batches of 7 with a draft model', { maxBatchSize: 7, draft }, oneThread],
    ['batches of 16 with a draft model, 2 threads', { maxBatchSize: 16, draft, chunkLength: 9 }, twoThreads],
  ];
  it.each(settings)('has one answer: %s', async (name, limits, device) => {
    const seed = name.length;
    const same: Request[] = Array.from({ length: 42 }, () => [prompt, options]);
    const requests = shuffled([...same, ...strangers(12, seed, prompt)], seed);
    await on(
      limits,
      async (one) => {
        const all = await one.generateMany(
          requests.map(([text]) => text),
          requests.map(([, given]) => given),
        );
        const answers = all.filter((_, i) => requests[i]![0] === prompt);
        expect(answers).toHaveLength(42);
        expect([...new Set(answers.map(bits))]).toEqual([await alone]);
      },
      device,
    );
  });

  it('goes on from any place of its answer as it did, and scores what it wrote as it did', async () => {
    const greedy = { maxTokens: 16, logprobs: 2 };
    await on({}, async (one) => {
      const whole = await one.generate(prompt, greedy);
      const rest = await one.generateMany(
        whole.tokens.map((_, at) => [...prompt, ...whole.tokens.slice(0, at)]),
        whole.tokens.map((_, at) => ({ ...greedy, maxTokens: 16 - at })),
      );
      for (const [at, one] of rest.entries()) {
        expect(one.tokens).toEqual(whole.tokens.slice(at));
        expect(one.logprobs).toEqual(whole.logprobs!.slice(at));
      }
      const scored = await one.generate([...prompt, ...whole.tokens, 0], { maxTokens: 1, promptLogprobs: 2 });
      expect(scored.promptLogprobs!.slice(prompt.length - 1, -1)).toEqual(whole.logprobs);
    });
  });
});

describe('long contexts', () => {
  const model = tinyModel({ ...shapes['grouped queries'], numLayers: 1 }, 5);
  const draft = tinyModel({ ...shapes['grouped queries'], numLayers: 1 }, 6);
  const long = textOf(new KeyedRandom(2), 1400);

  it('of 1,500 positions have one answer, read at once, in chunks, beside others, or known before', async () => {
    const options: GenerateOptions = { maxTokens: 100, temperature: 1, seed: 1, logprobs: 1 };
    const answers: string[] = [];
    for (const limits of [
      { prefixCacheBytes: 0 },
      { chunkLength: 50, maxBatchSize: 4 },
      { chunkLength: 700, maxBatchSize: 8, draft },
    ] satisfies Limits[]) {
      const one = await createLanguageModel({ ...model, device: oneThread, ...limits });
      const company = one.generateMany(...both(strangers(12, 4, long)));
      answers.push(bits(await one.generate(long, options)));
      await company;
      answers.push(bits(await one.generate(long, options)));
      await one.dispose();
    }
    expect(new Set(answers).size).toBe(1);
    expect(JSON.parse(answers[0]!)[0]).toHaveLength(100);
  });

  it('that grow from one token to 1,500 while others come and go have one answer', async () => {
    const options: GenerateOptions = { maxTokens: 1500, temperature: 1, seed: 2, logprobs: 0 };
    const one = await createLanguageModel({ ...model, device: oneThread, maxBatchSize: 6 });
    const alone = bits(await one.generate([7], options));
    one.clearPrefixCache();
    const growing = one.generate([7], options);
    for (let i = 0; i < 5; i++) await one.generateMany(...both(strangers(8, i, [7])));
    expect(bits(await growing) === alone).toBe(true);
    expect(JSON.parse(alone)[0]).toHaveLength(1500);
    await one.dispose();
  });
});

function both(requests: readonly Request[]): [number[][], GenerateOptions[]] {
  return [requests.map(([prompt]) => prompt), requests.map(([, options]) => options)];
}
