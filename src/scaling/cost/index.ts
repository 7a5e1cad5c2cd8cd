/** What training and serving take: accelerators, time, dollars, energy, carbon. Pure and browser-safe. */
export { type Accelerator, findAccelerator, machine, type NumberFormat, peakOf } from './accelerator.ts';
export { ACCELERATORS } from './accelerators.ts';
export { carbonIntensity, REGIONS, TYPICAL_HOST_FACTOR, TYPICAL_PUE } from './electricity.ts';
export { type Gpt3Example, type Gpt3Reading, gpt3Example } from './gpt-3-example.ts';
export { type PublishedComparison, publishedComparisons } from './published-comparison.ts';
export { PUBLISHED_RUNS, type PublishedRun } from './published-runs.ts';
export type { Assumption, Range } from './range.ts';
export { type RentalPrice, rentalPrice } from './rental-prices.ts';
export {
  type ServingCost,
  type ServingLoad,
  servingCost,
  TYPICAL_BANDWIDTH_UTILIZATION,
} from './serving-cost.ts';
export { acceleratorsForDays, flopsForDays, flopsForDollars } from './training-budget.ts';
export {
  type ResolvedTerms,
  type RunTerms,
  resolveTerms,
  type TrainingCost,
  type TrainingRun,
  trainingCost,
} from './training-cost.ts';
export { hfu, type MeasuredSpeed, mfu, TYPICAL_UTILIZATION } from './utilization.ts';
