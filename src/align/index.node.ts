/** Post-training, with files and with what needs Node. */
export * from './index.ts';
export { type ReadPreferences, readPreferences } from './preference/preference-data.node.ts';
export { loadRewardModel, readRewardModel, saveRewardModel } from './reward/index.node.ts';
export * from './rl/index.node.ts';
