/** Recipes: what to learn, the facts, the plan and the report. Browser-safe. */
export {
  type Accounting,
  accountFor,
  generationWork,
  type StageAccount,
  type StageUse,
  scoringWork,
  trainingWork,
  type Work,
} from './accounting.ts';
export {
  type Arm,
  type ArmPart,
  type CleaningStep,
  defineExperiment,
  type EvaluationSet,
  type Experiment,
  type ExperimentData,
} from './experiment/experiment.ts';
export type { ExperimentReport } from './experiment/experiment-report.ts';
export { renderExperimentReport } from './experiment/html-experiment.ts';
export * from './facts/index.ts';
export { type Dial, modelConfig, planModel, planSteps } from './plan.ts';
export {
  type OverOptimisationCurve,
  type OverOptimisationReport,
  overOptimisationCurve,
  renderOverOptimisation,
} from './post-training/over-optimisation-report.ts';
export { evaluateRewards, type RewardEvaluation } from './post-training/reward-evaluation.ts';
export type { ProseSource } from './prose.ts';
export { defineRecipe, type Recipe, type RecipeSettings, type RecipeSource } from './recipe.ts';
export { renderReport } from './report/html.ts';
export type { BehaviourChange, PreferenceReport, Report, Score } from './report/report.ts';
export * from './sweep/index.ts';
export * from './transfer/index.ts';
