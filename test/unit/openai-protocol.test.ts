/** The official client of OpenAI judges the server that the tests of the openai backend answer from. */
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLanguageModel, type LanguageModel } from '../../src/decode/index.ts';
import { createOpenAiLanguageModel } from '../../src/decode/openai/openai-language-model.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { chatMl } from '../../src/tokenizer/index.ts';
import { MODEL_NAME, type RunningServer, startOpenAiServer } from '../fixtures/backends/openai-server.ts';
import { TINY_PROMPT, tinyChatModel, tinyTokenizer } from '../fixtures/backends/tiny-gguf.ts';

let answering: LanguageModel;
let server: RunningServer;
let client: OpenAI;
beforeAll(async () => {
  answering = await createLanguageModel({
    ...tinyChatModel({ eosTokenIds: [] }),
    chatFormat: chatMl,
    device: cpuDevice({ numThreads: 1 }),
  });
  server = await startOpenAiServer({ model: answering, apiKey: 'sesame', pieceBytes: 11 });
  client = new OpenAI({ baseURL: server.baseUrl, apiKey: 'sesame', maxRetries: 1 });
});
afterAll(async () => {
  await server.close();
  await answering.dispose();
});

const messages = [{ role: 'user' as const, content: TINY_PROMPT }];
const chat = { model: MODEL_NAME, messages, max_tokens: 9, temperature: 0 };
const remote = () =>
  createOpenAiLanguageModel({
    baseUrl: server.baseUrl,
    model: MODEL_NAME,
    apiKey: 'sesame',
    tokenizer: tinyTokenizer(),
  });

describe("the tests' server, read by OpenAI's client", () => {
  it('answers chats, whole and streamed, as the backend reads them', async () => {
    const whole = await client.chat.completions.create(chat);
    const stream = client.chat.completions.stream({ ...chat, stream_options: { include_usage: true } });
    const streamed = await stream.finalChatCompletion();
    const ours = await remote().generate({ messages }, { maxTokens: 9 });
    expect(whole.choices[0]!.message.content).toBe(ours.text);
    expect(streamed.choices[0]!.message.content).toBe(ours.text);
    expect(streamed.choices[0]!.finish_reason).toBe('length');
    expect(streamed.usage?.completion_tokens).toBe(ours.usage.completionTokens);
    expect(whole.usage?.prompt_tokens).toBe(ours.usage.promptTokens);
  });

  it('continues texts, whole and streamed, as the backend reads them', async () => {
    const body = { model: MODEL_NAME, prompt: TINY_PROMPT, max_tokens: 9, temperature: 0 };
    const whole = await client.completions.create(body);
    let text = '';
    for await (const chunk of await client.completions.create({ ...body, stream: true })) {
      text += chunk.choices[0]?.text ?? '';
    }
    const ours = await remote().generate(TINY_PROMPT, { maxTokens: 9 });
    expect(whole.choices[0]!.text).toBe(ours.text);
    expect(text).toBe(ours.text);
  });

  it('gives several choices and log-probabilities, as the backend reads them', async () => {
    const several = await client.chat.completions.create({ ...chat, n: 3, temperature: 1, seed: 4 });
    expect(new Set(several.choices.map(({ message }) => message.content)).size).toBe(3);
    const whole = await client.chat.completions.create({ ...chat, logprobs: true, top_logprobs: 2 });
    const ours = await remote().generate({ messages }, { maxTokens: 9, logprobs: 2 });
    const theirs = whole.choices[0]!.logprobs!.content!;
    expect(ours.logprobs!.map(({ logprob }) => logprob)).toEqual(theirs.map(({ logprob }) => logprob));
    expect(ours.logprobs!.map(({ top }) => top.length)).toEqual(theirs.map((one) => one.top_logprobs.length));
    // The ids come back from the bytes: they are those that the model chose.
    const own = await answering.generate({ messages }, { maxTokens: 9 });
    expect(ours.logprobs!.map(({ token }) => token)).toEqual(own.tokens);
  });

  it('lists models and words errors as the client expects them', async () => {
    const models = [];
    for await (const one of client.models.list()) models.push(one.id);
    expect(models).toEqual([MODEL_NAME]);
    await expect(client.chat.completions.create({ ...chat, model: 'other' })).rejects.toBeInstanceOf(
      OpenAI.NotFoundError,
    );
    const wrong = new OpenAI({ baseURL: server.baseUrl, apiKey: 'wrong' });
    await expect(wrong.chat.completions.create(chat)).rejects.toMatchObject({
      status: 401,
      code: 'invalid_api_key',
    });
    const long = [{ role: 'user' as const, content: TINY_PROMPT.repeat(90) }];
    await expect(client.chat.completions.create({ ...chat, messages: long })).rejects.toMatchObject({
      status: 400,
      code: 'context_length_exceeded',
    });
    server.faults.push({ status: 429, headers: { 'retry-after-ms': '1' } });
    expect((await client.chat.completions.create(chat)).choices).toHaveLength(1);
  });
});
