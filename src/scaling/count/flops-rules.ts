/**
 * What others mean by a model's training FLOPs per token, by name and source, so that published numbers can be
 * reproduced. They differ in what N is, in attention's scores, in the softmax and in the embeddings.
 */
import { type Architecture, architectureWeights, stackBlocks } from '../architecture/architecture.ts';
import type { Block } from '../architecture/block.ts';
import { type FlopsOptions, flopsPerToken } from './flops.ts';
import { countParameters } from './parameters.ts';

/** Training FLOPs per token (forward and backward) by convention, and the N that each multiplies with. */
export interface FlopsRules {
  /** 6 N, N all active parameters: the usual rule. */
  readonly sixN: number;
  /** 6 N, N without embeddings and head (Kaplan et al. 2020, arXiv 2001.08361, section 2.1). */
  readonly sixNonEmbedding: number;
  /** 6 N + 6 layers context width of attention, N without embeddings and head (Kaplan, table 1, times three). */
  readonly kaplan: number;
  /** 6 N + 12 L H Q T, N without position tables, biases and shifts (PaLM, arXiv 2204.02311, appendix B). */
  readonly palm: number;
  /** Matrices and scores, nothing else (nanoGPT's transformer_sizing notebook); the exact count here. */
  readonly nanoGpt: number;
  /** Scores and softmax, without embeddings and logits (Chinchilla, arXiv 2203.15556, appendix F). */
  readonly chinchilla: number;
  /** `chinchilla` over 6 N, with N all but an untied input embedding, as in table A4. */
  readonly chinchillaRatio: number;
}

export function flopsRules(architecture: Architecture, options: FlopsOptions = {}): FlopsRules {
  const { active, activeByPart, embedding } = countParameters(architecture);
  const flops = flopsPerToken(architecture, { ...options, causalMask: 'full' });
  const { byPart, scores, contextLength, sourceLength } = flops;
  const activeNonEmbedding = active - embedding;
  const embeddingProjection = byPart.embedding + byPart.position;
  const softmax = softmaxFlops(architecture, contextLength, sourceLength ?? 0);
  const chinchilla = 3 * (flops.forward - byPart.head - embeddingProjection + softmax);
  const inputOnly = architecture.head.tied ? 0 : activeByPart.embedding;
  let activeBiases = 0;
  for (const { weight, count } of architectureWeights(architecture)) {
    if (weight.role === 'bias') activeBiases += weight.active * count;
  }
  return {
    sixN: 6 * active,
    sixNonEmbedding: 6 * activeNonEmbedding,
    kaplan: 6 * activeNonEmbedding + (3 * scores) / 2,
    palm: 6 * (active - activeByPart.position - activeBiases) + 3 * scores,
    nanoGpt: flops.training,
    chinchilla,
    chinchillaRatio: chinchilla / (6 * (active - inputOnly)),
  };
}

/** Three FLOPs per score (subtract the maximum, exponential, divide), forward, per token of the decoder. */
function softmaxFlops(architecture: Architecture, target: number, source: number): number {
  const ofBlock = ({ activations: { scoreHeads, keysOnSource } }: Block, length: number) =>
    3 * scoreHeads * (keysOnSource ? source : length);
  let flops = 0;
  for (const { block, count } of stackBlocks(architecture.decoder)) flops += count * ofBlock(block, target);
  if (architecture.encoder !== null) {
    for (const { block, count } of stackBlocks(architecture.encoder)) {
      flops += (count * ofBlock(block, source) * source) / target;
    }
  }
  return flops;
}
