import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { loadLanguageModel } from '../../src/decode/index.node.ts';
import { createLanguageModel } from '../../src/decode/index.ts';
import { saveCheckpoint } from '../../src/model/checkpoint.node.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { wasmDevice } from '../../src/runtime/index.web.ts';
import { saveTokenizer } from '../../src/tokenizer/index.node.ts';
import { chatMl } from '../../src/tokenizer/index.ts';
import { TINY_CASE, tinyChatModel } from '../fixtures/backends/tiny-gguf.ts';
import { describeLanguageModel } from './language-model.contract.ts';

const { tokenizer, config, weights } = tinyChatModel({ eosTokenIds: [] });
const tiny = () => ({ config, weights });
const device = cpuDevice({ numThreads: 1 });

describeLanguageModel({
  name: 'compiled programs on the CPU',
  ...TINY_CASE,
  make: () => createLanguageModel({ ...tiny(), tokenizer, chatFormat: chatMl, device }),
});

describeLanguageModel({
  name: 'compiled programs without a chat format, a chunk and a batch of small size',
  ...TINY_CASE,
  make: () => createLanguageModel({ ...tiny(), tokenizer, device, chunkLength: 4, maxBatchSize: 2 }),
});

describeLanguageModel({
  name: 'compiled programs in WebAssembly',
  ...TINY_CASE,
  make: async () =>
    createLanguageModel({ ...tiny(), tokenizer, chatFormat: chatMl, device: await wasmDevice() }),
});

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-model-'));
  await saveCheckpoint(join(folder, 'model'), { ...tiny(), dtype: 'BF16' });
  await saveTokenizer(join(folder, 'model'), tokenizer);
});
afterAll(() => rm(folder, { recursive: true }));

describeLanguageModel({
  name: 'a folder',
  ...TINY_CASE,
  options: { ignoreStopTokens: true },
  make: () => loadLanguageModel(join(folder, 'model'), { device, requireTokenizer: true }),
});
