/**
 * The loss of a reward model: how likely its rewards make the order in which people (or programs) put answers. Of two
 * answers that is Bradley and Terry 1952, of more Plackett 1975 and Luce 1959: the best one is chosen among all, the
 * next among those that are left, and so on. One formula serves both, and orders with ties.
 *
 * Shape suffixes: B answers of a batch, G comparisons.
 */
import { add, logSumExp, mul, reshape, square, sub, sum, type Tensor } from '../../tensor/index.ts';

/** Added to an answer that is not among those that another one was preferred to. */
const APART = -1e30;

export interface ComparedAnswers {
  /** One for each answer; the lower, the better. Equal ranks say nothing about the two. */
  readonly ranks: readonly number[];
  /** How much the reward of the better one of two should be above the other's (Llama 2, section 3.2.2). Default 0. */
  readonly margin?: number;
}

/** What the graph is fed for a batch whose answers stand in B rows, comparison after comparison. */
export interface ComparisonMasks {
  /**
   * Row b: what is added to the rewards that answer b competes with: 0 for itself, the margin for those that it was
   * preferred to, so low a number for all others that they vanish. [B, B]
   */
  readonly competitorsBB: Float32Array;
  /** 1 / (pairs of the comparison) where the row's answer was preferred to the column's, else 0. [B, B] */
  readonly pairSharesBB: Float32Array;
  /** 2 / (answers of the comparison) for its answers, else 0: twice their mean reward. [G, B] */
  readonly membersGB: Float32Array;
}

/** Rows that no comparison has compete with nothing and give a loss of 0, as do comparisons that are missing. */
export function comparisonMasks(
  comparisons: readonly ComparedAnswers[],
  numRows: number,
  numComparisons: number,
): ComparisonMasks {
  const competitorsBB = new Float32Array(numRows * numRows).fill(APART);
  const pairSharesBB = new Float32Array(numRows * numRows);
  const membersGB = new Float32Array(numComparisons * numRows);
  for (let row = 0; row < numRows; row++) competitorsBB[row * numRows + row] = 0;
  let first = 0;
  for (const [g, { ranks, margin = 0 }] of comparisons.entries()) {
    const preferred = ranks.flatMap((better, i) =>
      ranks.flatMap((worse, j) => (better < worse ? [(first + i) * numRows + first + j] : [])),
    );
    for (const at of preferred) {
      competitorsBB[at] = margin;
      pairSharesBB[at] = 1 / preferred.length;
    }
    membersGB.fill(2 / ranks.length, g * numRows + first, g * numRows + first + ranks.length);
    first += ranks.length;
  }
  return { competitorsBB, pairSharesBB, membersGB };
}

/**
 * Sum over the comparisons of their negative log-likelihood, in nats: sum over answers i of
 * log(sum over j of exp(r_j + competitors_ij)) - r_i. Of a pair it is -log sigma(r_chosen - r_rejected - margin).
 */
export function rankingLoss(rewardsB: Tensor, competitorsBB: Tensor): Tensor {
  const [size] = rewardsB.shape;
  return sum(sub(logSumExp(add(reshape(rewardsB, [1, size!]), competitorsBB), 1), rewardsB));
}

/**
 * Sum over the comparisons of (r_chosen + r_rejected)^2, which ties the rewards' free constant to 0 (Eisenstein et al.
 * 2023, section 2); of more than two answers, of twice their mean reward.
 */
export function centringLoss(rewardsB: Tensor, membersGB: Tensor): Tensor {
  const [size] = rewardsB.shape;
  return sum(square(sum(mul(membersGB, reshape(rewardsB, [1, size!])), 1)));
}
