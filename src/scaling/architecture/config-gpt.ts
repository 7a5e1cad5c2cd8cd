/**
 * Configs of the family that grew from GPT-2: LayerNorm, two-matrix feed-forward with biases (mostly), learned,
 * rotary or ALiBi positions. Defaults are those of transformers 4.57 for each model type.
 */
import {
  assemble,
  attentionSizes,
  type ConfigFamily,
  evenSplit,
  repeatedLayers,
  sharedLayers,
} from './assemble.ts';
import { Attention } from './attention.ts';
import type { ConfigReader } from './config-reader.ts';
import { PositionEmbedding, Projection } from './embedding.ts';
import { FeedForward } from './feed-forward.ts';
import { Norm } from './norm.ts';

const POSITIONS = ['n_positions', 'max_position_embeddings', 'block_size', 'n_ctx'];

function innerWidth(reader: ConfigReader, keys: readonly string[], hiddenSize: number): number {
  return reader.optionalSize(keys) ?? 4 * hiddenSize;
}

function refuseCrossAttention(reader: ConfigReader): void {
  reader.only('add_cross_attention', [false], 'false: a decoder with cross-attention needs an encoder');
}

/** Also nanoGPT's keys: `block_size`, and `bias: false` for no biases in linear layers and norms. */
const gpt2: ConfigFamily = (reader, modelType) => {
  refuseCrossAttention(reader);
  const sizes = attentionSizes(reader, { hiddenSize: 768, numLayers: 12, numHeads: 12 });
  const { hiddenSize } = sizes;
  const bias = reader.flag('bias', true);
  const contextLength = reader.size(POSITIONS, 1024);
  const norm = new Norm(bias ? 'layer' : 'layer-no-bias', hiddenSize);
  const innerSize = innerWidth(reader, ['n_inner', 'intermediate_size'], hiddenSize);
  const layer = [
    norm,
    new Attention({ ...sizes, bias, outputBias: bias }),
    norm,
    new FeedForward({ hiddenSize, innerSize, gated: false, bias }),
  ];
  return assemble({
    modelType,
    hiddenSize,
    vocabSize: reader.size('vocab_size', 50257),
    contextLength,
    tied: reader.flag('tie_word_embeddings', true),
    before: [new PositionEmbedding(contextLength, hiddenSize)],
    layers: repeatedLayers(sizes.numLayers, layer),
    after: [norm],
  });
};

const gptBigCode: ConfigFamily = (reader, modelType) => {
  refuseCrossAttention(reader);
  const sizes = attentionSizes(reader, { hiddenSize: 768, numLayers: 12, numHeads: 12 });
  const { hiddenSize, numHeads } = sizes;
  const numKvHeads = reader.flag('multi_query', true) ? 1 : numHeads;
  const contextLength = reader.size(POSITIONS, 1024);
  const norm = new Norm('layer', hiddenSize);
  const innerSize = innerWidth(reader, ['n_inner', 'intermediate_size'], hiddenSize);
  const layer = [
    norm,
    new Attention({ ...sizes, numKvHeads, bias: true, outputBias: true }),
    norm,
    new FeedForward({ hiddenSize, innerSize, gated: false, bias: true }),
  ];
  return assemble({
    modelType,
    hiddenSize,
    vocabSize: reader.size('vocab_size', 50257),
    contextLength,
    tied: reader.flag('tie_word_embeddings', true),
    before: [new PositionEmbedding(contextLength, hiddenSize)],
    layers: repeatedLayers(sizes.numLayers, layer),
    after: [norm],
  });
};

const gptNeo: ConfigFamily = (reader, modelType) => {
  const sizes = attentionSizes(reader, { hiddenSize: 2048, numLayers: 24, numHeads: 16 });
  const { hiddenSize, numLayers } = sizes;
  reader.understand('attention_layers', 'attention_types');
  const window = reader.size('window_size', 256);
  const contextLength = reader.size(POSITIONS, 2048);
  const kinds = reader.get('attention_layers') ?? expandTypes(reader.get('attention_types'));
  const isLocal = (layer: number) => (Array.isArray(kinds) ? kinds[layer] === 'local' : layer % 2 === 1);
  const norm = new Norm('layer', hiddenSize);
  const innerSize = innerWidth(reader, ['intermediate_size'], hiddenSize);
  return assemble({
    modelType,
    hiddenSize,
    vocabSize: reader.size('vocab_size', 50257),
    contextLength,
    tied: reader.flag('tie_word_embeddings', true),
    before: [new PositionEmbedding(contextLength, hiddenSize)],
    layers: sharedLayers(numLayers, isLocal, (layer) => [
      norm,
      new Attention({ ...sizes, outputBias: true, window: isLocal(layer) ? window : null }),
      norm,
      new FeedForward({ hiddenSize, innerSize, gated: false, bias: true }),
    ]),
    after: [norm],
  });
};

/** [[["global", "local"], 12]] -> 24 names. Anything else is left to the default alternation. */
function expandTypes(types: unknown): string[] | undefined {
  if (!Array.isArray(types)) return undefined;
  const names: string[] = [];
  for (const entry of types) {
    if (!Array.isArray(entry) || !Array.isArray(entry[0]) || !(entry[1] >= 1 && entry[1] <= 1000))
      return undefined;
    for (let i = 0; i < entry[1]; i++) names.push(...entry[0].slice(0, 100).map(String));
  }
  return names;
}

const gptNeoX: ConfigFamily = (reader, modelType) => {
  const sizes = attentionSizes(reader, { hiddenSize: 6144, numLayers: 44, numHeads: 64 });
  const { hiddenSize } = sizes;
  reader.understand('use_parallel_residual');
  const bias = reader.flag('attention_bias', true);
  const norm = new Norm('layer', hiddenSize);
  const innerSize = reader.size('intermediate_size', 24576);
  const layer = [
    norm,
    new Attention({ ...sizes, bias, outputBias: bias }),
    norm,
    new FeedForward({ hiddenSize, innerSize, gated: false, bias: true }),
  ];
  return assemble({
    modelType,
    hiddenSize,
    vocabSize: reader.size('vocab_size', 50432),
    contextLength: reader.size('max_position_embeddings', 2048),
    tied: reader.flag('tie_word_embeddings', false),
    layers: repeatedLayers(sizes.numLayers, layer),
    after: [norm],
  });
};

/** GPT-J and CodeGen: one norm for attention and feed-forward in parallel, attention without biases. */
const gptJ: ConfigFamily = (reader, modelType) => {
  const sizes = attentionSizes(reader, { hiddenSize: 4096, numLayers: 28, numHeads: 16 });
  const { hiddenSize } = sizes;
  const norm = new Norm('layer', hiddenSize);
  const innerSize = innerWidth(reader, ['n_inner'], hiddenSize);
  const layer = [
    norm,
    new Attention(sizes),
    new FeedForward({ hiddenSize, innerSize, gated: false, bias: true }),
  ];
  return assemble({
    modelType,
    hiddenSize,
    vocabSize: reader.size('vocab_size', 50400),
    contextLength: reader.size(POSITIONS, 2048),
    tied: reader.flag('tie_word_embeddings', false),
    headBias: true,
    layers: repeatedLayers(sizes.numLayers, layer),
    after: [norm],
  });
};

const opt: ConfigFamily = (reader, modelType) => {
  const sizes = attentionSizes(reader, { hiddenSize: 768, numLayers: 12, numHeads: 12 });
  const { hiddenSize } = sizes;
  const embeddingWidth = reader.optionalSize('word_embed_proj_dim') ?? hiddenSize;
  const bias = reader.flag('enable_bias', true);
  const contextLength = reader.size('max_position_embeddings', 2048);
  const hasScales = reader.flag('layer_norm_elementwise_affine', true);
  const hasFinalNorm =
    reader.flag('do_layer_norm_before', true) && !reader.flag('_remove_final_layer_norm', false);
  const norm = new Norm(hasScales ? 'layer' : 'plain', hiddenSize);
  const innerSize = reader.size(['ffn_dim', 'intermediate_size'], 3072);
  const layer = [
    norm,
    new Attention({ ...sizes, bias, outputBias: bias }),
    norm,
    new FeedForward({ hiddenSize, innerSize, gated: false, bias }),
  ];
  const isProjected = embeddingWidth !== hiddenSize;
  return assemble({
    modelType,
    hiddenSize,
    vocabSize: reader.size('vocab_size', 50272),
    embeddingWidth,
    contextLength,
    tied: reader.flag('tie_word_embeddings', true),
    // Positions start at 2, a habit of fairseq: two more rows than positions.
    before: [
      new PositionEmbedding(contextLength + 2, hiddenSize),
      ...(isProjected ? [new Projection('projection in', hiddenSize, embeddingWidth)] : []),
    ],
    layers: repeatedLayers(sizes.numLayers, layer),
    after: [
      ...(hasFinalNorm ? [norm] : []),
      ...(isProjected ? [new Projection('projection out', embeddingWidth, hiddenSize)] : []),
    ],
  });
};

const bloom: ConfigFamily = (reader, modelType) => {
  const sizes = attentionSizes(reader, { hiddenSize: 64, numLayers: 2, numHeads: 8 });
  const { hiddenSize } = sizes;
  reader.understand(
    'unk_token_id',
    'seq_length',
    'skip_bias_add',
    'skip_bias_add_qkv',
    'bias_dropout_fusion',
  );
  const norm = new Norm('layer', hiddenSize);
  const innerSize = innerWidth(reader, ['n_inner'], hiddenSize);
  const layer = [
    norm,
    new Attention({ ...sizes, bias: true, outputBias: true }),
    norm,
    new FeedForward({ hiddenSize, innerSize, gated: false, bias: true }),
  ];
  return assemble({
    modelType,
    hiddenSize,
    vocabSize: reader.size('vocab_size', 250880),
    contextLength: reader.optionalSize('seq_length'),
    tied: reader.flag('tie_word_embeddings', true),
    before: [norm],
    layers: repeatedLayers(sizes.numLayers, layer),
    after: [norm],
  });
};

const falcon: ConfigFamily = (reader, modelType) => {
  const sizes = attentionSizes(reader, { hiddenSize: 4544, numLayers: 32, numHeads: 71 });
  const { hiddenSize, numHeads } = sizes;
  reader.understand('alibi');
  const isNew = reader.flag('new_decoder_architecture', false);
  const isMultiQuery = reader.flag('multi_query', true);
  const isParallel = reader.flag('parallel_attn', true);
  const givenKv = reader.optionalSize(['num_kv_heads', 'n_head_kv']) ?? numHeads;
  const numKvHeads = isNew ? givenKv : isMultiQuery ? 1 : numHeads;
  if (numHeads % numKvHeads !== 0)
    reader.refuse('num_kv_heads', numKvHeads, `a divisor of ${numHeads} heads`);
  const bias = reader.flag('bias', false);
  const numNorms = isNew ? (reader.optionalSize('num_ln_in_parallel_attn') ?? 2) : isParallel ? 1 : 2;
  reader.understand('num_ln_in_parallel_attn', 'use_parallel_residual');
  const norm = new Norm('layer', hiddenSize);
  const innerSize = innerWidth(reader, ['ffn_hidden_size'], hiddenSize);
  const headDim = evenSplit(reader, hiddenSize, numHeads);
  const layer = [
    ...Array.from({ length: Math.min(numNorms, 2) }, () => norm),
    new Attention({ ...sizes, headDim, numKvHeads, bias, outputBias: bias }),
    new FeedForward({ hiddenSize, innerSize, gated: false, bias }),
  ];
  return assemble({
    modelType,
    hiddenSize,
    vocabSize: reader.size('vocab_size', 65024),
    contextLength: reader.optionalSize('max_position_embeddings') ?? 2048,
    tied: reader.flag('tie_word_embeddings', true),
    layers: repeatedLayers(sizes.numLayers, layer),
    after: [norm],
  });
};

const mpt: ConfigFamily = (reader, modelType) => {
  const sizes = attentionSizes(reader, { hiddenSize: 2048, numLayers: 24, numHeads: 16 });
  const { hiddenSize, numHeads } = sizes;
  reader.understand('learned_pos_emb', 'init_config', 'init_device', 'norm_type', 'no_bias', 'attn_config');
  reader.only('no_bias', [true], 'true: transformers builds MPT without biases whatever it says');
  const settings = reader.section('attn_config');
  settings.only('attn_type', ['multihead_attention'], '"multihead_attention"');
  const clip = settings.flag('qk_ln', false);
  const innerSize = Math.floor(reader.number('expansion_ratio', 4) * hiddenSize);
  if (!(innerSize >= 1 && Number.isSafeInteger(innerSize))) {
    reader.refuse('expansion_ratio', reader.get('expansion_ratio'), 'a ratio above 0 that gives a size');
  }
  const norm = new Norm('layer-no-bias', hiddenSize);
  const layer = [
    norm,
    new Attention({
      ...sizes,
      headDim: evenSplit(reader, hiddenSize, numHeads),
      qkNorm: clip ? 'full' : null,
    }),
    norm,
    new FeedForward({ hiddenSize, innerSize, gated: false }),
  ];
  return assemble({
    modelType,
    hiddenSize,
    vocabSize: reader.size('vocab_size', 50368),
    contextLength: reader.size('max_seq_len', 2048),
    tied: reader.flag('tie_word_embeddings', true),
    layers: repeatedLayers(sizes.numLayers, layer),
    after: [norm],
  });
};

/** Phi-1, 1.5 and 2: parallel attention and feed-forward behind one norm, biases everywhere. */
const phi: ConfigFamily = (reader, modelType) => {
  const sizes = attentionSizes(reader, { hiddenSize: 2048, numLayers: 24, numHeads: 32 });
  const { hiddenSize } = sizes;
  reader.only('qk_layernorm', [false], 'false: no published Phi model normalises queries and keys');
  const norm = new Norm('layer', hiddenSize);
  const innerSize = reader.size('intermediate_size', 8192);
  const layer = [
    norm,
    new Attention({ ...sizes, bias: true, outputBias: true }),
    new FeedForward({ hiddenSize, innerSize, gated: false, bias: true }),
  ];
  return assemble({
    modelType,
    hiddenSize,
    vocabSize: reader.size('vocab_size', 51200),
    contextLength: reader.size('max_position_embeddings', 2048),
    tied: reader.flag('tie_word_embeddings', false),
    headBias: true,
    layers: repeatedLayers(sizes.numLayers, layer),
    after: [norm],
  });
};

/** Chinchilla and Gopher (arXiv 2203.15556): no public config, so the keys are GPT-2's with a width per head. */
const chinchilla: ConfigFamily = (reader, modelType) => {
  const sizes = attentionSizes(reader, { hiddenSize: 640, numLayers: 10, numHeads: 10 });
  const { hiddenSize } = sizes;
  const norm = new Norm('layer', hiddenSize);
  const innerSize = innerWidth(reader, ['n_inner'], hiddenSize);
  const layer = [
    norm,
    new Attention({ ...sizes, bias: true, outputBias: true, relativeKeys: true }),
    norm,
    new FeedForward({ hiddenSize, innerSize, gated: false, bias: true }),
  ];
  return assemble({
    modelType,
    hiddenSize,
    vocabSize: reader.size('vocab_size', 32000),
    contextLength: reader.size(POSITIONS, 2048),
    tied: reader.flag('tie_word_embeddings', true),
    layers: repeatedLayers(sizes.numLayers, layer),
    after: [norm],
  });
};

export const GPT_FAMILIES: readonly (readonly [string, ConfigFamily])[] = [
  ['gpt2', gpt2],
  ['gpt_bigcode', gptBigCode],
  ['gpt_neo', gptNeo],
  ['gpt_neox', gptNeoX],
  ['gptj', gptJ],
  ['codegen', gptJ],
  ['opt', opt],
  ['bloom', bloom],
  ['falcon', falcon],
  ['mpt', mpt],
  ['phi', phi],
  ['chinchilla', chinchilla],
];
