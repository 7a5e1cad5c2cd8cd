/** Log-probabilities of a prompt's own tokens: those of the whole model, however the prompt is read. */
import { afterAll, describe, expect, it } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import { createLanguageModel, type PositionLogprobs } from '../../src/decode/index.ts';
import type { TransformerConfig } from '../../src/model/config.ts';
import { causalMask, logits, transformer } from '../../src/model/transformer.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { input } from '../../src/tensor/index.ts';
import { type ChatMessage, chatMl, encodeChat } from '../../src/tokenizer/index.ts';
import { tinyChatModel } from '../fixtures/backends/tiny-gguf.ts';
import { tinyModel } from '../fixtures/models/random-model.ts';

const device = cpuDevice({ numThreads: 1 });
const T = 120;
const shapes: Record<string, Partial<TransformerConfig>> = {
  'grouped queries': { numKvHeads: 2 },
  'a key head for each query head': { numKvHeads: 4, numLayers: 1 },
  'one key head of size 10': { numKvHeads: 1, headDim: 10, numLayers: 1 },
};

/** All log-probabilities at all places of texts, by the whole model without a cache, in double precision. */
async function slowLogprobs(
  { config, weights }: ReturnType<typeof tinyModel>,
  texts: readonly ArrayLike<number>[],
): Promise<number[][][]> {
  const parameters = Object.fromEntries([...weights].map(([name, { shape }]) => [name, input(name, shape)]));
  const inputs = {
    idsBT: input('ids', [1, T], 'int32'),
    positionsBT: input('positions', [1, T], 'int64'),
    maskTT: causalMask(T),
  };
  const { hiddenND } = transformer(parameters, config, inputs, { maxPositions: T });
  const program = await device.compile({ y: logits(parameters, config, hiddenND) });
  const all: number[][][] = [];
  for (const text of texts) {
    const ids = new Int32Array(T);
    ids.set(text);
    const positions = BigInt64Array.from({ length: T }, (_, i) => BigInt(i));
    const { y } = await program.run({ ...Object.fromEntries(weights), ids, positions });
    const scores = (await y!.read()) as Float32Array;
    all.push(
      Array.from({ length: text.length }, (_, at) => {
        const row = scores.subarray(at * config.vocabSize, (at + 1) * config.vocabSize);
        const total = Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0));
        return Array.from(row, (value) => value - total);
      }),
    );
  }
  await program.dispose();
  return all;
}

function expectThose(got: readonly PositionLogprobs[], text: ArrayLike<number>, slow: number[][]): void {
  expect(got).toHaveLength(text.length - 1);
  for (const [at, { token, logprob, top }] of got.entries()) {
    expect(token).toBe(text[at + 1]);
    const want = slow[at]!;
    expect(Math.abs(logprob - want[token]!), `place ${at}`).toBeLessThan(2e-5);
    const best = [...want].sort((a, b) => b - a);
    for (const [i, one] of top.entries()) {
      expect(Math.abs(one.logprob - best[i]!)).toBeLessThan(2e-5);
      expect(Math.abs(one.logprob - want[one.token]!)).toBeLessThan(2e-5);
    }
  }
}

describe.each(Object.entries(shapes))('of a model with %s', (_, shape) => {
  const model = tinyModel(shape, 6);
  const random = new KeyedRandom(5);
  const texts = [1, 2, 3, 17, 64, 65, 110, 110].map((length, i) =>
    Array.from({ length }, (_, at) => random.fork(`text ${Math.min(i, 6)}`).integer(at, 96)),
  );
  const slow = slowLogprobs(model, texts);
  const options = { maxTokens: 3, promptLogprobs: 3, logprobs: 3 };
  const opened: { dispose(): Promise<void> }[] = [];
  afterAll(async () => {
    for (const one of opened) await one.dispose();
  });
  const open = async (limits: object) => {
    const one = await createLanguageModel({ ...model, device, ...limits });
    opened.push(one);
    return one;
  };

  it('are those of the whole model', async () => {
    const one = await open({});
    for (const [i, answer] of (await one.generateMany(texts, options)).entries()) {
      expectThose(answer.promptLogprobs!, texts[i]!, (await slow)[i]!);
      expect(answer.promptLogprobs!.every(({ top }) => top.length === 3)).toBe(true);
    }
  });

  it('are the same to the bit in chunks, with a prefix cache that knows the prompt, and beside others', async () => {
    const want = await (await open({ prefixCacheBytes: 0, maxBatchSize: 1 })).generateMany(texts, options);
    for (const limits of [{}, { chunkLength: 1 }, { chunkLength: 7, maxBatchSize: 3 }, { maxBatchSize: 2 }]) {
      const one = await open(limits);
      // Known beforehand, and running while they are read.
      await one.generateMany(texts, { maxTokens: 2 });
      const others = one.generateMany(texts, { maxTokens: 20, temperature: 1 });
      expect(await one.generateMany(texts, options)).toEqual(
        want.map((answer) => ({ ...answer, seed: expect.any(Number) })),
      );
      await others;
      // Those that only want their answer still find the prompts.
      const saved = one.use.prefixTokensSaved;
      await one.generate(texts[6]!, { maxTokens: 1 });
      expect(one.use.prefixTokensSaved - saved).toBeGreaterThanOrEqual(96);
    }
  });

  it('may be of the tokens alone, and are absent unless asked for', async () => {
    const one = await open({});
    const answer = await one.generate(texts[4]!, { maxTokens: 1, promptLogprobs: 0 });
    expectThose(answer.promptLogprobs!, texts[4]!, (await slow)[4]!);
    expect(answer.promptLogprobs!.every(({ top }) => top.length === 0)).toBe(true);
    expect(await one.generate(texts[4]!, { maxTokens: 1 })).not.toHaveProperty('promptLogprobs');
  });
});

describe('of a chat', () => {
  const { tokenizer, ...model } = tinyChatModel({}, 2);
  const messages: ChatMessage[] = [
    { role: 'system', content: 'the cat' },
    { role: 'user', content: 'sat on the mat?' },
  ];

  it('begin at its second token and hold the control tokens of the template', async () => {
    const one = await createLanguageModel({
      ...model,
      tokenizer,
      chatFormat: chatMl,
      device,
      chunkLength: 9,
    });
    const { ids } = encodeChat(tokenizer, chatMl, messages, { addGenerationPrompt: true });
    const [slow] = await slowLogprobs(model, [ids]);
    for (const options of [
      {},
      { temperature: 1, topK: 3, logprobsMode: 'processed' as const, logprobs: 1 },
    ]) {
      const { promptLogprobs, usage } = await one.generate(
        { messages },
        { maxTokens: 4, promptLogprobs: 2, ...options },
      );
      expect(usage.promptTokens).toBe(ids.length);
      expectThose(promptLogprobs!, ids, slow!);
    }
    const controls = [...tokenizer.specialTokens.values()];
    const { promptLogprobs } = await one.generate({ messages }, { maxTokens: 1, promptLogprobs: 0 });
    expect(promptLogprobs!.filter(({ token }) => controls.includes(token)).length).toBeGreaterThan(2);
    await one.dispose();
  });

  it('are out of range by name', async () => {
    const one = await createLanguageModel({ ...model, device });
    for (const promptLogprobs of [-1, 1.5, 1001]) {
      await expect(one.generate([1, 2], { promptLogprobs })).rejects.toMatchObject({
        code: 'config',
        message: `promptLogprobs is ${promptLogprobs}; expected a whole number from 0 to 1000.`,
      });
    }
    await one.dispose();
  });
});
