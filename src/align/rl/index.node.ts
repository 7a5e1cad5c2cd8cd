/** Reinforcement, with prompts from files and rewards that need Node. */
export * from './index.ts';
export { type ReadPrompts, readPrompts } from './prompts.node.ts';
export { type SqlRewardOptions, sqlReward } from './sql-reward.node.ts';
