/** Requests that are given up leave no memory behind, measured in a process of its own after collecting garbage. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

/** Rounds of 120 requests that are given up; memory after each, collected. */
const MEMORY = `
import { createLanguageModel } from './src/decode/index.ts';
import { cpuDevice } from './src/runtime/index.node.ts';
import { tinyModel } from './test/fixtures/models/random-model.ts';
const model = tinyModel({ maxPositionEmbeddings: 300, numKvHeads: 4, headDim: 32 }, 1);
const device = cpuDevice({ numThreads: 1 });
const one = await createLanguageModel({ ...model, device, prefixCacheBytes: 2 ** 20, maxBatchSize: 8, chunkLength: 64 });
const rounds = [];
for (let round = 0; round < 8; round++) {
  await Promise.all(Array.from({ length: 120 }, async (_, i) => {
    const abort = new AbortController();
    const prompt = Array.from({ length: 1 + (i * 37) % 150 }, (_, j) => (i * j + round) % 96);
    const options = { maxTokens: 100, signal: abort.signal, logprobs: 5, promptLogprobs: i % 5 ? undefined : 5 };
    if (i % 2) {
      setTimeout(() => abort.abort(), i * 2);
      await one.generate(prompt, options);
    } else for await (const piece of one.stream(prompt, options)) if (piece.tokens.length > 0) break;
  }));
  await one.generate([1], { maxTokens: 1 });
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    globalThis.gc();
  }
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
  rounds.push({ rss, heapUsed, arrayBuffers, ...one.use });
}
console.log(JSON.stringify(rounds));
`;

it('memory does not grow from round to round of 120 requests that are given up', async () => {
  const node = ['--expose-gc', '--import', 'tsx', '--input-type=module', '-e', MEMORY];
  const { stdout } = await promisify(execFile)(process.execPath, node, {
    cwd: new URL('../..', import.meta.url),
  });
  const rounds = JSON.parse(stdout) as Record<string, number>[];
  const [, , warm] = rounds;
  const last = rounds.at(-1)!;
  const grown = (name: string) => last[name]! - warm![name]!;
  expect(last).toMatchObject({ numRunning: 0, numWaiting: 0 });
  // Keys and values of 600 requests take over 100 MB: any that stay would show.
  expect(grown('arrayBuffers')).toBeLessThan(2 ** 20);
  expect(grown('heapUsed')).toBeLessThan(2 ** 21);
  // The runtime's own allocator settles after some rounds.
  expect(grown('rss')).toBeLessThan(64 * 2 ** 20);
  expect(last.prefixCacheBytes).toBeLessThanOrEqual(2 ** 20);
});
