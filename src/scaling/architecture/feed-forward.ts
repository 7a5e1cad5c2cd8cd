/** Feed-forward layers: two matrices, gated (three matrices), and mixtures of experts with or without shared ones. */
import { keeps, WeightBlock, WeightList } from './block.ts';

export interface FeedForwardShape {
  readonly hiddenSize: number;
  readonly innerSize: number;
  readonly gated: boolean;
  /** Of the matrices into the inner width, and back. */
  readonly bias?: boolean;
  readonly outputBias?: boolean;
}

export class FeedForward extends WeightBlock {
  override readonly description: string;
  override readonly weights;
  override readonly activations;

  constructor(shape: FeedForwardShape) {
    super();
    const { hiddenSize, innerSize, gated, bias = false, outputBias = bias } = shape;
    const list = new WeightList('mlp');
    if (gated) list.linear('gate', innerSize, hiddenSize, bias);
    this.weights = list
      .linear('up', innerSize, hiddenSize, bias)
      .linear('down', hiddenSize, innerSize, outputBias).weights;
    this.activations = keeps({
      values: hiddenSize + innerValues(innerSize, gated),
      masks: hiddenSize,
    });
    this.description = `${gated ? 'gated ' : ''}feed-forward, ${innerSize} wide`;
  }
}

/** Plain: both sides of the activation (Korthikanti et al. 2022: 16sbh). Gated: gate, its activation, up, product. */
function innerValues(innerSize: number, gated: boolean): number {
  return (gated ? 4 : 2) * innerSize;
}

export interface MixtureShape {
  readonly hiddenSize: number;
  /** Width of one routed expert. */
  readonly expertSize: number;
  readonly numExperts: number;
  /** Routed experts that a token uses. */
  readonly numActive: number;
  /** Summed width of the experts that every token uses; 0 for none. */
  readonly sharedSize?: number;
  /** Qwen2-MoE: the shared experts' output is scaled by a gate of one number. */
  readonly sharedGate?: boolean;
  readonly gated?: boolean;
  readonly bias?: boolean;
  readonly routerBias?: boolean;
  /** DeepSeek-V3: a stored correction per expert that balances the load. */
  readonly routerCorrection?: boolean;
}

export class MixtureOfExperts extends WeightBlock {
  override readonly description: string;
  override readonly weights;
  override readonly activations;

  constructor(shape: MixtureShape) {
    super();
    const { hiddenSize, expertSize, numExperts, numActive, sharedSize = 0, gated = true } = shape;
    const router = new WeightList('router').linear('router', numExperts, hiddenSize, shape.routerBias);
    if (shape.routerCorrection) router.vector('load correction', numExperts);
    if (shape.sharedGate) router.linear('shared gate', 1, hiddenSize);
    const experts = new WeightList('experts');
    const up = gated ? ['gate', 'up'] : ['up'];
    for (const name of up) experts.experts(name, numExperts, numActive, [expertSize, hiddenSize], 'matrix');
    experts.experts('down', numExperts, numActive, [hiddenSize, expertSize], 'matrix');
    if (shape.bias) {
      for (const name of up) experts.experts(`${name} bias`, numExperts, numActive, [expertSize], 'bias');
      experts.experts('down bias', numExperts, numActive, [hiddenSize], 'bias');
    }
    if (sharedSize > 0) {
      if (gated) experts.linear('shared gate projection', sharedSize, hiddenSize);
      experts.linear('shared up', sharedSize, hiddenSize).linear('shared down', hiddenSize, sharedSize);
    }
    this.weights = [...router.weights, ...experts.weights];
    // Input, router logits and probabilities, and for each expert used its sorted input, inner values and output.
    this.activations = keeps({
      values:
        hiddenSize +
        2 * numExperts +
        numActive * (2 * hiddenSize + innerValues(expertSize, gated)) +
        innerValues(sharedSize, gated),
      masks: hiddenSize,
    });
    const shared = sharedSize > 0 ? `, shared ${sharedSize}` : '';
    this.description = `mixture, ${numActive} of ${numExperts} experts, each ${expertSize} wide${shared}`;
  }
}
