export {
  FIT_LIMITS,
  type FitOptions,
  fitLossLaw,
  type LossLawFit,
  objectiveOf,
  PUBLISHED_EXPONENTS,
} from './fit-loss-law.ts';
export type { ExponentPrior } from './huber-objective.ts';
export {
  DEFAULT_LAW,
  EPOCH_STANDARD_ERRORS,
  type LawConstants,
  LOSS_LAWS,
  type LossLaw,
  type LossLawName,
  lossOf,
  namedLaw,
  type ScalingPoint,
  type UncertainLaw,
} from './loss-law.ts';
export {
  type Budget,
  type DollarBudget,
  type OptimalExponents,
  type Optimum,
  type OptimumIntervals,
  optimalExponents,
  optimalFor,
} from './optimum.ts';
export type { Interval } from './percentile-interval.ts';
export { type LossPrediction, predictLoss } from './predict-loss.ts';
