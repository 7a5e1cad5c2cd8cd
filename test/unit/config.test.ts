import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import {
  formatHuggingFaceJson,
  numParameters,
  parameterSpecs,
  parseHuggingFaceConfig,
  type RopeScaling,
  type TransformerConfig,
  toHuggingFaceConfig,
  toHuggingFaceGenerationConfig,
  validateTransformerConfig,
} from '../../src/model/config.ts';

const QWEN3: TransformerConfig = {
  architecture: 'qwen3',
  vocabSize: 64,
  hiddenSize: 16,
  numLayers: 2,
  numHeads: 4,
  numKvHeads: 2,
  headDim: 6,
  intermediateSize: 24,
  ropeTheta: 10000,
  ropeScaling: null,
  rmsNormEps: 1e-6,
  tieWordEmbeddings: true,
  maxPositionEmbeddings: 256,
  attentionBias: false,
  attentionOutputBias: false,
  mlpBias: false,
  hiddenAct: 'silu',
  bosTokenId: null,
  eosTokenIds: [1],
  padTokenId: 0,
  initializerRange: 0.02,
};
const LLAMA: TransformerConfig = { ...QWEN3, architecture: 'llama', headDim: 4, tieWordEmbeddings: false };

describe('defaults of missing keys', () => {
  // LlamaConfig(), Qwen2Config(), Qwen3Config() and MistralConfig() of transformers.
  test('llama', () => {
    expect(parseHuggingFaceConfig({ model_type: 'llama' })).toMatchObject({
      ...{
        architecture: 'llama',
        vocabSize: 32000,
        hiddenSize: 4096,
        intermediateSize: 11008,
        numLayers: 32,
      },
      ...{ numHeads: 32, numKvHeads: 32, headDim: 128, maxPositionEmbeddings: 2048, rmsNormEps: 1e-6 },
      ...{
        ropeTheta: 10000,
        ropeScaling: null,
        tieWordEmbeddings: false,
        attentionBias: false,
        mlpBias: false,
      },
      ...{ bosTokenId: 1, eosTokenIds: [2], padTokenId: null, initializerRange: 0.02 },
    });
  });

  test('qwen3 and qwen2', () => {
    const shared = {
      ...{ vocabSize: 151936, hiddenSize: 4096, intermediateSize: 22016, numKvHeads: 32, headDim: 128 },
      ...{ maxPositionEmbeddings: 32768, bosTokenId: null, eosTokenIds: [], padTokenId: null },
    };
    expect(parseHuggingFaceConfig({ model_type: 'qwen3' })).toMatchObject({
      ...shared,
      architecture: 'qwen3',
      attentionBias: false,
    });
    expect(parseHuggingFaceConfig({ model_type: 'qwen2' })).toMatchObject({
      ...shared,
      ...{ architecture: 'llama', attentionBias: true, attentionOutputBias: false },
    });
  });

  test('mistral has a sliding window unless it says otherwise', () => {
    expect(() => parseHuggingFaceConfig({ model_type: 'mistral' })).toThrow(/"sliding_window" is .*4096/);
    expect(parseHuggingFaceConfig({ model_type: 'mistral', sliding_window: null })).toMatchObject({
      ...{ architecture: 'llama', numKvHeads: 8, intermediateSize: 14336, maxPositionEmbeddings: 131072 },
    });
  });

  test('head_dim follows the hidden size, except where Qwen3 fixes it at 128', () => {
    const sizes = { hidden_size: 96, num_attention_heads: 4, num_key_value_heads: 2 };
    expect(parseHuggingFaceConfig({ model_type: 'llama', ...sizes }).headDim).toBe(24);
    expect(parseHuggingFaceConfig({ model_type: 'qwen2', ...sizes }).headDim).toBe(24);
    expect(parseHuggingFaceConfig({ model_type: 'qwen3', ...sizes }).headDim).toBe(128);
    expect(parseHuggingFaceConfig({ model_type: 'qwen3', ...sizes, head_dim: null }).headDim).toBe(24);
  });

  test('null key/value heads mean as many as heads', () => {
    const json = { model_type: 'qwen3', num_attention_heads: 8, num_key_value_heads: null };
    expect(parseHuggingFaceConfig(json).numKvHeads).toBe(8);
  });
});

describe('spellings', () => {
  const parse = (keys: Record<string, unknown>): TransformerConfig =>
    parseHuggingFaceConfig({ model_type: 'llama', ...keys });

  test('of end tokens: a number, a list, null, and -1 for none', () => {
    expect(parse({ eos_token_id: 7 }).eosTokenIds).toEqual([7]);
    expect(parse({ eos_token_id: [7, 8] }).eosTokenIds).toEqual([7, 8]);
    expect(parse({ eos_token_id: null }).eosTokenIds).toEqual([]);
    expect(parse({ pad_token_id: -1 }).padTokenId).toBeNull();
  });

  test('of RoPE: "type" is the old name of "rope_type"', () => {
    expect(parse({ rope_scaling: { type: 'linear', factor: 2 } }).ropeScaling).toEqual({
      type: 'linear',
      factor: 2,
    });
    expect(parse({ rope_scaling: { rope_type: 'dynamic', factor: 3 } }).ropeScaling).toEqual({
      type: 'dynamic',
      factor: 3,
    });
    expect(parse({ rope_scaling: { type: 'default' }, rope_theta: 5 })).toMatchObject({
      ropeTheta: 5,
      ropeScaling: null,
    });
  });

  test('of RoPE: rope_parameters holds theta, and a non-empty rope_scaling goes before it', () => {
    const rope_parameters = { rope_type: 'linear', factor: 4, rope_theta: 99 };
    expect(parse({ rope_parameters })).toMatchObject({
      ropeTheta: 99,
      ropeScaling: { type: 'linear', factor: 4 },
    });
    expect(parse({ rope_parameters, rope_scaling: null }).ropeTheta).toBe(99);
    expect(parse({ rope_parameters, rope_scaling: {} }).ropeTheta).toBe(99);
    expect(
      parse({ rope_parameters, rope_scaling: { type: 'dynamic', factor: 2 }, rope_theta: 7 }),
    ).toMatchObject({
      ropeTheta: 7,
      ropeScaling: { type: 'dynamic', factor: 2 },
    });
  });

  test('of no sliding window', () => {
    const qwen = {
      model_type: 'qwen2',
      num_hidden_layers: 24,
      sliding_window: 4096,
      max_position_embeddings: 32768,
    };
    expect(parseHuggingFaceConfig({ ...qwen, use_sliding_window: false }).numLayers).toBe(24);
    expect(
      parseHuggingFaceConfig({ ...qwen, use_sliding_window: true, max_window_layers: 24 }).numLayers,
    ).toBe(24);
    expect(
      parseHuggingFaceConfig({ ...qwen, use_sliding_window: true, sliding_window: 32768 }).numLayers,
    ).toBe(24);
    const layer_types = ['full_attention', 'full_attention'];
    expect(parseHuggingFaceConfig({ ...qwen, layer_types }).numLayers).toBe(24);
    const mistral = { model_type: 'mistral', sliding_window: 4096, max_position_embeddings: 4096 };
    expect(parseHuggingFaceConfig(mistral).maxPositionEmbeddings).toBe(4096);
  });
});

const llama3 = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
const REFUSED: [string, unknown, RegExp][] = [
  ['not an object', 3, /JSON object/],
  ['null', null, /JSON object/],
  ['a list', [], /JSON object/],
  ['no model type', {}, /"model_type" is missing; expected one of llama, mistral, qwen2, qwen3/],
  ['another model type', { model_type: 'qwen3_moe' }, /"model_type" is "qwen3_moe"/],
  ['a model type like a method', { model_type: 'constructor' }, /"model_type"/],
  [
    'experts',
    { model_type: 'llama', num_local_experts: 8 },
    /"num_local_experts" is 8; expected a dense model/,
  ],
  ['quantised weights', { model_type: 'llama', quantization_config: { bits: 4 } }, /"quantization_config"/],
  [
    'another activation',
    { model_type: 'llama', hidden_act: 'gelu' },
    /"hidden_act" is "gelu"; expected "silu"/,
  ],
  ['partial RoPE', { model_type: 'llama', partial_rotary_factor: 0.5 }, /"partial_rotary_factor" is 0.5/],
  ['dropout', { model_type: 'llama', attention_dropout: 0.1 }, /"attention_dropout" is 0.1/],
  [
    'a sliding window of Qwen',
    { model_type: 'qwen2', use_sliding_window: true, max_window_layers: 4, sliding_window: 128 },
    /"use_sliding_window" is true; expected no sliding window below max_position_embeddings \(32768\)/,
  ],
  [
    'a sliding window of Mistral',
    { model_type: 'mistral', sliding_window: 4096, max_position_embeddings: 32768 },
    /"sliding_window" is 4096/,
  ],
  [
    'windows by layer',
    { model_type: 'qwen3', layer_types: ['full_attention', 'sliding_attention'] },
    /"layer_types"/,
  ],
  [
    'an unknown RoPE type',
    { model_type: 'llama', rope_scaling: { rope_type: 'yarn', factor: 4 } },
    /"rope_scaling.rope_type" is "yarn"; expected one of default, linear/,
  ],
  [
    'a RoPE type like a method',
    { model_type: 'llama', rope_scaling: { type: 'toString' } },
    /"rope_scaling.type"/,
  ],
  [
    'an unknown RoPE key',
    { model_type: 'llama', rope_parameters: { mrope_section: [1] } },
    /"rope_parameters.mrope_section"/,
  ],
  [
    'RoPE without a factor',
    { model_type: 'llama', rope_scaling: { type: 'linear' } },
    /"rope_scaling.factor" is missing/,
  ],
  [
    'RoPE that shrinks',
    { model_type: 'llama', rope_scaling: { type: 'linear', factor: 0.5 } },
    /ropeScaling.factor is 0.5/,
  ],
  [
    'llama3 RoPE without a length',
    { model_type: 'llama', rope_scaling: llama3 },
    /original_max_position_embeddings/,
  ],
  [
    'llama3 RoPE with crossed bounds',
    {
      model_type: 'llama',
      rope_scaling: { ...llama3, low_freq_factor: 4, original_max_position_embeddings: 64 },
    },
    /highFreqFactor is 4; expected a number greater than lowFreqFactor/,
  ],
  ['RoPE as a string', { model_type: 'llama', rope_scaling: 'linear' }, /"rope_scaling" is "linear"/],
  [
    'a size of zero',
    { model_type: 'llama', hidden_size: 0 },
    /"hidden_size" is 0; expected a positive whole number/,
  ],
  [
    'a size that is text',
    { model_type: 'llama', vocab_size: '32000' },
    /"vocab_size" is "32000"; expected a number/,
  ],
  ['a size that is null', { model_type: 'llama', vocab_size: null }, /"vocab_size" is null/],
  ['a huge number of layers', { model_type: 'llama', num_hidden_layers: 1e9 }, /numLayers is 1000000000/],
  [
    'heads that do not divide',
    { model_type: 'llama', num_key_value_heads: 5 },
    /numKvHeads is 5; expected a divisor/,
  ],
  ['a hidden size that does not divide', { model_type: 'llama', hidden_size: 100 }, /"head_dim" is missing/],
  ['an odd head', { model_type: 'llama', head_dim: 5 }, /headDim is 5; expected an even number/],
  ['a flag that is a number', { model_type: 'llama', tie_word_embeddings: 1 }, /"tie_word_embeddings" is 1/],
  [
    'an end token beyond the vocabulary',
    { model_type: 'llama', eos_token_id: 32000 },
    /eosTokenIds is 32000/,
  ],
  ['an end token that is text', { model_type: 'llama', eos_token_id: '</s>' }, /"eos_token_id" is "<\/s>"/],
  ['two start tokens', { model_type: 'llama', bos_token_id: [1, 2] }, /"bos_token_id" is \[1,2\]/],
  ['a negative epsilon', { model_type: 'llama', rms_norm_eps: -1 }, /rmsNormEps is -1/],
];

test.each(REFUSED)('refuses %s', (_, json, message) => {
  expect(() => parseHuggingFaceConfig(json)).toThrow(ConfigError);
  expect(() => parseHuggingFaceConfig(json)).toThrow(message);
});

describe('writing', () => {
  const llama3Scaling: RopeScaling = {
    type: 'llama3',
    factor: 8,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositionEmbeddings: 64,
  };
  test.each<[string, TransformerConfig, string]>([
    ['qwen3', QWEN3, 'Qwen3ForCausalLM'],
    ['qwen3 with biases', { ...QWEN3, attentionBias: true, attentionOutputBias: true }, 'Qwen3ForCausalLM'],
    ['qwen3 without end tokens', { ...QWEN3, eosTokenIds: [], padTokenId: null }, 'Qwen3ForCausalLM'],
    ['llama', { ...LLAMA, ropeScaling: llama3Scaling, eosTokenIds: [1, 2] }, 'LlamaForCausalLM'],
    [
      'llama with all biases',
      { ...LLAMA, attentionBias: true, attentionOutputBias: true, mlpBias: true },
      'LlamaForCausalLM',
    ],
    [
      'qwen2',
      { ...LLAMA, attentionBias: true, ropeScaling: { type: 'linear', factor: 2 } },
      'Qwen2ForCausalLM',
    ],
  ])('%s comes back the same', (_, config, architecture) => {
    const json = toHuggingFaceConfig(config, { dtype: 'bfloat16' });
    expect(json).toMatchObject({ architectures: [architecture], torch_dtype: 'bfloat16', dtype: 'bfloat16' });
    expect(parseHuggingFaceConfig(JSON.parse(formatHuggingFaceJson(json)))).toEqual(config);
  });

  test('absent bias flags are false', () => {
    const { attentionBias, attentionOutputBias, mlpBias, ...bare } = QWEN3;
    expect(parseHuggingFaceConfig(toHuggingFaceConfig(bare))).toEqual(QWEN3);
    expect(parameterSpecs(bare)).toEqual(parameterSpecs(QWEN3));
  });

  test.each<[string, TransformerConfig]>([
    ['an output bias alone', { ...QWEN3, attentionOutputBias: true }],
    ['Qwen2 biases with QK-norm', { ...QWEN3, attentionBias: true }],
    ['MLP biases with QK-norm', { ...QWEN3, mlpBias: true }],
    ['Qwen2 and MLP biases', { ...LLAMA, attentionBias: true, mlpBias: true }],
  ])('no model type has %s', (_, config) => {
    expect(() => toHuggingFaceConfig(config)).toThrow(ConfigError);
  });

  test('a llama that transformers would refuse is refused here', () => {
    expect(() => toHuggingFaceConfig({ ...LLAMA, hiddenSize: 18 })).toThrow(/multiple of numHeads/);
  });

  test('whole floats keep their point, whole numbers stay whole', () => {
    const text = formatHuggingFaceJson(
      toHuggingFaceConfig({ ...QWEN3, ropeScaling: { type: 'linear', factor: 4 } }),
    );
    expect(text).toContain('"rope_theta": 10000.0,');
    expect(text).toMatch(/"factor": 4\.0$/m);
    expect(text).toContain('"attention_dropout": 0.0,');
    expect(text).toContain('"rms_norm_eps": 0.000001,');
    expect(text).toContain('"hidden_size": 16,');
    expect(text.endsWith('}\n')).toBe(true);
  });

  test('generation_config.json says where to stop, and samples only if told', () => {
    expect(toHuggingFaceGenerationConfig(QWEN3)).toEqual({ eos_token_id: 1, pad_token_id: 0 });
    expect(
      toHuggingFaceGenerationConfig(
        { ...QWEN3, eosTokenIds: [1, 2] },
        { temperature: 0.7, topP: 0.9, topK: 40 },
      ),
    ).toEqual({
      ...{ eos_token_id: [1, 2], pad_token_id: 0, do_sample: true },
      ...{ temperature: 0.7, top_p: 0.9, top_k: 40 },
    });
  });
});

describe('parameters', () => {
  test('names and shapes of a Qwen3 layer', () => {
    const specs = new Map(parameterSpecs(QWEN3).map(({ name, shape }) => [name, shape]));
    expect(specs.size).toBe(2 + 2 * 11);
    expect(specs.get('model.embed_tokens.weight')).toEqual([64, 16]);
    expect(specs.get('model.layers.1.self_attn.q_proj.weight')).toEqual([24, 16]);
    expect(specs.get('model.layers.1.self_attn.k_proj.weight')).toEqual([12, 16]);
    expect(specs.get('model.layers.1.self_attn.o_proj.weight')).toEqual([16, 24]);
    expect(specs.get('model.layers.1.self_attn.q_norm.weight')).toEqual([6]);
    expect(specs.get('model.layers.1.mlp.down_proj.weight')).toEqual([16, 24]);
    expect(specs.has('lm_head.weight')).toBe(false);
  });

  test('biases and an own output matrix add their parameters', () => {
    const plain = numParameters(LLAMA);
    expect(numParameters({ ...LLAMA, tieWordEmbeddings: true })).toBe(plain - 64 * 16);
    expect(numParameters({ ...LLAMA, attentionBias: true })).toBe(plain + 2 * (16 + 8 + 8));
    expect(numParameters({ ...LLAMA, attentionOutputBias: true })).toBe(plain + 2 * 16);
    expect(numParameters({ ...LLAMA, mlpBias: true })).toBe(plain + 2 * (24 + 24 + 16));
    expect(numParameters({ ...LLAMA, architecture: 'qwen3' })).toBe(plain + 2 * 2 * 4);
  });
});

test('validation returns a good config and names the first bad key', () => {
  expect(validateTransformerConfig(QWEN3)).toBe(QWEN3);
  expect(() => validateTransformerConfig({ ...QWEN3, numLayers: 1.5 })).toThrow(/numLayers is 1.5/);
  expect(() => validateTransformerConfig({ ...QWEN3, ropeTheta: Number.NaN })).toThrow(/ropeTheta/);
  expect(() => validateTransformerConfig({ ...QWEN3, padTokenId: 64 })).toThrow(/padTokenId is 64/);
});
