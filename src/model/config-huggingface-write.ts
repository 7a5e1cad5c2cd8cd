/**
 * Writes config.json and generation_config.json as transformers 4 and 5, vLLM, transformers.js and converters
 * read them. RoPE is spelled the way of transformers 4 (`rope_theta`, `rope_scaling`), which transformers 5
 * reads too, while 4 knows nothing of `rope_parameters`. `parseHuggingFaceConfig` gives the same config back.
 */
import { ConfigError } from '../core/errors.ts';
import { type ModelHead, SCORE_SUFFIX } from './config-parameters.ts';
import { type RopeScaling, type TransformerConfig, validateTransformerConfig } from './config-transformer.ts';

/** The type of the stored weights, in the words of config.json. */
export type HuggingFaceDtype = 'float32' | 'float16' | 'bfloat16';

const FAMILIES = { llama: 'Llama', qwen2: 'Qwen2', qwen3: 'Qwen3' } as const;

/** What makes a folder one of a model with a head, and how many labels that has. */
const HEADS: Readonly<
  Record<ModelHead, { readonly suffix: string; readonly keys: Record<string, unknown> }>
> = {
  'language-model': { suffix: 'ForCausalLM', keys: {} },
  score: {
    suffix: SCORE_SUFFIX,
    keys: { id2label: { 0: 'LABEL_0' }, label2id: { LABEL_0: 0 } },
  },
};

/** Which of Hugging Face's model types has exactly these biases. */
function modelTypeOf(config: TransformerConfig): keyof typeof FAMILIES {
  const { architecture, attentionBias = false, attentionOutputBias = false, mlpBias = false } = config;
  if (architecture === 'qwen3' && attentionBias === attentionOutputBias && !mlpBias) return 'qwen3';
  if (architecture === 'llama' && attentionBias === attentionOutputBias) return 'llama';
  if (architecture === 'llama' && attentionBias && !mlpBias) return 'qwen2';
  throw new ConfigError(
    `No Hugging Face model type has architecture ${architecture} with attentionBias ${attentionBias}, attentionOutputBias ${attentionOutputBias} and mlpBias ${mlpBias}. Use no biases, both attention biases, or for llama attentionBias alone (Qwen2) or with mlpBias.`,
  );
}

function ropeScalingJson(scaling: RopeScaling | null): Record<string, unknown> | null {
  if (scaling === null) return null;
  if (scaling.type !== 'llama3') return { rope_type: scaling.type, factor: scaling.factor };
  return {
    rope_type: scaling.type,
    factor: scaling.factor,
    low_freq_factor: scaling.lowFreqFactor,
    high_freq_factor: scaling.highFreqFactor,
    original_max_position_embeddings: scaling.originalMaxPositionEmbeddings,
  };
}

function eosJson(ids: readonly number[]): number | number[] | null {
  return ids.length === 0 ? null : ids.length === 1 ? ids[0]! : [...ids];
}

/**
 * The content of config.json.
 * @throws ConfigError for a config that is not a model, or whose biases no Hugging Face model type has.
 */
export function toHuggingFaceConfig(
  config: TransformerConfig,
  options: { dtype?: HuggingFaceDtype; head?: ModelHead } = {},
): Record<string, unknown> {
  validateTransformerConfig(config);
  const { dtype = 'float32' } = options;
  const head = HEADS[options.head ?? 'language-model'];
  const modelType = modelTypeOf(config);
  if (modelType === 'llama' && config.hiddenSize % config.numHeads !== 0) {
    throw new ConfigError(
      `transformers loads a llama model only if hiddenSize (${config.hiddenSize}) is a multiple of numHeads (${config.numHeads}). Choose such numbers, or architecture qwen3.`,
    );
  }
  return {
    architectures: [FAMILIES[modelType] + head.suffix],
    model_type: modelType,
    ...head.keys,
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.numLayers,
    num_attention_heads: config.numHeads,
    num_key_value_heads: config.numKvHeads,
    head_dim: config.headDim,
    hidden_act: config.hiddenAct,
    max_position_embeddings: config.maxPositionEmbeddings,
    rope_theta: config.ropeTheta,
    rope_scaling: ropeScalingJson(config.ropeScaling),
    rms_norm_eps: config.rmsNormEps,
    initializer_range: config.initializerRange,
    tie_word_embeddings: config.tieWordEmbeddings,
    ...(modelType === 'qwen2' ? {} : { attention_bias: config.attentionBias ?? false }),
    ...(modelType === 'llama' ? { mlp_bias: config.mlpBias ?? false } : {}),
    ...(modelType === 'llama'
      ? {}
      : { use_sliding_window: false, sliding_window: null, max_window_layers: config.numLayers }),
    attention_dropout: 0,
    bos_token_id: config.bosTokenId,
    eos_token_id: eosJson(config.eosTokenIds),
    pad_token_id: config.padTokenId,
    use_cache: true,
    // transformers 4 reads torch_dtype, 5 writes and reads dtype.
    torch_dtype: dtype,
    dtype,
  };
}

/** How other programs should sample unless told otherwise. Absent: greedy, their default. */
export interface GenerationDefaults {
  temperature?: number;
  topP?: number;
  topK?: number;
}

/** The content of generation_config.json: where texts end, and how to sample. */
export function toHuggingFaceGenerationConfig(
  config: TransformerConfig,
  defaults: GenerationDefaults = {},
): Record<string, unknown> {
  const { temperature, topP, topK } = defaults;
  const json: Record<string, unknown> = {
    bos_token_id: config.bosTokenId,
    eos_token_id: eosJson(config.eosTokenIds),
    pad_token_id: config.padTokenId,
    do_sample: temperature === undefined && topP === undefined && topK === undefined ? undefined : true,
    temperature,
    top_p: topP,
    top_k: topK,
  };
  return Object.fromEntries(
    Object.entries(json).filter(([, value]) => value !== undefined && value !== null),
  );
}

/** Keys that Python readers type as float: transformers 5 refuses or warns at `1` where it wants `1.0`. */
const WHOLE_FLOAT =
  /^(\s*"(?:rope_theta|factor|low_freq_factor|high_freq_factor|rms_norm_eps|initializer_range|attention_dropout|temperature|top_p)": -?\d+)(,?)$/gm;

/** JSON text of either file, indented as Hugging Face does, with whole floats written as `10000.0`. */
export function formatHuggingFaceJson(json: Record<string, unknown>): string {
  return `${JSON.stringify(json, null, 2).replace(WHOLE_FLOAT, '$1.0$2')}\n`;
}
