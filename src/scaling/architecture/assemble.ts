/** What all readers of configs share: common sizes with their checks, sharing of equal layers, the finished model. */
import { type Architecture, checkArchitecture, type Layer, type Stack } from './architecture.ts';
import type { Block } from './block.ts';
import { type ConfigReader, MAX_LAYERS } from './config-reader.ts';
import { OutputHead, TokenEmbedding } from './embedding.ts';

/** Reads one model type's config. The dispatcher checks afterwards that no key was overlooked. */
export type ConfigFamily = (reader: ConfigReader, modelType: string) => Architecture;

export interface AttentionSizes {
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
}

export interface SizeDefaults {
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  /** Null: as many as heads. */
  readonly numKvHeads?: number | null;
  readonly headDim?: number | null;
}

const HIDDEN = ['hidden_size', 'n_embd', 'd_model', 'n_embed'];
const LAYERS = ['num_hidden_layers', 'n_layer', 'n_layers', 'num_layers'];
const HEADS = ['num_attention_heads', 'n_head', 'n_heads', 'num_heads'];

/** Width, depth and heads under their usual names; null and missing sizes follow transformers' rules. */
export function attentionSizes(reader: ConfigReader, defaults: SizeDefaults): AttentionSizes {
  const hiddenSize = reader.size(HIDDEN, defaults.hiddenSize);
  const numLayers = reader.whole(LAYERS, defaults.numLayers, 1, MAX_LAYERS);
  const numHeads = reader.size(HEADS, defaults.numHeads);
  const numKvHeads = reader.isNull('num_key_value_heads')
    ? numHeads
    : reader.size('num_key_value_heads', defaults.numKvHeads ?? numHeads);
  if (numHeads % numKvHeads !== 0) {
    reader.refuse('num_key_value_heads', numKvHeads, `a divisor of the ${numHeads} attention heads`);
  }
  const headDim = reader.isNull('head_dim')
    ? evenSplit(reader, hiddenSize, numHeads)
    : (reader.optionalSize('head_dim') ?? defaults.headDim ?? evenSplit(reader, hiddenSize, numHeads));
  return { hiddenSize, numLayers, numHeads, numKvHeads, headDim };
}

export function evenSplit(reader: ConfigReader, hiddenSize: number, numHeads: number): number {
  if (hiddenSize % numHeads !== 0) {
    reader.refuse(
      HEADS.find((key) => reader.has(key)) ?? HEADS[0]!,
      numHeads,
      `a divisor of the width ${hiddenSize}, or a head_dim`,
    );
  }
  return hiddenSize / numHeads;
}

/** Builds one layer per distinct key; layers with the same key are the same object. */
export function sharedLayers(
  numLayers: number,
  keyOf: (layer: number) => string | number | boolean,
  build: (layer: number) => Layer,
): Layer[] {
  const built = new Map<string | number | boolean, Layer>();
  return Array.from({ length: numLayers }, (_, layer) => {
    const key = keyOf(layer);
    const known = built.get(key) ?? build(layer);
    built.set(key, known);
    return known;
  });
}

/** The same layer in every place. */
export function repeatedLayers(numLayers: number, layer: Layer): Layer[] {
  return Array.from({ length: numLayers }, () => layer);
}

export interface ModelParts {
  readonly name?: string;
  readonly modelType: string;
  readonly hiddenSize: number;
  readonly vocabSize: number;
  readonly embeddingWidth?: number;
  readonly contextLength: number | null;
  readonly tied: boolean;
  readonly headBias?: boolean;
  readonly before?: readonly Block[];
  readonly layers: readonly Layer[];
  readonly after: readonly Block[];
  readonly encoder?: Stack;
  readonly notes?: readonly string[];
}

export function assemble(parts: ModelParts): Architecture {
  const width = parts.embeddingWidth ?? parts.hiddenSize;
  return checkArchitecture({
    name: parts.name ?? parts.modelType,
    modelType: parts.modelType,
    hiddenSize: parts.hiddenSize,
    vocabSize: parts.vocabSize,
    contextLength: parts.contextLength,
    embedding: new TokenEmbedding(parts.vocabSize, width),
    encoder: parts.encoder ?? null,
    decoder: { before: parts.before ?? [], layers: parts.layers, after: parts.after },
    head: new OutputHead(parts.vocabSize, width, { tied: parts.tied, bias: parts.headBias ?? false }),
    notes: parts.notes ?? [],
  });
}

/** The window of each layer: `layer_types` if given, else what the model type's own keys say. */
export function layerWindows(
  reader: ConfigReader,
  numLayers: number,
  byKeys: (window: number | null, layer: number) => number | null,
  windowWhenMissing: number | null,
): (number | null)[] {
  const window = reader.isNull('sliding_window')
    ? null
    : (reader.optionalSize('sliding_window') ?? windowWhenMissing);
  const types = reader.get('layer_types');
  if (types === undefined) return Array.from({ length: numLayers }, (_, layer) => byKeys(window, layer));
  if (!Array.isArray(types) || types.length !== numLayers) {
    reader.refuse('layer_types', types, `a list of ${numLayers} names, one per layer`);
  }
  return types.map((type) => {
    if (type === 'full_attention') return null;
    if (type !== 'sliding_attention') {
      reader.refuse('layer_types', type, '"full_attention" or "sliding_attention" in every layer');
    }
    if (window === null)
      reader.refuse('sliding_window', null, 'a size, as layer_types has sliding attention');
    return window;
  });
}
