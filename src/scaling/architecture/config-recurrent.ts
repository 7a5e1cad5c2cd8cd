/**
 * Configs of recurrent models and hybrids: Mamba, Mamba-2, Falcon-Mamba (transformers' keys), Mamba and Mamba-2
 * with state-spaces' own keys, Jamba, RWKV-4, 6 and 7.
 */
import { assemble, attentionSizes, type ConfigFamily, repeatedLayers, sharedLayers } from './assemble.ts';
import { Attention } from './attention.ts';
import type { Block } from './block.ts';
import { expertNumbers } from './config-llama.ts';
import { type ConfigReader, MAX_LAYERS } from './config-reader.ts';
import { FeedForward, MixtureOfExperts } from './feed-forward.ts';
import { Mamba1, Mamba2 } from './mamba.ts';
import { Norm } from './norm.ts';
import { Rwkv4, Rwkv6, Rwkv7, RwkvChannelMixing } from './rwkv.ts';

function depth(reader: ConfigReader, whenMissing: number): number {
  return reader.whole(['num_hidden_layers', 'n_layer', 'num_layers'], whenMissing, 1, MAX_LAYERS);
}

/** A whole number of channels from `expand` times the width; Python's int() cuts the rest off. */
function expanded(reader: ConfigReader, key: string, factor: number, hiddenSize: number): number {
  const innerSize = Math.floor(reader.number(key, factor) * hiddenSize);
  if (!(Number.isSafeInteger(innerSize) && innerSize >= 1)) {
    reader.refuse(key, reader.get(key), 'a factor above 0 that gives a size');
  }
  return innerSize;
}

/** "auto" is a sixteenth of the width, rounded up. */
function timeStepRank(reader: ConfigReader, key: string, hiddenSize: number): number {
  const value = reader.get(key) ?? 'auto';
  return value === 'auto' ? Math.ceil(hiddenSize / 16) : reader.size(key);
}

const mamba: ConfigFamily = (reader, modelType) => {
  const hiddenSize = reader.size(['hidden_size', 'd_model'], 768);
  const numLayers = depth(reader, 32);
  // Written by old conversions beside the names that count.
  reader.understand(
    'd_inner',
    'n_layer',
    'd_model',
    'use_mambapy',
    'mixer_rms_eps',
    'time_step_rank',
    'intermediate_size',
  );
  reader.understand('rms_norm', 'ssm_cfg', 'pad_vocab_size_multiple', 'use_falcon_mambapy');
  const mixer = new Mamba1({
    hiddenSize,
    innerSize: expanded(reader, 'expand', 2, hiddenSize),
    stateDim: reader.size('state_size', 16),
    timeStepRank: timeStepRank(reader, 'time_step_rank', hiddenSize),
    kernel: reader.size('conv_kernel', 4),
    bias: reader.flag('use_bias', false),
    convolutionBias: reader.flag('use_conv_bias', true),
  });
  const norm = new Norm('rms', hiddenSize);
  return assemble({
    modelType,
    hiddenSize,
    vocabSize: reader.size('vocab_size', 50280),
    contextLength: null,
    tied: reader.flag('tie_word_embeddings', true),
    layers: repeatedLayers(numLayers, [norm, mixer]),
    after: [norm],
  });
};

const mamba2: ConfigFamily = (reader, modelType) => {
  const hiddenSize = reader.size(['hidden_size', 'd_model'], 4096);
  const numLayers = depth(reader, 64);
  reader.understand('rms_norm', 'use_mambapy', 'chunk_size', 'intermediate_size');
  const innerSize = expanded(reader, 'expand', 2, hiddenSize);
  const numHeads = reader.size('num_heads', 128);
  const headDim = reader.size('head_dim', 64);
  if (numHeads * headDim !== innerSize) {
    reader.refuse(
      'num_heads',
      numHeads,
      `num_heads * head_dim (${headDim}) = expand * hidden_size (${innerSize})`,
    );
  }
  const mixer = new Mamba2({
    hiddenSize,
    innerSize,
    ssmSize: innerSize,
    numHeads,
    numGroups: reader.size('n_groups', 8),
    stateDim: reader.size('state_size', 128),
    kernel: reader.size('conv_kernel', 4),
    chunkSize: reader.size('chunk_size', 256),
    bias: reader.flag('use_bias', false),
    convolutionBias: reader.flag('use_conv_bias', true),
    innerNorm: true,
  });
  const norm = new Norm('rms', hiddenSize);
  return assemble({
    modelType,
    hiddenSize,
    vocabSize: reader.size('vocab_size', 32768),
    contextLength: null,
    tied: reader.flag('tie_word_embeddings', false),
    layers: repeatedLayers(numLayers, [norm, mixer]),
    after: [norm],
  });
};

/** state-spaces/mamba: `d_model, n_layer, vocab_size, ssm_cfg, pad_vocab_size_multiple` and hybrids with attention. */
export const stateSpaces: ConfigFamily = (reader) => {
  const hiddenSize = reader.size('d_model', 2560);
  const numLayers = depth(reader, 64);
  const settings = reader.section('ssm_cfg');
  const layerKind = settings.get('layer') ?? 'Mamba1';
  if (layerKind !== 'Mamba1' && layerKind !== 'Mamba2')
    settings.refuse('layer', layerKind, '"Mamba1" or "Mamba2"');
  settings.understand(
    'dt_min',
    'dt_max',
    'dt_scale',
    'dt_init_floor',
    'use_fast_path',
    'norm_before_gate',
    'conv_init',
  );
  settings.understand('A_init_range', 'dt_limit', 'use_mem_eff_path');
  const innerSize = expanded(settings, 'expand', 2, hiddenSize);
  const common = {
    hiddenSize,
    innerSize,
    kernel: settings.size('d_conv', 4),
    bias: settings.flag('bias', false),
    convolutionBias: settings.flag('conv_bias', true),
  };
  const stateDim = settings.size('d_state', layerKind === 'Mamba1' ? 16 : 128);
  const mixer: Block =
    layerKind === 'Mamba1'
      ? new Mamba1({ ...common, stateDim, timeStepRank: timeStepRank(settings, 'dt_rank', hiddenSize) })
      : stateSpacesMamba2(settings, common, stateDim);
  settings.finish('state-spaces');
  const attention = stateSpacesAttention(reader, hiddenSize);
  const attentionLayers = new Set(reader.indices('attn_layer_idx'));
  const feedForwardSize = reader.whole('d_intermediate', 0, 0);
  const norm = new Norm(reader.flag('rms_norm', true) ? 'rms' : 'layer', hiddenSize);
  const feedForward =
    feedForwardSize === 0
      ? []
      : // Rounded up to a multiple of 128, as the library's GatedMLP does.
        [
          norm,
          new FeedForward({ hiddenSize, innerSize: Math.ceil(feedForwardSize / 128) * 128, gated: true }),
        ];
  const given = reader.size('vocab_size', 50277);
  const multiple = reader.size('pad_vocab_size_multiple', 8);
  const vocabSize = Math.ceil(given / multiple) * multiple;
  return assemble({
    modelType: layerKind === 'Mamba1' ? 'mamba' : 'mamba2',
    hiddenSize,
    vocabSize,
    contextLength: null,
    tied: reader.flag('tie_embeddings', true),
    layers: sharedLayers(
      numLayers,
      (layer) => attentionLayers.has(layer),
      (layer) => [norm, attentionLayers.has(layer) ? attention() : mixer, ...feedForward],
    ),
    after: [norm],
    notes:
      vocabSize === given
        ? []
        : [`The vocabulary of ${given} is padded to ${vocabSize} rows (a multiple of ${multiple}).`],
  });
};

function stateSpacesMamba2(
  settings: ConfigReader,
  common: { hiddenSize: number; innerSize: number; kernel: number; bias: boolean; convolutionBias: boolean },
  stateDim: number,
): Block {
  const headDim = settings.size('headdim', 64);
  const ssmSize = settings.optionalSize('d_ssm') ?? common.innerSize;
  if (ssmSize % headDim !== 0 || ssmSize > common.innerSize) {
    settings.refuse(
      'headdim',
      headDim,
      `a divisor of the ${ssmSize} channels with a state (of ${common.innerSize})`,
    );
  }
  return new Mamba2({
    ...common,
    ssmSize,
    stateDim,
    numHeads: ssmSize / headDim,
    numGroups: settings.size('ngroups', 1),
    chunkSize: settings.size('chunk_size', 256),
    innerNorm: settings.flag('rmsnorm', true),
    wideSkip: settings.flag('D_has_hdim', false),
  });
}

/** The attention layers of hybrids; read when there are any, so that missing keys matter only then. */
function stateSpacesAttention(reader: ConfigReader, hiddenSize: number): () => Block {
  const settings = reader.section('attn_cfg');
  return () => {
    settings.understand(
      'causal',
      'softmax_scale',
      'rotary_emb_dim',
      'rotary_emb_base',
      'rotary_emb_interleaved',
    );
    settings.only('mlp_dim', [0], '0: a feed-forward inside attention is not counted');
    const numHeads = settings.size('num_heads');
    const headDim = settings.optionalSize('head_dim') ?? Math.floor(hiddenSize / numHeads);
    const numKvHeads = settings.optionalSize('num_heads_kv') ?? numHeads;
    if (numHeads % numKvHeads !== 0)
      settings.refuse('num_heads_kv', numKvHeads, `a divisor of ${numHeads} heads`);
    const attention = new Attention({
      hiddenSize,
      numHeads,
      numKvHeads,
      headDim: Math.max(1, headDim),
      bias: settings.flag('qkv_proj_bias', true),
      outputBias: settings.flag('out_proj_bias', true),
      convolution: settings.whole('d_conv', 0, 0),
    });
    settings.finish('state-spaces');
    return attention;
  };
}

const jamba: ConfigFamily = (reader, modelType) => {
  const sizes = attentionSizes(reader, { hiddenSize: 4096, numLayers: 32, numHeads: 32, numKvHeads: 8 });
  const { hiddenSize, numLayers } = sizes;
  const innerSize = reader.size('intermediate_size', 14336);
  const attentionPeriod = reader.size('attn_layer_period', 8);
  const attentionOffset = reader.whole('attn_layer_offset', 4, 0);
  const expertPeriod = reader.size('expert_layer_period', 2);
  const expertOffset = reader.whole('expert_layer_offset', 1, 0);
  const numbers = expertNumbers(reader, 'num_experts', 16, 2);
  const window = reader.optionalSize('sliding_window');
  const mixer = new Mamba1({
    hiddenSize,
    innerSize: expanded(reader, 'mamba_expand', 2, hiddenSize),
    stateDim: reader.size('mamba_d_state', 16),
    timeStepRank: timeStepRank(reader, 'mamba_dt_rank', hiddenSize),
    kernel: reader.size('mamba_d_conv', 4),
    bias: reader.flag('mamba_proj_bias', false),
    convolutionBias: reader.flag('mamba_conv_bias', true),
    innerNorms: true,
  });
  reader.understand('mamba_inner_layernorms');
  const attention = new Attention({ ...sizes, window });
  const dense = new FeedForward({ hiddenSize, innerSize, gated: true });
  const experts =
    numbers.numExperts > 1 ? new MixtureOfExperts({ hiddenSize, expertSize: innerSize, ...numbers }) : dense;
  const isAttention = (layer: number) => layer % attentionPeriod === attentionOffset;
  const isSparse = (layer: number) => layer % expertPeriod === expertOffset;
  const norm = new Norm('rms', hiddenSize);
  return assemble({
    modelType,
    hiddenSize,
    vocabSize: reader.size('vocab_size', 65536),
    contextLength: reader.size('max_position_embeddings', 262144),
    tied: reader.flag('tie_word_embeddings', false),
    layers: sharedLayers(
      numLayers,
      (layer) => `${isAttention(layer)} ${isSparse(layer)}`,
      (layer) => [norm, isAttention(layer) ? attention : mixer, norm, isSparse(layer) ? experts : dense],
    ),
    after: [norm],
  });
};

/** All versions normalise the embedding once, before the first layer. */
const rwkv4: ConfigFamily = (reader, modelType) => {
  const hiddenSize = reader.size('hidden_size', 4096);
  const attentionSize = reader.optionalSize('attention_hidden_size') ?? hiddenSize;
  const innerSize = reader.optionalSize('intermediate_size') ?? 4 * hiddenSize;
  const numLayers = depth(reader, 32);
  const norm = new Norm('layer', hiddenSize);
  const mixer = new Rwkv4(hiddenSize, attentionSize);
  const channels = new RwkvChannelMixing(hiddenSize, innerSize, true);
  return assemble({
    modelType,
    hiddenSize,
    vocabSize: reader.size('vocab_size', 50277),
    contextLength: reader.size(['context_length', 'max_position_embeddings'], 1024),
    tied: reader.flag('tie_word_embeddings', false),
    before: [norm],
    layers: repeatedLayers(numLayers, [norm, mixer, norm, channels]),
    after: [norm],
  });
};

const rwkv6: ConfigFamily = (reader, modelType) => {
  const hiddenSize = reader.size('hidden_size', 768);
  const numLayers = depth(reader, 24);
  const attentionSize = reader.optionalSize('attention_hidden_size') ?? hiddenSize;
  if (attentionSize !== hiddenSize)
    reader.refuse('attention_hidden_size', attentionSize, `the width ${hiddenSize}`);
  reader.understand('head_size_divisor', 'num_attention_heads', 'model_version');
  const headDim = reader.size(['head_size', 'head_dim'], 64);
  if (hiddenSize % headDim !== 0) reader.refuse('head_size', headDim, `a divisor of the width ${hiddenSize}`);
  // The published code doubles the low ranks at the width of the 7B model.
  const isWide = hiddenSize >= 4096;
  const mixer = new Rwkv6({ hiddenSize, headDim, mixRank: isWide ? 64 : 32, decayRank: isWide ? 128 : 64 });
  const innerSize = reader.optionalSize('intermediate_size') ?? Math.floor((hiddenSize * 3.5) / 32) * 32;
  const norm = new Norm('layer', hiddenSize);
  const channels = new RwkvChannelMixing(hiddenSize, innerSize, true);
  return assemble({
    modelType,
    hiddenSize,
    vocabSize: reader.size('vocab_size', 65536),
    contextLength: reader.size(['context_length', 'max_context_length', 'max_position_embeddings'], 4096),
    tied: reader.flag('tie_word_embeddings', false),
    before: [norm],
    layers: repeatedLayers(numLayers, [norm, mixer, norm, channels]),
    after: [norm],
  });
};

/** flash-linear-attention's keys; missing low ranks follow the width as in its layer. */
const rwkv7: ConfigFamily = (reader, modelType) => {
  const hiddenSize = reader.size('hidden_size', 2048);
  const numLayers = depth(reader, 24);
  if (reader.has('attn'))
    reader.refuse('attn', reader.get('attn'), 'null: hybrids of RWKV-7 and attention are not counted');
  const headDim = reader.isNull('head_dim')
    ? Math.floor(hiddenSize / reader.size('num_heads'))
    : reader.size('head_dim', 64);
  reader.understand('num_heads', 'hidden_ratio', 'value_dim', 'fuse_norm', 'norm_first');
  if (headDim < 1 || hiddenSize % headDim !== 0)
    reader.refuse('head_dim', headDim, `a divisor of the width ${hiddenSize}`);
  const numHeads = hiddenSize / headDim;
  const values = reader.get('value_dim');
  const valueSizes = Array.isArray(values)
    ? values
    : Array.from({ length: numLayers }, () => values ?? hiddenSize);
  if (valueSizes.length !== numLayers || valueSizes.some((one) => one !== hiddenSize)) {
    reader.refuse('value_dim', values, `the width ${hiddenSize} in every layer, as in all published models`);
  }
  const scale = Math.sqrt(hiddenSize) / 32;
  const rank = (key: string, factor: number) =>
    reader.optionalSize(key) ?? Math.max(32, Math.round(factor * scale) * 32);
  const shape = {
    hiddenSize,
    valueSize: hiddenSize,
    numHeads,
    headDim,
    decayRank: rank('decay_low_rank_dim', (2.5 * headDim) / 64),
    rateRank: rank('a_low_rank_dim', (2.5 * headDim) / 64),
    valueRank: rank('v_low_rank_dim', (1.7 * headDim) / 64),
    gateRank: rank('gate_low_rank_dim', 5),
  };
  const innerSize =
    reader.optionalSize('intermediate_size') ??
    Math.ceil(expanded(reader, 'hidden_ratio', 4, hiddenSize) / 32) * 32;
  const norm = new Norm(reader.flag('norm_bias', true) ? 'layer' : 'layer-no-bias', hiddenSize);
  const channels = new RwkvChannelMixing(hiddenSize, innerSize, false);
  return assemble({
    modelType,
    hiddenSize,
    vocabSize: reader.size('vocab_size', 32000),
    contextLength: reader.size('max_position_embeddings', 2048),
    tied: reader.flag('tie_word_embeddings', false),
    before: reader.flag('norm_first', true) ? [norm] : [],
    layers: sharedLayers(
      numLayers,
      (layer) => layer > 0,
      (layer) => [norm, new Rwkv7({ ...shape, mixesValues: layer > 0 }), norm, channels],
    ),
    after: [norm],
  });
};

export const RECURRENT_FAMILIES: readonly (readonly [string, ConfigFamily])[] = [
  ['mamba', mamba],
  ['falcon_mamba', mamba],
  ['mamba2', mamba2],
  ['jamba', jamba],
  ['rwkv', rwkv4],
  ['rwkv6', rwkv6],
  ['rwkv7', rwkv7],
];
