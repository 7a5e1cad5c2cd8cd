import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLanguageModel, type LanguageModel } from '../../src/decode/index.ts';
import { backendOf, openLanguageModel } from '../../src/decode/open-model.node.ts';
import { saveCheckpoint } from '../../src/model/checkpoint.node.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { saveTokenizer } from '../../src/tokenizer/index.node.ts';
import { MODEL_NAME, type RunningServer, startOpenAiServer } from '../fixtures/backends/openai-server.ts';
import { TINY_PROMPT, tinyChatModel, writeGguf } from '../fixtures/backends/tiny-gguf.ts';

const device = cpuDevice({ numThreads: 1 });
let folder = '';
let answering: LanguageModel;
let server: RunningServer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-open-'));
  const { tokenizer, ...model } = tinyChatModel();
  await saveCheckpoint(join(folder, 'model'), model);
  await saveTokenizer(join(folder, 'model'), tokenizer);
  await writeGguf(join(folder, 'model.gguf'), { tokenizer, ...model });
  await mkdir(join(folder, 'folder.gguf'));
  await writeFile(join(folder, 'notes.txt'), 'x');
  answering = await createLanguageModel({ ...model, tokenizer, device });
  server = await startOpenAiServer({ model: answering, dialect: 'vllm' });
});
afterAll(async () => {
  await server.close();
  await answering.dispose();
  await rm(folder, { recursive: true });
});

describe('openLanguageModel', () => {
  it('opens the same model as a folder, as a GGUF file and at an endpoint', async () => {
    const expected = await answering.generate(TINY_PROMPT, { maxTokens: 15 });
    const openai = { apiKey: '' };
    const specs: [string, object][] = [
      [join(folder, 'model'), { onnx: { device } }],
      [join(folder, 'model.gguf'), { gguf: { numThreads: 1 } }],
      [`${server.baseUrl}#${MODEL_NAME}`, { openai }],
      [server.baseUrl, { openai, model: MODEL_NAME }],
      [server.baseUrl, { openai: { ...openai, dialect: 'vllm' } }],
    ];
    for (const [spec, options] of specs) {
      const model = await openLanguageModel(spec, options);
      expect((await model.generate(TINY_PROMPT, { maxTokens: 15 })).text).toBe(expected.text);
      await model.dispose();
    }
  });

  it('takes from an endpoint what it tells of its one model, and lists several', async () => {
    const model = await openLanguageModel(server.baseUrl, { openai: { apiKey: '' } });
    expect(model.contextLength).toBe(128);
    server.faults.push({ status: 200, body: JSON.stringify({ data: [{ id: 'a' }, { id: 'b' }] }) });
    await expect(openLanguageModel(server.baseUrl)).rejects.toMatchObject({
      code: 'config',
      message: expect.stringMatching(/serves 2 models: a, b. Name one, as http.*#name/),
    });
    server.faults.push({ status: 200, body: '{}' });
    await expect(openLanguageModel(server.baseUrl)).rejects.toMatchObject({ code: 'format' });
  });

  it('says what it does not open', async () => {
    const cases: [string, object, string, RegExp][] = [
      [join(folder, 'nothing'), {}, 'data', /cannot be opened: ENOENT/],
      [join(folder, 'nothing.gguf'), {}, 'data', /cannot be opened: ENOENT/],
      [join(folder, 'notes.txt'), {}, 'data', /is a file; expected a model's folder/],
      [join(folder, 'folder.gguf'), {}, 'data', /is a folder; expected/],
      [join(folder, 'model'), { model: 'x' }, 'config', /model is "x".*is no endpoint/],
      ['ftp://host/model', {}, 'config', /ftp:\/\/ cannot be opened/],
      [join(folder, 'model'), { nonsense: 1 }, 'config', /Unknown option "nonsense"/],
    ];
    for (const [spec, options, code, message] of cases) {
      await expect(openLanguageModel(spec, options)).rejects.toMatchObject({
        code,
        message: expect.stringMatching(message),
      });
    }
    expect(backendOf('C:\\models\\a.GGUF')).toBe('gguf');
    expect(backendOf('HTTPS://host/v1')).toBe('openai');
  });
});
