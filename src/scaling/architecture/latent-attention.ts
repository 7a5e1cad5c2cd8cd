/**
 * Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1): keys and values are rebuilt from a
 * small latent per token, which is all that the cache holds, plus one rotary key shared by all heads.
 */
import { visibleKeys } from './attention.ts';
import { type CausalMask, type ExtraFlops, keeps, type Lengths, WeightBlock, WeightList } from './block.ts';

export interface LatentAttentionShape {
  readonly hiddenSize: number;
  readonly numHeads: number;
  /** Null: queries are projected directly (DeepSeek-V2-Lite). */
  readonly queryRank: number | null;
  readonly kvRank: number;
  readonly plainDim: number;
  readonly rotaryDim: number;
  readonly valueDim: number;
  readonly bias?: boolean;
}

export class LatentAttention extends WeightBlock {
  override readonly description: string;
  override readonly weights;
  override readonly activations;
  readonly shape: LatentAttentionShape;

  constructor(shape: LatentAttentionShape) {
    super();
    this.shape = shape;
    const { hiddenSize, numHeads, queryRank, kvRank, plainDim, rotaryDim, valueDim, bias } = shape;
    const querySize = numHeads * (plainDim + rotaryDim);
    const valueSize = numHeads * valueDim;
    const list = new WeightList('attention');
    const norms = new WeightList('norm');
    if (queryRank === null) list.linear('query', querySize, hiddenSize);
    else {
      list.linear('query down', queryRank, hiddenSize, bias).linear('query up', querySize, queryRank);
      norms.vector('query latent norm', queryRank);
    }
    list
      .linear('key/value down', kvRank + rotaryDim, hiddenSize, bias)
      .linear('key/value up', numHeads * (plainDim + valueDim), kvRank)
      .linear('output', hiddenSize, valueSize, bias);
    norms.vector('key/value latent norm', kvRank);
    this.weights = [...list.weights, ...norms.weights];
    // Input, both sides of each latent norm, queries, keys, values, input of the output projection.
    this.activations = keeps({
      values: hiddenSize + 2 * (queryRank ?? 0) + 2 * kvRank + rotaryDim + 2 * querySize + 2 * valueSize,
      masks: hiddenSize,
      scoreHeads: numHeads,
    });
    this.description = `latent attention, ${numHeads} heads of ${plainDim}+${rotaryDim}, latent ${kvRank}`;
  }

  override extraFlops(lengths: Lengths, mask: CausalMask): ExtraFlops {
    const { numHeads, plainDim, rotaryDim, valueDim } = this.shape;
    const keys = visibleKeys(lengths.target, null, mask);
    return { scores: 2 * numHeads * (plainDim + rotaryDim + valueDim) * keys };
  }

  /** Generation works on the latents themselves; the up-projection is absorbed into queries and outputs. */
  override stepFlops(lengths: Lengths): ExtraFlops {
    const { numHeads, kvRank, rotaryDim } = this.shape;
    return { scores: 2 * numHeads * (2 * kvRank + rotaryDim) * lengths.target };
  }

  override cacheSize(lengths: Lengths): number {
    return (this.shape.kvRank + this.shape.rotaryDim) * lengths.target;
  }
}
