/**
 * Reads Hugging Face's config.json of dense Llama, Mistral, Qwen2 and Qwen3 models, in the spelling of
 * transformers 4 and 5. A missing key has transformers' default for that model type. A key that would change
 * the computation in a way Plinth does not do is refused; keys that change nothing are not looked at.
 *
 * Defaults: LlamaConfig, MistralConfig, Qwen2Config and Qwen3Config of transformers 4.57 and 5.
 */
import { ConfigError } from '../core/errors.ts';
import { type RopeScaling, type TransformerConfig, validateTransformerConfig } from './config-transformer.ts';

type JsonObject = Record<string, unknown>;

/** What transformers assumes for a model type when keys are missing. `null` sizes follow other keys. */
interface ModelTypeDefaults {
  architecture: 'qwen3' | 'llama';
  vocabSize: number;
  intermediateSize: number;
  numKvHeads: number | null;
  headDim: number | null;
  maxPositionEmbeddings: number;
  bosTokenId: number | null;
  eosTokenId: number | null;
  /** Does a window narrow the attention of some layers, by what the keys say? */
  slidingWindow(reader: Reader, numLayers: number): { key: string; size: number } | null;
}

/** Typed access to the keys of a JSON object; errors name the key, the value and what was expected. */
class Reader {
  readonly object: JsonObject;
  readonly #prefix: string;

  constructor(object: JsonObject, prefix = '') {
    this.object = object;
    this.#prefix = prefix;
  }

  /** A key's value; JSON's null counts as missing. */
  get(key: string): unknown {
    return Object.hasOwn(this.object, key) ? (this.object[key] ?? undefined) : undefined;
  }

  isNull(key: string): boolean {
    return Object.hasOwn(this.object, key) && this.object[key] === null;
  }

  refuse(key: string, value: unknown, expected: string): never {
    const text = JSON.stringify(value) ?? 'missing';
    const got = text.length > 200 ? `${text.slice(0, 200)}...` : text;
    throw new ConfigError(`config.json: "${this.#prefix}${key}" is ${got}; expected ${expected}.`);
  }

  number(key: string, whenMissing?: number): number {
    const value = this.isNull(key) ? null : (this.get(key) ?? whenMissing);
    if (typeof value !== 'number' || !Number.isFinite(value)) this.refuse(key, value, 'a number');
    return value;
  }

  size(key: string, whenMissing?: number): number {
    const value = this.number(key, whenMissing);
    if (!Number.isSafeInteger(value) || value < 1) this.refuse(key, value, 'a positive whole number');
    return value;
  }

  flag(key: string, whenMissing: boolean): boolean {
    const value = this.get(key) ?? whenMissing;
    if (typeof value !== 'boolean') this.refuse(key, value, 'true or false');
    return value;
  }

  /** Token ids: a number, a list, or nothing. Old conversions write -1 for "none". */
  tokenIds(key: string, whenMissing: number | null): number[] {
    const value = this.isNull(key) ? [] : (this.get(key) ?? whenMissing ?? []);
    const ids: unknown[] = Array.isArray(value) ? value : [value];
    if (ids.length > 1000) this.refuse(key, ids, 'at most 1000 token ids');
    for (const id of ids) {
      if (!Number.isSafeInteger(id) || (id as number) < -1)
        this.refuse(key, value, 'a token id or a list of them');
    }
    return (ids as number[]).filter((id) => id !== -1);
  }

  tokenId(key: string, whenMissing: number | null): number | null {
    const ids = this.tokenIds(key, whenMissing);
    if (ids.length > 1) this.refuse(key, ids, 'one token id');
    return ids[0] ?? null;
  }
}

function noWindow(): null {
  return null;
}

/** Qwen: only with `use_sliding_window`, and only in layers from `max_window_layers` on. */
function qwenWindow(reader: Reader, numLayers: number): { key: string; size: number } | null {
  if (!reader.flag('use_sliding_window', false) || reader.isNull('sliding_window')) return null;
  if (reader.number('max_window_layers', 28) >= numLayers) return null;
  return { key: 'use_sliding_window', size: reader.size('sliding_window', 4096) };
}

/** Mistral: in all layers, unless `sliding_window` is null. */
function mistralWindow(reader: Reader): { key: string; size: number } | null {
  if (reader.isNull('sliding_window')) return null;
  return { key: 'sliding_window', size: reader.size('sliding_window', 4096) };
}

const QWEN2: ModelTypeDefaults = {
  architecture: 'llama',
  vocabSize: 151936,
  intermediateSize: 22016,
  numKvHeads: 32,
  headDim: null,
  maxPositionEmbeddings: 32768,
  bosTokenId: null,
  eosTokenId: null,
  slidingWindow: qwenWindow,
};

const LLAMA: ModelTypeDefaults = {
  architecture: 'llama',
  vocabSize: 32000,
  intermediateSize: 11008,
  numKvHeads: null,
  headDim: null,
  maxPositionEmbeddings: 2048,
  bosTokenId: 1,
  eosTokenId: 2,
  slidingWindow: noWindow,
};

const MODEL_TYPES: ReadonlyMap<unknown, ModelTypeDefaults> = new Map([
  ['llama', LLAMA],
  [
    'mistral',
    {
      ...LLAMA,
      intermediateSize: 14336,
      numKvHeads: 8,
      maxPositionEmbeddings: 131072,
      slidingWindow: mistralWindow,
    },
  ],
  ['qwen2', QWEN2],
  ['qwen3', { ...QWEN2, architecture: 'qwen3', headDim: 128 }],
]);

/** Keys that would change what the model computes, and the values under which they do not. */
const REFUSED: readonly [key: string, harmless: (value: unknown) => boolean, expected: string][] = [
  ['quantization_config', () => false, 'an unquantised model (F32, F16 or BF16 weights)'],
  ['num_experts', (value) => value === 0, 'a dense model (mixtures of experts are not loaded)'],
  ['num_local_experts', (value) => value === 0, 'a dense model (mixtures of experts are not loaded)'],
  ['n_routed_experts', (value) => value === 0, 'a dense model (mixtures of experts are not loaded)'],
  ['partial_rotary_factor', (value) => value === 1, '1: RoPE turns all dimensions of a head'],
  [
    'attention_dropout',
    (value) => value === 0,
    '0: dropout is not part of the model. Set it to 0 to load the weights',
  ],
  ['is_encoder_decoder', (value) => value === false, 'false: only decoders are loaded'],
  ['add_cross_attention', (value) => value === false, 'false: only decoders are loaded'],
];

const ROPE_KEYS: Record<string, readonly string[]> = {
  default: [],
  linear: ['factor'],
  dynamic: ['factor'],
  llama3: ['factor', 'low_freq_factor', 'high_freq_factor', 'original_max_position_embeddings'],
};

/** `rope_scaling` (transformers 4) wins over `rope_parameters` (transformers 5), as it does there. */
function parseRope(reader: Reader): { ropeTheta: number; ropeScaling: RopeScaling | null } {
  const isEmpty = Object.keys(reader.get('rope_scaling') ?? {}).length === 0;
  const key = isEmpty ? 'rope_parameters' : 'rope_scaling';
  const value = reader.get(key) ?? {};
  if (typeof value !== 'object' || Array.isArray(value)) reader.refuse(key, value, 'an object or null');
  const rope: Reader = new Reader(value as JsonObject, `${key}.`);
  const ropeTheta = rope.number('rope_theta', reader.number('rope_theta', 10000));

  const typeKey = rope.get('rope_type') !== undefined ? 'rope_type' : 'type';
  const type = rope.get(typeKey) ?? 'default';
  const allowed = typeof type === 'string' && Object.hasOwn(ROPE_KEYS, type) ? ROPE_KEYS[type]! : undefined;
  if (allowed === undefined) rope.refuse(typeKey, type, `one of ${Object.keys(ROPE_KEYS).join(', ')}`);
  for (const other of Object.keys(rope.object)) {
    const isKnown = ['rope_type', 'type', 'rope_theta', ...allowed].includes(other);
    const isHarmless = other === 'partial_rotary_factor' && rope.get(other) === 1;
    if (!isKnown && !isHarmless && rope.get(other) !== undefined) {
      rope.refuse(
        other,
        rope.get(other),
        `only ${['rope_theta', ...allowed].join(', ')} with RoPE type "${type}"`,
      );
    }
  }
  if (type === 'linear' || type === 'dynamic')
    return { ropeTheta, ropeScaling: { type, factor: rope.number('factor') } };
  if (type !== 'llama3') return { ropeTheta, ropeScaling: null };
  return {
    ropeTheta,
    ropeScaling: {
      type,
      factor: rope.number('factor'),
      lowFreqFactor: rope.number('low_freq_factor'),
      highFreqFactor: rope.number('high_freq_factor'),
      originalMaxPositionEmbeddings: rope.size('original_max_position_embeddings'),
    },
  };
}

function refuseSlidingWindow(
  reader: Reader,
  defaults: ModelTypeDefaults,
  numLayers: number,
  maxLength: number,
): void {
  const window = defaults.slidingWindow(reader, numLayers);
  // A window as long as the longest text never hides a token.
  if (window !== null && window.size < maxLength) {
    reader.refuse(
      window.key,
      reader.get(window.key) ?? `${window.size} (default)`,
      `no sliding window below max_position_embeddings (${maxLength}). Set it to ${window.key === 'sliding_window' ? 'null' : 'false'} to attend to everything, or lower max_position_embeddings to ${window.size}`,
    );
  }
  const layerTypes = reader.get('layer_types');
  if (layerTypes === undefined) return;
  const other = Array.isArray(layerTypes) ? layerTypes.find((type) => type !== 'full_attention') : layerTypes;
  if (other !== undefined) reader.refuse('layer_types', other, '"full_attention" in every layer');
}

/**
 * The model that a config.json describes.
 * @param json the parsed file.
 * @throws ConfigError naming the key, its value and what is supported.
 */
export function parseHuggingFaceConfig(json: unknown): TransformerConfig {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new ConfigError('config.json must hold a JSON object.');
  }
  const reader: Reader = new Reader(json as JsonObject);
  const modelType = reader.get('model_type');
  const defaults = MODEL_TYPES.get(modelType);
  if (defaults === undefined)
    reader.refuse('model_type', modelType, `one of ${[...MODEL_TYPES.keys()].join(', ')}`);
  for (const [key, isHarmless, expected] of REFUSED) {
    const value = reader.get(key);
    if (value !== undefined && !isHarmless(value)) reader.refuse(key, value, expected);
  }
  const hiddenAct = reader.get('hidden_act') ?? 'silu';
  // "swish" is transformers' other name for silu.
  if (hiddenAct !== 'silu' && hiddenAct !== 'swish') reader.refuse('hidden_act', hiddenAct, '"silu"');

  const hiddenSize = reader.size('hidden_size', 4096);
  const numLayers = reader.size('num_hidden_layers', 32);
  const numHeads = reader.size('num_attention_heads', 32);
  const maxPositionEmbeddings = reader.size('max_position_embeddings', defaults.maxPositionEmbeddings);
  refuseSlidingWindow(reader, defaults, numLayers, maxPositionEmbeddings);

  const evenSplit = hiddenSize % numHeads === 0 ? hiddenSize / numHeads : undefined;
  // Llama and Qwen3 have one key for the biases of q, k, v and o; Qwen2 always has them on q, k and v only.
  const hasBias =
    modelType === 'llama' || modelType === 'qwen3' ? reader.flag('attention_bias', false) : false;
  return validateTransformerConfig({
    architecture: defaults.architecture,
    vocabSize: reader.size('vocab_size', defaults.vocabSize),
    hiddenSize,
    numLayers,
    numHeads,
    numKvHeads: reader.isNull('num_key_value_heads')
      ? numHeads
      : reader.size('num_key_value_heads', defaults.numKvHeads ?? numHeads),
    headDim: reader.isNull('head_dim')
      ? (evenSplit ?? reader.size('head_dim'))
      : reader.size('head_dim', defaults.headDim ?? evenSplit),
    intermediateSize: reader.size('intermediate_size', defaults.intermediateSize),
    ...parseRope(reader),
    rmsNormEps: reader.number('rms_norm_eps', 1e-6),
    tieWordEmbeddings: reader.flag('tie_word_embeddings', false),
    maxPositionEmbeddings,
    attentionBias: modelType === 'qwen2' || hasBias,
    attentionOutputBias: hasBias,
    mlpBias: modelType === 'llama' ? reader.flag('mlp_bias', false) : false,
    hiddenAct: 'silu',
    bosTokenId: reader.tokenId('bos_token_id', defaults.bosTokenId),
    eosTokenIds: reader.tokenIds('eos_token_id', defaults.eosTokenId),
    padTokenId: reader.tokenId('pad_token_id', null),
    initializerRange: reader.number('initializer_range', 0.02),
  });
}
