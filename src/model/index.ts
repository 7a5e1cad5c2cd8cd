/** Models: configuration, parameters, the transformer, initialisation, safetensors in memory. Browser-safe. */
export { type LowRankSettings, type LowRankTargets, mergeLowRank } from './adapter/low-rank.ts';
export { type Adapter, checkAdapter, mergeAdapter } from './adapter/read-adapter.ts';
export * from './config.ts';
export * from './export/index.ts';
export { initializeWeights, type WeightArray, type Weights } from './initialize.ts';
export {
  checkParametrisation,
  type ParameterScaling,
  type Parametrisation,
  parameterScaling,
  STANDARD,
  scalingOf,
} from './parametrisation.ts';
export { dequantize, type QuantizeOptions, quantizeMatrix } from './quantize/quantize-matrix.ts';
export {
  dequantizeWeights,
  type QuantizedWeightsResult,
  quantizeWeights,
  weightBytes,
  weightError,
} from './quantize/quantize-weights.ts';
export { isQuantized, type MixedWeights, type QuantizedWeight } from './quantized.ts';
export { encodeSafetensors, parseSafetensors, type TensorView, toFloat32 } from './safetensors.ts';
export {
  causalMask,
  type KeyValue,
  logits,
  segmentMask,
  type TransformerInputs,
  type TransformerOptions,
  type TransformerOutputs,
  transformer,
} from './transformer.ts';
