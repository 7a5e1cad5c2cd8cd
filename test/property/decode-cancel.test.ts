/**
 * Requests given up at any time (waiting, while their prompt is read, while they generate, by a signal, by leaving a
 * stream, by the failure of a companion) leave nothing behind: no slot, no memory, no trace in other answers.
 */
import { describe, expect, it } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import {
  type Completion,
  type CreateLanguageModelOptions,
  createLanguageModel,
  type OnnxLanguageModel,
} from '../../src/decode/index.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { tinyModel } from '../fixtures/models/random-model.ts';

const device = cpuDevice({ numThreads: 1 });
const size = {
  vocabSize: 40,
  hiddenSize: 16,
  intermediateSize: 24,
  maxPositionEmbeddings: 400,
  numLayers: 1,
};
const model = tinyModel(size, 3);
const draft = tinyModel({ ...size, numKvHeads: 1 }, 4);
const NUM_CANCELLED = 250;

const bits = ({ tokens, logprobs }: Completion) => JSON.stringify([tokens, logprobs]);
const textOf = (random: KeyedRandom, length: number) =>
  Array.from({ length }, (_, i) => random.integer(i, size.vocabSize));
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

type Ended = 'cancelled' | 'left' | 'abandoned' | 'length';

/** Begins a request and gives it up in one of many ways; tells how it ended. */
async function giveUp(one: OnnxLanguageModel, kind: number, random: KeyedRandom): Promise<Ended> {
  const prompt = textOf(random.fork('prompt'), 1 + random.integer(1, 120));
  const when = random.integer(2, 60);
  const long = { maxTokens: 120, temperature: 1, seed: kind };
  switch (kind % 5) {
    case 0: {
      // While it waits, or while its prompt is read, or while it generates.
      const abort = new AbortController();
      setTimeout(() => abort.abort(), when);
      return (await one.generate(prompt, { ...long, signal: abort.signal })).finishReason as Ended;
    }
    case 1: {
      const { finishReason, tokens } = await one.generate(prompt, { ...long, signal: AbortSignal.abort() });
      expect([finishReason, tokens]).toEqual(['cancelled', []]);
      return 'cancelled';
    }
    case 2: {
      let numTokens = 0;
      const stream = one.stream(prompt, long);
      for await (const { tokens } of stream) {
        numTokens += tokens.length;
        if (numTokens > when % 30) break;
      }
      const { finishReason, tokens } = await stream.completion;
      expect(finishReason).toBe('cancelled');
      expect(tokens.length).toBeGreaterThanOrEqual(numTokens);
      return 'left';
    }
    case 3: {
      const abort = new AbortController();
      const answer = one.generate(prompt, { ...long, signal: abort.signal });
      if (when % 2) abort.abort();
      else queueMicrotask(() => abort.abort());
      return (await answer).finishReason as Ended;
    }
    default: {
      // Three at once, of which one cannot be sampled: the others are given up with it.
      const impossible = { allowedTokens: [1], bannedTokens: [1], dialect: 'hf' } as const;
      const failing = { maxTokens: 5, ...impossible };
      await expect(one.generateMany([prompt, [1, 2], prompt], [long, failing, long])).rejects.toMatchObject({
        code: 'config',
      });
      return 'abandoned';
    }
  }
}

describe.each([
  ['by default', {}],
  ['with few slots and small chunks', { maxBatchSize: 4, chunkLength: 8 }],
  ['without a prefix cache', { maxBatchSize: 9, chunkLength: 16, prefixCacheBytes: 0 }],
  ['with a draft model', { maxBatchSize: 6, draft, chunkLength: 20 }],
] satisfies [string, Omit<CreateLanguageModelOptions, 'config' | 'weights' | 'device'>][])(
  'requests given up %s',
  (name, limits) => {
    it('leave no slot, no queue and other answers as they are', async () => {
      const random = new KeyedRandom(1).fork(name);
      const healthy = Array.from({ length: 30 }, (_, i) => ({
        prompt: textOf(random.fork(`healthy ${i}`), 1 + random.integer(i, 60)),
        options: { maxTokens: 1 + random.integer(100 + i, 40), temperature: i % 2, seed: i, logprobs: 1 },
      }));
      const plain = await createLanguageModel({ ...model, device, maxBatchSize: 1, prefixCacheBytes: 0 });
      const want: string[] = [];
      for (const { prompt, options } of healthy) want.push(bits(await plain.generate(prompt, options)));
      await plain.dispose();

      const one = await createLanguageModel({ ...model, device, ...limits });
      const ends: Promise<Ended>[] = [];
      const answers: Promise<Completion>[] = [];
      for (let i = 0; i < NUM_CANCELLED; i++) {
        ends.push(giveUp(one, i, random.fork(`given up ${i}`)));
        if (i % 9 === 4 && answers.length < healthy.length) {
          const { prompt, options } = healthy[answers.length]!;
          answers.push(one.generate(prompt, options));
        }
        if (i % 25 === 0) await sleep(10);
      }
      const told = await Promise.all(ends);
      expect((await Promise.all(answers)).map(bits)).toEqual(want.slice(0, answers.length));
      // All but those that were faster than their end.
      expect(told.filter((end) => end === 'length').length).toBeLessThan(NUM_CANCELLED / 5);
      for (const end of ['cancelled', 'left', 'abandoned'] as const) expect(told).toContain(end);

      // The ones that were abandoned unseen end before the next answer.
      for (const [i, { prompt, options }] of healthy.entries()) {
        expect(bits(await one.generate(prompt, options)), `answer ${i} afterwards`).toBe(want[i]);
      }
      expect(one.use).toMatchObject({ numRunning: 0, numWaiting: 0 });
      const { numLayers, numKvHeads, headDim } = model.config;
      const bytesPerPosition = 4 * (2 * numLayers * numKvHeads * headDim + 1);
      // What an idle engine keeps: at most the slots it had, at the length of the last answers.
      const { maxBatchSize = 64 } = limits as { maxBatchSize?: number };
      expect(one.use.cacheBytes).toBeLessThanOrEqual(maxBatchSize * 128 * bytesPerPosition);
      await one.dispose();
      expect(one.use).toMatchObject({ cacheBytes: 0, prefixCacheBytes: 0 });
    });
  },
);
