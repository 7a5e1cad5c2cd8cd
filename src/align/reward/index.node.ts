/** Reward models, with their folders. */
export * from './index.ts';
export {
  type LoadRewardModelOptions,
  loadRewardModel,
  readRewardModel,
  saveRewardModel,
} from './reward-checkpoint.node.ts';
