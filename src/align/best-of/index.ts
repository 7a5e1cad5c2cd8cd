/** Best of n, rejection sampling, and what pushing on a reward does. Browser-safe. */
export {
  type BestOf,
  type BestOfOptions,
  bestOf,
  type JudgedAnswer,
  type Rejection,
  type RejectionOptions,
  rejectionSample,
  type SampledPrompt,
} from './best-of.ts';
export {
  bestOfKl,
  bestOfKlBound,
  bestOfKlEstimate,
  bestOfProbabilities,
  bestOfWinRateBound,
} from './best-of-bounds.ts';
export {
  type BestOfPoint,
  bestOfCurve,
  type CurvePoint,
  fitOverOptimisation,
  gainAt,
  type OptimisationMethod,
  type OverOptimisationFit,
  type PooledAnswer,
} from './over-optimisation.ts';
