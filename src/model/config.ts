/**
 * A model's config: what it is (`config-transformer.ts`), its parameters' names and shapes
 * (`config-parameters.ts`), its RoPE frequencies (`config-rope.ts`), and config.json in and out
 * (`config-huggingface.ts`, `config-huggingface-write.ts`). All pure and browser-safe.
 */
export { parseHuggingFaceConfig } from './config-huggingface.ts';
export {
  formatHuggingFaceJson,
  type GenerationDefaults,
  type HuggingFaceDtype,
  toHuggingFaceConfig,
  toHuggingFaceGenerationConfig,
} from './config-huggingface-write.ts';
export {
  headedSpecs,
  type ModelHead,
  numParameters,
  type ParameterSpec,
  parameterSpecs,
  SCORE_SUFFIX,
  SCORE_WEIGHT,
} from './config-parameters.ts';
export { type RopeConfig, ropeInverseFrequencies } from './config-rope.ts';
export { type RopeScaling, type TransformerConfig, validateTransformerConfig } from './config-transformer.ts';
