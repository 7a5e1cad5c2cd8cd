/** What stands in the way of a larger training run: text, electricity, chips. Pure and browser-safe. */
export { COMPUTE_BY_2030, type ComputeLimit } from './compute-by-2030.ts';
export { DATA_STOCKS, type DataStock, USEFUL_EPOCHS } from './data-stocks.ts';
export {
  DATA_CENTRES,
  GENERATION,
  POWER_SITES,
  type PowerSite,
  type YearlySupply,
} from './electricity-supply.ts';
export { COMPUTE_GROWTH_PER_YEAR, flopsForTokens, type Growth, LARGEST_RUN, yearReached } from './growth.ts';
export {
  type LimitedRun,
  type LimitRow,
  type RunLimits,
  runLimits,
  TYPICAL_RUN_DAYS,
  type Verdict,
} from './run-limits.ts';
