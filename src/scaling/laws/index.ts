export {
  type AllocationFit,
  type AllocationFitOptions,
  type ComputeProfile,
  fitEnvelope,
  fitIsoFlop,
} from './allocation-fit.ts';
export {
  ALLOCATION_LAWS,
  type Allocation,
  type AllocationBudget,
  type AllocationLaw,
  allocate,
  allocationLaw,
  FLOPS_PER_PETAFLOP_DAY,
} from './allocation-law.ts';
export { compareLaws, type LawComparison } from './compare-laws.ts';
export {
  type CurveOptions,
  type CurvePoint,
  isoFlopCurve,
  isoLossCurve,
  tokensForLoss,
} from './curves.ts';
export {
  DATA_CONSTRAINED_LAW,
  type DataConstrainedOptions,
  type DataConstrainedPoint,
  dataConstrainedOptimum,
  dataConstrainedPoint,
  type EpochWorth,
  effectiveTokens,
  epochsUntilWorth,
  REPETITION_DECAY,
  type RepetitionDecay,
  worthOfEpochs,
} from './data-constrained.ts';
export {
  FIT_LIMITS,
  type FitOptions,
  fitLossLaw,
  type LossLawFit,
  objectiveOf,
  PUBLISHED_EXPONENTS,
} from './fit-loss-law.ts';
export type { ExponentPrior } from './huber-objective.ts';
export { KAPLAN, type KaplanInput, kaplanLoss } from './kaplan.ts';
export { lawFileOf, readLawFile, type StoredLaw } from './law-file.ts';
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
export {
  type ServingDemand,
  type ServingOptimum,
  type ServingTradeOff,
  servingOptimum,
  servingOptimumForTotal,
} from './serving-optimum.ts';
