/**
 * A model of this family under llama.cpp's names: the architectures `qwen3`, `qwen2` and `llama`. `llama` turns
 * neighbouring pairs of a head's dimensions where Plinth and Hugging Face turn the two halves, so the rows of its
 * Q and K are written in another order. Norms and biases stay float32, as llama.cpp wants them.
 *
 * Source: src/llama-arch.cpp, src/llama-model.cpp and convert_hf_to_gguf.py of llama.cpp.
 */
import { ConfigError, FormatError } from '../../core/errors.ts';
import { parameterSpecs, ropeInverseFrequencies, type TransformerConfig } from '../config.ts';
import type { WeightArray } from '../initialize.ts';
import { isQuantized, type MixedWeights, type QuantizedWeight } from '../quantized.ts';
import type { GgufTensor, GgufValue } from './gguf-file.ts';
import {
  blockChunks,
  blockTypeOf,
  floatChunks,
  GGML_BLOCK_SIZE,
  type GgmlFloatType,
  type GgmlType,
} from './gguf-types.ts';

type Architecture = 'qwen3' | 'qwen2' | 'llama';

const MATRIX_NAMES: Record<string, string> = {
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  input_layernorm: 'attn_norm',
  post_attention_layernorm: 'ffn_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};

const TOP_NAMES: Record<string, string> = {
  'model.embed_tokens.weight': 'token_embd.weight',
  'model.norm.weight': 'output_norm.weight',
  'lm_head.weight': 'output.weight',
};

/** llama.cpp's name of a parameter. */
function tensorName(name: string): string {
  const match = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name);
  const own = match ? MATRIX_NAMES[match[2]!] : undefined;
  const text = match ? own && `blk.${match[1]}.${own}.${match[3]}` : TOP_NAMES[name];
  if (text === undefined) throw new FormatError(`GGUF: the parameter ${name} has no name in llama.cpp.`);
  return text;
}

/** @throws ConfigError for biases that no architecture of llama.cpp has. */
function architectureOf(config: TransformerConfig): Architecture {
  const { architecture, attentionBias = false, attentionOutputBias = false, mlpBias = false } = config;
  const hasAny = attentionBias || attentionOutputBias || mlpBias;
  if (architecture === 'qwen3') {
    if (hasAny) {
      throw new ConfigError("llama.cpp's qwen3 has no biases: a model with them cannot be written as GGUF.");
    }
    return 'qwen3';
  }
  if (attentionBias && !attentionOutputBias && !mlpBias) return 'qwen2';
  if (hasAny && config.numHeads * config.headDim !== config.hiddenSize) {
    throw new ConfigError(
      `llama.cpp's llama has biases only where numHeads * headDim (${config.numHeads * config.headDim}) is hiddenSize (${config.hiddenSize}).`,
    );
  }
  return 'llama';
}

/** Keys `general.*` and `<architecture>.*`. */
export function modelMetadata(
  config: TransformerConfig,
  { name, type }: { name?: string; type: GgmlType },
): Map<string, GgufValue> {
  const architecture = architectureOf(config);
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', { type: 'string', value: architecture }],
    ['general.type', { type: 'string', value: 'model' }],
  ]);
  if (name !== undefined) metadata.set('general.name', { type: 'string', value: name });
  metadata.set('general.file_type', { type: 'uint32', value: FILE_TYPES[type] });
  if (type === 'Q8_0' || type === 'Q4_0') {
    metadata.set('general.quantization_version', { type: 'uint32', value: 2 });
  }
  const sizes: [string, number][] = [
    ['vocab_size', config.vocabSize],
    ['context_length', config.maxPositionEmbeddings],
    ['embedding_length', config.hiddenSize],
    ['block_count', config.numLayers],
    ['feed_forward_length', config.intermediateSize],
    ['attention.head_count', config.numHeads],
    ['attention.head_count_kv', config.numKvHeads],
    ['attention.key_length', config.headDim],
    ['attention.value_length', config.headDim],
    ['rope.dimension_count', config.headDim],
  ];
  for (const [key, value] of sizes) metadata.set(`${architecture}.${key}`, { type: 'uint32', value });
  metadata.set(`${architecture}.attention.layer_norm_rms_epsilon`, {
    type: 'float32',
    value: config.rmsNormEps,
  });
  metadata.set(`${architecture}.rope.freq_base`, { type: 'float32', value: config.ropeTheta });
  const scaling = config.ropeScaling;
  if (scaling?.type === 'linear') {
    metadata.set(`${architecture}.rope.scaling.type`, { type: 'string', value: 'linear' });
    metadata.set(`${architecture}.rope.scaling.factor`, { type: 'float32', value: scaling.factor });
  } else if (scaling?.type === 'dynamic') {
    throw new ConfigError(
      'llama.cpp has no dynamic RoPE scaling: set rope_scaling to null (the same up to max_position_embeddings) or to linear.',
    );
  } else if (scaling?.type === 'llama3' && architecture !== 'llama') {
    throw new ConfigError(
      `llama.cpp reads llama3 RoPE scaling for architecture llama only, not for ${architecture}.`,
    );
  }
  return metadata;
}

/** LLAMA_FTYPE_... */
const FILE_TYPES: Record<GgmlType, number> = { F32: 0, F16: 1, Q4_0: 2, Q8_0: 7, BF16: 32 };

export interface TensorOptions {
  /** Of matrices that are not quantised. */
  readonly floatType: GgmlFloatType;
  /** Applied to matrices whose rows fill blocks, one at a time while the file is written. */
  readonly quantize?: { readonly type: GgmlType; matrix(weight: WeightArray): QuantizedWeight };
}

/**
 * All tensors in the order of the computation. Data is converted when it is asked for.
 * @throws FormatError when a weight is missing or has another shape than the config asks for.
 */
export function modelTensors(
  config: TransformerConfig,
  weights: MixedWeights,
  options: TensorOptions,
): GgufTensor[] {
  const isLlama = architectureOf(config) === 'llama';
  const tensors = parameterSpecs(config).map(({ name, shape }): GgufTensor => {
    const weight = weights.get(name);
    if (weight?.shape.join() !== shape.join()) {
      throw new FormatError(
        `Weight ${name} has shape [${weight?.shape.join(', ') ?? 'missing'}], the config asks for [${shape.join(', ')}].`,
      );
    }
    const rowOf =
      isLlama && /\.(q|k)_proj\.(weight|bias)$/.test(name) ? interleavedRow(config.headDim) : undefined;
    const base = { name: tensorName(name), shape };
    if (isQuantized(weight)) {
      return { ...base, type: blockTypeOf(weight), data: () => blockChunks(weight, rowOf) };
    }
    const { quantize } = options;
    if (quantize && shape.length === 2 && shape[1]! % GGML_BLOCK_SIZE === 0) {
      return { ...base, type: quantize.type, data: () => blockChunks(quantize.matrix(weight), rowOf) };
    }
    const type = shape.length === 2 ? options.floatType : 'F32';
    const values = () => (rowOf ? reordered(weight, rowOf) : weight.data);
    return { ...base, type, data: () => floatChunks(values(), type) };
  });
  const { ropeScaling, headDim } = config;
  if (ropeScaling?.type === 'llama3') {
    const factors = ropeFactors(config);
    tensors.push({
      name: 'rope_freqs.weight',
      shape: [headDim / 2],
      type: 'F32',
      data: () => floatChunks(factors, 'F32'),
    });
  }
  return tensors;
}

/** Row r of the file is this row of ours: pair i of a head lies at 2i and 2i + 1 there, at i and i + size/2 here. */
function interleavedRow(headDim: number): (row: number) => number {
  const half = headDim / 2;
  return (row) => {
    const inHead = row % headDim;
    return row - inHead + (inHead % 2) * half + (inHead >> 1);
  };
}

function reordered({ shape, data }: WeightArray, rowOf: (row: number) => number): Float32Array {
  const [rows, width = 1] = shape as [number, number?];
  const out = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    const from = rowOf(row) * width;
    out.set(data.subarray(from, from + width), row * width);
  }
  return out;
}

/** What llama.cpp divides each frequency by. */
function ropeFactors(config: TransformerConfig): Float32Array {
  const scaled = ropeInverseFrequencies(config);
  const plain = ropeInverseFrequencies({ ...config, ropeScaling: null });
  return Float32Array.from(plain, (frequency, i) => frequency / scaled[i]!);
}
