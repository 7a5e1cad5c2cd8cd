/** Sampling: logits to a token. Browser-safe. */
export { Candidates } from './candidates.ts';
export { type DrawObserver, firstMaximum, Sampler, sampleToken } from './chain.ts';
export { formatSamplers, parseSamplers } from './chain-text.ts';
export { type ChainRequest, chainOf, DIALECTS, type Dialect, type DialectName } from './dialects.ts';
export { type Draws, KeyedDraws } from './draws.ts';
export {
  type ExplainedStep,
  type ExplainedToken,
  type ExplainOptions,
  type Explanation,
  explain,
} from './explain.ts';
export { type Logprobs, type LogprobsMode, logprobs, logprobsOf, type TokenLogprob } from './logprobs.ts';
export { SAMPLING_SETTINGS, type SamplingSettings } from './settings.ts';
export type { SamplingPlace, Stage, StageContext, StageKind } from './stage.ts';
export { type SamplerChain, STAGE_KINDS, type StageName, type StageSettings } from './stages.ts';
