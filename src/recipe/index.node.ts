/** Recipes: from facts to a model and its report, with files. */
export * from './index.ts';
export { defaultRunFolder, type RunOptions, type RunResult, runRecipe } from './run.node.ts';
export { type TrainStageOptions, type TrainStageResult, trainStage } from './stages/train-stage.node.ts';
