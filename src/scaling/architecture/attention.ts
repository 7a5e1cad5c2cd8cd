/**
 * Softmax attention: multi-head, grouped-query and multi-query, with biases, QK-norm, sliding windows, attention
 * sinks, a convolution before it (Mamba-2 hybrids), Transformer-XL or T5 relative positions, and cross-attention
 * to an encoder. Rotary tables and ALiBi slopes are computed, not stored, so they are no parameters.
 */
import { type CausalMask, type ExtraFlops, keeps, type Lengths, WeightBlock, WeightList } from './block.ts';

export interface AttentionShape {
  readonly hiddenSize: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  /** Biases of the query, key and value projections. */
  readonly bias?: boolean;
  readonly outputBias?: boolean;
  /** `head`: one scale of headDim for all heads (Qwen3); `full`: one scale per channel (OLMo 2). */
  readonly qkNorm?: 'head' | 'full' | 'layer-head' | null;
  /** A token sees so many tokens back, itself included. */
  readonly window?: number | null;
  /** False in encoders: every token sees every token. */
  readonly causal?: boolean;
  /** Keys and values come from the encoder. */
  readonly cross?: boolean;
  /** T5's table of so many buckets by heads, in the layers that own one. */
  readonly relativeBuckets?: number;
  /** Transformer-XL positions (Chinchilla, Gopher): a key matrix for positions and two bias vectors. */
  readonly relativeKeys?: boolean;
  /** One learned logit per head (gpt-oss). */
  readonly sinks?: boolean;
  /** Kernel of a depthwise convolution over queries, keys and values. */
  readonly convolution?: number;
}

export class Attention extends WeightBlock {
  override readonly description: string;
  override readonly weights;
  override readonly activations;
  override readonly stateSize: number;
  readonly shape: AttentionShape;

  constructor(shape: AttentionShape) {
    super();
    this.shape = shape;
    const { hiddenSize, numHeads, numKvHeads, headDim, cross = false, convolution = 0 } = shape;
    const querySize = numHeads * headDim;
    const keySize = numKvHeads * headDim;
    const list = new WeightList('attention')
      .linear('query', querySize, hiddenSize, shape.bias)
      .linear('key', keySize, hiddenSize, shape.bias, cross)
      .linear('value', keySize, hiddenSize, shape.bias, cross)
      .linear('output', hiddenSize, querySize, shape.outputBias);
    if (convolution > 0) list.convolution('convolution', querySize + 2 * keySize, convolution, true);
    if (shape.relativeKeys) {
      // Multiplied with positions, not tokens: once per sequence, so not in the arithmetic per token.
      list.vector('position key', querySize, hiddenSize).vector('position biases', 2, querySize);
    }
    if (shape.relativeBuckets) list.vector('relative position bias', shape.relativeBuckets, numHeads);
    if (shape.sinks) list.vector('sinks', numHeads);
    const norms = new WeightList('norm');
    const wide = shape.qkNorm === 'full' || shape.qkNorm === 'layer-head';
    if (shape.qkNorm) {
      norms.vector('query norm', wide ? querySize : headDim).vector('key norm', wide ? keySize : headDim);
    }
    this.weights = [...list.weights, ...norms.weights];
    // Korthikanti et al. 2022, section 4.1: input, queries and keys, values, input of the output projection, and
    // the mask of the dropout after it: 11sbh bytes with two-byte values. A QK-norm keeps its inputs too.
    const normed = shape.qkNorm ? querySize + keySize : 0;
    this.activations = keeps({
      values: hiddenSize + 2 * querySize + 2 * keySize + normed,
      masks: hiddenSize,
      scoreHeads: numHeads,
      keysOnSource: cross,
    });
    this.stateSize = convolution * (querySize + 2 * keySize);
    this.description = describe(shape);
  }

  override extraFlops(lengths: Lengths, mask: CausalMask): ExtraFlops {
    const { numHeads, headDim, window, cross, causal = true } = this.shape;
    const keys = cross ? lengths.source : visibleKeys(lengths.target, window, causal ? mask : 'full');
    // Queries times keys, and weights times values: 2 FLOPs per multiply and add each.
    return { scores: 4 * numHeads * headDim * keys };
  }

  override cacheSize(lengths: Lengths, rolling: boolean): number {
    const { numKvHeads, headDim, window, cross, causal = true } = this.shape;
    if (!causal && !cross) return 0;
    const kept = cross
      ? lengths.source
      : rolling
        ? Math.min(lengths.target, window ?? Infinity)
        : lengths.target;
    return 2 * numKvHeads * headDim * kept;
  }
}

/** Keys a token multiplies with, on average over a sequence. */
export function visibleKeys(length: number, window: number | null | undefined, mask: CausalMask): number {
  const reach = Math.min(length, window ?? Infinity);
  // The first `reach` tokens see a triangle, the others a band: reach - reach^2 / (2 length); length / 2 without window.
  return mask === 'full' ? reach : reach - reach ** 2 / (2 * length);
}

function describe(shape: AttentionShape): string {
  const { numHeads, numKvHeads, headDim, window, cross } = shape;
  const kind = numKvHeads === numHeads ? 'multi-head' : numKvHeads === 1 ? 'multi-query' : 'grouped-query';
  const kv = numKvHeads === numHeads ? '' : `, ${numKvHeads} key/value head${numKvHeads === 1 ? '' : 's'}`;
  const span = window ? `, window ${window}` : '';
  return `${kind} ${cross ? 'cross-' : ''}attention, ${numHeads} heads of ${headDim}${kv}${span}`;
}
