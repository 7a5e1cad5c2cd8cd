import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  type LoadGgufOptions,
  loadGgufLanguageModel,
} from '../../src/decode/gguf/gguf-language-model.node.ts';
import { wantedScores } from '../../src/decode/gguf/gguf-sampling.ts';
import { GgufTokenizer } from '../../src/decode/gguf/gguf-tokenizer.node.ts';
import { createLanguageModel, type GenerateOptions, type LanguageModel } from '../../src/decode/index.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { chainOf } from '../../src/sampling/index.ts';
import { chatMl, DEFAULT_TOKENIZER_CONFIG } from '../../src/tokenizer/index.ts';
import { TINY_PROMPT, tinyChatModel, tinyTokenizer, writeGguf } from '../fixtures/backends/tiny-gguf.ts';
import { fuzzTexts } from '../fixtures/tokenizer/fuzz-texts.ts';

let folder = '';
let gguf: LanguageModel;
let own: LanguageModel;
const tiny = tinyChatModel();
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-gguf-'));
  await writeGguf(join(folder, 'tiny.gguf'), tiny);
  gguf = await load();
  own = await createLanguageModel({ ...tiny, chatFormat: chatMl, device: cpuDevice({ numThreads: 1 }) });
});
afterAll(async () => {
  await gguf.dispose();
  await own.dispose();
  await rm(folder, { recursive: true });
});

const load = (options: LoadGgufOptions = {}, name = 'tiny.gguf') =>
  loadGgufLanguageModel(join(folder, name), { numThreads: 1, ...options });
const PROMPTS = [TINY_PROMPT, 'the dog', 'a', 'log log log on the mat'];

describe('a GGUF file', () => {
  it('gives the tokens that the same weights give in the own engine, greedy and drawn', async () => {
    const settings: GenerateOptions[] = [
      {},
      { temperature: 0.8 },
      { topK: 4 },
      { topK: 5, topP: 0.8, temperature: 1.3, dialect: 'llamacpp' },
      { minP: 0.05, dialect: 'llamacpp' },
      { topP: 0.9 },
      { bannedTokens: [195, 34] },
      { mirostat: { version: 2 }, dialect: 'llamacpp' },
    ];
    for (const [i, one] of settings.entries()) {
      const options = { maxTokens: 40, seed: 11 + i, ignoreStopTokens: true, ...one };
      const [theirs, ours] = await Promise.all([
        gguf.generateMany(PROMPTS, options),
        own.generateMany(PROMPTS, options),
      ]);
      expect(theirs.map(({ tokens }) => tokens)).toEqual(ours.map(({ tokens }) => tokens));
      expect(theirs.map(({ text }) => text)).toEqual(ours.map(({ text }) => text));
    }
  });

  it('gives its log-probabilities', async () => {
    const options = { maxTokens: 10, logprobs: 3, promptLogprobs: 1, ignoreStopTokens: true };
    const theirs = await gguf.generate(TINY_PROMPT, options);
    const ours = await own.generate(TINY_PROMPT, options);
    const flat = ({ logprobs = [], promptLogprobs = [] }: typeof theirs) =>
      [...logprobs, ...promptLogprobs].flatMap(({ top, ...chosen }) => [chosen, ...top]);
    expect(flat(theirs).map(({ token }) => token)).toEqual(flat(ours).map(({ token }) => token));
    for (const [i, { logprob }] of flat(theirs).entries()) {
      expect(Math.abs(logprob - flat(ours)[i]!.logprob)).toBeLessThan(1e-4);
    }
  });

  it('chats by its own template and ends at its own stop token', async () => {
    const messages = [
      { role: 'system' as const, content: 'on the mat' },
      { role: 'user' as const, content: 'the <|im_end|> cat' },
    ];
    const theirs = await gguf.generate({ messages }, { maxTokens: 12 });
    const ours = await own.generate({ messages }, { maxTokens: 12 });
    expect(theirs.tokens).toEqual(ours.tokens);
    expect(theirs.usage).toEqual(ours.usage);
    const stop = tiny.tokenizer.specialTokens.get('<|im_end|>')!;
    const biased = { maxTokens: 12, logitBias: { [stop]: 100 } };
    expect(await gguf.generate(TINY_PROMPT, biased)).toMatchObject({
      tokens: [],
      stopToken: stop,
      finishReason: 'stop',
    });
  });

  it('that asks for a token in front of texts gets it, but not in front of ids', async () => {
    const bos = tiny.tokenizer.specialTokens.get('<|endoftext|>')!;
    const path = join(folder, 'bos.gguf');
    const config = { ...tiny.config, bosTokenId: bos };
    await writeGguf(
      path,
      { ...tiny, config },
      {
        tokenizerConfig: { ...DEFAULT_TOKENIZER_CONFIG, bosToken: '<|endoftext|>' },
      },
    );
    const bytes = await readFile(path);
    const key = Buffer.from('tokenizer.ggml.add_bos_token');
    // After the key: its type (4 bytes), then the value.
    bytes[bytes.indexOf(key) + key.length + 4] = 1;
    await writeFile(path, bytes);
    const model = await load({}, 'bos.gguf');
    const options = { maxTokens: 12, ignoreStopTokens: true };
    const ids = tiny.tokenizer.encode(TINY_PROMPT);
    const fromText = await model.generate(TINY_PROMPT, options);
    expect(fromText.usage.promptTokens).toBe(ids.length + 1);
    expect(fromText.tokens).toEqual((await own.generate([bos, ...ids], options)).tokens);
    expect((await model.generate(ids, options)).tokens).toEqual((await own.generate(ids, options)).tokens);
    const messages = [{ role: 'user' as const, content: 'the cat' }];
    const plain = await gguf.generate({ messages }, options);
    expect((await model.generate({ messages }, options)).usage.promptTokens).toBe(
      plain.usage.promptTokens + 1,
    );
    await model.dispose();
  });

  it('keeps padding of the vocabulary out of answers', async () => {
    // Rows for which no token exists, far above all others.
    const padded = tinyChatModel({ vocabSize: tiny.tokenizer.vocabSize + 5 });
    const { data, shape } = padded.weights.get('lm_head.weight')!;
    const width = shape[1]!;
    const rows = data.subarray(tiny.tokenizer.vocabSize * width);
    for (let i = 0; i < rows.length; i++) rows[i] = 20 * rows[i]!;
    await writeGguf(join(folder, 'padded.gguf'), padded);
    const theirs = await load({}, 'padded.gguf');
    const ours = await createLanguageModel({ ...padded, device: cpuDevice({ numThreads: 1 }) });
    for (const one of [{}, { topK: 3, temperature: 1, seed: 2 }]) {
      const options = { maxTokens: 20, ignoreStopTokens: true, ...one };
      expect((await theirs.generate(TINY_PROMPT, options)).tokens).toEqual(
        (await ours.generate(TINY_PROMPT, options)).tokens,
      );
    }
    await theirs.dispose();
    await ours.dispose();
  });

  it('runs with a cache of half the size and with a shorter context', async () => {
    const model = await load({ cacheType: 'F16', contextLength: 32, maxBatchSize: 2 });
    expect(model.contextLength).toBe(32);
    const answers = await model.generateMany(PROMPTS, { maxTokens: 100, ignoreStopTokens: true });
    expect(answers.map(({ usage }) => usage.promptTokens + usage.completionTokens)).toEqual([32, 32, 32, 32]);
    await expect(model.generate('on '.repeat(60))).rejects.toMatchObject({
      code: 'limit',
      message: expect.stringMatching(/has \d+ tokens; the model's context is 32/),
    });
    await model.dispose();
  });

  it('that is none, is damaged or asks for too much, is refused with what to do', async () => {
    const path = (name: string) => join(folder, name);
    const whole = await readFile(path('tiny.gguf'));
    await writeFile(path('text.gguf'), 'hello');
    await writeFile(path('header.gguf'), whole.subarray(0, 200));
    await writeFile(path('cut.gguf'), whole.subarray(0, whole.length - 4000));
    const name = Buffer.from('\u0120cat');
    const twice = Buffer.from(whole);
    name.write('\u0120sat');
    twice.fill(
      name,
      twice.indexOf(Buffer.from('\u0120cat')),
      twice.indexOf(Buffer.from('\u0120cat')) + name.length,
    );
    await writeFile(path('twice.gguf'), twice);
    const cases: [string, LoadGgufOptions, string, RegExp][] = [
      ['missing.gguf', {}, 'data', /cannot be read: ENOENT/],
      ['text.gguf', {}, 'format', /begins with "hell" instead of "GGUF"/],
      ['header.gguf', {}, 'format', /names no tokenizer.*downloaded in full/],
      ['cut.gguf', {}, 'format', /llama.cpp does not load/],
      ['twice.gguf', {}, 'format', /have the same name/],
      ['tiny.gguf', { contextLength: 4096 }, 'limit', /contextLength is 4096; the model was trained on 128/],
      ['tiny.gguf', { maxBatchSize: 0 }, 'config', /maxBatchSize is 0/],
      ['tiny.gguf', { cacheType: 'Q4' as 'F32' }, 'config', /cacheType is "Q4"/],
      ['tiny.gguf', { gpu: true } as LoadGgufOptions, 'config', /Unknown option "gpu"/],
    ];
    for (const [file, options, code, message] of cases) {
      await expect(load(options, file)).rejects.toMatchObject({
        code,
        message: expect.stringMatching(message),
      });
    }
  });

  it('with damaged weights is an error, also where only the best score is asked for', async () => {
    const broken = tinyChatModel();
    broken.weights.get('model.norm.weight')!.data.fill(Number.NaN);
    await writeGguf(join(folder, 'nan.gguf'), broken);
    const model = await load({}, 'nan.gguf');
    await expect(model.generate(TINY_PROMPT)).rejects.toMatchObject({ code: 'not-finite' });
    await model.dispose();
  });

  it('frees its memory when it is disposed', async () => {
    const large = tinyChatModel({ hiddenSize: 256, intermediateSize: 1024, numLayers: 6, vocabSize: 4000 });
    await writeGguf(join(folder, 'large.gguf'), large);
    const rss = async () => {
      const model = await load({ maxBatchSize: 1 }, 'large.gguf');
      await model.generate(TINY_PROMPT, { maxTokens: 3 });
      await model.dispose();
      return process.memoryUsage().rss;
    };
    const first = await rss();
    let last = 0;
    for (let i = 0; i < 8; i++) last = await rss();
    // Each holds 35 MB of weights.
    expect(last - first).toBeLessThan(120e6);
  });
});

describe('scores that are read from llama.cpp', () => {
  it('are no more than a chain looks at', () => {
    const wanted = (settings: GenerateOptions, more: object = {}) =>
      wantedScores({ chain: chainOf(settings, 'llamacpp'), logprobs: undefined, ...more } as never);
    expect(wanted({})).toBe('best');
    expect(wanted({ temperature: 0, topK: 5 })).toBe('best');
    expect(wanted({ topK: 5, topP: 0.5 })).toEqual({ top: 5 });
    expect(wanted({}, { logprobs: 0 })).toBe('all');
    expect(wanted({ topP: 0.5 })).toBe('all');
    expect(wanted({ topK: 5, repetitionPenalty: 1.2 })).toBe('all');
    expect(
      wantedScores({
        chain: chainOf({ topK: 5, temperature: 0.7 }, 'hf'),
        logprobs: undefined,
      } as never),
    ).toEqual({ top: 5 });
  });
});

describe('the tokenizer of a GGUF file', () => {
  it('has the ids, names and bytes of the tokenizer that was exported', () => {
    const theirs = gguf.tokenizer!;
    const ours = tinyTokenizer();
    expect(theirs.vocabSize).toBe(ours.vocabSize);
    expect([...theirs.specialTokens].sort()).toEqual([...ours.specialTokens].sort());
    for (let id = 0; id < ours.vocabSize; id++) {
      expect([...theirs.tokenBytes(id)]).toEqual([...ours.tokenBytes(id)]);
      expect(theirs.idOf(ours.decode([id], { special: 'keep' }))).toBe(
        ours.idOf(ours.decode([id], { special: 'keep' })),
      );
    }
    for (const text of [...fuzzTexts(300, 5), 'a<|im_end|>b', '\u{1f600} caf\u00e9', '']) {
      expect(theirs.encode(text)).toEqual(ours.encode(text));
      expect(theirs.encode(text, { special: 'parse' })).toEqual(ours.encode(text, { special: 'parse' }));
      expect(theirs.decode(theirs.encode(text))).toBe(ours.decode(ours.encode(text)));
    }
    expect(() => theirs.decode([ours.vocabSize])).toThrow(/not in this vocabulary/);
  });

  it('of another kind is refused', () => {
    expect(() => new GgufTokenizer({ model: 'llama', tokens: ['a'] }, () => [])).toThrow(/"llama".*"gpt2"/);
    expect(() => new GgufTokenizer({ model: 'gpt2', tokens: ['a b'] }, () => [])).toThrow(/byte alphabet/);
  });
});

describe('without node-llama-cpp', () => {
  it('a GGUF file is refused with the command that installs it', async () => {
    vi.resetModules();
    vi.doMock('node-llama-cpp', () => {
      throw Object.assign(new Error('missing'), { code: 'ERR_MODULE_NOT_FOUND' });
    });
    const fresh = await import('../../src/decode/gguf/gguf-language-model.node.ts');
    await expect(fresh.loadGgufLanguageModel(join(folder, 'tiny.gguf'))).rejects.toMatchObject({
      code: 'config',
      message: expect.stringMatching(
        /npm install --ignore-scripts --omit=optional node-llama-cpp @node-llama-cpp/,
      ),
    });
    vi.doUnmock('node-llama-cpp');
  });
});
