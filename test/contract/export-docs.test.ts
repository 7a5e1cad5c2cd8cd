/** The programs in docs/export.md run as they stand there, with a model that has learned one answer. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as transformers from '@huggingface/transformers';
import * as llamaCpp from 'node-llama-cpp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exportModel } from '../../src/model/export/index.node.ts';
import { ANSWER, QUESTION, saveExportModel, trainedExportModel } from '../fixtures/models/export-model.ts';

const folder = mkdtempSync(join(tmpdir(), 'plinth-export-docs-'));
const doc = readFileSync(new URL('../../docs/export.md', import.meta.url), 'utf8');
const programs = [...doc.matchAll(/```js\n([\s\S]*?)```/g)].map(([, code]) => code!);

beforeAll(async () => {
  await saveExportModel(join(folder, 'source'), await trainedExportModel());
  await exportModel(join(folder, 'source'), { to: 'onnx', quantize: ['q8'], out: join(folder, 'atlas') });
  await exportModel(join(folder, 'source'), {
    to: 'gguf',
    quantize: ['q8'],
    out: join(folder, 'atlas.gguf'),
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a program of the doc with `scope` in place of its imports; gives what it prints. */
async function printed(code: string, scope: Record<string, unknown>): Promise<string> {
  const names = /import \{ (.*?) \} from/.exec(code)![1]!;
  const lines: string[] = [];
  const body = code
    .replace(/^import .*$/gm, '')
    .replace('What is the capital of Kenya?', QUESTION)
    .replace('./web/models/', `${folder}/`)
    .replace("'atlas.gguf'", JSON.stringify(join(folder, 'atlas.gguf')));
  const AsyncFunction = (async () => {}).constructor as new (
    ...parts: string[]
  ) => (scope: object, console: object) => Promise<void>;
  const run = new AsyncFunction('scope', 'console', `const { ${names} } = scope;${body}`);
  await run(scope, { log: (line: string) => lines.push(line) });
  return lines.join('\n');
}

describe('docs/export.md', () => {
  it('transformers.js in Node answers', async () => {
    const program = programs.find((code) => code.includes('tokenizer.batch_decode'))!;
    expect(
      (
        await printed(program.replace('max_new_tokens: 40', 'max_new_tokens: 100'), { ...transformers })
      ).trim(),
    ).toBe(ANSWER);
  });

  it('node-llama-cpp answers', async () => {
    const program = programs.find((code) => code.includes('LlamaChatSession'))!;
    const llamas: llamaCpp.Llama[] = [];
    // Nothing is built or fetched while testing.
    const getLlama = async (options: llamaCpp.LlamaOptions) => {
      const llama = await llamaCpp.getLlama({
        ...options,
        build: 'never',
        skipDownload: true,
        maxThreads: 1,
        logLevel: llamaCpp.LlamaLogLevel.error,
      });
      llamas.push(llama);
      return llama;
    };
    expect((await printed(program, { ...llamaCpp, getLlama })).trim()).toBe(ANSWER);
    for (const llama of llamas) await llama.dispose();
  });
});
