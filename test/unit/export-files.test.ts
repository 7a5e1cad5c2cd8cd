/** The bytes of exported files: GGUF read back by a reader of its own, ONNX with data files, sizes known before. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { afterAll, describe, expect, it } from 'vitest';
import { exportGguf, exportOnnx } from '../../src/model/export/index.ts';
import { dequantize, quantizeMatrix } from '../../src/model/quantize/quantize-matrix.ts';
import type { MixedWeights } from '../../src/model/quantized.ts';
import type { ChunkedFile } from '../../src/tensor/index.ts';
import { bytesFromAlphabet } from '../../src/tokenizer/index.ts';
import { exportModelOf } from '../fixtures/models/export-model.ts';

const folder = mkdtempSync(join(tmpdir(), 'plinth-export-files-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const bytesOf = ({ chunks }: { chunks(): Iterable<Uint8Array> }) => Buffer.concat([...chunks()]);

interface GgufContent {
  metadata: Map<string, unknown>;
  tensors: Map<string, { dims: number[]; type: number; values: number[] }>;
}

/** Half-precision bits to a number, by its definition. */
function half(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  const size = exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -size : size;
}

/** A reader written from the specification, for the types that are written here. */
function readGguf(file: Buffer): GgufContent {
  let at = 0;
  /** Where a value of this size begins; the next one begins behind it. */
  const next = (sizeBytes: number) => {
    at += sizeBytes;
    return at - sizeBytes;
  };
  const u32 = () => file.readUInt32LE(next(4));
  const u64 = () => Number(file.readBigUInt64LE(next(8)));
  const text = () => {
    const length = u64();
    const from = next(length);
    return file.subarray(from, from + length).toString('utf8');
  };
  const value = (type: number): unknown => {
    if (type === 4) return u32();
    if (type === 5) return file.readInt32LE(next(4));
    if (type === 6) return file.readFloatLE(next(4));
    if (type === 7) return file.readUInt8(next(1)) === 1;
    if (type === 8) return text();
    expect(type).toBe(9);
    const inner = u32();
    return Array.from({ length: u64() }, () => value(inner));
  };
  expect(file.subarray(next(4), 4).toString()).toBe('GGUF');
  expect(u32()).toBe(3);
  const numTensors = u64();
  const numKeys = u64();
  const metadata = new Map(Array.from({ length: numKeys }, () => [text(), value(u32())]));
  const infos = Array.from({ length: numTensors }, () => {
    const name = text();
    const dims = Array.from({ length: u32() }, u64);
    return { name, dims, type: u32(), offset: u64() };
  });
  const start = Math.ceil(at / 32) * 32;
  const tensors = new Map(
    infos.map(({ name, dims, type, offset }) => {
      expect(offset % 32).toBe(0);
      const from = start + offset;
      const size = dims.reduce((product, dim) => product * dim, 1);
      const values = Array.from({ length: size }, (_, i) => {
        if (type === 0) return file.readFloatLE(from + 4 * i);
        if (type === 1) return half(file.readUInt16LE(from + 2 * i));
        const [block, inBlock] = [Math.floor(i / 32), i % 32];
        if (type === 8) {
          const own = from + 34 * block;
          return half(file.readUInt16LE(own)) * file.readInt8(own + 2 + inBlock);
        }
        expect(type).toBe(2);
        const own = from + 18 * block;
        const byte = file.readUInt8(own + 2 + (inBlock % 16));
        return half(file.readUInt16LE(own)) * ((inBlock < 16 ? byte & 15 : byte >> 4) - 8);
      });
      return [name, { dims, type, values }];
    }),
  );
  return { metadata, tensors };
}

describe('a GGUF file', () => {
  it('has the size that was told before, and all that llama.cpp asks of a qwen3', () => {
    const model = exportModelOf();
    const file = exportGguf({ ...model, name: 'small' });
    const bytes = bytesOf(file);
    expect(bytes.length).toBe(file.sizeBytes);
    const { metadata, tensors } = readGguf(bytes);
    const { config, tokenizer } = model;
    const wanted = {
      'general.architecture': 'qwen3',
      'general.name': 'small',
      'general.file_type': 0,
      'qwen3.block_count': config.numLayers,
      'qwen3.embedding_length': config.hiddenSize,
      'qwen3.feed_forward_length': config.intermediateSize,
      'qwen3.attention.head_count': config.numHeads,
      'qwen3.attention.head_count_kv': config.numKvHeads,
      'qwen3.attention.key_length': config.headDim,
      'qwen3.rope.freq_base': 10000,
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': 'qwen2',
      'tokenizer.ggml.eos_token_id': tokenizer.specialTokens.get('<|im_end|>'),
      'tokenizer.ggml.add_bos_token': false,
    };
    for (const [key, value] of Object.entries(wanted)) expect(metadata.get(key), key).toBe(value);
    expect(metadata.has('tokenizer.ggml.bos_token_id')).toBe(false);
    const tokens = metadata.get('tokenizer.ggml.tokens') as string[];
    const types = metadata.get('tokenizer.ggml.token_type') as number[];
    tokens.forEach((token, id) => {
      const isControl = tokenizer.specialTokens.has(token);
      expect(types[id], token).toBe(isControl ? 3 : 1);
      if (!isControl) expect(bytesFromAlphabet(token)).toEqual(tokenizer.tokenBytes(id));
    });
    expect(tensors.get('token_embd.weight')).toMatchObject({
      dims: [config.hiddenSize, config.vocabSize],
      values: [...model.weights.get('model.embed_tokens.weight')!.data],
    });
    expect(tensors.has('output.weight')).toBe(false);
  });

  it.each([
    ['Q8_0', 8],
    ['Q4_0', 4],
  ] as const)('of type %s holds exactly the numbers of the quantised weights', (type, bits) => {
    const { weights, ...model } = exportModelOf({ tieWordEmbeddings: false });
    const quantized: MixedWeights = new Map(
      [...weights].map(([name, weight]) => [
        name,
        weight.shape.length === 2 ? quantizeMatrix(weight, { bits, blockSize: 32 }) : weight,
      ]),
    );
    const made = exportGguf({ ...model, weights: quantized });
    const lazily = exportGguf({
      ...model,
      weights,
      quantize: { type, matrix: (weight) => quantizeMatrix(weight, { bits, blockSize: 32 }) },
    });
    expect(bytesOf(lazily).equals(bytesOf(made))).toBe(true);
    const { tensors, metadata } = readGguf(bytesOf(made));
    expect(metadata.get('general.file_type')).toBe(bits === 8 ? 7 : 2);
    const expected = dequantize(quantizeMatrix(weights.get('lm_head.weight')!, { bits, blockSize: 32 }));
    expect(tensors.get('output.weight')!.values.map(Math.fround)).toEqual([...expected.data]);
    expect(tensors.get('output_norm.weight')!.type).toBe(0);
  });

  it('has room for a vocabulary of any size', () => {
    const vocabSize = 9000;
    const model = exportModelOf({ vocabSize, numLayers: 1, hiddenSize: 8, headDim: 2, intermediateSize: 8 });
    const file = exportGguf(model);
    const bytes = bytesOf(file);
    expect(bytes.length).toBe(file.sizeBytes);
    const { metadata, tensors } = readGguf(bytes);
    const tokens = metadata.get('tokenizer.ggml.tokens') as string[];
    const { tokenizer } = model;
    expect(tokens).toHaveLength(vocabSize);
    expect(tokens.at(-1)).toBe('[PAD8999]');
    expect((metadata.get('tokenizer.ggml.token_type') as number[]).filter((type) => type === 5)).toHaveLength(
      vocabSize - tokenizer.vocabSize,
    );
    expect(tensors.get('token_embd.weight')!.values).toEqual([
      ...model.weights.get('model.embed_tokens.weight')!.data,
    ]);
  });

  it('keeps what blocks do not fill in the float type, norms always in float32', () => {
    const model = exportModelOf({ intermediateSize: 80 });
    const file = exportGguf({
      ...model,
      floatType: 'F16',
      quantize: { type: 'Q8_0', matrix: (weight) => quantizeMatrix(weight, { bits: 8 }) },
    });
    const types = Object.fromEntries(file.tensors.map(({ name, type }) => [name, type]));
    expect(types['blk.0.ffn_down.weight']).toBe('F16');
    expect(types['blk.0.ffn_up.weight']).toBe('Q8_0');
    expect(types['blk.1.attn_q_norm.weight']).toBe('F32');
  });

  it('of a llama has the pairs that it turns side by side', () => {
    const model = exportModelOf({ architecture: 'llama' });
    const { tensors } = readGguf(bytesOf(exportGguf(model)));
    const { data } = model.weights.get('model.layers.0.self_attn.k_proj.weight')!;
    const rows = (values: ArrayLike<number>, row: number) =>
      Array.from({ length: 64 }, (_, i) => values[row * 64 + i]!);
    const { values } = tensors.get('blk.0.attn_k.weight')!;
    // Heads of 16: row 2i + j of the file is row i + 8j of a head here.
    for (const [file, own] of [
      [0, 0],
      [1, 8],
      [2, 1],
      [15, 15],
      [17, 24],
    ] as const) {
      expect(rows(values, file)).toEqual(rows(data, own));
    }
  });
});

describe('what a GGUF file cannot say is refused by name', () => {
  const model = exportModelOf();
  it.each([
    ['dynamic RoPE scaling', { ropeScaling: { type: 'dynamic', factor: 2 } }, /dynamic RoPE scaling/],
    ['biases of qwen3', { attentionBias: true, attentionOutputBias: true }, /qwen3 has no biases/],
    [
      'llama3 scaling of qwen3',
      {
        ropeScaling: {
          type: 'llama3',
          factor: 8,
          lowFreqFactor: 1,
          highFreqFactor: 4,
          originalMaxPositionEmbeddings: 32,
        },
      },
      /llama3 RoPE scaling/,
    ],
  ] as const)('%s', (_, overrides, message) => {
    expect(() => exportGguf(exportModelOf(overrides))).toThrow(message);
  });

  it('a pre-tokenizer without a name there, and a text without an end', () => {
    const { tokenizer } = model;
    const custom = Object.create(tokenizer, {
      preTokenizer: { value: { ...tokenizer.preTokenizer, llamaCppPre: null, patterns: ['x+'] } },
    });
    expect(() => exportGguf({ ...model, tokenizer: custom })).toThrow(
      /no name for this tokenizer's pre-tokenizer.*x\+/,
    );
    expect(() =>
      exportGguf({
        ...model,
        stopTokens: [],
        tokenizerConfig: { ...model.tokenizerConfig, eosToken: null },
      }),
    ).toThrow(/no token that ends a text/);
  });
});

async function scores(path: string, model: ReturnType<typeof exportModelOf>): Promise<Float32Array> {
  const session = await InferenceSession.create(path, { intraOpNumThreads: 1 });
  const empty = () => new OrtTensor('float32', [], [1, model.config.numKvHeads, 0, model.config.headDim]);
  const feeds: Record<string, OrtTensor> = {
    input_ids: new OrtTensor('int64', BigInt64Array.from([5n, 9n, 70n]), [1, 3]),
    attention_mask: new OrtTensor('int64', BigInt64Array.from([1n, 1n, 1n]), [1, 3]),
  };
  for (let layer = 0; layer < model.config.numLayers; layer++) {
    for (const part of ['key', 'value']) feeds[`past_key_values.${layer}.${part}`] = empty();
  }
  const { logits } = await session.run(feeds);
  await session.release();
  return logits!.data as Float32Array;
}

function save(files: readonly ChunkedFile[]): string {
  for (const file of files) {
    const bytes = bytesOf(file);
    expect(bytes.length).toBe(file.sizeBytes);
    writeFileSync(join(folder, file.name), bytes);
  }
  return join(folder, files[0]!.name);
}

describe('an ONNX model', () => {
  it('with its weights in data files beside it gives what one file gives', async () => {
    const model = exportModelOf();
    const whole = exportOnnx({ ...model, name: 'whole.onnx' });
    const split = exportOnnx({ ...model, name: 'split.onnx', maxFileBytes: 60_000 });
    expect(whole.files).toHaveLength(1);
    expect(split.files.slice(0, 3).map(({ name }) => name)).toEqual([
      'split.onnx',
      'split.onnx_data',
      'split.onnx_data_1',
    ]);
    // The embedding matrix alone is larger than a file should be: it has one of its own.
    expect(Math.max(...split.files.map(({ sizeBytes }) => sizeBytes))).toBeLessThan(120_000);
    expect(split.files[0]!.sizeBytes).toBeLessThan(20_000);
    const expected = await scores(save(whole.files), model);
    expect(expected).toHaveLength(3 * model.config.vocabSize);
    expect(await scores(save(split.files), model)).toEqual(expected);
  });

  it('stores a tied embedding matrix once, also in blocks', () => {
    const model = exportModelOf();
    const size = (bits?: 4 | 8) =>
      exportOnnx({
        ...model,
        name: 'm.onnx',
        ...(bits && {
          quantize: { bits, blockSize: 32, matrix: (weight) => quantizeMatrix(weight, { bits }) },
        }),
      }).files[0]!.sizeBytes;
    const numbers = [...model.weights.values()].reduce((sum, { data }) => sum + data.length, 0);
    const tables = 2 * 256 * 8 * 4;
    const graph = size() - 4 * numbers - tables;
    expect(graph).toBeGreaterThan(0);
    expect(graph).toBeLessThan(20_000);
    // One scale of four bytes for 32 numbers.
    expect(size(8)).toBeLessThan(1.2 * numbers + tables + 25_000);
    expect(size(4)).toBeLessThan(0.7 * numbers + tables + 25_000);
  });

  it('with dynamic RoPE scaling is refused by name', () => {
    const model = exportModelOf({ ropeScaling: { type: 'dynamic', factor: 2 } });
    expect(() => exportOnnx({ ...model, name: 'm.onnx' })).toThrow(/Dynamic RoPE scaling/);
  });
});
