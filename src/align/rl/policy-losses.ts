/**
 * The losses of policy gradients as graphs, one value per token; weighting and summing are the objective's. Any shape,
 * the same for all tensors of a loss.
 */
import {
  add,
  and,
  cast,
  exp,
  greater,
  less,
  logSumExp,
  maximum,
  minimum,
  mul,
  neg,
  or,
  scalar,
  scale,
  softmax,
  square,
  sub,
  sum,
  type Tensor,
} from '../../tensor/index.ts';

export interface ClipRange {
  /** The ratio counts no lower than 1 - low. */
  readonly low: number;
  /** ... and no higher than 1 + high; above `low`, unlikely tokens can rise further (DAPO's "clip-higher"). */
  readonly high: number;
}

const clamp = (x: Tensor, low: Tensor, high: Tensor) => minimum(maximum(x, low), high);

export interface Surrogate {
  readonly loss: Tensor;
  /** pi / pi_old */
  readonly ratio: Tensor;
  /** 1 where clipping took the gradient away. */
  readonly isClipped: Tensor;
}

/**
 * PPO's clipped surrogate (Schulman et al. 2017, eq. 7), negated: -min(ratio A, clip(ratio, 1 - low, 1 + high) A).
 * Written as the larger of two losses.
 */
export function clippedSurrogate(
  logprob: Tensor,
  oldLogprob: Tensor,
  advantage: Tensor,
  { low, high }: ClipRange,
): Surrogate {
  const ratio = exp(sub(logprob, oldLogprob));
  const [least, most] = [scalar(1 - low), scalar(1 + high)];
  const loss = maximum(neg(mul(advantage, ratio)), neg(mul(advantage, clamp(ratio, least, most))));
  const zero = scalar(0);
  const isClipped = or(
    and(greater(ratio, most), greater(advantage, zero)),
    and(less(ratio, least), less(advantage, zero)),
  );
  return { loss, ratio, isClipped: cast(isClipped, 'float32') };
}

/**
 * Half the squared error of a value that may move by at most `range` from what it was: .5 max((V - R)^2,
 * (clip(V, V_old - range, V_old + range) - R)^2), as in PPO's published code.
 */
export function clippedValueLoss(value: Tensor, oldValue: Tensor, returns: Tensor, range: number): Tensor {
  const clipped = clamp(value, sub(oldValue, scalar(range)), add(oldValue, scalar(range)));
  return scale(maximum(square(sub(value, returns)), square(sub(clipped, returns))), 0.5);
}

/** KL from a reference by token: k3 of `divergence.ts`; its gradient pulls towards the reference. */
export function referenceDivergence(logprob: Tensor, referenceLogprob: Tensor): Tensor {
  const x = sub(referenceLogprob, logprob);
  return sub(sub(exp(x), x), scalar(1));
}

/** Entropy in nats of the distributions along the last axis: [.., V] -> [..]. */
export function entropyOf(logits: Tensor): Tensor {
  return sub(logSumExp(logits, -1), sum(mul(softmax(logits), logits), -1));
}
