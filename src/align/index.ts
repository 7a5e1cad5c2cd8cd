/** Post-training: finetuning, reward models, preferences, reinforcement, honesty. Browser-safe. */
export * from './best-of/index.ts';
export * from './honesty/index.ts';
export * from './preference/index.ts';
export * from './reward/index.ts';
export type { AnsweredPrompt, RewardFunction } from './reward-function.ts';
export {
  parseReward,
  REWARD_PROGRAMS,
  rewardMixture,
  rewardProgram,
  type WeightedReward,
} from './reward-programs.ts';
export * from './rl/index.ts';
export { rowTokenShape, SequenceScorer, sequenceForward, totalLogprob } from './sequence-logprobs.ts';
export { answeredRow, numActions, type RowShape, rowBatch, type SequenceRow } from './sequence-row.ts';
export { type ConversationRowOptions, conversationRow } from './sft/conversation-row.ts';
