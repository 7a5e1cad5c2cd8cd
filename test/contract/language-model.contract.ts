/**
 * What every `LanguageModel` must do, run against every implementation; capabilities decide which promises are
 * asked for.
 */
import { describe, expect, it } from 'vitest';
import type {
  Completion,
  CompletionChunk,
  GenerateOptions,
  LanguageModel,
  Prompt,
} from '../../src/decode/index.ts';
import {
  DIALECTS,
  type DialectName,
  SAMPLING_SETTINGS,
  type SamplingSettings,
} from '../../src/sampling/index.ts';

export interface LanguageModelCase {
  readonly name: string;
  /** A text that the model continues for at least 20 tokens. */
  readonly prompt: string;
  /** Options with which the model does not end before 20 tokens. */
  readonly options?: GenerateOptions;
  /** A text that leaves no room in the context of this many tokens. */
  readonly tooLong: { readonly prompt: string; readonly contextLength: number };
  /** Ids of tokens that are first or second bytes of characters of two bytes. */
  readonly halves: readonly number[];
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

/** A valid value of every setting. */
const SETTINGS: Required<SamplingSettings> = {
  temperature: 0.5,
  dynamicTemperature: { range: 0.2 },
  topK: 4,
  topP: 0.9,
  minP: 0.1,
  typicalP: 0.9,
  topNSigma: 1,
  epsilonCutoff: 0.01,
  etaCutoff: 0.01,
  xtc: { probability: 0.5, threshold: 0.1 },
  dry: { multiplier: 0.8 },
  mirostat: { version: 2 },
  repetitionPenalty: 1.1,
  presencePenalty: 0.5,
  frequencyPenalty: 0.5,
  penaltyLastN: 16,
  logitBias: { 5: 1 },
  allowedTokens: [5, 6, 7],
  bannedTokens: [5],
  minTokens: 2,
};

/** The dialect in which a model's own sampler knows a setting; endpoints have one of their own. */
function dialectFor(model: LanguageModel, name: keyof SamplingSettings): { dialect?: DialectName } {
  if (!model.capabilities.fullLogits) return {};
  const names = Object.keys(DIALECTS) as DialectName[];
  return {
    dialect: names.find((dialect) => (DIALECTS[dialect].settings as readonly string[]).includes(name))!,
  };
}

export function describeLanguageModel(one: LanguageModelCase): void {
  const { prompt } = one;
  const options = (more: GenerateOptions): GenerateOptions => ({ ...one.options, ...more });
  const itWith = (name: string, run: (model: LanguageModel) => Promise<void>) =>
    it(name, () => withModel(one, run));
  /** The same answer: by its tokens where the model gives them, else by its text. */
  const expectSame = (got: Completion, expected: Completion) => {
    expect(got.text).toBe(expected.text);
    expect(got.tokens).toEqual(expected.tokens);
    expect(got.finishReason).toBe(expected.finishReason);
  };

  describe(`LanguageModel contract: ${one.name}`, () => {
    itWith('answers with at most maxTokens tokens and says why it ended', async (model) => {
      const { text, tokens, finishReason, usage } = await model.generate(prompt, options({ maxTokens: 7 }));
      expect(finishReason).toBe('length');
      expect(usage.completionTokens).toBe(7);
      expect(text).not.toBe('');
      if (model.tokenizer) expect(usage.promptTokens).toBe(model.tokenizer.encode(prompt).length);
      if (!model.capabilities.tokens) {
        expect(tokens).toEqual([]);
        return;
      }
      expect(tokens).toHaveLength(7);
      expect(text).toBe(model.tokenizer!.decode(tokens));
    });

    itWith('gives the same greedy answer every time, also in pieces and among others', async (model) => {
      const settings = options({ maxTokens: 20, temperature: 0 });
      const first = await model.generate(prompt, settings);
      expectSame(await model.generate(prompt, settings), first);
      expectSame(await model.generate(prompt, options({ maxTokens: 20 })), first);
      const stream = model.stream(prompt, settings);
      const chunks = await readAll(stream);
      expect(chunks.map(({ text }) => text).join('')).toBe(first.text);
      expect(chunks.flatMap(({ tokens }) => tokens)).toEqual(first.tokens);
      expectSame(await stream.completion, first);
      const many = await model.generateMany([`${prompt} a`, prompt, 'b'], settings);
      expectSame(many[1]!, first);
    });

    itWith('gives the same sampled answer for the same seed, another for another', async (model) => {
      if (!model.capabilities.seeded) return;
      const settings = options({ maxTokens: 20, temperature: 1, seed: 5 });
      const first = await model.generate(prompt, settings);
      expect(first.seed).toBe(5);
      expectSame(await model.generate(prompt, settings), first);
      expect((await model.generate(prompt, { ...settings, seed: 6 })).text).not.toBe(first.text);
      expect((await model.generate(prompt, { ...settings, choice: 1 })).text).not.toBe(first.text);
      const { seed, ...unseeded } = settings;
      expect(seed).toBe(5);
      const fresh = await model.generate(prompt, unseeded);
      expectSame(await model.generate(prompt, { ...unseeded, seed: fresh.seed }), fresh);
    });

    itWith('gives several choices to one prompt, each the same alone and in any order', async (model) => {
      if (!model.capabilities.seeded) return;
      const choices = [0, 1, 2, 3, 4, 5].map((choice) =>
        options({ maxTokens: 12, temperature: 1, seed: 8, choice }),
      );
      const prompts = choices.map(() => prompt);
      const answers = await model.generateMany(prompts, choices);
      expect(new Set(answers.map(({ text }) => text)).size).toBeGreaterThan(4);
      const reversed = await model.generateMany(prompts, [...choices].reverse());
      for (const [i, answer] of reversed.reverse().entries()) expectSame(answer, answers[i]!);
      expectSame(await model.generate(prompt, choices[4]), answers[4]!);
    });

    itWith('gives the prompt as ids the same answer as the text', async (model) => {
      if (!model.capabilities.tokens) return;
      const settings = options({ maxTokens: 12 });
      const ids = model.tokenizer!.encode(prompt);
      const fromText = await model.generate(prompt, settings);
      expectSame(await model.generate(ids, settings), fromText);
      expectSame(await model.generate(Int32Array.from(ids), settings), fromText);
    });

    itWith('ends before a stop string, wherever its pieces and tokens end', async (model) => {
      const whole = await model.generate(prompt, options({ maxTokens: 20 }));
      const { length } = whole.text;
      expect(length).toBeGreaterThan(8);
      for (let start = 1; start < length - 3; start += 2) {
        const stop = whole.text.slice(start, start + 3);
        const expected = whole.text.slice(0, whole.text.indexOf(stop));
        const settings = options({ maxTokens: 20, stop: ['never to be seen', stop] });
        const stream = model.stream(prompt, settings);
        const pieces = (await readAll(stream)).map(({ text }) => text);
        const cut = await stream.completion;
        expect(cut.text).toBe(expected);
        expect(cut.stopToken).toBeUndefined();
        if (model.capabilities.tokens) {
          expect(cut.tokens).toEqual(whole.tokens.slice(0, cut.tokens.length));
          expect(cut.usage.completionTokens).toBe(cut.tokens.length);
        }
        expect(pieces.join('')).toBe(expected);
        expect(cut.finishReason).toBe('stop');
      }
      const missed = await model.generate(prompt, options({ maxTokens: 20, stop: ['never to be seen'] }));
      expectSame(missed, whole);
    });

    itWith('ends at a stop token', async (model) => {
      if (!model.capabilities.tokens) return;
      const whole = await model.generate(prompt, options({ maxTokens: 20 }));
      const stopToken = whole.tokens[6]!;
      const ended = await model.generate(prompt, options({ maxTokens: 20, stopTokens: [stopToken] }));
      expect(ended.finishReason).toBe('stop');
      expect(ended.stopToken).toBe(stopToken);
      expect(ended.tokens).toEqual(whole.tokens.slice(0, whole.tokens.indexOf(stopToken)));
      expect(ended.usage.completionTokens).toBe(ended.tokens.length + 1);
    });

    itWith('streams whole characters only', async (model) => {
      const { sampling } = model.capabilities;
      const only: GenerateOptions = sampling.has('allowedTokens')
        ? { allowedTokens: one.halves }
        : { logitBias: Object.fromEntries(one.halves.map((id) => [id, 100])) };
      const stream = model.stream(prompt, options({ maxTokens: 50, temperature: 2, seed: 3, ...only }));
      const pieces = (await readAll(stream)).map(({ text }) => text);
      const { text } = await stream.completion;
      expect(pieces.join('')).toBe(text);
      expect(pieces.every((piece) => piece.isWellFormed())).toBe(true);
      expect([...text].filter((character) => /[\u0080-\u07ff]/.test(character)).length).toBeGreaterThan(4);
      // The text of the bytes as a whole: no character was decoded in two halves.
      if (model.capabilities.tokens) {
        expect(text).toBe(model.tokenizer!.decode((await stream.completion).tokens));
      }
    });

    itWith('answers a chat, if it has a chat format', async (model) => {
      const messages = [{ role: 'user' as const, content: prompt }];
      if (!model.capabilities.chat) {
        await expect(model.generate({ messages })).rejects.toMatchObject({ code: 'config' });
        return;
      }
      const settings = options({ maxTokens: 5 });
      const answer = await model.generate({ messages }, settings);
      if (model.tokenizer) {
        expect(answer.usage.promptTokens).toBeGreaterThan(model.tokenizer.encode(prompt).length);
      }
      expectSame(await model.generate({ messages }, settings), answer);
      const role = { messages: [{ role: 'nobody' as 'user', content: 'x' }] };
      await expect(model.generate(role)).rejects.toMatchObject({ message: expect.stringMatching(/nobody/) });
    });

    itWith('gives log-probabilities of the chosen and the best tokens', async (model) => {
      if (!model.capabilities.logprobs) {
        await expect(model.generate(prompt, { logprobs: 2 })).rejects.toMatchObject({ code: 'config' });
        return;
      }
      const answer = await model.generate(prompt, options({ maxTokens: 6, logprobs: 3 }));
      const { tokens, logprobs, usage } = answer;
      expectSame(answer, await model.generate(prompt, options({ maxTokens: 6 })));
      expect(logprobs).toHaveLength(usage.completionTokens);
      for (const [i, { token, logprob, top }] of logprobs!.entries()) {
        if (model.capabilities.tokens) expect(token).toBe(tokens[i]);
        expect(top[0]).toMatchObject({ token, logprob });
        for (const [j, next] of top.slice(1).entries()) {
          expect(next.logprob).toBeLessThanOrEqual(top[j]!.logprob);
        }
        expect(top.reduce((sum, { logprob: value }) => sum + Math.exp(value), 0)).toBeLessThanOrEqual(
          1 + 1e-6,
        );
      }
      const none = await model.generate(prompt, options({ maxTokens: 6, logprobs: 0 }));
      expect(none.logprobs!.map(({ top }) => top)).toEqual(logprobs!.map(() => []));
      if (!model.capabilities.fullLogits) return;
      const { vocabSize } = model.tokenizer!;
      const all = await model.generate(prompt, options({ maxTokens: 3, logprobs: vocabSize }));
      for (const { top } of all.logprobs!) {
        expect(new Set(top.map(({ token }) => token)).size).toBe(vocabSize);
        expect(top.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0)).toBeCloseTo(1, 5);
      }
    });

    itWith('gives log-probabilities of the prompt that are those of an answer', async (model) => {
      if (!model.capabilities.promptLogprobs) {
        await expect(model.generate(prompt, { promptLogprobs: 1 })).rejects.toMatchObject({
          code: 'config',
          message: expect.stringMatching(/promptLogprobs/),
        });
        return;
      }
      const ids = model.tokenizer!.encode(prompt);
      const answer = await model.generate(ids, options({ maxTokens: 8, logprobs: 2 }));
      const again = await model.generate(
        [...ids, ...answer.tokens],
        options({ maxTokens: 1, promptLogprobs: 2 }),
      );
      expect(again.promptLogprobs).toHaveLength(ids.length + answer.tokens.length - 1);
      const shared = again.promptLogprobs!.slice(ids.length - 1);
      for (const [i, { token, logprob, top }] of shared.entries()) {
        const expected = answer.logprobs![i]!;
        expect(token).toBe(expected.token);
        expect(logprob).toBeCloseTo(expected.logprob, 3);
        expect(top.map((best) => best.token)).toEqual(expected.top.map((best) => best.token));
      }
    });

    itWith('stops when asked to, with what it has', async (model) => {
      const aborted = AbortSignal.abort();
      const none = await model.generate(prompt, options({ signal: aborted }));
      expect(none).toMatchObject({ finishReason: 'cancelled', text: '', tokens: [] });
      const whole = await model.generate(prompt, options({ maxTokens: 20 }));
      for (const step of [1, 2, 4, 7]) {
        const controller = new AbortController();
        const stream = model.stream(prompt, options({ maxTokens: 100, signal: controller.signal }));
        const pieces: CompletionChunk[] = [];
        for await (const piece of stream) {
          pieces.push(piece);
          if (pieces.length === step) controller.abort();
        }
        const { finishReason, tokens, text } = await stream.completion;
        expect(finishReason).toBe('cancelled');
        expect(pieces.length).toBeLessThan(30);
        expect(pieces.map((piece) => piece.text).join('')).toBe(text);
        expect(pieces.flatMap((piece) => piece.tokens)).toEqual(tokens);
        const shown = text.replace(/\ufffd$/, '');
        expect(whole.text.startsWith(shown) || shown.startsWith(whole.text.replace(/\ufffd$/, ''))).toBe(
          true,
        );
      }
      expectSame(await model.generate(prompt, options({ maxTokens: 20 })), whole);
    });

    itWith('cancels a stream that its reader leaves', async (model) => {
      const stream = model.stream(prompt, options({ maxTokens: 100 }));
      for await (const _ of stream) break;
      expect((await stream.completion).finishReason).toBe('cancelled');
    });

    itWith('takes every sampling setting that it names, and refuses every other by name', async (model) => {
      for (const name of SAMPLING_SETTINGS) {
        const settings: GenerateOptions = {
          maxTokens: 2,
          ...dialectFor(model, name),
          [name]: SETTINGS[name],
        };
        if (model.capabilities.sampling.has(name)) {
          // What else a setting needs stands beside it.
          const beside = name === 'dynamicTemperature' ? { temperature: 1 } : {};
          const answer = await model.generate(prompt, options({ ...settings, ...beside }));
          expect(answer.usage.completionTokens).toBeGreaterThan(0);
        } else {
          await expect(model.generate(prompt, options(settings))).rejects.toMatchObject({
            code: 'config',
            message: expect.stringMatching(new RegExp(`\\b${name}\\b`)),
          });
        }
      }
    });

    itWith('refuses options that it cannot honour, naming them', async (model) => {
      const { fullLogits, tokens } = model.capabilities;
      const foreign: [GenerateOptions, RegExp][] = [
        [{ chain: [] }, /chain/],
        [{ logprobsMode: 'processed', logprobs: 1 }, /logprobsMode/],
        [{ search: { method: 'contrastive', topK: 3, alpha: 0.5 } }, /search/],
      ];
      if (!fullLogits) {
        for (const [settings, message] of foreign) {
          const error = { code: 'config', message: expect.stringMatching(message) };
          await expect(model.generate(prompt, settings)).rejects.toMatchObject(error);
        }
      }
      if (!tokens) {
        await expect(model.generate(prompt, { stopTokens: [5] })).rejects.toMatchObject({
          code: 'config',
          message: expect.stringMatching(/stopTokens/),
        });
      }
    });

    itWith('refuses what is wrong, naming it', async (model) => {
      const bad: [Prompt, GenerateOptions, string, RegExp][] = [
        ['', {}, 'data', /empty/],
        [[], {}, 'data', /empty/],
        [null as unknown as Prompt, {}, 'data', /A prompt is/],
        [{ messages: [] }, {}, 'data', /at least one message/],
        [prompt, { maxTokens: 0 }, 'config', /maxTokens is 0/],
        [prompt, { maxTokens: 1.5 }, 'config', /maxTokens is 1.5/],
        [prompt, { temperature: Number.NaN }, 'config', /temperature.* is NaN/],
        [prompt, { topP: 2 }, 'config', /topP.* is 2/],
        [prompt, { seed: -1 }, 'config', /seed is -1/],
        [prompt, { stop: [''] }, 'config', /stop/],
        [prompt, { stop: 'x' as unknown as string[] }, 'config', /stop is not a list/],
        [prompt, { logprobs: -1 }, 'config', /logprobs is -1/],
        [prompt, { dialect: 'klingon' as DialectName }, 'config', /klingon/],
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
      const { prompt: long, contextLength } = one.tooLong;
      await expect(model.generate(long, options({}))).rejects.toMatchObject({
        code: 'limit',
        message: expect.stringMatching(new RegExp(`\\d.*\\b${contextLength}\\b|\\b${contextLength}\\b.*\\d`)),
      });
      if (!model.capabilities.tokens) return;
      const ids = new Array<number>(contextLength).fill(model.tokenizer!.encode(prompt)[0]!);
      await expect(model.generate(ids)).rejects.toMatchObject({
        code: 'limit',
        message: expect.stringMatching(new RegExp(`${contextLength}.*${contextLength}`)),
      });
      const last = await model.generate(ids.slice(1), options({ maxTokens: 50 }));
      expect(last.finishReason).toBe('length');
      expect(last.tokens).toHaveLength(1);
    });

    it('ends what runs when it is disposed, and refuses more', async () => {
      const model = await one.make();
      const running = model.generate(prompt, options({ maxTokens: 100 }));
      const waiting = model.generateMany(
        Array.from({ length: 20 }, () => prompt),
        options({ maxTokens: 100 }),
      );
      const ended = expect(running).rejects.toMatchObject({ code: 'usage' });
      const alsoEnded = expect(waiting).rejects.toMatchObject({ code: 'usage' });
      await model.dispose();
      await ended;
      await alsoEnded;
      await expect(model.generate(prompt)).rejects.toMatchObject({ code: 'usage' });
      await model.dispose();
    });
  });
}
