/** Reward models: comparisons, their loss, the model. Browser-safe. */
export { type ComparisonRecord, comparisonOf, comparisonRecord } from './comparisons.ts';
export { centringLoss, rankingLoss } from './ranking-loss.ts';
export {
  RewardModel,
  type RewardModelOptions,
  type RewardModelParts,
  rewardModelStart,
} from './reward-model.ts';
export { type Comparison, rewardObjective } from './reward-objective.ts';
