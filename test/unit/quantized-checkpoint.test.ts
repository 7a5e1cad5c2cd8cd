/** Quantised models as folders: bytes of the packed format, round trips, and what is refused by name. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { embeddingNames, loadCheckpoint, saveCheckpoint } from '../../src/model/checkpoint.node.ts';
import type { WeightArray } from '../../src/model/initialize.ts';
import {
  parseQuantizationConfig,
  toQuantizationConfig,
} from '../../src/model/quantize/compressed-tensors.ts';
import { dequantize, quantizeMatrix } from '../../src/model/quantize/quantize-matrix.ts';
import {
  dequantizeWeights,
  quantizeWeights,
  weightBytes,
  weightError,
} from '../../src/model/quantize/quantize-weights.ts';
import { isQuantized, type QuantizedWeight } from '../../src/model/quantized.ts';
import { SafetensorsFile, writeSafetensors } from '../../src/model/safetensors.node.ts';
import type { TensorInput } from '../../src/model/safetensors.ts';
import { causalMask, logits, transformer } from '../../src/model/transformer.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import * as t from '../../src/tensor/index.ts';
import { tinyModel } from '../fixtures/models/random-model.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plinth-quantized-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

// biome-ignore lint/suspicious/noExplicitAny: JSON that tests damage on purpose
type Json = any;

/** Projections read 32 or 64 values, except down_proj's 40, which no block fills. */
const model = (overrides = {}) => tinyModel({ hiddenSize: 32, headDim: 16, ...overrides });
const Q_PROJ = 'model.layers.0.self_attn.q_proj.weight';
const DOWN_PROJ = 'model.layers.1.mlp.down_proj.weight';

function quantized(bits: 4 | 8, overrides = {}) {
  const { config, weights } = model(overrides);
  return {
    config,
    floats: weights,
    ...quantizeWeights(config, weights, { bits, keep: embeddingNames(config) }),
  };
}

async function saved(bits: 4 | 8, overrides = {}) {
  const made = quantized(bits, overrides);
  const path = join(folder, `q${bits}`);
  await saveCheckpoint(path, { config: made.config, weights: made.weights });
  return { ...made, path };
}

describe('quantizeWeights', () => {
  it('quantises what blocks fill and says what it kept', () => {
    const { config, weights, quantized: names, kept } = quantized(4);
    expect(names).toHaveLength(2 * 6);
    expect(kept).toEqual([
      { name: 'model.embed_tokens.weight', why: 'asked for by name' },
      { name: 'model.layers.0.mlp.down_proj.weight', why: 'rows of 40 are no multiple of 32' },
      { name: DOWN_PROJ, why: 'rows of 40 are no multiple of 32' },
      { name: 'lm_head.weight', why: 'asked for by name' },
    ]);
    expect([...weights.values()].filter(isQuantized)).toHaveLength(12);
    const all = quantizeWeights(config, weights, { bits: 8 });
    expect(all.quantized).toEqual(['model.embed_tokens.weight', 'lm_head.weight']);
    expect(all.kept).toContainEqual({ name: Q_PROJ, why: 'has 4 bits already' });
    expect(all.weights.get(Q_PROJ)).toBe(weights.get(Q_PROJ));
  });

  it('refuses names, options and values by name', () => {
    const { config, weights } = model();
    const attempt = (options: object) => () => quantizeWeights(config, weights, { bits: 8, ...options });
    expect(attempt({ keep: ['model.layers.0.self_attn.q_proj'] })).toThrowError(
      /Did you mean "model.layers.0/,
    );
    expect(attempt({ bits: 3 })).toThrowError(/8 or 4 bits, got 3/);
    expect(attempt({ blockSize: 24 })).toThrowError(/Block size 24/);
    weights.get(Q_PROJ)!.data[33] = Number.NaN;
    expect(attempt({})).toThrowError(/q_proj.weight: The weight at row 1, column 1 is NaN/);
    weights.get(Q_PROJ)!.data[33] = 1e9;
    expect(attempt({})).toThrowError(/float16 ends at 65504/);
    weights.delete(Q_PROJ);
    expect(attempt({})).toThrowError(/lack "model.layers.0.self_attn.q_proj.weight"/);
  });

  it('counts bytes and finds the largest error', () => {
    const { floats, weights } = quantized(8);
    let bytes = 0;
    for (const [, weight] of weights) {
      bytes += isQuantized(weight) ? (weight.shape[0] * weight.shape[1] * 34) / 32 : weight.data.length * 4;
    }
    expect(weightBytes(weights)).toBe(bytes);
    const { name, largest, relative } = weightError(floats, weights)!;
    const values = dequantize(weights.get(name) as QuantizedWeight).data;
    expect(Math.max(...values.map((value, i) => Math.abs(value - floats.get(name)!.data[i]!)))).toBe(largest);
    expect(relative).toBeGreaterThan(0.002);
    expect(relative).toBeLessThan(0.01);
    expect(weightError(floats, quantized(4).weights)!.relative).toBeGreaterThan(10 * relative);
  });
});

describe('a packed tensor', () => {
  it('holds the codes of int32 words from the lowest bits up', async () => {
    const row = Float32Array.from({ length: 32 }, (_, i) => (i % 16) - 8);
    const { config, weights } = model();
    const q = weights.get(Q_PROJ)!;
    q.data.set(row);
    const path = join(folder, 'packed');
    await saveCheckpoint(path, {
      config,
      weights: new Map<string, WeightArray | QuantizedWeight>(weights).set(
        Q_PROJ,
        quantizeMatrix(q, { bits: 4 }),
      ),
      dtype: 'F16',
    });
    const file = await SafetensorsFile.open(join(path, 'model.safetensors'));
    expect(file.tensors.has(Q_PROJ)).toBe(false);
    expect(file.tensors.get(`${Q_PROJ}_packed`)).toMatchObject({ dtype: 'I32', shape: [64, 4] });
    expect(file.tensors.get(`${Q_PROJ}_scale`)).toMatchObject({ dtype: 'F16', shape: [64, 1] });
    expect(file.tensors.get(`${Q_PROJ}_shape`)).toMatchObject({ dtype: 'I64', shape: [2] });
    expect(file.tensors.get('lm_head.weight')).toMatchObject({ dtype: 'F16' });
    const words = new Int32Array((await file.readBytes(`${Q_PROJ}_packed`)).buffer);
    // codes 0 1 2 3 4 5 6 7, then 8 9 a b c d e f; the first in the lowest four bits
    expect([...words.subarray(0, 4)].map((word) => (word >>> 0).toString(16))).toEqual([
      '76543210',
      'fedcba98',
      '76543210',
      'fedcba98',
    ]);
    expect([...(await file.readFloat32(`${Q_PROJ}_scale`)).subarray(0, 1)]).toEqual([1]);
    expect([...new BigInt64Array((await file.readBytes(`${Q_PROJ}_shape`)).buffer)]).toEqual([64n, 32n]);
    await file.close();
    const json = JSON.parse(await readFile(join(path, 'config.json'), 'utf8'));
    expect(json.quantization_config).toMatchObject({
      quant_method: 'compressed-tensors',
      format: 'pack-quantized',
      config_groups: {
        group_0: {
          targets: ['Linear'],
          weights: { num_bits: 4, type: 'int', symmetric: true, strategy: 'group', group_size: 32 },
        },
      },
    });
    expect(json.quantization_config.ignore).toContain('lm_head');
    expect(json.quantization_config.ignore).toContain('model.layers.0.mlp.down_proj');
    expect(json.quantization_config.ignore).not.toContain('model.layers.0.self_attn.q_proj');
    expect(json.torch_dtype).toBe('float16');
  });
});

describe('a quantised folder', () => {
  it.each([
    [8, true],
    [4, true],
    [4, false],
  ] as const)('with %i bits comes back bit for bit (tied: %s)', async (bits, tieWordEmbeddings) => {
    const { path, weights, config } = await saved(bits, { tieWordEmbeddings });
    const loaded = await loadCheckpoint(path, { quantized: 'keep' });
    expect(loaded.config).toMatchObject({ hiddenSize: config.hiddenSize, tieWordEmbeddings });
    expect([...loaded.weights.keys()]).toEqual([...weights.keys()]);
    for (const [name, weight] of weights) expect(loaded.weights.get(name), name).toEqual(weight);
    const floats = await loadCheckpoint(path, { quantized: 'dequantize' });
    expect(floats.weights).toEqual(dequantizeWeights(weights));
    await saveCheckpoint(join(folder, 'again'), { config, weights: loaded.weights });
    const [first, again] = await Promise.all(
      [path, join(folder, 'again')].map((one) => readFile(join(one, 'model.safetensors'))),
    );
    expect(again!.equals(first!)).toBe(true);
  });

  it('is refused where floats are needed', async () => {
    const { path } = await saved(4);
    await expect(loadCheckpoint(path)).rejects.toThrowError(
      /quantised to 4 bits; float32 weights are needed/,
    );
  });

  it('is not written with embeddings or two forms quantised', async () => {
    const { config, weights } = model();
    const all = quantizeWeights(config, weights, { bits: 8 });
    const target = join(folder, 'no');
    await expect(saveCheckpoint(target, { config, weights: all.weights })).rejects.toThrowError(
      /embed_tokens.weight is quantised.*embeddingNames/,
    );
    const mixed = new Map(quantized(8).weights).set(
      Q_PROJ,
      quantizeMatrix(weights.get(Q_PROJ)!, { bits: 4 }),
    );
    await expect(saveCheckpoint(target, { config, weights: mixed })).rejects.toThrowError(/holds one form/);
  });

  it('with one scale a row is read in blocks', async () => {
    const { path, weights } = await saved(8);
    await edit(path, (tensors) => {
      for (const tensor of tensors.values()) {
        if (!tensor.name.endsWith('_scale')) continue;
        tensor.data = Float32Array.from({ length: tensor.shape[0]! }, (_, row) => (row + 1) / 64);
        tensor.shape = [tensor.shape[0]!, 1];
        tensor.dtype = 'BF16';
      }
    });
    await editConfig(path, (weightsJson) =>
      Object.assign(weightsJson, { strategy: 'channel', group_size: null }),
    );
    const loaded = await loadCheckpoint(path, { quantized: 'keep' });
    const { scales, data, blockSize } = loaded.weights.get(Q_PROJ) as QuantizedWeight;
    expect(blockSize).toBe(32);
    expect([...scales.subarray(0, 3)]).toEqual([1 / 64, 2 / 64, 3 / 64]);
    expect(data).toEqual((weights.get(Q_PROJ) as QuantizedWeight).data);
  });
});

interface Edited extends Omit<TensorInput, 'data' | 'shape' | 'dtype'> {
  dtype: TensorInput['dtype'];
  shape: number[];
  data: Uint8Array | Float32Array;
}

async function edit(path: string, change: (tensors: Map<string, Edited>) => void): Promise<void> {
  const file = await SafetensorsFile.open(join(path, 'model.safetensors'));
  const tensors = new Map<string, Edited>();
  for (const [name, { dtype, shape }] of file.tensors) {
    tensors.set(name, { name, dtype, shape: [...shape], data: await file.readBytes(name) });
  }
  await file.close();
  change(tensors);
  await writeSafetensors(join(path, 'model.safetensors'), tensors.values());
}

async function editConfig(path: string, change: (weights: Record<string, unknown>, all: Json) => void) {
  const file = join(path, 'config.json');
  const json = JSON.parse(await readFile(file, 'utf8'));
  change(json.quantization_config.config_groups.group_0.weights, json.quantization_config);
  await writeFile(file, JSON.stringify(json));
}

describe('a damaged folder says what is wrong', () => {
  const damages: [string, (tensors: Map<string, Edited>) => void, RegExp][] = [
    ['scales missing', (all) => all.delete(`${Q_PROJ}_scale`), /q_proj.weight_scale" is missing/],
    ['no weights at all', (all) => all.delete(`${Q_PROJ}_packed`), /tensors are missing: .*q_proj.weight"/],
    [
      'codes of another width',
      (all) => {
        all.get(`${Q_PROJ}_packed`)!.shape = [32, 8];
      },
      /weight_packed" is I32 \[32, 8\]; with 4 bits .* expected I32 \[64, 4\]/,
    ],
    [
      'another shape',
      (all) => {
        all.get(`${Q_PROJ}_shape`)!.data = new Uint8Array(BigInt64Array.of(32n, 64n).buffer);
      },
      /weight_shape" says \[32, 64\], the config asks for \[64, 32\]/,
    ],
    [
      'zero points',
      (all) => {
        const name = `${Q_PROJ}_zero_point`;
        all.set(name, { name, dtype: 'I32', shape: [8, 1], data: new Uint8Array(32) });
      },
      /weight_zero_point" belongs to a form/,
    ],
    [
      'scales that are no numbers',
      (all) => {
        const scale = all.get(`${Q_PROJ}_scale`)!;
        scale.data = new Float32Array(64).fill(Number.NaN);
      },
      /weight_scale" holds NaN at place 0/,
    ],
    [
      'scales finer than float16',
      (all) => {
        const scale = all.get(`${Q_PROJ}_scale`)!;
        scale.dtype = 'F32';
        scale.data = new Float32Array(64).fill(0.1);
      },
      /no float16 number.*dequantize/,
    ],
  ];
  it.each(damages)('%s', async (_, change, message) => {
    const { path } = await saved(4);
    await edit(path, change);
    await expect(loadCheckpoint(path, { quantized: 'keep' })).rejects.toThrowError(message);
  });

  it('scales finer than float16 can still be dequantised', async () => {
    const { path, weights } = await saved(4);
    await edit(path, (all) => {
      const scale = all.get(`${Q_PROJ}_scale`)!;
      scale.dtype = 'F32';
      scale.data = new Float32Array(64).fill(0.1);
    });
    const { data } = (await loadCheckpoint(path, { quantized: 'dequantize' })).weights.get(Q_PROJ)!;
    const code = ((weights.get(Q_PROJ) as QuantizedWeight).data[0]! & 15) - 8;
    expect(data[0]).toBe(Math.fround(code * Math.fround(0.1)));
  });
});

describe('quantization_config', () => {
  const good = () => structuredClone(toQuantizationConfig({ bits: 4, blockSize: 64 }, [])) as Json;
  const group = (all: Json) => all.config_groups.group_0;
  it('that was written is read', () => {
    expect(parseQuantizationConfig('config.json', good())).toEqual({ bits: 4, blockSize: 64 });
  });

  it.each([
    ['gptq', (all: Json) => Object.assign(all, { quant_method: 'gptq' }), /quant_method "gptq"/],
    ['awq', (all: Json) => Object.assign(all, { quant_method: 'awq' }), /quant_method "awq"/],
    ['bitsandbytes', (all: Json) => Object.assign(all, { quant_method: 'bitsandbytes' }), /"bitsandbytes"/],
    ['no method', (all: Json) => delete all.quant_method, /quant_method missing/],
    [
      'int-quantized',
      (all: Json) => Object.assign(all, { format: 'int-quantized' }),
      /format "int-quantized"/,
    ],
    ['fp8', (all: Json) => Object.assign(group(all).weights, { type: 'float' }), /weights of type "float"/],
    ['2 bits', (all: Json) => Object.assign(group(all).weights, { num_bits: 2 }), /num_bits 2/],
    ['zero points', (all: Json) => Object.assign(group(all).weights, { symmetric: false }), /not symmetric/],
    ['blocks of 48', (all: Json) => Object.assign(group(all).weights, { group_size: 48 }), /group_size 48/],
    [
      'one scale',
      (all: Json) => Object.assign(group(all).weights, { strategy: 'tensor' }),
      /strategy "tensor"/,
    ],
    ['an order', (all: Json) => Object.assign(group(all).weights, { actorder: 'group' }), /actorder "group"/],
    ['activations', (all: Json) => Object.assign(group(all), { input_activations: {} }), /input_activations/],
    ['the cache', (all: Json) => Object.assign(all, { kv_cache_scheme: { num_bits: 8 } }), /kv_cache_scheme/],
    ['two groups', (all: Json) => Object.assign(all.config_groups, { b: {} }), /2 config_groups/],
  ] as const)('of %s is refused by name', (_, change, message) => {
    const all = good();
    change(all);
    expect(() => parseQuantizationConfig('config.json', all)).toThrowError(message);
  });
});

describe('a quantised model', () => {
  it('scores tokens as its dequantised form does, and near the float model', async () => {
    const { config, weights } = model({
      tieWordEmbeddings: true,
      intermediateSize: 64,
      initializerRange: 0.1,
    });
    const ids = t.constant(Int32Array.from([5, 90, 17, 3, 44, 60]), [1, 6], 'int32');
    const positions = t.constant(BigInt64Array.from([0, 1, 2, 3, 4, 5], BigInt), [1, 6], 'int64');
    const scores = async (
      mixed: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array } | QuantizedWeight>,
    ) => {
      const parameters = Object.fromEntries(
        [...mixed].map(([name, weight]) => [
          name,
          isQuantized(weight)
            ? t.quantizedConstant(weight)
            : t.constant(weight.data, weight.shape as number[], 'float32'),
        ]),
      );
      const inputs = { idsBT: ids, positionsBT: positions, maskTT: causalMask(6) };
      const { hiddenND } = transformer(parameters, config, inputs, { maxPositions: 6 });
      const executable = await cpuDevice({ numThreads: 1 }).compile({
        y: logits(parameters, config, hiddenND),
      });
      const values = (await (await executable.run({})).y!.read()) as Float32Array;
      await executable.dispose();
      return values;
    };
    const deviation = (a: Float32Array, b: Float32Array) =>
      Math.sqrt(
        a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0) / b.reduce((sum, v) => sum + v * v, 0),
      );
    const want = await scores(weights);
    for (const [bits, near] of [
      [8, 0.05],
      [4, 0.35],
    ] as const) {
      const { weights: mixed, kept } = quantizeWeights(config, weights, { bits });
      expect(kept).toEqual([]);
      const got = await scores(mixed);
      expect(deviation(got, await scores(dequantizeWeights(mixed)))).toBeLessThan(0.04);
      expect(deviation(got, want)).toBeLessThan(near);
      expect(deviation(got, want)).toBeGreaterThan(1e-4);
    }
  });
});
