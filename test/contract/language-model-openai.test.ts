import { afterAll, beforeAll } from 'vitest';
import { createLanguageModel, type LanguageModel } from '../../src/decode/index.ts';
import {
  createOpenAiLanguageModel,
  type OpenAiModelOptions,
} from '../../src/decode/openai/openai-language-model.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { chatMl } from '../../src/tokenizer/index.ts';
import { MODEL_NAME, type RunningServer, startOpenAiServer } from '../fixtures/backends/openai-server.ts';
import { TINY_CASE, tinyChatModel, tinyTokenizer } from '../fixtures/backends/tiny-gguf.ts';
import { describeLanguageModel } from './language-model.contract.ts';

const servers = new Map<string, RunningServer>();
let answering: LanguageModel;
beforeAll(async () => {
  answering = await createLanguageModel({
    ...tinyChatModel({ eosTokenIds: [] }),
    chatFormat: chatMl,
    device: cpuDevice({ numThreads: 1 }),
  });
  servers.set('openai', await startOpenAiServer({ model: answering, delayMs: 2 }));
  servers.set('openai in pieces', await startOpenAiServer({ model: answering, pieceBytes: 7 }));
  for (const dialect of ['vllm', 'llamacpp'] as const) {
    servers.set(dialect, await startOpenAiServer({ model: answering, dialect, delayMs: 2 }));
  }
});
afterAll(async () => {
  for (const server of servers.values()) await server.close();
  await answering.dispose();
});

const make =
  (server: string, options: Partial<OpenAiModelOptions> = {}) =>
  async () =>
    createOpenAiLanguageModel({
      baseUrl: servers.get(server)!.baseUrl,
      model: MODEL_NAME,
      apiKey: '',
      ...options,
    });

describeLanguageModel({ name: 'an endpoint of dialect openai', ...TINY_CASE, make: make('openai') });

describeLanguageModel({
  name: 'an endpoint whose stream is cut within events and characters, with a tokenizer, two requests at a time',
  ...TINY_CASE,
  make: make('openai in pieces', {
    tokenizer: tinyTokenizer(),
    contextLength: TINY_CASE.tooLong.contextLength,
    maxConcurrency: 2,
  }),
});

describeLanguageModel({
  name: 'an endpoint of dialect vllm that gives token ids',
  ...TINY_CASE,
  make: make('vllm', {
    dialect: 'vllm',
    tokenIds: true,
    tokenizer: tinyTokenizer(),
    contextLength: TINY_CASE.tooLong.contextLength,
  }),
});

describeLanguageModel({
  name: 'an endpoint of dialect llamacpp',
  ...TINY_CASE,
  make: make('llamacpp', { dialect: 'llamacpp' }),
});
