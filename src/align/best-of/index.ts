/** Best of n: sampling, its distance from the model, over-optimisation. Browser-safe. */
export { type BestOf, type BestOfOptions, bestOf, type Rejection, rejectionSample } from './best-of.ts';
export {
  bestOfKl,
  bestOfKlBound,
  bestOfKlEstimate,
  bestOfProbabilities,
  bestOfWinRateBound,
} from './best-of-bounds.ts';
export { bestOfCurve, fitOverOptimisation, gainAt, type OverOptimisationFit } from './over-optimisation.ts';
