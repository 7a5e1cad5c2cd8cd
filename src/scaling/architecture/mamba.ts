/**
 * Mamba-1 (arXiv 2312.00752) and Mamba-2 (arXiv 2405.21060) mixers. FLOPs of the scan count multiplies and adds;
 * exponentials, like all functions of single values, are left out.
 */
import { type CausalMask, type ExtraFlops, keeps, type Lengths, WeightBlock, WeightList } from './block.ts';

export interface Mamba1Shape {
  readonly hiddenSize: number;
  readonly innerSize: number;
  /** Numbers of state per channel, N. */
  readonly stateDim: number;
  /** Rank of the projection that gives dt. */
  readonly timeStepRank: number;
  readonly kernel: number;
  readonly bias: boolean;
  readonly convolutionBias: boolean;
  /** Jamba normalises dt, B and C. */
  readonly innerNorms?: boolean;
}

export class Mamba1 extends WeightBlock {
  override readonly description: string;
  override readonly weights;
  override readonly activations;
  override readonly stateSize: number;
  readonly #scanFlops: number;

  constructor(shape: Mamba1Shape) {
    super();
    const { hiddenSize, innerSize, stateDim, timeStepRank, kernel, bias } = shape;
    const projected = timeStepRank + 2 * stateDim;
    const list = new WeightList('ssm')
      .linear('input', 2 * innerSize, hiddenSize, bias)
      .convolution('convolution', innerSize, kernel, shape.convolutionBias)
      .linear('dt, B, C', projected, innerSize)
      .linear('dt', innerSize, timeStepRank, true)
      .vector('A', innerSize, stateDim)
      .vector('D', innerSize)
      .linear('output', hiddenSize, innerSize, bias);
    const norms = new WeightList('norm');
    if (shape.innerNorms) {
      norms.vector('dt norm', timeStepRank).vector('B norm', stateDim).vector('C norm', stateDim);
    }
    this.weights = [...list.weights, ...norms.weights];
    // Recurrent state and the last inputs of the convolution, as the reference implementation keeps them.
    this.stateSize = innerSize * (stateDim + kernel);
    // dt A, (dt u) B, decay and add, C h: 6 per channel and state; dt u and D u with its add: 3 per channel.
    this.#scanFlops = innerSize * (6 * stateDim + 3);
    // Input, both halves of the projection, both sides of the convolution's SiLU, dt before and after softplus,
    // dt B C, scan output, silu(z), input of the output projection. States are recomputed, as Mamba's kernel does.
    this.activations = keeps({ values: hiddenSize + 9 * innerSize + projected });
    this.description = `Mamba-1, ${innerSize} channels, state ${stateDim}`;
  }

  override extraFlops(): ExtraFlops {
    return { scan: this.#scanFlops };
  }
}

export interface Mamba2Shape {
  readonly hiddenSize: number;
  readonly innerSize: number;
  /** Channels with a state; the others (if any) are a gated feed-forward. */
  readonly ssmSize: number;
  readonly numHeads: number;
  readonly numGroups: number;
  readonly stateDim: number;
  readonly kernel: number;
  readonly chunkSize: number;
  readonly bias: boolean;
  readonly convolutionBias: boolean;
  readonly innerNorm: boolean;
  /** D has a number per channel instead of per head. */
  readonly wideSkip?: boolean;
}

export class Mamba2 extends WeightBlock {
  override readonly description: string;
  override readonly weights;
  override readonly activations;
  override readonly stateSize: number;
  readonly shape: Mamba2Shape;

  constructor(shape: Mamba2Shape) {
    super();
    this.shape = shape;
    const { hiddenSize, innerSize, ssmSize, numHeads, numGroups, stateDim, kernel, bias } = shape;
    const groupSize = numGroups * stateDim;
    const convolved = ssmSize + 2 * groupSize;
    const projected = 2 * innerSize + 2 * groupSize + numHeads;
    const list = new WeightList('ssm')
      .linear('z, x, B, C, dt', projected, hiddenSize, bias)
      .convolution('convolution', convolved, kernel, shape.convolutionBias)
      .vector('dt bias', numHeads)
      .vector('A', numHeads)
      .vector('D', shape.wideSkip ? ssmSize : numHeads)
      .linear('output', hiddenSize, innerSize, bias);
    const norms = new WeightList('norm');
    if (shape.innerNorm) norms.vector('gated norm', ssmSize);
    this.weights = [...list.weights, ...norms.weights];
    this.stateSize = ssmSize * stateDim + convolved * kernel;
    // Input, projection, both sides of the convolution's SiLU, scan output, gate, norm input, output's input.
    this.activations = keeps({ values: hiddenSize + projected + 2 * convolved + 2 * ssmSize + innerSize });
    this.description = `Mamba-2, ${numHeads} heads of ${ssmSize / numHeads}, state ${stateDim}`;
  }

  /** The chunked form (SSD, section 6): scores inside a chunk, states between chunks. */
  override extraFlops(lengths: Lengths, mask: CausalMask): ExtraFlops {
    const { ssmSize, numGroups, stateDim, chunkSize } = this.shape;
    const chunk = Math.min(chunkSize, lengths.target) * (mask === 'full' ? 1 : 0.5);
    // C B^T per group, (L o C B^T) X, B^T X into the state, C times the state, the skip D x.
    return {
      scan: 2 * numGroups * stateDim * chunk + 2 * ssmSize * chunk + 4 * ssmSize * stateDim + 2 * ssmSize,
    };
  }

  /** The recurrence: decay, outer product, add, C h; dt x; D x. */
  override stepFlops(): ExtraFlops {
    const { ssmSize, stateDim } = this.shape;
    return { scan: 5 * ssmSize * stateDim + 3 * ssmSize };
  }
}
