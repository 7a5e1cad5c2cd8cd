/** Decoding on WebGPU, with no operator left to the CPU: the reference's greedy tokens. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadLanguageModel } from '../../src/decode/index.node.ts';
import { openGpu } from './software-gpu.ts';

const golden: Record<string, { greedy: { prompt: number[]; tokens: number[] }[] }> = JSON.parse(
  readFileSync(new URL('transformer.json', import.meta.url), 'utf8'),
);
const gpu = await openGpu();

describe('decoding on WebGPU', () => {
  if ('missing' in gpu) {
    it.skip(`no adapter: ${gpu.missing}`, () => {});
    return;
  }
  it.each(['qwen3-tied', 'llama3-biases'])('%s gives the same greedy tokens', async (name) => {
    const folder = new URL(`../fixtures/models/${name}`, import.meta.url).pathname;
    // Lenient: the sizes of a run (Shape and what is computed from it) are read on the CPU, as everywhere.
    const model = await loadLanguageModel(folder, { device: gpu.lenient, chunkLength: 16 });
    const { greedy } = golden[name]!;
    const completions = await model.generateMany(
      greedy.map(({ prompt }) => prompt),
      { maxTokens: 8, ignoreStopTokens: true },
    );
    expect(completions.map(({ tokens }) => tokens)).toEqual(greedy.map(({ tokens }) => tokens.slice(0, 8)));
    await model.dispose();
  });
});
