/** Training: objectives, optimizers, schedules, the loop. Browser-safe. */
export { LossEvaluator } from './evaluate-loss.ts';
export {
  type BuiltObjective,
  type LanguageModelShape,
  languageModelObjective,
  type Objective,
} from './objective.ts';
export { DEFAULT_OPTIMIZER, type OptimizerSettings } from './optimizer.ts';
export { DEFAULT_SCHEDULE, type Schedule, scheduleFactor } from './schedule.ts';
export { type TrainOptions, type TrainResult, train } from './train.ts';
export {
  initialState,
  readState,
  type StepSettings,
  type TrainingState,
  TrainingStep,
} from './training-step.ts';
