/**
 * A matrix in blocks of few bits: `blockSize` neighbours of a row share one scale (round to nearest, symmetric,
 * as GGUF's Q8_0 and Q4_0 and ONNX Runtime's MatMulNBits have them). value = (code - 2^(bits - 1)) * scale.
 */
import type { WeightArray } from './initialize.ts';

export interface QuantizedWeight {
  /** [out, in]; `blockSize` divides in. */
  readonly shape: readonly [number, number];
  readonly bits: 4 | 8;
  readonly blockSize: number;
  /** [out, in * bits / 8] row-major; with 4 bits two codes a byte, the first in the low half. */
  readonly data: Uint8Array;
  /** [out, in / blockSize]; every scale is a float16 number, so that files in float16 lose nothing. */
  readonly scales: Float32Array;
}

/** Weights of which some matrices are quantised. */
export type MixedWeights = ReadonlyMap<string, WeightArray | QuantizedWeight>;

export function isQuantized(weight: WeightArray | QuantizedWeight): weight is QuantizedWeight {
  return 'bits' in weight;
}
