/**
 * A trained model's folder beside a page built by Vite: fetched and run in Chromium by Plinth itself, on WebAssembly
 * and WebGPU, with nothing asked of any other server, it answers as it does in Node.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Completion, loadLanguageModel } from '../../src/decode/index.node.ts';
import { embeddingNames, saveCheckpoint } from '../../src/model/checkpoint.node.ts';
import { quantizeWeights } from '../../src/model/quantize/quantize-weights.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { formatTokenizerConfig, formatTokenizerJson } from '../../src/tokenizer/index.ts';
import { ANSWER, QUESTION, saveExportModel, trainedExportModel } from '../fixtures/models/export-model.ts';
import { type RunningBrowser, startChromium } from './chromium.ts';
import { type PageServer, servePage } from './isolated-server.ts';

const CHROMIUM = process.env.PLINTH_CHROMIUM ?? '/usr/bin/chromium';
/** Beginnings of the answer that was learned, of several lengths, so that a batch is ragged. */
const PROMPTS = [QUESTION, `${QUESTION} Say it at once.`, 'What?'];

let folder: string;
let server: PageServer;
let chromium: RunningBrowser;
/** Node's greedy answers with log-probabilities, by folder. */
const expected: Record<string, Completion[]> = {};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-decode-page-'));
  const page = join(folder, 'page');
  await build({
    root: fileURLToPath(new URL('./decode-page', import.meta.url)),
    configFile: false,
    logLevel: 'error',
    build: { outDir: page, emptyOutDir: true, target: 'es2023', reportCompressedSize: false },
  });
  const model = await trainedExportModel();
  const { config, weights, tokenizer, tokenizerConfig } = model;
  await saveExportModel(join(page, 'models', 'float'), model);
  await saveCheckpoint(join(page, 'models', 'q8'), {
    config,
    weights: quantizeWeights(config, weights, { bits: 8, keep: embeddingNames(config) }).weights,
    files: new Map([
      ['tokenizer.json', formatTokenizerJson(tokenizer)],
      ['tokenizer_config.json', formatTokenizerConfig(tokenizer, tokenizerConfig)],
    ]),
  });
  for (const name of ['float', 'q8']) {
    const node = await loadLanguageModel(join(page, 'models', name), {
      device: cpuDevice({ numThreads: 1 }),
    });
    expected[name] = [];
    for (const content of PROMPTS) {
      const prompt = { messages: [{ role: 'user' as const, content }] };
      expected[name].push(await node.generate(prompt, { maxTokens: 60, temperature: 0, logprobs: 2 }));
    }
    await node.dispose();
  }
  server = await servePage(page);
});

// One browser a test: it ends by itself after a time that all of them together may need on a busy machine.
beforeEach(async () => {
  chromium = await startChromium(CHROMIUM);
});
afterEach(async () => chromium?.close());

afterAll(async () => {
  await server?.close();
  if (folder) await rm(folder, { recursive: true, force: true });
});

interface Opened {
  readonly page: Page;
  readonly complaints: string[];
  readonly requested: string[];
}

/** Opens the page and waits until its model is loaded. */
async function open(query: string, prepare?: (page: Page) => Promise<unknown>): Promise<Opened> {
  const complaints: string[] = [];
  const requested: string[] = [];
  const page = await chromium.browser.newPage();
  // A GPU in software compiles every kernel on cores that others may be using.
  page.setDefaultTimeout(150_000);
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => requested.push(request.url()));
  await prepare?.(page);
  await page.goto(`${server.url}?${query}`);
  await page.waitForFunction(
    () =>
      window.model !== undefined || !document.getElementById('status')!.textContent!.startsWith('Loading'),
  );
  expect(await page.textContent('#status')).toMatch(/MB of weights in .* s; answers on/);
  return { page, complaints, requested };
}

/** Types the question, asks, and gives what the page shows at the end. */
async function ask(page: Page, question: string): Promise<string> {
  await page.fill('#question', question);
  await page.click('#ask');
  await page.waitForFunction(() => !document.querySelector<HTMLButtonElement>('#ask')!.disabled);
  return (await page.textContent('#answer'))!;
}

const answersTogether = (page: Page): Promise<Completion[]> =>
  page.evaluate(
    (contents) =>
      window.model.generateMany(
        contents.map((content) => ({ messages: [{ role: 'user', content }] })),
        { maxTokens: 60, temperature: 0, logprobs: 2 },
      ),
    PROMPTS,
  );

/** Largest difference of log-probabilities, in nats, where the tokens are the same. */
function worstLogprob(got: readonly Completion[], want: readonly Completion[]): number {
  const flat = (all: readonly Completion[]) =>
    all.flatMap(({ logprobs }) => logprobs!.map((one) => one.logprob));
  const [a, b] = [flat(got), flat(want)];
  expect(a.length).toBe(b.length);
  return a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b[i]!)), 0);
}

describe('the answer to compare with', () => {
  it('is the one that was learned, in float32 and 8 bits', () => {
    for (const name of ['float', 'q8']) {
      expect(expected[name]![0]).toMatchObject({ text: ANSWER, finishReason: 'stop' });
    }
  });
});

/**
 * Float32 sums in another order differ by 1e-5 nats or so. In 8 bits Node also rounds the left sides of products,
 * which browsers do not.
 */
const cases = [
  { query: 'device=wasm&threads=1&model=models/float', on: 'web-wasm, 1 thread', tolerance: 1e-4 },
  { query: 'device=wasm&threads=2&model=models/float', on: 'web-wasm, 2 threads', tolerance: 1e-4 },
  { query: 'device=wasm&threads=1&model=models/q8', on: 'web-wasm, 1 thread', tolerance: 0.1 },
  { query: 'device=webgpu&model=models/float', on: 'web-webgpu', tolerance: 1e-3 },
  { query: 'device=webgpu&model=models/q8', on: 'web-webgpu', tolerance: 0.1 },
];

describe.each(cases)('a fetched model in Chromium, $query', ({ query, on, tolerance }) => {
  it('streams, batches and scores as in Node, and asks no other server for anything', async () => {
    const { page, complaints, requested } = await open(query);
    expect(await page.textContent('#status')).toContain(on);
    expect(await ask(page, QUESTION)).toBe(ANSWER);
    expect(await page.textContent('#speed')).toMatch(/^\d+ tokens a second$/);
    const node = expected[query.endsWith('q8') ? 'q8' : 'float']!;
    const got = await answersTogether(page);
    await page.evaluate(() => window.model.dispose());
    await page.close();
    expect(got.map(({ tokens }) => tokens)).toEqual(node.map(({ tokens }) => tokens));
    const worst = worstLogprob(got, node);
    expect(worst, `${query}: ${worst} nats`).toBeLessThan(tolerance);
    expect(complaints).toEqual([]);
    const isLocal = (url: string) => url.startsWith(server.url) || /^(blob|data):/.test(url);
    expect(requested.filter((url) => !isLocal(url))).toEqual([]);
    expect(requested.some((url) => url.endsWith('/model.safetensors'))).toBe(true);
  });
});

describe('a browser without JavaScript promise integration', () => {
  it('decodes on WebGPU with the embedding in 8 bits too', async () => {
    const { page, complaints, requested } = await open(
      'device=webgpu&model=models/float&quantize=8',
      (fresh) =>
        fresh.addInitScript(() => {
          delete (WebAssembly as { Suspending?: unknown }).Suspending;
        }),
    );
    expect(await ask(page, QUESTION)).toBe(ANSWER);
    await page.close();
    expect(complaints).toEqual([]);
    expect(requested.some((url) => url.includes('asyncify') && url.endsWith('.wasm'))).toBe(true);
  });
});

describe('a stream in Chromium', () => {
  it('comes in pieces, and ends when it is left or stopped; the next answer is whole', async () => {
    const { page, complaints } = await open('device=wasm&threads=1&model=models/float');
    const got = await page.evaluate(async (content) => {
      const prompt = { messages: [{ role: 'user', content }] } as const;
      const pieces: string[] = [];
      const left = window.model.stream(prompt, { temperature: 0 });
      for await (const { text } of left) {
        pieces.push(text);
        if (pieces.length === 3) break;
      }
      const stopping = new AbortController();
      const stopped = window.model.stream(prompt, {
        temperature: 0,
        ignoreStopTokens: true,
        signal: stopping.signal,
      });
      let numPieces = 0;
      for await (const _ of stopped) if (++numPieces === 4) stopping.abort();
      const whole = await window.model.generate(prompt, { temperature: 0 });
      return { pieces, left: await left.completion, stopped: await stopped.completion, whole };
    }, QUESTION);
    await page.close();
    expect(complaints).toEqual([]);
    expect(got.pieces).toHaveLength(3);
    expect(ANSWER.startsWith(got.pieces.join(''))).toBe(true);
    expect(got.left.finishReason).toBe('cancelled');
    expect(got.left.tokens.length).toBeLessThan(expected.float![0]!.tokens.length);
    expect(got.stopped.finishReason).toBe('cancelled');
    expect(ANSWER.startsWith(got.stopped.text)).toBe(true);
    expect(got.whole.text).toBe(ANSWER);
  });

  it('a folder that is not there is told on the page, in words', async () => {
    const page = await chromium.browser.newPage();
    await page.goto(`${server.url}?model=models/nowhere`);
    await page.waitForFunction(() => !document.getElementById('status')!.textContent!.startsWith('Loading'));
    expect(await page.textContent('#status')).toMatch(/models\/nowhere\/ .*404/);
    await page.close();
  });
});
