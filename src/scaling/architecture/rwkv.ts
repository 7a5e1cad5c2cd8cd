/**
 * RWKV time mixing: version 4 (arXiv 2305.13048), 6 (arXiv 2404.05892) and 7 (arXiv 2503.14456), and the channel
 * mixing that goes with each. FLOPs of the recurrence count multiplies and adds. The weights that only layer 0 has
 * or lacks are the caller's business.
 */
import { type ExtraFlops, keeps, WeightBlock, WeightList } from './block.ts';

export class Rwkv4 extends WeightBlock {
  override readonly description: string;
  override readonly weights;
  override readonly activations;
  override readonly stateSize: number;
  readonly #attentionSize: number;

  constructor(hiddenSize: number, attentionSize: number) {
    super();
    this.#attentionSize = attentionSize;
    this.weights = new WeightList('ssm')
      .vector('decay', attentionSize)
      .vector('first', attentionSize)
      .vector('shift mixes', 3, hiddenSize)
      .linear('key', attentionSize, hiddenSize)
      .linear('value', attentionSize, hiddenSize)
      .linear('receptance', attentionSize, hiddenSize)
      .linear('output', hiddenSize, attentionSize).weights;
    // Numerator, denominator and running maximum; the previous token.
    this.stateSize = 3 * attentionSize + hiddenSize;
    this.activations = keeps({ values: 5 * hiddenSize + 6 * attentionSize });
    this.description = `RWKV-4 time mixing, ${attentionSize} channels`;
  }

  override extraFlops(): ExtraFlops {
    // Output: two exponents, numerator, denominator, quotient; update: two exponents, numerator, denominator.
    return { scan: 16 * this.#attentionSize };
  }
}

export interface Rwkv6Shape {
  readonly hiddenSize: number;
  readonly headDim: number;
  readonly mixRank: number;
  readonly decayRank: number;
}

export class Rwkv6 extends WeightBlock {
  override readonly description: string;
  override readonly weights;
  override readonly activations;
  override readonly stateSize: number;
  readonly #shape: Rwkv6Shape;

  constructor(shape: Rwkv6Shape) {
    super();
    this.#shape = shape;
    const { hiddenSize, headDim, mixRank, decayRank } = shape;
    const list = new WeightList('ssm')
      .vector('shift mixes', 6, hiddenSize)
      .linear('mix down', 5 * mixRank, hiddenSize)
      .linear('mix up', 5 * hiddenSize, mixRank)
      .vector('decay', hiddenSize)
      .linear('decay down', decayRank, hiddenSize)
      .linear('decay up', hiddenSize, decayRank)
      .vector('first', hiddenSize);
    for (const name of ['receptance', 'key', 'value', 'gate', 'output'])
      list.linear(name, hiddenSize, hiddenSize);
    const norms = new WeightList('norm').vector('group norm', 2, hiddenSize);
    this.weights = [...list.weights, ...norms.weights];
    this.stateSize = hiddenSize * headDim + hiddenSize;
    this.activations = keeps({ values: 18 * hiddenSize + 5 * mixRank + decayRank });
    this.description = `RWKV-6 time mixing, ${hiddenSize / headDim} heads of ${headDim}`;
  }

  override extraFlops(): ExtraFlops {
    // Per head: k v^T, times u, plus S, r times that (2), decay of S and its add (2).
    return { scan: 7 * this.#shape.hiddenSize * this.#shape.headDim };
  }
}

export interface Rwkv7Shape {
  readonly hiddenSize: number;
  readonly valueSize: number;
  readonly numHeads: number;
  readonly headDim: number;
  readonly decayRank: number;
  readonly rateRank: number;
  readonly valueRank: number;
  readonly gateRank: number;
  /** All layers but the first mix their values with the first layer's. */
  readonly mixesValues: boolean;
}

export class Rwkv7 extends WeightBlock {
  override readonly description: string;
  override readonly weights;
  override readonly activations;
  override readonly stateSize: number;
  readonly #shape: Rwkv7Shape;

  constructor(shape: Rwkv7Shape) {
    super();
    this.#shape = shape;
    const { hiddenSize, valueSize, numHeads, headDim, decayRank, rateRank, valueRank, gateRank } = shape;
    const list = new WeightList('ssm')
      .vector('shift mixes', 6, hiddenSize)
      .vector('k_k, k_a', 2, hiddenSize)
      .vector('r_k', numHeads, headDim)
      .linear('receptance', hiddenSize, hiddenSize)
      .linear('key', hiddenSize, hiddenSize)
      .linear('value', valueSize, hiddenSize)
      .linear('output', hiddenSize, valueSize)
      .linear('decay down', decayRank, hiddenSize)
      .linear('decay up', hiddenSize, decayRank, true)
      .linear('rate down', rateRank, hiddenSize)
      .linear('rate up', hiddenSize, rateRank, true)
      .linear('gate down', gateRank, hiddenSize)
      .linear('gate up', valueSize, gateRank);
    if (shape.mixesValues) {
      list.linear('value mix down', valueRank, hiddenSize).linear('value mix up', valueSize, valueRank, true);
    }
    const norms = new WeightList('norm').vector('group norm', 2, valueSize);
    this.weights = [...list.weights, ...norms.weights];
    this.stateSize = headDim * valueSize + hiddenSize;
    const ranks = decayRank + rateRank + gateRank + valueRank;
    this.activations = keeps({ values: 20 * hiddenSize + 6 * valueSize + 2 * ranks });
    this.description = `RWKV-7 time mixing, ${numHeads} heads of ${headDim}`;
  }

  override extraFlops(): ExtraFlops {
    // Per head: S kappa (2), decay of S, minus an outer product (2), plus v k^T (2), S r (2).
    return { scan: 9 * this.#shape.headDim * this.#shape.valueSize };
  }
}

/** `gated`: versions 4 to 6 multiply with a receptance. The previous token is mixed in by one vector per input. */
export class RwkvChannelMixing extends WeightBlock {
  override readonly description: string;
  override readonly weights;
  override readonly activations;
  override readonly stateSize: number;

  constructor(hiddenSize: number, innerSize: number, gated: boolean) {
    super();
    const list = new WeightList('mlp')
      .vector('shift mixes', gated ? 2 : 1, hiddenSize)
      .linear('key', innerSize, hiddenSize)
      .linear('value', hiddenSize, innerSize);
    if (gated) list.linear('receptance', hiddenSize, hiddenSize);
    this.weights = list.weights;
    this.stateSize = hiddenSize;
    this.activations = keeps({ values: (gated ? 5 : 2) * hiddenSize + 2 * innerSize });
    this.description = `RWKV channel mixing, ${innerSize} wide`;
  }
}
