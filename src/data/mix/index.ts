/** Mixtures of sources: shares, caps, order, plan. Browser-safe. */
export {
  describeMixture,
  type MixtureAmounts,
  type MixtureRecord,
  type MixtureSourceRecord,
  type MixtureStageRecord,
} from './describe-mixture.ts';
export type { MixtureItem } from './mixture-order.ts';
export {
  type MixtureOptions,
  type MixtureOrder,
  type MixturePhase,
  type MixturePlan,
  type MixtureSource,
  type MixtureStage,
  type MixtureTake,
  type MixtureUnit,
  planMixture,
} from './plan-mixture.ts';
export { alphaOfTemperature, fillToCaps, sharesBySize } from './shares.ts';
