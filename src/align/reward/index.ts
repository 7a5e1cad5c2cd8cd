/** Reward models: their loss, their objective, and what scores with them. Browser-safe. */
export {
  ComparisonBatches,
  type ComparisonRecord,
  comparisonOf,
  comparisonRecord,
} from './comparisons.ts';
export {
  type ComparedAnswers,
  type ComparisonMasks,
  centringLoss,
  comparisonMasks,
  rankingLoss,
} from './ranking-loss.ts';
export {
  RewardModel,
  type RewardModelOptions,
  type RewardModelParts,
  type RewardModelStart,
  rewardModelStart,
} from './reward-model.ts';
export {
  type Comparison,
  type RewardForward,
  type RewardObjectiveOptions,
  type RewardShape,
  rewardFeeds,
  rewardForward,
  rewardObjective,
} from './reward-objective.ts';
