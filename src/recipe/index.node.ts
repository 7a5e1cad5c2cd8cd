/** Recipes: from facts to a model and its report, with files. */

export {
  defaultExperimentFolder,
  type ExperimentOptions,
  type ExperimentResult,
  runExperiment,
} from './experiment/run-experiment.node.ts';
export * from './index.ts';
export { type MachinePlan, type MachinePlanOptions, planForMachine } from './machine-plan.node.ts';
export {
  type DemonstrateOptions,
  type DemonstrationReport,
  demonstrate,
} from './post-training/demonstrate.node.ts';
export { type FinetuneOptions, finetuneOnChats } from './post-training/finetune-on-chats.node.ts';
export { type InspectChatsOptions, inspectChats } from './post-training/inspect-chats.node.ts';
export {
  measureBestOf,
  measureCheckpoints,
  writeOverOptimisation,
} from './post-training/measure-over-optimisation.node.ts';
export { type OpenedReward, openReward } from './post-training/open-reward.node.ts';
export {
  type PreferenceOutcome,
  type PreferOptions,
  preferOnPairs,
} from './post-training/prefer-on-pairs.node.ts';
export {
  type ReinforcementOutcome,
  type ReinforceOptions,
  reinforce,
} from './post-training/reinforce.node.ts';
export { type ScoredFiles, type ScoreFilesOptions, scoreFiles } from './post-training/score-rewards.node.ts';
export {
  type RewardOutcome,
  type TrainRewardOptions,
  trainReward,
} from './post-training/train-reward.node.ts';
export { type PretrainOptions, pretrainOnFiles } from './pretrain-on-files.node.ts';
export { defaultRunFolder, type RunOptions, type RunResult, runRecipe } from './run.node.ts';
export {
  type CurateOptions,
  type CurateResult,
  curateDocuments,
  defaultRules,
} from './stages/curate-documents.node.ts';
export { type TrainStageOptions, type TrainStageResult, trainStage } from './stages/train-stage.node.ts';
export * from './sweep/index.node.ts';
export type { TrainingOutcome } from './training-outcome.node.ts';
export * from './transfer/index.node.ts';
