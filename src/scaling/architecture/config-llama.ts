/**
 * Configs of the family that grew from Llama: RMSNorm (mostly), rotary positions, gated feed-forward or experts.
 * One table of traits, one builder. Defaults are those of transformers 4.57 and 5 for each model type.
 */
import {
  type AttentionSizes,
  assemble,
  attentionSizes,
  type ConfigFamily,
  layerWindows,
  type SizeDefaults,
  sharedLayers,
} from './assemble.ts';
import { Attention, type AttentionShape } from './attention.ts';
import type { Block } from './block.ts';
import type { ConfigReader } from './config-reader.ts';
import { FeedForward, MixtureOfExperts } from './feed-forward.ts';
import { Norm, type NormKind } from './norm.ts';

type Biases = Pick<AttentionShape, 'bias' | 'outputBias'>;
/** Gives the feed-forward of a layer; called once per distinct kind. `isSparse` decides which layers have experts. */
interface FeedForwardPlan {
  isSparse?(layer: number): boolean;
  build(sparse: boolean): Block;
}

interface LlamaTraits {
  readonly sizes: SizeDefaults;
  readonly vocabSize: number;
  readonly innerSize: number;
  readonly contextLength: number;
  readonly tied?: boolean;
  readonly norm?: NormKind;
  /** Norms in a layer: 2 (before or behind), 4 (both), 1 (parallel attention and feed-forward). */
  readonly numNorms?: number | ((reader: ConfigReader) => number);
  readonly biases?: (reader: ConfigReader) => Biases;
  readonly qkNorm?: AttentionShape['qkNorm'] | ((reader: ConfigReader) => AttentionShape['qkNorm']);
  readonly sinks?: boolean;
  readonly headBias?: string;
  /** Size of the window when the key is missing, and which layers have it. */
  readonly window?: number | null;
  readonly windowOf?: (reader: ConfigReader) => (window: number | null, layer: number) => number | null;
  readonly feedForward?: (reader: ConfigReader, sizes: AttentionSizes, innerSize: number) => FeedForwardPlan;
  readonly harmless?: readonly string[];
}

function attentionBias(reader: ConfigReader): Biases {
  const bias = reader.flag('attention_bias', false);
  return { bias, outputBias: bias };
}

function gatedPlan(reader: ConfigReader, sizes: AttentionSizes, innerSize: number): FeedForwardPlan {
  const bias = reader.flag('mlp_bias', false);
  return { build: () => new FeedForward({ hiddenSize: sizes.hiddenSize, innerSize, gated: true, bias }) };
}

/** All layers have experts as wide as `intermediate_size`; the number's key and defaults differ. */
function mixturePlan(key: string, numExperts: number, numActive: number, more: { bias?: boolean } = {}) {
  return (reader: ConfigReader, sizes: AttentionSizes, innerSize: number): FeedForwardPlan => {
    const shape = {
      hiddenSize: sizes.hiddenSize,
      expertSize: innerSize,
      ...expertNumbers(reader, key, numExperts, numActive),
      bias: more.bias ?? false,
      routerBias: more.bias ?? false,
    };
    return { isSparse: () => true, build: () => new MixtureOfExperts(shape) };
  };
}

/** How many experts there are and how many a token uses. */
export function expertNumbers(
  reader: ConfigReader,
  key: string | readonly string[],
  numExpertsDefault: number,
  numActiveDefault: number,
): { numExperts: number; numActive: number } {
  const numExperts = reader.size(key, numExpertsDefault);
  const numActive = reader.size(['num_experts_per_tok', 'experts_per_token'], numActiveDefault);
  if (numActive > numExperts) {
    reader.refuse('num_experts_per_tok', numActive, `at most the number of experts (${numExperts})`);
  }
  return { numExperts, numActive };
}

/** Qwen: experts in every `decoder_sparse_step`-th layer that `mlp_only_layers` does not exclude. */
function qwenMixturePlan(
  sharedExpert: boolean,
  numExpertsDefault: number,
  numActiveDefault: number,
  expert: number,
) {
  return (reader: ConfigReader, sizes: AttentionSizes, innerSize: number): FeedForwardPlan => {
    const { hiddenSize } = sizes;
    const step = reader.size('decoder_sparse_step', 1);
    const dense = new Set(reader.indices('mlp_only_layers'));
    const expertSize = reader.size('moe_intermediate_size', expert);
    const sharedSize = sharedExpert ? reader.whole('shared_expert_intermediate_size', 5632, 0) : 0;
    const noExperts = reader.get('num_experts') === 0;
    const numbers = noExperts
      ? null
      : expertNumbers(reader, ['num_experts', 'num_local_experts'], numExpertsDefault, numActiveDefault);
    return {
      isSparse: (layer) => numbers !== null && !dense.has(layer) && (layer + 1) % step === 0,
      build: (sparse) =>
        sparse && numbers !== null
          ? new MixtureOfExperts({ hiddenSize, expertSize, ...numbers, sharedSize, sharedGate: sharedExpert })
          : new FeedForward({ hiddenSize, innerSize, gated: true }),
    };
  };
}

/** Qwen: only with `use_sliding_window`, and only in layers from `max_window_layers` on. */
function qwenWindow(reader: ConfigReader) {
  const isUsed = reader.flag('use_sliding_window', false);
  const first = reader.whole('max_window_layers', 28, 0);
  return (window: number | null, layer: number) => (isUsed && layer >= first ? window : null);
}

/** All layers but every `period`-th look through the window. */
function periodicWindow(periodDefault: number, key = 'sliding_window_pattern') {
  return (reader: ConfigReader) => {
    const period = reader.size(key, periodDefault);
    return (window: number | null, layer: number) => ((layer + 1) % period === 0 ? null : window);
  };
}

const LLAMA: LlamaTraits = {
  sizes: { hiddenSize: 4096, numLayers: 32, numHeads: 32 },
  vocabSize: 32000,
  innerSize: 11008,
  contextLength: 2048,
  biases: attentionBias,
};
const MISTRAL: LlamaTraits = {
  ...LLAMA,
  sizes: { ...LLAMA.sizes, numKvHeads: 8 },
  innerSize: 14336,
  contextLength: 131072,
  biases: () => ({}),
  window: 4096,
};
const QWEN2: LlamaTraits = {
  sizes: { hiddenSize: 4096, numLayers: 32, numHeads: 32, numKvHeads: 32 },
  vocabSize: 151936,
  innerSize: 22016,
  contextLength: 32768,
  biases: () => ({ bias: true }),
  window: 4096,
  windowOf: qwenWindow,
};
const GEMMA: LlamaTraits = {
  sizes: { hiddenSize: 3072, numLayers: 28, numHeads: 16, numKvHeads: 16, headDim: 256 },
  vocabSize: 256000,
  innerSize: 24576,
  contextLength: 8192,
  tied: true,
  biases: attentionBias,
};
const GEMMA2: LlamaTraits = {
  ...GEMMA,
  sizes: { hiddenSize: 2304, numLayers: 26, numHeads: 8, numKvHeads: 4, headDim: 256 },
  innerSize: 9216,
  numNorms: 4,
  window: 4096,
  windowOf: periodicWindow(2),
  harmless: ['query_pre_attn_scalar'],
};
const GEMMA3: LlamaTraits = {
  ...GEMMA2,
  vocabSize: 262208,
  contextLength: 131072,
  qkNorm: 'head',
  windowOf: periodicWindow(6),
};
const OLMO: LlamaTraits = { ...LLAMA, vocabSize: 50304, norm: 'plain' };
const COHERE: LlamaTraits = {
  sizes: { hiddenSize: 8192, numLayers: 40, numHeads: 64 },
  vocabSize: 256000,
  innerSize: 22528,
  contextLength: 8192,
  tied: true,
  norm: 'layer-no-bias',
  numNorms: 1,
  biases: attentionBias,
  qkNorm: (reader) => (reader.flag('use_qk_norm', false) ? 'layer-head' : null),
};

const TRAITS: Readonly<Record<string, LlamaTraits>> = {
  llama: LLAMA,
  mistral: MISTRAL,
  mixtral: { ...MISTRAL, window: null, feedForward: mixturePlan('num_local_experts', 8, 2) },
  qwen2: QWEN2,
  qwen2_moe: {
    ...QWEN2,
    sizes: { hiddenSize: 2048, numLayers: 24, numHeads: 16, numKvHeads: 16 },
    innerSize: 5632,
    biases: (reader) => ({ bias: reader.flag('qkv_bias', true) }),
    feedForward: qwenMixturePlan(true, 60, 4, 1408),
  },
  qwen3: { ...QWEN2, sizes: { ...QWEN2.sizes, headDim: 128 }, biases: attentionBias, qkNorm: 'head' },
  qwen3_moe: {
    ...QWEN2,
    sizes: { hiddenSize: 2048, numLayers: 24, numHeads: 32, numKvHeads: 4 },
    innerSize: 6144,
    biases: attentionBias,
    qkNorm: 'head',
    feedForward: qwenMixturePlan(false, 128, 8, 768),
  },
  gemma: GEMMA,
  gemma2: GEMMA2,
  gemma3_text: GEMMA3,
  phi3: {
    ...LLAMA,
    sizes: { hiddenSize: 3072, numLayers: 32, numHeads: 32 },
    vocabSize: 32064,
    innerSize: 8192,
    contextLength: 4096,
    biases: () => ({}),
  },
  phimoe: {
    ...LLAMA,
    sizes: { hiddenSize: 4096, numLayers: 32, numHeads: 32, numKvHeads: 8 },
    vocabSize: 32064,
    innerSize: 6400,
    contextLength: 131072,
    norm: 'layer',
    headBias: 'lm_head_bias',
    feedForward: mixturePlan('num_local_experts', 16, 2),
  },
  olmo: OLMO,
  olmo2: { ...OLMO, norm: 'rms', qkNorm: 'full' },
  olmo3: { ...OLMO, norm: 'rms', qkNorm: 'full', window: 4096, windowOf: periodicWindow(4) },
  olmoe: {
    ...OLMO,
    sizes: { hiddenSize: 2048, numLayers: 16, numHeads: 16 },
    innerSize: 2048,
    contextLength: 4096,
    norm: 'rms',
    qkNorm: 'full',
    feedForward: mixturePlan('num_experts', 64, 8),
  },
  stablelm: {
    sizes: { hiddenSize: 2560, numLayers: 32, numHeads: 32, numKvHeads: 32 },
    vocabSize: 50304,
    innerSize: 6912,
    contextLength: 4096,
    norm: 'layer',
    numNorms: (reader) => (reader.flag('use_parallel_residual', false) ? 1 : 2),
    biases: (reader) => ({ bias: reader.flag('use_qkv_bias', false) }),
    qkNorm: (reader) => (reader.flag('qk_layernorm', false) ? 'layer-head' : null),
  },
  starcoder2: {
    sizes: { hiddenSize: 3072, numLayers: 30, numHeads: 24, numKvHeads: 2 },
    vocabSize: 49152,
    innerSize: 12288,
    contextLength: 4096,
    tied: true,
    norm: 'layer',
    biases: (reader) => ({ bias: reader.flag('use_bias', true), outputBias: reader.flag('use_bias', true) }),
    feedForward: (reader, { hiddenSize }, innerSize) => {
      const bias = reader.flag('use_bias', true);
      return { build: () => new FeedForward({ hiddenSize, innerSize, gated: false, bias }) };
    },
    harmless: ['norm_type', 'mlp_type'],
  },
  cohere: COHERE,
  cohere2: { ...COHERE, qkNorm: null, window: 4096, windowOf: periodicWindow(4) },
  granite: LLAMA,
  granitemoe: { ...LLAMA, feedForward: mixturePlan('num_local_experts', 8, 2) },
  gpt_oss: {
    sizes: { hiddenSize: 2880, numLayers: 36, numHeads: 64, numKvHeads: 8, headDim: 64 },
    vocabSize: 201088,
    innerSize: 2880,
    contextLength: 131072,
    biases: (reader) => {
      const bias = reader.flag('attention_bias', true);
      return { bias, outputBias: bias };
    },
    sinks: true,
    window: 128,
    windowOf: periodicWindow(2),
    feedForward: mixturePlan(['num_local_experts', 'num_experts'][0]!, 128, 4, { bias: true }),
    harmless: ['initial_context_length', 'num_experts'],
  },
  smollm3: {
    ...LLAMA,
    sizes: { hiddenSize: 2048, numLayers: 36, numHeads: 16, numKvHeads: 4 },
    vocabSize: 128256,
    contextLength: 32768,
    tied: true,
    window: null,
    windowOf: qwenWindow,
    harmless: ['no_rope_layers', 'no_rope_layer_interval'],
  },
};

function choose<T>(choice: T | ((reader: ConfigReader) => T), reader: ConfigReader): T {
  return typeof choice === 'function' ? (choice as (reader: ConfigReader) => T)(reader) : choice;
}

function llamaFamily(traits: LlamaTraits): ConfigFamily {
  return (reader, modelType) => {
    reader.understand(...(traits.harmless ?? []));
    const sizes = attentionSizes(reader, traits.sizes);
    const { hiddenSize, numLayers } = sizes;
    const innerSize = reader.size('intermediate_size', traits.innerSize);
    const windows = layerWindows(
      reader,
      numLayers,
      traits.windowOf?.(reader) ?? ((window) => window),
      traits.window ?? null,
    );
    const attention: AttentionShape = {
      ...sizes,
      ...traits.biases?.(reader),
      qkNorm: choose(traits.qkNorm ?? null, reader),
      sinks: traits.sinks ?? false,
    };
    const plan = (traits.feedForward ?? gatedPlan)(reader, sizes, innerSize);
    const norm = new Norm(traits.norm ?? 'rms', hiddenSize);
    const norms = Array.from({ length: choose(traits.numNorms ?? 2, reader) }, () => norm);
    const isSparse = (layer: number) => plan.isSparse?.(layer) ?? false;
    return assemble({
      modelType,
      hiddenSize,
      vocabSize: reader.size('vocab_size', traits.vocabSize),
      contextLength: reader.size('max_position_embeddings', traits.contextLength),
      tied: reader.flag('tie_word_embeddings', traits.tied ?? false),
      headBias: traits.headBias ? reader.flag(traits.headBias, false) : false,
      layers: sharedLayers(
        numLayers,
        (layer) => `${windows[layer]} ${isSparse(layer)}`,
        (layer) => [
          ...norms,
          new Attention({ ...attention, window: windows[layer] ?? null }),
          plan.build(isSparse(layer)),
        ],
      ),
      after: [norm],
    });
  };
}

export const LLAMA_FAMILIES: readonly (readonly [string, ConfigFamily])[] = Object.entries(TRAITS).map(
  ([modelType, traits]) => [modelType, llamaFamily(traits)],
);
