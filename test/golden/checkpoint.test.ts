/**
 * Files and numbers made by torch and Python's own struct and json, without any code of ours
 * (test/fixtures/checkpoints/make.py).
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { loadCheckpoint, stopTokenIds } from '../../src/model/checkpoint.node.ts';
import { decodeFloat32, encodeFloat32 } from '../../src/model/safetensors-float.ts';

const fixture = (name: string): string =>
  new URL(`../fixtures/checkpoints/${name}`, import.meta.url).pathname;
const readJson = <T>(name: string): T => JSON.parse(readFileSync(fixture(name), 'utf8')) as T;

test('a Llama in two shards of BF16 and F16 loads with the values that torch stored', async () => {
  const { config, weights, rawConfig, rawGenerationConfig, ignoredTensors } = await loadCheckpoint(
    fixture('tiny-llama-sharded'),
  );
  expect(config).toMatchObject({ architecture: 'llama', headDim: 4, numKvHeads: 1, eosTokenIds: [2, 3] });
  expect(rawConfig.transformers_version).toBe('4.57.0');
  expect(stopTokenIds(config, rawGenerationConfig)).toEqual([2, 3, 5]);
  expect(stopTokenIds(config, null)).toEqual([2, 3]);
  const frequencies = 'model.layers.0.self_attn.rotary_emb.inv_freq';
  expect(ignoredTensors).toEqual([frequencies]);

  const expected = readJson<Record<string, { shape: number[]; first_bits: number[]; sum_bits: number }>>(
    'tiny-llama-sharded.expected.json',
  );
  expect([...weights.keys(), frequencies].sort()).toEqual(Object.keys(expected).sort());
  for (const [name, { shape, data }] of weights) {
    const bits = new Uint32Array(data.buffer);
    expect(shape, name).toEqual(expected[name]!.shape);
    expect([...bits.slice(0, 3)], name).toEqual(expected[name]!.first_bits);
    expect(
      bits.reduce((sum, value) => sum + value, 0),
      name,
    ).toBe(expected[name]!.sum_bits);
  }
});

describe('float conversions equal torch', () => {
  const { narrow, widen_f16 } = readJson<{
    narrow: [number, number, number][];
    widen_f16: [number, number][];
  }>('float-conversions.json');

  test.each([
    ['F16', 1],
    ['BF16', 2],
  ] as const)('float32 to %s, ties, subnormals and overflow among them', (dtype, column) => {
    const values = new Float32Array(Uint32Array.from(narrow, ([bits]) => bits).buffer);
    const got = new Uint16Array(encodeFloat32(values, dtype).buffer);
    expect([...got]).toEqual(narrow.map((row) => row[column]));
    expect(got.length).toBeGreaterThan(900);
  });

  test('F16 to float32', () => {
    const halves = Uint16Array.from(widen_f16, ([half]) => half);
    const out = new Float32Array(halves.length);
    decodeFloat32(new Uint8Array(halves.buffer), 'F16', out);
    expect([...new Uint32Array(out.buffer)]).toEqual(widen_f16.map(([, bits]) => bits));
  });
});
