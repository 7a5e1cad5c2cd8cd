/**
 * A float32 matrix to blocks of 8 or 4 bits and back. Symmetric: value = (code - 2^(bits - 1)) * scale, one scale for
 * `blockSize` neighbours of a row, rounded to float16 before the codes are chosen, so that files in float16 lose
 * nothing. A pure function of the matrix; knows nothing of models or files.
 *
 * 8 bits (Q8_0): scale = absmax / 127; every value is met within half a step.
 * 4 bits (Q4_0's codes, -8..7): the scale that minimises the block's squared error among those for which the value of
 * largest magnitude falls on -7.1 to -8.9, each refitted by least squares; never worse than Q4_0's own, max / -8.
 * The scale may be negative: the largest value then still falls on -8, which has no positive twin.
 */
import { ConfigError, DataError, LimitError } from '../../core/errors.ts';
import { QUANTIZED_BLOCK_SIZES } from '../../tensor/index.ts';
import type { WeightArray } from '../initialize.ts';
import type { QuantizedWeight } from '../quantized.ts';
import { decodeFloat32, encodeFloat32 } from '../safetensors-float.ts';

export interface QuantizeOptions {
  readonly bits: 4 | 8;
  /** 16, 32 (default), 64, 128 or 256 neighbours of a row that share a scale. */
  readonly blockSize?: number;
}

export const DEFAULT_BLOCK_SIZE = 32;

/** Where the value of largest magnitude may fall: -8 and steps of a tenth to both sides. */
const LARGEST_CODES = Float64Array.from({ length: 19 }, (_, i) => -(7.1 + i / 10));

/** The smallest float16 above 0, and the distance between the smallest of them. */
const HALF_STEP = 2 ** -24;
const MAX_HALF = 65504;

/** Options with the default filled in. Throws ConfigError for bits or block sizes that no kernel knows. */
export function checkQuantizeOptions({
  bits,
  blockSize = DEFAULT_BLOCK_SIZE,
}: QuantizeOptions): Required<QuantizeOptions> {
  if (bits !== 4 && bits !== 8) throw new ConfigError(`Weights are quantised to 8 or 4 bits, got ${bits}.`);
  if (!QUANTIZED_BLOCK_SIZES.includes(blockSize)) {
    throw new ConfigError(
      `Block size ${blockSize}; expected one of ${QUANTIZED_BLOCK_SIZES.join(', ')}. 32 is what other formats share.`,
    );
  }
  return { bits, blockSize };
}

/**
 * Quantises a matrix [out, in].
 * @throws ConfigError for options or shapes that do not fit, DataError for values that are not finite, LimitError
 *   for values whose scale float16 cannot hold.
 */
export function quantizeMatrix(weight: WeightArray, options: QuantizeOptions): QuantizedWeight {
  const { bits, blockSize } = checkQuantizeOptions(options);
  const [rows, columns] = weight.shape;
  if (weight.shape.length !== 2 || columns! % blockSize !== 0) {
    throw new ConfigError(
      `A weight of shape [${weight.shape.join(', ')}] cannot be quantised in blocks of ${blockSize}; ` +
        `expected a matrix [out, in] with in a multiple of ${blockSize}.`,
    );
  }
  requireFinite(weight);
  const shape = [rows!, columns!] as const;
  return bits === 8
    ? { shape, bits, blockSize, ...quantize8(weight.data, blockSize) }
    : { shape, bits, blockSize, ...quantize4(weight.data, blockSize) };
}

/** The float32 matrix that a quantised one stands for. */
export function dequantize(weight: QuantizedWeight): { shape: number[]; data: Float32Array } {
  const { shape, bits, blockSize, data, scales } = weight;
  const values = new Float32Array(shape[0] * shape[1]);
  if (bits === 8) {
    for (let i = 0; i < values.length; i++) {
      values[i] = (data[i]! - 128) * scales[Math.floor(i / blockSize)]!;
    }
  } else {
    for (let i = 0; i < values.length; i += 2) {
      const pair = data[i >> 1]!;
      const scale = scales[Math.floor(i / blockSize)]!;
      values[i] = ((pair & 15) - 8) * scale;
      values[i + 1] = ((pair >> 4) - 8) * scale;
    }
  }
  return { shape: [...shape], data: values };
}

/** Bytes that a weight takes in a file: codes, and scales of 2 bytes. */
export function quantizedBytes({ data, scales }: QuantizedWeight): number {
  return data.length + 2 * scales.length;
}

function requireFinite({ shape, data }: WeightArray): void {
  const at = data.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  const columns = shape[1]!;
  throw new DataError(
    `The weight at row ${Math.floor(at / columns)}, column ${at % columns} is ${data[at]}; only finite weights can be quantised.`,
  );
}

/** Scales as float16 holds them. Throws LimitError where that is infinity. */
function roundedToHalf(scales: Float32Array): Float32Array {
  const largest = scales.reduce((max, scale) => Math.max(max, Math.abs(scale)), 0);
  if (largest > MAX_HALF) {
    throw new LimitError(
      `A block of weights needs the scale ${largest}; float16 ends at ${MAX_HALF}. Keep this matrix in float32.`,
    );
  }
  const rounded = new Float32Array(scales.length);
  decodeFloat32(encodeFloat32(scales, 'F16'), 'F16', rounded);
  return rounded;
}

function quantize8(values: Float32Array, blockSize: number): Pick<QuantizedWeight, 'data' | 'scales'> {
  const numBlocks = values.length / blockSize;
  const largest = new Float32Array(numBlocks);
  for (let block = 0; block < numBlocks; block++) {
    largest[block] = Math.abs(largestOf(values, block * blockSize, blockSize));
  }
  const scales = roundedToHalf(largest.map((value) => value / 127));
  const data = new Uint8Array(values.length);
  for (let block = 0; block < numBlocks; block++) {
    // Among the smallest numbers of float16 rounding may leave too small a scale: half a step must still reach.
    if (largest[block]! > 127.5 * scales[block]!) scales[block]! += HALF_STEP;
    const inverse = scales[block] === 0 ? 0 : 1 / scales[block]!;
    for (let i = block * blockSize; i < (block + 1) * blockSize; i++) {
      data[i] = Math.min(127, Math.round(values[i]! * inverse)) + 128;
    }
  }
  return { data, scales };
}

function quantize4(values: Float32Array, blockSize: number): Pick<QuantizedWeight, 'data' | 'scales'> {
  const numBlocks = values.length / blockSize;
  const plain = new Float32Array(numBlocks);
  const fitted = new Float32Array(numBlocks);
  for (let block = 0; block < numBlocks; block++) {
    const largest = largestOf(values, block * blockSize, blockSize);
    plain[block] = largest / -8;
    fitted[block] = largest === 0 ? 0 : fittedScale(values, block * blockSize, blockSize, largest);
  }
  const plainHalf = roundedToHalf(plain);
  const scales = roundedToHalf(fitted);
  const data = new Uint8Array(values.length / 2);
  for (let block = 0; block < numBlocks; block++) {
    const from = block * blockSize;
    if (
      squaredError(values, from, blockSize, plainHalf[block]!) <
      squaredError(values, from, blockSize, scales[block]!)
    ) {
      scales[block] = plainHalf[block]!;
    }
    const inverse = scales[block] === 0 ? 0 : 1 / scales[block]!;
    for (let i = from; i < from + blockSize; i += 2) {
      data[i >> 1] = (code4(values[i]! * inverse) + 8) | ((code4(values[i + 1]! * inverse) + 8) << 4);
    }
  }
  return { data, scales };
}

const code4 = (value: number) => Math.max(-8, Math.min(7, Math.round(value)));

/** The value of largest magnitude, with its sign. */
function largestOf(values: Float32Array, from: number, length: number): number {
  let largest = 0;
  for (let i = from; i < from + length; i++) {
    if (Math.abs(values[i]!) > Math.abs(largest)) largest = values[i]!;
  }
  return largest;
}

/**
 * With codes c fixed, the best scale is sum(v c) / sum(c^2) and leaves sum(v^2) - sum(v c)^2 / sum(c^2), so the
 * candidate with the largest last term wins.
 */
function fittedScale(values: Float32Array, from: number, length: number, largest: number): number {
  let best = largest / -8;
  let bestGain = -1;
  for (const target of LARGEST_CODES) {
    const inverse = target / largest;
    let products = 0;
    let squares = 0;
    for (let i = from; i < from + length; i++) {
      const value = values[i]!;
      const code = code4(value * inverse);
      products += value * code;
      squares += code * code;
    }
    const gain = (products * products) / squares;
    if (gain > bestGain) {
      bestGain = gain;
      best = products / squares;
    }
  }
  return best;
}

function squaredError(values: Float32Array, from: number, length: number, scale: number): number {
  const inverse = scale === 0 ? 0 : 1 / scale;
  let sum = 0;
  for (let i = from; i < from + length; i++) {
    const value = values[i]!;
    sum += (value - code4(value * inverse) * scale) ** 2;
  }
  return sum;
}
