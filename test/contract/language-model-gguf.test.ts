import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { loadGgufLanguageModel } from '../../src/decode/gguf/gguf-language-model.node.ts';
import { TINY_CASE, tinyChatModel, writeGguf } from '../fixtures/backends/tiny-gguf.ts';
import { describeLanguageModel } from './language-model.contract.ts';

let folder = '';
const path = () => join(folder, 'tiny.gguf');
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-gguf-'));
  await writeGguf(path(), tinyChatModel());
});
afterAll(() => rm(folder, { recursive: true }));

describeLanguageModel({
  name: 'a GGUF file in llama.cpp',
  ...TINY_CASE,
  make: () => loadGgufLanguageModel(path(), { numThreads: 1 }),
});

describeLanguageModel({
  name: 'a GGUF file in llama.cpp, one sequence at a time, without a chat format',
  ...TINY_CASE,
  make: () => loadGgufLanguageModel(path(), { numThreads: 1, maxBatchSize: 1, chatFormat: null }),
});
