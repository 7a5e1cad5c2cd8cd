/**
 * How good a reward model is on comparisons that it has not seen: whether it puts the better answer first, and whether
 * sigma of the difference is the probability that it does. In all, and by part of the data.
 */
import {
  expectedCalibrationError,
  type JudgedProbability,
  type ReliabilityBin,
  reliabilityBins,
} from '../../align/honesty/calibration.ts';
import { wilsonInterval } from '../../evaluate/interval.ts';

/** Rewards of the answers to one prompt, with what was said of their order. */
export interface ScoredComparison {
  readonly rewards: readonly number[];
  /** The lower, the better. */
  readonly ranks: readonly number[];
  /** The part of the data that it belongs to. */
  readonly group: string;
}

export interface RewardAccuracy {
  readonly numPairs: number;
  /** Pairs whose better answer has the higher reward. */
  readonly numRight: number;
  readonly accuracy: number;
  /** Wilson's 95 % interval; pairs of one ranking are not independent, so with rankings it is too narrow. */
  readonly interval: readonly [low: number, high: number];
  /** Mean of r_better - r_worse. */
  readonly margin: number;
  /** Mean of -log sigma(r_better - r_worse), in nats. */
  readonly loss: number;
  /** Mean of (1 - sigma(r_better - r_worse))^2; 0.25 for a model that prefers nothing. */
  readonly brier: number;
  readonly calibrationError: number;
}

export interface RewardEvaluation extends RewardAccuracy {
  readonly numComparisons: number;
  /** By stated probability that the first of two is preferred, each pair once in either order. */
  readonly bins: readonly ReliabilityBin[];
  /** By part of the data, in order of appearance; empty where there is one part only. */
  readonly groups: readonly (RewardAccuracy & { readonly group: string })[];
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

export function evaluateRewards(comparisons: readonly ScoredComparison[]): RewardEvaluation {
  const leads = comparisons.map(leadsOf);
  const groups = new Map<string, number[]>();
  for (const [i, { group }] of comparisons.entries()) {
    groups.set(group, [...(groups.get(group) ?? []), ...leads[i]!]);
  }
  const all = leads.flat();
  return {
    ...accuracyOf(all),
    numComparisons: comparisons.length,
    bins: reliabilityBins(judged(all)).filter(({ count }) => count > 0),
    groups:
      groups.size < 2
        ? []
        : [...groups].map(([group, own]) => ({
            group,
            ...accuracyOf(own),
          })),
  };
}

/** r_better - r_worse of every pair that the ranks order. */
function leadsOf({ rewards, ranks }: ScoredComparison): number[] {
  return ranks.flatMap((better, i) =>
    ranks.flatMap((worse, j) => (better < worse ? [rewards[i]! - rewards[j]!] : [])),
  );
}

/** In either order, so that a probability below a half is as much a statement as one above. */
function judged(leads: readonly number[]): JudgedProbability[] {
  return leads.flatMap((lead) => [
    { probability: sigmoid(lead), isRight: true },
    { probability: sigmoid(-lead), isRight: false },
  ]);
}

function accuracyOf(leads: readonly number[]): RewardAccuracy {
  const numPairs = leads.length;
  const numRight = leads.filter((lead) => lead > 0).length;
  const mean = (value: (lead: number) => number) =>
    leads.reduce((sum, lead) => sum + value(lead), 0) / numPairs;
  return {
    numPairs,
    numRight,
    accuracy: numRight / numPairs,
    interval: wilsonInterval(numRight, numPairs),
    margin: mean((lead) => lead),
    loss: mean((lead) => softplus(-lead)),
    brier: mean((lead) => sigmoid(-lead) ** 2),
    calibrationError: expectedCalibrationError(judged(leads)),
  };
}
