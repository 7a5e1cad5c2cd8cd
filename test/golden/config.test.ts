/**
 * Published config.json files (the keys that matter, as their authors wrote them) with the number of
 * parameters that Hugging Face's model pages give for the checkpoint, and RoPE frequencies from numpy
 * (test/fixtures/checkpoints/make.py).
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { numParameters, parseHuggingFaceConfig, ropeInverseFrequencies } from '../../src/model/config.ts';

const QWEN3_06B = {
  architectures: ['Qwen3ForCausalLM'],
  attention_bias: false,
  attention_dropout: 0.0,
  bos_token_id: 151643,
  eos_token_id: 151645,
  head_dim: 128,
  hidden_act: 'silu',
  hidden_size: 1024,
  initializer_range: 0.02,
  intermediate_size: 3072,
  max_position_embeddings: 40960,
  max_window_layers: 28,
  model_type: 'qwen3',
  num_attention_heads: 16,
  num_hidden_layers: 28,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-6,
  rope_scaling: null,
  rope_theta: 1000000,
  sliding_window: null,
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
  transformers_version: '4.51.0',
  use_cache: true,
  use_sliding_window: false,
  vocab_size: 151936,
};
const LLAMA_32_1B = {
  attention_bias: false,
  attention_dropout: 0.0,
  bos_token_id: 128000,
  eos_token_id: [128001, 128008, 128009],
  head_dim: 64,
  hidden_act: 'silu',
  hidden_size: 2048,
  initializer_range: 0.02,
  intermediate_size: 8192,
  max_position_embeddings: 131072,
  mlp_bias: false,
  model_type: 'llama',
  num_attention_heads: 32,
  num_hidden_layers: 16,
  num_key_value_heads: 8,
  pretraining_tp: 1,
  rms_norm_eps: 1e-5,
  rope_scaling: {
    factor: 32.0,
    high_freq_factor: 4.0,
    low_freq_factor: 1.0,
    original_max_position_embeddings: 8192,
    rope_type: 'llama3',
  },
  rope_theta: 500000.0,
  tie_word_embeddings: true,
  vocab_size: 128256,
};
const QWEN25_05B = {
  attention_dropout: 0.0,
  bos_token_id: 151643,
  eos_token_id: 151645,
  hidden_act: 'silu',
  hidden_size: 896,
  intermediate_size: 4864,
  max_position_embeddings: 32768,
  max_window_layers: 21,
  model_type: 'qwen2',
  num_attention_heads: 14,
  num_hidden_layers: 24,
  num_key_value_heads: 2,
  rms_norm_eps: 1e-6,
  rope_theta: 1000000.0,
  sliding_window: 32768,
  tie_word_embeddings: true,
  use_sliding_window: false,
  vocab_size: 151936,
};
const LLAMA2_7B = {
  bos_token_id: 1,
  eos_token_id: 2,
  hidden_act: 'silu',
  hidden_size: 4096,
  intermediate_size: 11008,
  max_position_embeddings: 4096,
  model_type: 'llama',
  num_attention_heads: 32,
  num_hidden_layers: 32,
  num_key_value_heads: 32,
  pretraining_tp: 1,
  rms_norm_eps: 1e-5,
  rope_scaling: null,
  tie_word_embeddings: false,
  vocab_size: 32000,
};
const SMOLLM2_135M = {
  attention_bias: false,
  bos_token_id: 0,
  eos_token_id: 0,
  hidden_act: 'silu',
  hidden_size: 576,
  initializer_range: 0.041666666666666664,
  intermediate_size: 1536,
  max_position_embeddings: 8192,
  mlp_bias: false,
  model_type: 'llama',
  num_attention_heads: 9,
  num_hidden_layers: 30,
  num_key_value_heads: 3,
  rms_norm_eps: 1e-5,
  rope_scaling: null,
  rope_theta: 100000,
  tie_word_embeddings: true,
  vocab_size: 49152,
};
const MISTRAL_7B_V02 = {
  bos_token_id: 1,
  eos_token_id: 2,
  hidden_act: 'silu',
  hidden_size: 4096,
  intermediate_size: 14336,
  max_position_embeddings: 32768,
  model_type: 'mistral',
  num_attention_heads: 32,
  num_hidden_layers: 32,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-5,
  rope_theta: 1000000.0,
  sliding_window: null,
  tie_word_embeddings: false,
  vocab_size: 32000,
};

test.each([
  ['Qwen3-0.6B', QWEN3_06B, 596_049_920],
  ['Llama-3.2-1B-Instruct', LLAMA_32_1B, 1_235_814_400],
  ['Qwen2.5-0.5B', QWEN25_05B, 494_032_768],
  ['Llama-2-7b', LLAMA2_7B, 6_738_415_616],
  ['SmolLM2-135M', SMOLLM2_135M, 134_515_008],
  ['Mistral-7B-Instruct-v0.2', MISTRAL_7B_V02, 7_241_732_096],
])('%s has its published number of parameters', (_, json, expected) => {
  expect(numParameters(parseHuggingFaceConfig(json))).toBe(expected);
});

test('Qwen3-0.6B, key by key', () => {
  expect(parseHuggingFaceConfig(QWEN3_06B)).toEqual({
    architecture: 'qwen3',
    vocabSize: 151936,
    hiddenSize: 1024,
    numLayers: 28,
    numHeads: 16,
    numKvHeads: 8,
    headDim: 128,
    intermediateSize: 3072,
    ropeTheta: 1000000,
    ropeScaling: null,
    rmsNormEps: 1e-6,
    tieWordEmbeddings: true,
    maxPositionEmbeddings: 40960,
    attentionBias: false,
    attentionOutputBias: false,
    mlpBias: false,
    hiddenAct: 'silu',
    bosTokenId: 151643,
    eosTokenIds: [151645],
    padTokenId: null,
    initializerRange: 0.02,
  });
});

test('Llama 3.2 in the spelling of transformers 5 is the same model', () => {
  const { rope_theta, rope_scaling, ...rest } = LLAMA_32_1B;
  const spelledAnew = { ...rest, dtype: 'bfloat16', rope_parameters: { ...rope_scaling, rope_theta } };
  expect(parseHuggingFaceConfig(spelledAnew)).toEqual(parseHuggingFaceConfig(LLAMA_32_1B));
  expect(parseHuggingFaceConfig(spelledAnew)).toMatchObject({
    ropeTheta: 500000,
    eosTokenIds: [128001, 128008, 128009],
  });
});

describe('RoPE frequencies equal numpy float64', () => {
  const golden = JSON.parse(
    readFileSync(new URL('../fixtures/checkpoints/rope.json', import.meta.url), 'utf8'),
  ) as Record<string, number[]>;
  const small = { headDim: 8, ropeTheta: 10000, maxPositionEmbeddings: 128 };
  const llama3 = parseHuggingFaceConfig(LLAMA_32_1B);
  test.each([
    ['default', { headDim: 16, ropeTheta: 1e6, ropeScaling: null, maxPositionEmbeddings: 64 }, 0],
    ['linear', { ...small, ropeScaling: { type: 'linear', factor: 4 } as const }, 0],
    ['llama3', llama3, 0],
    ['dynamic_at_64', { ...small, ropeScaling: { type: 'dynamic', factor: 2 } as const }, 64],
    ['dynamic_at_512', { ...small, ropeScaling: { type: 'dynamic', factor: 2 } as const }, 512],
  ])('%s', (name, config, length) => {
    const frequencies = ropeInverseFrequencies(config, length);
    expect(frequencies).toHaveLength(golden[name]!.length);
    golden[name]!.forEach((expected, i) => {
      expect(Math.abs(frequencies[i]! / expected - 1)).toBeLessThan(1e-13);
    });
  });

  test('the llama3 case covers kept, blended and divided waves', () => {
    const plain = ropeInverseFrequencies({ ...llama3, ropeScaling: null });
    const ratios = ropeInverseFrequencies(llama3).map((frequency, i) => plain[i]! / frequency);
    expect(ratios[0]).toBe(1);
    expect(ratios.at(-1)).toBeCloseTo(32, 10);
    expect([...ratios].filter((ratio) => ratio > 1.001 && ratio < 31.9).length).toBeGreaterThan(2);
  });
});
