/**
 * What every piece of a model (attention, recurrence, feed-forward, norm, embedding) answers about itself: its
 * weights with their shapes, the arithmetic that is not "weights times token", what it keeps while generating and
 * what it keeps for the backward pass. Everything else in counting is sums over blocks. Counts are plain numbers
 * of values; bytes come later, with a precision.
 */

/** Where a weight is shown in tables. `ssm` holds every recurrence (Mamba, RWKV time mixing). */
export const PARTS = [
  'embedding',
  'position',
  'attention',
  'ssm',
  'mlp',
  'router',
  'experts',
  'norm',
  'head',
] as const;
export type Part = (typeof PARTS)[number];

/** Parts of the arithmetic: the weights' parts, attention's scores and value sums, recurrent scans. */
export type FlopsPart = Part | 'scores' | 'scan';

/**
 * How a weight meets a token: a `matrix` costs two FLOPs per active number and token (depthwise convolutions too),
 * a `lookup` hands out rows, `vector`s and `bias`es act element by element, which FLOP counts leave out.
 */
export type Role = 'matrix' | 'lookup' | 'vector' | 'bias';

export interface Weight {
  readonly name: string;
  readonly part: Part;
  /** As stored; linear layers [out, in], experts [expert, out, in]. */
  readonly shape: readonly number[];
  /** Numbers stored. */
  readonly size: number;
  /** Numbers that one token uses: fewer than `size` in experts. */
  readonly active: number;
  readonly role: Role;
  /** Runs on the encoder's tokens although it stands in the decoder (keys and values of cross-attention). */
  readonly onSource: boolean;
}

/** Tokens of one sequence: what is being processed (or already there), and the encoder's input. */
export interface Lengths {
  readonly target: number;
  readonly source: number;
}

/** `full` counts the scores of masked pairs too (PaLM, nanoGPT); `half` counts only what a causal kernel needs. */
export type CausalMask = 'full' | 'half';

export type ExtraFlops = Partial<Record<FlopsPart, number>>;

/** Values kept for the backward pass by one token, without recomputation. */
export interface Activations {
  /** At the precision of the activations. */
  readonly values: number;
  /** Dropout masks, one byte each, when there is dropout. */
  readonly masks: number;
  /** Heads whose softmax rows are kept, one value per key, unless attention is fused. */
  readonly scoreHeads: number;
  readonly keysOnSource: boolean;
}

export interface Block {
  /** For people: "GQA, 32 heads of 128, 8 key/value heads". */
  readonly description: string;
  readonly weights: readonly Weight[];
  readonly activations: Activations;
  /** Numbers kept per sequence whatever its length: recurrent states, the last tokens of convolutions and shifts. */
  readonly stateSize: number;
  /** FLOPs per token beyond its matrices when a whole sequence is processed. */
  extraFlops(lengths: Lengths, mask: CausalMask): ExtraFlops;
  /** The same for one new token after `lengths.target` tokens (itself included). */
  stepFlops(lengths: Lengths): ExtraFlops;
  /** Numbers in the key/value cache of one sequence. `rolling` drops what a sliding window hides. */
  cacheSize(lengths: Lengths, rolling: boolean): number;
}

const NO_ACTIVATIONS: Activations = { values: 0, masks: 0, scoreHeads: 0, keysOnSource: false };

/** A block without cache, state or arithmetic of its own; the others override what they have. */
export abstract class WeightBlock implements Block {
  abstract readonly description: string;
  abstract readonly weights: readonly Weight[];
  readonly activations: Activations = NO_ACTIVATIONS;
  readonly stateSize: number = 0;

  extraFlops(_lengths: Lengths, _mask: CausalMask): ExtraFlops {
    return {};
  }

  stepFlops(lengths: Lengths): ExtraFlops {
    return this.extraFlops(lengths, 'full');
  }

  cacheSize(_lengths: Lengths, _rolling: boolean): number {
    return 0;
  }
}

/** Fills the fields of `Activations` that are not given with nothing. */
export function keeps(kept: Partial<Activations>): Activations {
  return { ...NO_ACTIVATIONS, ...kept };
}

/** Collects the weights of one block, all of one part unless said otherwise. */
export class WeightList {
  readonly weights: Weight[] = [];
  readonly #part: Part;

  constructor(part: Part) {
    this.#part = part;
  }

  /** `outSize` by `inSize`, with a bias of `outSize` if asked for. */
  linear(name: string, outSize: number, inSize: number, bias = false, onSource = false): this {
    this.#push(name, [outSize, inSize], 'matrix', { onSource });
    if (bias) this.#push(`${name} bias`, [outSize], 'bias', { onSource });
    return this;
  }

  /** Depthwise convolution: each channel has its own kernel. */
  convolution(name: string, channels: number, kernel: number, bias: boolean): this {
    this.#push(name, [channels, kernel], 'matrix');
    if (bias) this.#push(`${name} bias`, [channels], 'bias');
    return this;
  }

  vector(name: string, ...shape: number[]): this {
    this.#push(name, shape, 'vector');
    return this;
  }

  /** Shifts and other additive numbers that "no biases" means too. */
  bias(name: string, ...shape: number[]): this {
    this.#push(name, shape, 'bias');
    return this;
  }

  lookup(name: string, rows: number, width: number): this {
    this.#push(name, [rows, width], 'lookup');
    return this;
  }

  /** `outSize` by `inSize` for each of `numExperts`, of which a token uses `numActive`. */
  experts(name: string, numExperts: number, numActive: number, shape: readonly number[], role: Role): this {
    this.#push(name, [numExperts, ...shape], role, { share: [numActive, numExperts] });
    return this;
  }

  #push(
    name: string,
    shape: readonly number[],
    role: Role,
    more: { onSource?: boolean; share?: readonly [number, number] } = {},
  ): void {
    const size = shape.reduce((product, length) => product * length, 1);
    const [used, all] = more.share ?? [1, 1];
    const active = (size / all) * used;
    this.weights.push({
      name,
      part: this.#part,
      shape,
      size,
      active,
      role,
      onSource: more.onSource ?? false,
    });
  }
}
