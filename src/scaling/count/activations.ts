/**
 * Bytes kept between the forward and the backward pass. For a GPT layer in 16 bits with dropout this is
 * s b h (34 + 5 a s / h) of Korthikanti et al. 2022 (arXiv 2205.05198, equation 2), without scores 34 s b h, with full
 * recomputation 2 s b h; other blocks are counted by the same rule: every tensor that a gradient needs, once.
 * Estimates for real programs, which fuse some operations and keep copies of others.
 */
import { type Architecture, type Layer, stackBlocks } from '../architecture/architecture.ts';
import type { Block } from '../architecture/block.ts';

export const RECOMPUTATIONS = ['none', 'selective', 'full'] as const;
/** `selective` computes attention's scores again; `full` keeps only the input of each layer. */
export type Recomputation = (typeof RECOMPUTATIONS)[number];

export interface ActivationOptions {
  readonly batch: number;
  readonly target: number;
  /** 0 without an encoder. */
  readonly source: number;
  readonly numberBytes: number;
  readonly recompute: Recomputation;
  /** Fused attention keeps one 32-bit number per row instead of the scores. */
  readonly flashAttention: boolean;
  readonly dropout: boolean;
}

export interface ActivationBytes {
  readonly layers: number;
  /** The one layer that full recomputation holds completely at a time. */
  readonly recomputedLayer: number;
  /** Embedding, final norm, input of the head. */
  readonly ends: number;
  /** In 32 bits, as losses are computed. */
  readonly logits: number;
  readonly total: number;
}

export function activationBytes(architecture: Architecture, options: ActivationOptions): ActivationBytes {
  const { batch, target, source, numberBytes, recompute } = options;
  let layers = 0;
  let recomputedLayer = 0;
  let ends = 0;
  for (const stack of [architecture.encoder, architecture.decoder]) {
    if (stack === null) continue;
    const tokens = batch * (stack === architecture.encoder ? source : target);
    const keys = stack === architecture.encoder ? source : target;
    const ofBlock = (block: Block) => tokens * bytesPerToken(block, keys, options);
    const sizes = new Map<Layer, number>();
    for (const layer of stack.layers) {
      const known = sizes.get(layer) ?? layer.reduce((bytes, block) => bytes + ofBlock(block), 0);
      sizes.set(layer, known);
      layers += recompute === 'full' ? tokens * architecture.hiddenSize * numberBytes : known;
      if (recompute === 'full') recomputedLayer = Math.max(recomputedLayer, known);
    }
    for (const { block, count } of stackBlocks({ ...stack, layers: [] })) ends += count * ofBlock(block);
    ends += ofBlock(architecture.embedding);
  }
  const tokens = batch * target;
  ends += tokens * bytesPerToken(architecture.head, target, options);
  const logits = tokens * architecture.vocabSize * 4;
  return { layers, recomputedLayer, ends, logits, total: layers + recomputedLayer + ends + logits };
}

function bytesPerToken({ activations }: Block, length: number, options: ActivationOptions): number {
  const { values, masks, scoreHeads, keysOnSource } = activations;
  const { numberBytes, dropout } = options;
  const kept = values * numberBytes + (dropout ? masks : 0);
  if (options.recompute === 'selective') return kept;
  if (options.flashAttention) return kept + 4 * scoreHeads;
  const keys = keysOnSource ? options.source : length;
  // Softmax output; with dropout also its mask and its output.
  return kept + scoreHeads * keys * (dropout ? 2 * numberBytes + 1 : numberBytes);
}
