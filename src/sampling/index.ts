/** Sampling: logits to a token. Browser-safe. */
export { Candidates } from './candidates.ts';
export { firstMaximum, Sampler, type SamplerChain, type StageSettings, sampleToken } from './chain.ts';
export {
  type ChainRequest,
  chainOf,
  DIALECTS,
  type DialectName,
  SAMPLING_SETTINGS,
  type SamplingSettings,
} from './dialects.ts';
export { type Draws, KeyedDraws } from './draws.ts';
export type { Stage, StageContext, StageKind } from './stage.ts';
