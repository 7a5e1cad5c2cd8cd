import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLanguageModel, type GenerateOptions, type LanguageModel } from '../../src/decode/index.ts';
import {
  createOpenAiLanguageModel,
  type OpenAiModelOptions,
} from '../../src/decode/openai/openai-language-model.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { chatMl } from '../../src/tokenizer/index.ts';
import { MODEL_NAME, type RunningServer, startOpenAiServer } from '../fixtures/backends/openai-server.ts';
import { TINY_PROMPT, tinyChatModel } from '../fixtures/backends/tiny-gguf.ts';

let answering: LanguageModel;
let server: RunningServer;
let slow: RunningServer;
beforeAll(async () => {
  const device = cpuDevice({ numThreads: 1 });
  answering = await createLanguageModel({
    ...tinyChatModel({ eosTokenIds: [] }),
    chatFormat: chatMl,
    device,
  });
  server = await startOpenAiServer({ model: answering, apiKey: 'sesame' });
  slow = await startOpenAiServer({ model: answering, delayMs: 5 });
});
afterAll(async () => {
  await server.close();
  await slow.close();
  await answering.dispose();
});

const model = (options: Partial<OpenAiModelOptions> = {}) =>
  createOpenAiLanguageModel({
    baseUrl: server.baseUrl,
    model: MODEL_NAME,
    apiKey: 'sesame',
    retryDelayMs: 1,
    ...options,
  });
const short: GenerateOptions = { maxTokens: 4 };
const fails = (code: string, message: RegExp) => ({ code, message: expect.stringMatching(message) });
const event = (choice: object) => `data: ${JSON.stringify({ choices: [{ index: 0, ...choice }] })}\n\n`;

describe('an endpoint that fails', () => {
  it('is asked again after 429 and 503, and waits as long as it says', async () => {
    const expected = await model().generate(TINY_PROMPT, short);
    const first = server.requests.length;
    server.faults.push({ status: 429, headers: { 'retry-after-ms': '150' } }, { status: 503 });
    const start = performance.now();
    const answer = await model().generate(TINY_PROMPT, short);
    expect(answer.text).toBe(expected.text);
    expect(performance.now() - start).toBeGreaterThan(140);
    expect(server.requests.length - first).toBe(3);
    server.faults.push({ status: 429, headers: { 'retry-after': '3600' } });
    await expect(model().generate(TINY_PROMPT, short)).rejects.toMatchObject(
      fails('limit', /answered 429.*wait 3600 s.*maxConcurrency/),
    );
  });

  it('is not asked for ever, nor after errors that stay', async () => {
    const first = server.requests.length;
    server.faults.push(...[500, 500, 500].map((status) => ({ status, body: 'out of order' })));
    await expect(model().generate(TINY_PROMPT, short)).rejects.toMatchObject(
      fails('runtime', /answered 500: out of order/),
    );
    expect(server.requests.length - first).toBe(3);
    server.faults.push({ status: 500, headers: { 'x-should-retry': 'false' } });
    await expect(model().generate(TINY_PROMPT, short)).rejects.toMatchObject(fails('runtime', /500/));
    expect(server.requests.length - first).toBe(4);
    await expect(model({ apiKey: 'wrong' }).generate(TINY_PROMPT)).rejects.toMatchObject(
      fails('config', /answered 401: Incorrect API key.*Is the key right/),
    );
    await expect(model({ apiKey: '' }).generate(TINY_PROMPT)).rejects.toMatchObject(
      fails('config', /Give a key as apiKey or in OPENAI_API_KEY/),
    );
    await expect(model({ model: 'other' }).generate(TINY_PROMPT)).rejects.toMatchObject(
      fails('config', /404: The model `other` does not exist/),
    );
    expect(server.requests.length - first).toBe(7);
  });

  it('never shows the key in its errors', async () => {
    const error = await model({ apiKey: 'top-secret' })
      .generate(TINY_PROMPT)
      .catch((one: Error) => one);
    expect(String((error as Error).stack)).not.toContain('top-secret');
  });

  it('that breaks off in the middle of an answer, is an error that says how far it came', async () => {
    server.faults.push({ breakAfter: 3 });
    await expect(model().generate(TINY_PROMPT, { maxTokens: 30 })).rejects.toMatchObject(
      fails('runtime', /The answer of http.* is not reached/),
    );
    server.faults.push({ stream: event({ text: 'abc', finish_reason: null }) });
    await expect(model().generate(TINY_PROMPT)).rejects.toMatchObject(
      fails('format', /broke off without a finish reason, after 3 characters/),
    );
  });

  it('that sends something else, is an error that says what came', async () => {
    const cases: [string, string, RegExp][] = [
      ['data: <html>\n\n', 'format', /streamed "<html>", which is not JSON/],
      ['data: {"a":1}\n\n', 'format', /choices is missing/],
      [event({ text: 5 }), 'format', /the text of choices\[0\] is 5/],
      ['data: {"error":{"message":"GPU lost"}}\n\n', 'runtime', /failed while it answered: GPU lost/],
      ['event: error\ndata: {"message":"GPU lost"}\n\n', 'runtime', /GPU lost/],
      [
        event({ text: 'x', finish_reason: 'content_filter' }),
        'runtime',
        /ended the answer with "content_filter"/,
      ],
      [event({ delta: { refusal: 'I will not.' } }), 'runtime', /refused to answer: I will not/],
    ];
    for (const [stream, code, message] of cases) {
      server.faults.push({ stream });
      await expect(model().generate(TINY_PROMPT)).rejects.toMatchObject(fails(code, message));
    }
    server.faults.push({ status: 200, headers: { 'content-type': 'text/html' }, body: '<html>hello' });
    await expect(model().generate(TINY_PROMPT)).rejects.toMatchObject(fails('format', /not JSON/));
    await expect(
      model({ baseUrl: 'http://127.0.0.1:9/v1', maxRetries: 0 }).generate(TINY_PROMPT),
    ).rejects.toMatchObject(fails('runtime', /is not reached.*Is the server running/));
  });

  it('that stays silent, is given up after timeoutMs', async () => {
    server.faults.push({ silent: true });
    await expect(model({ timeoutMs: 60, maxRetries: 0 }).generate(TINY_PROMPT)).rejects.toMatchObject(
      fails('limit', /silent for 60 ms \(timeoutMs\)/),
    );
  });

  it('that does not stream, answers in one piece', async () => {
    const message = { role: 'assistant', content: 'whole' };
    const body = JSON.stringify({
      choices: [{ index: 0, message, finish_reason: 'length' }],
      usage: { prompt_tokens: 3, completion_tokens: 2 },
    });
    server.faults.push({ status: 200, body });
    const answer = await model().generate({ messages: [{ role: 'user', content: 'x' }] });
    expect(answer).toMatchObject({
      text: 'whole',
      finishReason: 'length',
      usage: { promptTokens: 3, completionTokens: 2 },
    });
  });

  it('that drops a field it does not know, is an error', async () => {
    const stream = event({ text: 'x', finish_reason: 'stop' });
    server.faults.push({ stream }, { stream });
    await expect(model().generate(TINY_PROMPT, { logprobs: 1 })).rejects.toMatchObject(
      fails('format', /no log-probabilities/),
    );
    await expect(model({ dialect: 'vllm', tokenIds: true }).generate(TINY_PROMPT)).rejects.toMatchObject(
      fails('format', /no token ids/),
    );
  });

  it('that overlooks a stop string or cuts a character in two, is put right', async () => {
    const stream = [
      event({ text: 'one \ud83d', finish_reason: null }),
      event({ text: '\ude00 ST', finish_reason: null }),
      event({ text: 'OP two', finish_reason: 'length' }),
    ].join('');
    server.faults.push({ stream }, { stream });
    const pieces: string[] = [];
    const answer = model().stream(TINY_PROMPT, { stop: ['STOP'] });
    for await (const { text } of answer) pieces.push(text);
    expect(pieces).toEqual(['one ', '\u{1f600} ']);
    expect(await answer.completion).toMatchObject({ text: 'one \u{1f600} ', finishReason: 'stop' });
    expect((await model().generate(TINY_PROMPT)).text).toBe('one \u{1f600} STOP two');
  });
});

describe('requests', () => {
  it('are at most maxConcurrency at a time, and answers keep their order', async () => {
    const remote = model({ baseUrl: slow.baseUrl, maxConcurrency: 3 });
    const prompts = Array.from({ length: 9 }, (_, i) => TINY_PROMPT + ' the'.repeat(i));
    slow.load.most = 0;
    const answers = await remote.generateMany(prompts, { maxTokens: 5 });
    expect(slow.load.most).toBe(3);
    const own = await answering.generateMany(prompts, { maxTokens: 5 });
    expect(answers.map(({ text }) => text)).toEqual(own.map(({ text }) => text));
  });

  it('end at the server, too, when they are cancelled, also those that wait', async () => {
    const remote = model({ baseUrl: slow.baseUrl, maxConcurrency: 1 });
    const controller = new AbortController();
    const many = remote.generateMany(
      Array.from({ length: 30 }, () => TINY_PROMPT),
      { maxTokens: 100, signal: controller.signal },
    );
    await new Promise((resolve) => setTimeout(resolve, 60));
    const before = slow.requests.length;
    controller.abort();
    const answers = await many;
    expect(answers.every(({ finishReason }) => finishReason === 'cancelled')).toBe(true);
    await expect.poll(() => slow.load.now).toBe(0);
    expect(slow.requests.length).toBe(before);
  });

  it('carry what was asked, and neutral values where a server has others of its own', async () => {
    const body = async (options: GenerateOptions, more: Partial<OpenAiModelOptions> = {}) => {
      server.faults.push({ stream: event({ text: 'x', finish_reason: 'stop' }) });
      await model(more).generate(TINY_PROMPT, options);
      return server.requests.at(-1)!.body;
    };
    expect(await body({ maxTokens: 3, seed: 9, stop: ['a', 'b', 'c', 'd', 'e'] })).toEqual({
      model: MODEL_NAME,
      prompt: TINY_PROMPT,
      stream: true,
      stream_options: { include_usage: true },
      max_tokens: 3,
      temperature: 0,
      seed: 9,
      stop: ['a', 'b', 'c', 'd'],
    });
    expect(await body({ topP: 0.5, logitBias: { 7: -3 }, presencePenalty: 1 })).toMatchObject({
      temperature: 1,
      top_p: 0.5,
      logit_bias: { 7: -3 },
      presence_penalty: 1,
    });
    expect(await body({ topK: 3, minTokens: 2, stopTokens: [4] }, { dialect: 'vllm' })).toMatchObject({
      temperature: 1,
      top_k: 3,
      top_p: 1,
      min_p: 0,
      repetition_penalty: 1,
      min_tokens: 2,
      stop_token_ids: [4],
    });
    expect(
      await body({ mirostat: { version: 2 }, bannedTokens: [6] }, { dialect: 'llamacpp' }),
    ).toMatchObject({
      top_k: 0,
      typical_p: 1,
      mirostat: 2,
      mirostat_tau: 5,
      logit_bias: [[6, false]],
    });
  });

  it('are never sent when something cannot be honoured', async () => {
    const before = server.requests.length;
    const refused: [GenerateOptions, Partial<OpenAiModelOptions>, RegExp][] = [
      [{ topK: 5 }, {}, /topK is not honoured.*dialect "vllm" or "llamacpp"/],
      [{ dry: { multiplier: 1 } }, { dialect: 'llamacpp' }, /dry is not honoured/],
      [{ temperature: 3 }, {}, /temperature is 3; .* 0 to 2/],
      [{ logitBias: { 5: 200 } }, {}, /logitBias of token 5 is 200/],
      [{ logprobs: 21 }, {}, /logprobs is 21/],
      [{ dialect: 'hf' }, { dialect: 'vllm' }, /dialect "hf" is not honoured.*"vllm"/],
      [{ seed: 2 ** 32 }, { dialect: 'llamacpp' }, /seed is 4294967296/],
      [{ ignoreStopTokens: true }, {}, /ignoreStopTokens/],
    ];
    for (const [options, more, message] of refused) {
      await expect(model(more).generate(TINY_PROMPT, options)).rejects.toMatchObject(
        fails('config', message),
      );
    }
    await expect(model().generate([1, 2])).rejects.toMatchObject(fails('config', /tokenIds: true/));
    expect(server.requests.length).toBe(before);
  });

  it('carry the key of the environment over https and to this machine only', async () => {
    const saved = process.env.OPENAI_API_KEY;
    process.env.OPENAI_API_KEY = 'sesame';
    try {
      const { baseUrl } = server;
      const plain = { baseUrl, model: MODEL_NAME };
      expect((await createOpenAiLanguageModel(plain).generate(TINY_PROMPT, short)).text).not.toBe('');
      const elsewhere = baseUrl.replace('127.0.0.1', '0.0.0.0');
      await expect(
        createOpenAiLanguageModel({ ...plain, baseUrl: elsewhere }).generate(TINY_PROMPT),
      ).rejects.toMatchObject(fails('config', /401.*Give a key/));
    } finally {
      if (saved === undefined) delete process.env.OPENAI_API_KEY;
      else process.env.OPENAI_API_KEY = saved;
    }
  });

  it('are refused for options of the model that are wrong', () => {
    for (const [options, message] of [
      [{ baseUrl: 'localhost' }, /baseUrl is "localhost"/],
      [{ model: '' }, /model is missing/],
      [{ maxRetries: -1 }, /maxRetries is -1/],
      [{ dialect: 'klingon' as 'vllm' }, /dialect is "klingon"/],
      [{ nonsense: 1 } as object, /Unknown option "nonsense"/],
    ] as const) {
      expect(() => model(options)).toThrow(message);
    }
  });
});
