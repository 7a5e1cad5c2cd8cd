/** Measuring what a model can do. Browser-safe. */
export { bitsPerByte, targetBytes } from './bits-per-byte.ts';
export {
  bitsPerByteOf,
  type DocumentBits,
  type DocumentMeasurement,
  type Estimate,
  estimateBitsPerByte,
  estimateDifference,
} from './document-bits.ts';
export { wilsonInterval } from './interval.ts';
export {
  measureQuantization,
  type QuantizationDifference,
  type TokenDocument,
} from './quantization-difference.ts';
