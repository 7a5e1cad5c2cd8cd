/**
 * What every `LanguageModel` must do, run against every implementation. `prompt` is a text that the model
 * continues for at least 20 tokens; capabilities decide which promises are asked for.
 */
import { describe, expect, it } from 'vitest';
import type { CompletionChunk, GenerateOptions, LanguageModel, Prompt } from '../../src/decode/index.ts';

export interface LanguageModelCase {
  readonly name: string;
  readonly prompt: string;
  /** Options with which the model does not end before 20 tokens. */
  readonly options?: GenerateOptions;
  make(): Promise<LanguageModel>;
}

async function withModel(one: LanguageModelCase, run: (model: LanguageModel) => Promise<void>) {
  const model = await one.make();
  try {
    await run(model);
  } finally {
    await model.dispose();
  }
}

async function readAll(chunks: AsyncIterable<CompletionChunk>): Promise<CompletionChunk[]> {
  const all: CompletionChunk[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}

export function describeLanguageModel(one: LanguageModelCase): void {
  const { prompt } = one;
  const options = (more: GenerateOptions): GenerateOptions => ({ ...one.options, ...more });
  const itWith = (name: string, run: (model: LanguageModel) => Promise<void>) =>
    it(name, () => withModel(one, run));

  describe(`LanguageModel contract: ${one.name}`, () => {
    itWith('answers with at most maxTokens tokens and says why it ended', async (model) => {
      const { text, tokens, finishReason, usage } = await model.generate(prompt, options({ maxTokens: 7 }));
      expect(finishReason).toBe('length');
      expect(tokens).toHaveLength(7);
      expect(usage.completionTokens).toBe(7);
      expect(usage.promptTokens).toBe(model.tokenizer!.encode(prompt).length);
      expect(text).toBe(model.tokenizer!.decode(tokens));
    });

    itWith('gives the same greedy answer every time, also in pieces and among others', async (model) => {
      const settings = options({ maxTokens: 20, temperature: 0 });
      const first = await model.generate(prompt, settings);
      const again = await model.generate(prompt, settings);
      expect(again.tokens).toEqual(first.tokens);
      const stream = model.stream(prompt, settings);
      const chunks = await readAll(stream);
      expect(chunks.map(({ text }) => text).join('')).toBe(first.text);
      expect(chunks.flatMap(({ tokens }) => tokens)).toEqual(first.tokens);
      expect((await stream.completion).tokens).toEqual(first.tokens);
      const many = await model.generateMany([`${prompt} a`, prompt, 'b'], settings);
      expect(many[1]!.tokens).toEqual(first.tokens);
      expect(many[1]!.text).toBe(first.text);
    });

    itWith('gives the same sampled answer for the same seed, another for another', async (model) => {
      if (!model.capabilities.seeded) return;
      const settings = options({ maxTokens: 20, temperature: 1, seed: 5 });
      const first = await model.generate(prompt, settings);
      expect(first.seed).toBe(5);
      expect((await model.generate(prompt, settings)).tokens).toEqual(first.tokens);
      expect((await model.generate(prompt, { ...settings, seed: 6 })).tokens).not.toEqual(first.tokens);
      expect((await model.generate(prompt, { ...settings, choice: 1 })).tokens).not.toEqual(first.tokens);
      const { seed, ...unseeded } = settings;
      expect(seed).toBe(5);
      const fresh = await model.generate(prompt, unseeded);
      expect((await model.generate(prompt, { ...unseeded, seed: fresh.seed })).tokens).toEqual(fresh.tokens);
    });

    itWith('gives the prompt as ids the same answer as the text', async (model) => {
      if (!model.capabilities.tokens) return;
      const settings = options({ maxTokens: 12 });
      const ids = model.tokenizer!.encode(prompt);
      const fromText = await model.generate(prompt, settings);
      expect((await model.generate(ids, settings)).tokens).toEqual(fromText.tokens);
      expect((await model.generate(Int32Array.from(ids), settings)).tokens).toEqual(fromText.tokens);
    });

    itWith('ends before a stop string and at a stop token', async (model) => {
      const whole = await model.generate(prompt, options({ maxTokens: 20 }));
      const stop = whole.text.slice(4, 7);
      const cut = await model.generate(prompt, options({ maxTokens: 20, stop: [stop] }));
      expect(cut.finishReason).toBe('stop');
      expect(cut.text).toBe(whole.text.slice(0, whole.text.indexOf(stop)));
      if (!model.capabilities.tokens) return;
      const stopToken = whole.tokens[6]!;
      const ended = await model.generate(prompt, options({ maxTokens: 20, stopTokens: [stopToken] }));
      expect(ended.finishReason).toBe('stop');
      expect(ended.stopToken).toBe(stopToken);
      expect(ended.tokens).toEqual(whole.tokens.slice(0, whole.tokens.indexOf(stopToken)));
      expect(ended.usage.completionTokens).toBe(ended.tokens.length + 1);
    });

    itWith('answers a chat, if it has a chat format', async (model) => {
      const messages = [{ role: 'user' as const, content: prompt }];
      if (!model.capabilities.chat) {
        await expect(model.generate({ messages })).rejects.toMatchObject({ code: 'config' });
        return;
      }
      const answer = await model.generate({ messages }, options({ maxTokens: 5 }));
      expect(answer.usage.promptTokens).toBeGreaterThan(model.tokenizer!.encode(prompt).length);
    });

    itWith('gives log-probabilities of the chosen and the best tokens', async (model) => {
      if (!model.capabilities.logprobs) {
        await expect(model.generate(prompt, { logprobs: 2 })).rejects.toMatchObject({ code: 'config' });
        return;
      }
      const { tokens, logprobs } = await model.generate(prompt, options({ maxTokens: 6, logprobs: 3 }));
      expect(logprobs).toHaveLength(tokens.length);
      for (const [i, { token, logprob, top }] of logprobs!.entries()) {
        expect(token).toBe(tokens[i]);
        expect(top).toHaveLength(3);
        expect(top[0]).toEqual({ token, logprob });
        expect(top[1]!.logprob).toBeLessThanOrEqual(logprob);
        expect(top.reduce((sum, one) => sum + Math.exp(one.logprob), 0)).toBeLessThanOrEqual(1 + 1e-6);
      }
    });

    itWith('stops when asked to, with what it has', async (model) => {
      const aborted = AbortSignal.abort();
      const none = await model.generate(prompt, options({ signal: aborted }));
      expect(none).toMatchObject({ finishReason: 'cancelled', text: '', tokens: [] });
      const controller = new AbortController();
      const stream = model.stream(prompt, options({ maxTokens: 100, signal: controller.signal }));
      let numTokens = 0;
      for await (const { tokens } of stream) {
        numTokens += tokens.length;
        if (numTokens >= 3) controller.abort();
      }
      const { finishReason, tokens } = await stream.completion;
      expect(finishReason).toBe('cancelled');
      expect(tokens.length).toBeLessThan(30);
      expect(tokens).toHaveLength(numTokens);
    });

    itWith('cancels a stream that its reader leaves', async (model) => {
      const stream = model.stream(prompt, options({ maxTokens: 100 }));
      for await (const _ of stream) break;
      expect((await stream.completion).finishReason).toBe('cancelled');
    });

    itWith('refuses what it cannot do, naming it', async (model) => {
      const bad: [Prompt, GenerateOptions, string, RegExp][] = [
        ['', {}, 'data', /empty/],
        [[], {}, 'data', /empty/],
        [null as unknown as Prompt, {}, 'data', /A prompt is/],
        [{ messages: [] }, {}, 'data', /at least one message/],
        [prompt, { maxTokens: 0 }, 'config', /maxTokens is 0/],
        [prompt, { maxTokens: 1.5 }, 'config', /maxTokens is 1.5/],
        [prompt, { temperature: Number.NaN }, 'config', /temperature is NaN/],
        [prompt, { topP: 2 }, 'config', /top-p: p is 2/],
        [prompt, { seed: -1 }, 'config', /seed is -1/],
        [prompt, { stop: [''] }, 'config', /stop/],
        [prompt, { stop: 'x' as unknown as string[] }, 'config', /stop is not a list/],
        [prompt, { topk: 5 } as GenerateOptions, 'config', /Unknown option "topk"/],
      ];
      for (const [badPrompt, settings, code, message] of bad) {
        const error = { code, message: expect.stringMatching(message) };
        await expect(model.generate(badPrompt, settings)).rejects.toMatchObject(error);
        await expect(readAll(model.stream(badPrompt, settings))).rejects.toMatchObject(error);
        await expect(model.generateMany([prompt, badPrompt], settings)).rejects.toMatchObject(error);
      }
      await expect(model.generateMany([prompt], [])).rejects.toMatchObject({ code: 'config' });
      expect(await model.generateMany([])).toEqual([]);
    });

    itWith('refuses a prompt that fills its context, with the numbers', async (model) => {
      const ids = new Array<number>(model.contextLength).fill(model.tokenizer!.encode(prompt)[0]!);
      const text = new RegExp(`${model.contextLength}.*${model.contextLength}`);
      await expect(model.generate(ids)).rejects.toMatchObject({
        code: 'limit',
        message: expect.stringMatching(text),
      });
      const last = await model.generate(ids.slice(1), options({ maxTokens: 50 }));
      expect(last.finishReason).toBe('length');
      expect(last.tokens).toHaveLength(1);
    });

    it('ends what runs when it is disposed, and refuses more', async () => {
      const model = await one.make();
      const running = model.generate(prompt, options({ maxTokens: 100 }));
      const ended = expect(running).rejects.toMatchObject({ code: 'usage' });
      await model.dispose();
      await ended;
      await expect(model.generate(prompt)).rejects.toMatchObject({ code: 'usage' });
      await model.dispose();
    });
  });
}
