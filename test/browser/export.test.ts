/**
 * A quantised model, exported and put beside a page built by Vite, answers in Chromium through transformers.js as it
 * does in Node; nothing is fetched from anywhere but the page's own server.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLanguageModel } from '../../src/decode/index.ts';
import { exportModel } from '../../src/model/export/index.node.ts';
import { quantizeWeights } from '../../src/model/quantize/quantize-weights.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { chatFormatOf } from '../../src/tokenizer/index.ts';
import {
  ANSWER,
  type ExportModel,
  QUESTION,
  saveExportModel,
  trainedExportModel,
} from '../fixtures/models/export-model.ts';
import { type RunningBrowser, startChromium } from './chromium.ts';
import type { BrowserAnswer } from './export-page/main.ts';
import { type PageServer, servePage } from './isolated-server.ts';

const CHROMIUM = process.env.PLINTH_CHROMIUM ?? '/usr/bin/chromium';
const NUM_TOKENS = 100;

let folder: string;
let server: PageServer;
let chromium: RunningBrowser;
let model: ExportModel;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-export-page-'));
  const page = join(folder, 'page');
  await build({
    root: fileURLToPath(new URL('./export-page', import.meta.url)),
    configFile: false,
    logLevel: 'error',
    build: { outDir: page, emptyOutDir: true, target: 'es2023', reportCompressedSize: false },
  });
  model = await trainedExportModel();
  await saveExportModel(join(folder, 'source'), model);
  await exportModel(join(folder, 'source'), {
    to: 'onnx',
    quantize: ['q8'],
    out: join(page, 'models', 'small'),
  });
  server = await servePage(page);
  chromium = await startChromium(CHROMIUM);
});

afterAll(async () => {
  await chromium?.close();
  await server?.close();
  if (folder) await rm(folder, { recursive: true, force: true });
});

describe('an exported q8 model in Chromium', () => {
  it('gives the greedy answer that Plinth gives in Node, and asks no other server for anything', async () => {
    const requested: string[] = [];
    const complaints: string[] = [];
    const page = await chromium.browser.newPage();
    page.on('request', (request) => requested.push(request.url()));
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(server.url);
    await page.waitForFunction('typeof window.answer === "function"');
    const got: BrowserAnswer = await page.evaluate(
      ([question, numTokens]) => window.answer('small', question, numTokens),
      [QUESTION, NUM_TOKENS] as const,
    );
    await page.close();
    expect(complaints).toEqual([]);

    const node = await createLanguageModel({
      config: model.config,
      weights: quantizeWeights(model.config, model.weights, { bits: 8 }).weights,
      tokenizer: model.tokenizer,
      chatFormat: chatFormatOf(model.tokenizer, model.tokenizerConfig),
      device: cpuDevice({ numThreads: 1 }),
    });
    const expected = await node.generate(
      { messages: [{ role: 'user', content: QUESTION }] },
      { maxTokens: NUM_TOKENS, temperature: 0 },
    );
    await node.dispose();
    expect(expected).toMatchObject({ text: ANSWER, finishReason: 'stop' });
    expect(got.prompt).toBe(`<turn>user: ${QUESTION}<|im_end|><turn>assistant: `);
    expect(got.text).toBe(ANSWER);
    // There the token that ends the text is the last one of the answer.
    const [end] = model.config.eosTokenIds;
    expect(got.tokens.filter((id) => id !== end)).toEqual(expected.tokens.filter((id) => id !== end));

    const isLocal = (url: string) => url.startsWith(server.url) || /^(blob|data):/.test(url);
    expect(requested.filter((url) => !isLocal(url))).toEqual([]);
    expect(requested.some((url) => url.endsWith('/onnx/model_quantized.onnx'))).toBe(true);
    expect(requested.some((url) => url.includes('ort-wasm'))).toBe(true);
  });
});
