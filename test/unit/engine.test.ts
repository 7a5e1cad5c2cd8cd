/** The engine's limits, each with its numbers; fairness between reading and generating; and the memory it keeps. */
import { describe, expect, it } from 'vitest';
import type { Decoder, DecoderInput, DecoderOutput, DecoderReadInput } from '../../src/decode/decoder.ts';
import { DecodeEngine, type EngineLimits } from '../../src/decode/engine.ts';
import { createLanguageModel } from '../../src/decode/index.ts';
import type { Sequence } from '../../src/decode/sequence.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { tinyConfig, tinyModel } from '../fixtures/models/random-model.ts';

const device = cpuDevice({ numThreads: 1 });
const model = tinyModel({ maxPositionEmbeddings: 1000 }, 2);
const { numLayers, numKvHeads, headDim } = model.config;
const BYTES_PER_POSITION = 4 * (2 * numLayers * numKvHeads * headDim + 1);
const text = (length: number, first = 0) => Array.from({ length }, (_, i) => (first + 7 * i) % 96);

describe('the queue', () => {
  it('refuses what it has no room for, and answers the rest', async () => {
    const one = await createLanguageModel({ ...model, device, maxQueueLength: 3, maxBatchSize: 2 });
    const all = Promise.allSettled(Array.from({ length: 7 }, () => one.generate([1, 2], { maxTokens: 4 })));
    expect(one.use).toMatchObject({ numWaiting: 3, numRunning: 0 });
    const results = await all;
    expect(results.map(({ status }) => status)).toEqual([
      ...new Array(3).fill('fulfilled'),
      ...new Array(4).fill('rejected'),
    ]);
    expect(results[3]).toMatchObject({
      reason: {
        code: 'limit',
        message:
          '3 requests are waiting, as many as the queue takes (maxQueueLength). Try again later, or raise the limit.',
      },
    });
    // Room again.
    expect((await one.generate([1, 2], { maxTokens: 4 })).tokens).toHaveLength(4);
    await one.dispose();
  });

  it('cancels the others of generateMany when one of them finds no room', async () => {
    const one = await createLanguageModel({ ...model, device, maxQueueLength: 3, maxBatchSize: 2 });
    const prompts = Array.from({ length: 5 }, () => [1, 2]);
    await expect(one.generateMany(prompts, { maxTokens: 900 })).rejects.toMatchObject({ code: 'limit' });
    await one.generate([3], { maxTokens: 1 });
    // 900 tokens of the first three were not generated.
    expect(one.use).toMatchObject({ numRunning: 0, numWaiting: 0 });
    expect(one.use.numSteps).toBeLessThan(20);
    await one.dispose();
  });
});

describe('the cache', () => {
  it('that is too small for a request says how much it would need', async () => {
    const maxCacheBytes = 200 * BYTES_PER_POSITION;
    const one = await createLanguageModel({ ...model, device, maxCacheBytes });
    await expect(one.generate(text(150), { maxTokens: 60 })).rejects.toMatchObject({
      code: 'limit',
      message:
        `A prompt of 150 tokens with maxTokens 60 needs a cache of ${256 * BYTES_PER_POSITION} bytes; the limit is ` +
        `${maxCacheBytes} (maxCacheBytes). Lower maxTokens or raise the limit.`,
    });
    expect((await one.generate(text(150), { maxTokens: 42 })).tokens).toHaveLength(42);
    await one.dispose();
  });

  it('never takes more than its limit, whatever came before', async () => {
    const maxCacheBytes = 640 * BYTES_PER_POSITION;
    const one = await createLanguageModel({ ...model, device, maxCacheBytes, prefixCacheBytes: 0 });
    let most = 0;
    let mostRunning = 0;
    const watch = async (answers: Promise<unknown>) => {
      let isDone = false;
      const end = answers.finally(() => {
        isDone = true;
      });
      while (!isDone) {
        most = Math.max(most, one.use.cacheBytes);
        mostRunning = Math.max(mostRunning, one.use.numRunning);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await end;
    };
    for (let round = 0; round < 3; round++) {
      await watch(one.generate(text(600), { maxTokens: 30 }));
      expect(one.use.cacheBytes).toBe(640 * BYTES_PER_POSITION);
      // Short texts after a long one: its room is not multiplied by their number.
      await watch(
        one.generateMany(
          Array.from({ length: 30 }, (_, i) => [i, 2]),
          { maxTokens: 40 },
        ),
      );
      const mixed = Array.from({ length: 12 }, (_, i) => text(i % 4 === 0 ? 500 : 20, i));
      await watch(one.generateMany(mixed, { maxTokens: 20 }));
    }
    expect(mostRunning).toBe(10);
    expect(most).toBeLessThanOrEqual(maxCacheBytes);
    await one.dispose();
    expect(one.use.cacheBytes).toBe(0);
  });
});

describe('the context', () => {
  it('refuses a prompt that fills it, with both numbers, and ends an answer where it ends', async () => {
    const one = await createLanguageModel({ ...tinyModel({ maxPositionEmbeddings: 100 }), device });
    for (const length of [100, 101, 5000]) {
      await expect(one.generate(text(length))).rejects.toMatchObject({
        code: 'limit',
        message:
          `The prompt has ${length} tokens; the model's context is 100, of which at least one must be left for ` +
          'the answer. Shorten the prompt.',
      });
    }
    const { tokens, finishReason } = await one.generate(text(99), { maxTokens: 50 });
    expect([tokens.length, finishReason]).toEqual([1, 'length']);
    expect((await one.generate(text(60), { maxTokens: 50 })).tokens).toHaveLength(40);
    await one.dispose();
  });
});

describe('a long prompt', () => {
  it.each([
    [32, 18, 60],
    [1000, 0, 4],
  ])('in chunks of %i lets running answers go on for at least %i steps', async (chunkLength, least, most) => {
    const one = await createLanguageModel({ ...model, device, chunkLength, prefixCacheBytes: 0 });
    const counts = [0, 0, 0];
    let isRead = false;
    const streams = counts.map(async (_, i) => {
      let during = 0;
      for await (const { tokens } of one.stream([i, 5], { maxTokens: 300 })) {
        counts[i]! += tokens.length;
        if (isSubmitted && !isRead) during += tokens.length;
      }
      return during;
    });
    let isSubmitted = false;
    while (Math.min(...counts) < 20) await new Promise((resolve) => setTimeout(resolve));
    const { numSteps } = one.use;
    const long = one.generate(text(600), { maxTokens: 1 });
    isSubmitted = true;
    await long;
    isRead = true;
    const steps = one.use.numSteps - numSteps;
    expect(steps).toBeGreaterThanOrEqual(least);
    expect(steps).toBeLessThan(most);
    for (const during of await Promise.all(streams)) expect(during).toBeGreaterThanOrEqual(least);
    await one.dispose();
  });
});

/** A decoder without a model: it counts what it is asked, and every token is followed by the next id. */
function standIn(overrides: Parameters<typeof tinyConfig>[0] = {}) {
  const config = tinyConfig(overrides);
  const reads: { numRows: number; length: number; numWanted: number }[] = [];
  const answer = ({ numRows, length }: DecoderInput, lasts: number[]): DecoderOutput => {
    const logits = new Float32Array(lasts.length * config.vocabSize);
    for (const [i, id] of lasts.entries()) logits[i * config.vocabSize + ((id + 1) % config.vocabSize)] = 1;
    const { numLayers: L, numKvHeads: K, headDim: C } = config;
    return { logits, present: new Float32Array(2 * L * numRows * K * length * C) };
  };
  const decoder = {
    config,
    ensurePositions: async () => {},
    dispose: async () => {},
    step: async (batch: DecoderInput) => answer(batch, [...batch.ids]),
    read: async (batch: DecoderReadInput) => {
      reads.push({ numRows: batch.numRows, length: batch.length, numWanted: batch.wanted.length });
      return answer(
        batch,
        Array.from(batch.wanted, (place) => batch.ids[place]!),
      );
    },
  };
  return { decoder: decoder as unknown as Decoder, reads };
}

function sequenceOf(prompt: readonly number[], maxTokens: number, readsPrompt = false) {
  const tokens: number[] = [];
  let numScored = 0;
  let end!: () => void;
  let fail!: (error: unknown) => void;
  const ended = new Promise<void>((resolve, reject) => {
    end = resolve;
    fail = reject;
  });
  const sequence: Sequence = {
    prompt: Int32Array.from(prompt),
    maxTokens,
    isCancelled: false,
    readsPrompt,
    readPlace: () => {
      numScored++;
    },
    next: (logits) => {
      const token = logits.indexOf(1);
      tokens.push(token);
      if (tokens.length < maxTokens) return token;
      end();
      return undefined;
    },
    cancel: end,
    fail,
  };
  return { sequence, tokens, ended, numScored: () => numScored };
}

const LIMITS: EngineLimits = {
  maxBatchSize: 64,
  maxQueueLength: 1000,
  maxCacheBytes: 2 ** 32,
  prefixCacheBytes: 0,
  chunkLength: 256,
};

describe('an engine', () => {
  it('gives a large cache back when nothing runs any more', async () => {
    const { decoder } = standIn({ numLayers: 8, numKvHeads: 4, headDim: 64 });
    const engine = new DecodeEngine(decoder, LIMITS);
    // 16 KiB a position: 4,200 of them are more than an idle engine keeps.
    const long = sequenceOf(text(4200), 3);
    engine.submit([long.sequence]);
    await long.ended;
    expect(engine.use.cacheBytes).toBeGreaterThan(2 ** 26);
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(engine.use.cacheBytes).toBe(0);
    const short = sequenceOf([1], 3);
    engine.submit([short.sequence]);
    await short.ended;
    expect(short.tokens).toEqual([2, 3, 4]);
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(engine.use.cacheBytes).toBe(64 * 4 * (2 * 8 * 4 * 64 + 1));
    await engine.dispose();
  });

  it('reads a prompt whose every score is wanted in runs that fit memory, however large the vocabulary', async () => {
    const { decoder, reads } = standIn({ vocabSize: 1_000_000 });
    const engine = new DecodeEngine(decoder, LIMITS);
    const scored = sequenceOf(text(150), 1, true);
    engine.submit([scored.sequence]);
    await scored.ended;
    expect(scored.numScored()).toBe(149);
    expect(reads.reduce((sum, { numWanted }) => sum + numWanted, 0)).toBe(150);
    for (const { numWanted } of reads) expect(numWanted * 1_000_000).toBeLessThanOrEqual(2 ** 26);
    await engine.dispose();
  });

  it('reads many long prompts in runs that fit memory, and short ones together', async () => {
    const { decoder, reads } = standIn({ numHeads: 32, numKvHeads: 1, headDim: 2, numLayers: 1 });
    const engine = new DecodeEngine(decoder, LIMITS);
    const long = Array.from({ length: 4 }, (_, i) => sequenceOf(text(9000, i), 1));
    engine.submit(long.map(({ sequence }) => sequence));
    await Promise.all(long.map(({ ended }) => ended));
    for (const { numRows, length } of reads) {
      expect(numRows * length * 32 * 9024).toBeLessThanOrEqual(2 ** 26);
    }
    reads.length = 0;
    const short = Array.from({ length: 8 }, (_, i) => sequenceOf(text(500, i), 2));
    engine.submit(short.map(({ sequence }) => sequence));
    await Promise.all(short.map(({ ended }) => ended));
    expect(reads).toEqual([{ numRows: 8, length: 500, numWanted: 8 }]);
    await engine.dispose();
  });

  it('tells everything that runs or waits when it is disposed', async () => {
    const { decoder } = standIn();
    const engine = new DecodeEngine(decoder, { ...LIMITS, maxBatchSize: 2 });
    const many = Array.from({ length: 5 }, () => sequenceOf([1, 2], 1e6));
    engine.submit(many.map(({ sequence }) => sequence));
    const ends = Promise.allSettled(many.map(({ ended }) => ended));
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(engine.use).toMatchObject({ numRunning: 2, numWaiting: 3 });
    await engine.dispose();
    for (const end of await ends)
      expect(end).toMatchObject({ status: 'rejected', reason: { code: 'usage' } });
    expect(engine.use).toMatchObject({ numRunning: 0, numWaiting: 0, cacheBytes: 0 });
    const late = sequenceOf([1], 1);
    engine.submit([late.sequence]);
    await expect(late.ended).rejects.toMatchObject({ code: 'usage' });
  });
});
