/**
 * A page built by Vite trains a small transformer in Chromium, on WebAssembly and on WebGPU, and gets the
 * losses that Node gets on the CPU.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { type RunningBrowser, startChromium } from './chromium.ts';
import { type PageServer, servePage } from './isolated-server.ts';
import type { BrowserRun } from './page/main.ts';
import { trainTiny } from './page/tiny-training.ts';

const CHROMIUM = process.env.PLINTH_CHROMIUM ?? '/usr/bin/chromium';
const NUM_STEPS = 30;

let folder: string;
let server: PageServer;
let chromium: RunningBrowser;
let expected: number[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-page-'));
  await build({
    root: fileURLToPath(new URL('./page', import.meta.url)),
    configFile: false,
    logLevel: 'error',
    build: { outDir: folder, emptyOutDir: true, target: 'es2023', reportCompressedSize: false },
  });
  server = await servePage(folder);
  chromium = await startChromium(CHROMIUM);
  expected = await trainTiny(cpuDevice({ numThreads: 1 }), NUM_STEPS);
});

afterAll(async () => {
  await chromium?.close();
  await server?.close();
  if (folder) await rm(folder, { recursive: true, force: true });
});

/** Opens a fresh page, trains there, and gives the run and everything the page complained about. */
async function train(
  name: 'wasm' | 'webgpu',
  numThreads: number,
): Promise<{ run: BrowserRun; complaints: string[] }> {
  const complaints: string[] = [];
  const page: Page = await chromium.browser.newPage();
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  try {
    await page.goto(server.url);
    await page.waitForFunction('typeof window.run === "function"');
    const run = await page.evaluate(([device, threads, steps]) => window.run(device, threads, steps), [
      name,
      numThreads,
      NUM_STEPS,
    ] as const);
    return { run, complaints };
  } finally {
    await page.close();
  }
}

function expectSameTraining(run: BrowserRun, tolerance: number): void {
  expect(run.losses).toHaveLength(NUM_STEPS);
  run.losses.forEach((loss, i) => {
    expect(Math.abs(loss - expected[i]!), `step ${i}: ${loss}, Node ${expected[i]}`).toBeLessThan(tolerance);
  });
}

describe('training in Chromium', () => {
  it('learns in Node, so that there is something to compare with', () => {
    expect(expected[0]).toBeGreaterThan(2);
    expect(expected.at(-1)).toBeLessThan(0.3);
  });

  it.each([1, 2])('on WebAssembly with %i threads has the losses of Node on the CPU', async (numThreads) => {
    const { run, complaints } = await train('wasm', numThreads);
    expect(complaints).toEqual([]);
    expect(run).toMatchObject({ device: 'web-wasm', numThreads });
    expectSameTraining(run, 1e-4);
  });

  it('on WebGPU alone, with the state kept there, has the losses of Node on the CPU', async () => {
    const { run, complaints } = await train('webgpu', 1);
    expect(complaints).toEqual([]);
    expect(run.device).toBe('web-webgpu');
    expectSameTraining(run, 1e-3);
  });
});

describe('the built page', () => {
  it('holds nothing of Node', async () => {
    const scripts = (await readdir(join(folder, 'assets'))).filter((name) => name.endsWith('.js'));
    expect(scripts.length).toBeGreaterThan(0);
    for (const name of scripts) {
      const text = await readFile(join(folder, 'assets', name), 'utf8');
      expect(text.includes('onnxruntime-node') || text.includes('onnxruntime_binding'), name).toBe(false);
    }
  });
});
