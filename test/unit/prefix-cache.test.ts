/** Prompts that begin alike are read once: what is found, what is kept, what goes, and that no answer changes. */
import { describe, expect, it } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import { type Completion, createLanguageModel, type GenerateOptions } from '../../src/decode/index.ts';
import { PrefixCache } from '../../src/decode/prefix-cache.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { tinyModel } from '../fixtures/models/random-model.ts';

const device = cpuDevice({ numThreads: 1 });
const model = tinyModel({ maxPositionEmbeddings: 600 }, 3);
const { numLayers, numKvHeads, headDim } = model.config;
/** Keys and values of one block of 16 tokens. */
const BLOCK_BYTES = 16 * 2 * numLayers * numKvHeads * headDim * 4;

const textOf = (seed: number, length: number) =>
  Array.from({ length }, (_, i) => new KeyedRandom(seed).integer(i, 96));
const options: GenerateOptions = { maxTokens: 5, temperature: 1, seed: 4, logprobs: 2 };
const bits = ({ tokens, logprobs }: Completion) => JSON.stringify([tokens, logprobs]);

describe('the tree of blocks', () => {
  /** Numbers that say which token they belong to. */
  const extractOf = (tokens: Int32Array, asked: number[]) => (start: number, count: number) => {
    asked.push(start);
    return Float32Array.from(tokens.subarray(start, start + count));
  };
  const ids = (...parts: number[][]) => Int32Array.from(parts.flat());
  const run = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

  it('finds the longest known beginning, also within a block, and never more than asked', () => {
    const cache = new PrefixCache(1e6);
    const tokens = ids(run(0, 50));
    const asked: number[] = [];
    cache.insert(tokens, 50, extractOf(tokens, asked));
    expect(asked).toEqual([0, 16, 32]);
    expect(cache.use).toMatchObject({ blocks: 3, sizeBytes: 3 * 16 * 4 });
    const found = (wanted: Int32Array, most = wanted.length - 1) => cache.match(wanted, most).length;
    expect(found(tokens)).toBe(48);
    expect(found(tokens, 47)).toBe(47);
    expect(found(tokens, 0)).toBe(0);
    expect(found(ids(run(0, 20), [99], run(21, 20)))).toBe(20);
    expect(found(ids(run(0, 16)))).toBe(15);
    expect(found(ids(run(1, 30)))).toBe(0);
    const { blocks } = cache.match(tokens, 37);
    expect(blocks.map(({ count }) => count)).toEqual([16, 16, 5]);
    expect(blocks.map(({ rows }) => rows[0])).toEqual([0, 16, 32]);
    expect(cache.use.tokensSaved).toBe(48 + 47 + 20 + 15 + 37);
  });

  it('branches where texts part, and asks only for blocks that are new', () => {
    const cache = new PrefixCache(1e6);
    const first = ids(run(0, 32));
    const second = ids(run(0, 16), run(60, 16));
    const third = ids(run(0, 20), run(60, 12));
    for (const [tokens, news] of [
      [first, [0, 16]],
      [second, [16]],
      [third, [16]],
      [first, []],
    ] as const) {
      const asked: number[] = [];
      cache.insert(tokens, 32, extractOf(tokens, asked));
      expect(asked).toEqual(news);
    }
    // Of blocks that begin alike the one that agrees longest counts.
    const match = cache.match(ids(run(0, 20), run(60, 30)), 49);
    expect(match.length).toBe(32);
    expect([...match.blocks[1]!.rows]).toEqual([...run(16, 4), ...run(60, 12)]);
  });

  it('drops what was not used for longest, leaves first, and stays within its bytes', () => {
    const cache = new PrefixCache(4 * 16 * 4);
    const known = (tokens: Int32Array) => {
      // A look without a touch: the count of tokens found, through a match that counts as use.
      return cache.match(tokens, tokens.length).length;
    };
    const a = ids(run(0, 32));
    const b = ids(run(100, 32));
    cache.insert(a, 32, extractOf(a, []));
    cache.insert(b, 32, extractOf(b, []));
    expect(cache.use.blocks).toBe(4);
    expect(known(a)).toBe(32);
    const c = ids(run(200, 16));
    cache.insert(c, 16, extractOf(c, []));
    expect(cache.use).toMatchObject({ blocks: 4, sizeBytes: 4 * 16 * 4 });
    expect(known(b)).toBe(16);
    expect(known(a)).toBe(32);
    expect(known(c)).toBe(16);
    // A text larger than the whole cache keeps its beginning, which is what others share.
    const long = ids(run(300, 160));
    cache.insert(long, 160, extractOf(long, []));
    expect(cache.use).toMatchObject({ blocks: 4, sizeBytes: 4 * 16 * 4 });
    expect(known(long)).toBe(64);
    cache.clear();
    expect(cache.use).toMatchObject({ blocks: 0, sizeBytes: 0 });
    expect(known(long)).toBe(0);
  });

  it('keeps no number that is not finite, nor what comes after it', () => {
    const cache = new PrefixCache(1e6);
    const tokens = ids(run(0, 48));
    cache.insert(tokens, 48, (start) => Float32Array.of(start === 16 ? Number.NaN : 1));
    expect(cache.match(tokens, 48).length).toBe(16);
    const other = ids(run(100, 16));
    cache.insert(other, 16, () => Float32Array.of(Number.POSITIVE_INFINITY));
    expect(cache.match(other, 16).length).toBe(0);
  });

  it('of 0 bytes keeps nothing and asks for nothing', () => {
    const cache = new PrefixCache(0);
    cache.insert(ids(run(0, 32)), 32, () => {
      throw new Error('asked');
    });
    expect(cache.isOn).toBe(false);
    expect(cache.use).toMatchObject({ blocks: 0, sizeBytes: 0 });
  });
});

describe('a model', () => {
  it('reads what 100 requests share once, counts what it saved, and answers as if it had read all', async () => {
    const shared = textOf(1, 400);
    const prompts = Array.from({ length: 100 }, (_, i) => [...shared, ...textOf(100 + i, 10)]);
    const plain = await createLanguageModel({ ...model, device, prefixCacheBytes: 0 });
    const want = await plain.generateMany(prompts, options);
    expect(plain.use).toMatchObject({ prefixTokensSaved: 0, prefixCacheBytes: 0 });
    await plain.dispose();
    for (const limits of [{}, { maxBatchSize: 7 }, { chunkLength: 33 }]) {
      const one = await createLanguageModel({ ...model, device, ...limits });
      const answers = await Promise.all(prompts.map((prompt) => one.generate(prompt, options)));
      expect(answers.map(bits)).toEqual(want.map(bits));
      // All but the first find the 400 tokens; some find more, of one that ended before.
      expect(one.use.prefixTokensSaved).toBeGreaterThanOrEqual(99 * 400);
      expect(one.use.prefixTokensSaved).toBeLessThan(99 * 410);
      await one.dispose();
    }
  });

  it('finds answers too, and parts of blocks', async () => {
    const one = await createLanguageModel({ ...model, device });
    const prompt = textOf(2, 30);
    const saved = async (text: number[]) => {
      const before = one.use.prefixTokensSaved;
      await one.generate(text, options);
      return one.use.prefixTokensSaved - before;
    };
    const { tokens } = await one.generate(prompt, { maxTokens: 40 });
    expect(one.use.prefixTokensSaved).toBe(0);
    // 69 places are known: the last token was never read. Whole blocks are kept.
    expect(await saved([...prompt, ...tokens, 1])).toBe(64);
    expect(await saved([...prompt, ...tokens].slice(0, 41))).toBe(40);
    expect(await saved([...prompt.slice(0, 5), 95, 94])).toBe(5);
    expect(await saved(textOf(3, 20))).toBe(0);
    one.clearPrefixCache();
    expect(one.use.prefixCacheBytes).toBe(0);
    expect(await saved([...prompt, ...tokens, 1])).toBe(0);
    await one.dispose();
  });

  it('stays within its bytes and right while blocks go', async () => {
    const plain = await createLanguageModel({ ...model, device, prefixCacheBytes: 0 });
    const limit = 6 * BLOCK_BYTES + 5;
    const one = await createLanguageModel({ ...model, device, prefixCacheBytes: limit, maxBatchSize: 4 });
    const texts = Array.from({ length: 5 }, (_, i) => textOf(20 + i, 60));
    const random = new KeyedRandom(6);
    for (let round = 0; round < 12; round++) {
      const prompts = Array.from({ length: 6 }, (_, i) => {
        const text = texts[random.integer(100 * round + i, 5)]!;
        return text.slice(0, 1 + random.integer(100 * round + 50 + i, 60));
      });
      const answers = await one.generateMany(prompts, options);
      expect(one.use.prefixCacheBytes).toBeLessThanOrEqual(limit);
      expect(one.use.prefixCacheBytes % BLOCK_BYTES).toBe(0);
      expect(answers.map(bits)).toEqual((await plain.generateMany(prompts, options)).map(bits));
    }
    expect(one.use.prefixTokensSaved).toBeGreaterThan(100);
    expect(one.use.prefixCacheBytes).toBe(6 * BLOCK_BYTES);
    await one.dispose();
    await plain.dispose();
  });
});
