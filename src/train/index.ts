/** Training: objectives, optimizers, schedules, the loop. Browser-safe. */
export { type EvaluatedLoss, LossEvaluator } from './evaluate-loss.ts';
export { lowRankModel } from './low-rank.ts';
export {
  type BuiltObjective,
  type LanguageModelShape,
  languageModelObjective,
  type Objective,
} from './objective.ts';
export { DEFAULT_OPTIMIZER, type OptimizerSettings } from './optimizer.ts';
export { DEFAULT_SCHEDULE, type Schedule, scheduleFactor } from './schedule.ts';
export { type TokenInputs, type TokenShape, tokenFeeds, tokenInputs } from './token-inputs.ts';
export { type TrainOptions, type TrainResult, train, type ValidationFigures } from './train.ts';
export { fullModel, onTrainable, type Trainable, withHead } from './trainable.ts';
export {
  initialState,
  type ParameterSpec,
  readState,
  type StepSettings,
  type TrainingState,
  TrainingStep,
} from './training-step.ts';
