/** What an architecture needs: parameters, arithmetic, memory. */
export { type ActivationBytes, RECOMPUTATIONS, type Recomputation } from './activations.ts';
export { type CacheOptions, cacheBytes, cacheBytesPerToken, stateBytes } from './cache.ts';
export { type FlopsOptions, type FlopsPerToken, flopsPerToken } from './flops.ts';
export { type FlopsRules, flopsRules } from './flops-rules.ts';
export {
  type InferenceMemory,
  type Memory,
  type MemoryOptions,
  memoryOf,
  type TrainingMemory,
} from './memory.ts';
export { OPTIMIZER_NAMES } from './optimizer-state.ts';
export { countParameters, type LayerParameters, type ParameterCount } from './parameters.ts';
export { PRECISIONS, type Precision, TRAINING_SCHEMES } from './precision.ts';
