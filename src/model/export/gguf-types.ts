/**
 * ggml's types of stored tensors and how values become their bytes. Q8_0 and Q4_0 keep blocks of 32 values of a
 * row beside one float16 scale: Q8_0 as signed bytes, Q4_0 as half bytes of which the low halves hold the
 * block's first 16 values and the high halves the last 16.
 *
 * Source: ggml-common.h and ggml-quants.c of ggml.
 */
import { FormatError } from '../../core/errors.ts';
import type { QuantizedWeight } from '../quantized.ts';
import { encodeFloat32 } from '../safetensors-float.ts';

export type GgmlFloatType = 'F32' | 'F16' | 'BF16';
export type GgmlType = GgmlFloatType | 'Q8_0' | 'Q4_0';

/** Values of one block of the quantised types. */
export const GGML_BLOCK_SIZE = 32;

const TYPES: Record<GgmlType, { id: number; blockSize: number; blockBytes: number }> = {
  F32: { id: 0, blockSize: 1, blockBytes: 4 },
  F16: { id: 1, blockSize: 1, blockBytes: 2 },
  Q4_0: { id: 2, blockSize: GGML_BLOCK_SIZE, blockBytes: 2 + GGML_BLOCK_SIZE / 2 },
  Q8_0: { id: 8, blockSize: GGML_BLOCK_SIZE, blockBytes: 2 + GGML_BLOCK_SIZE },
  BF16: { id: 30, blockSize: 1, blockBytes: 2 },
};

/** Values or blocks that are converted at a time: 4 MB of float32. */
const CHUNK_VALUES = 1 << 20;

export const ggmlTypeId = (type: GgmlType): number => TYPES[type].id;

/** Bytes of a tensor. @throws FormatError when the innermost size is no multiple of the type's block. */
export function tensorBytes(type: GgmlType, shape: readonly number[]): number {
  const { blockSize, blockBytes } = TYPES[type];
  const width = shape.at(-1) ?? 1;
  if (width % blockSize !== 0) {
    throw new FormatError(`GGUF: rows of ${width} values do not fill blocks of ${blockSize} (${type}).`);
  }
  return (shape.reduce((product, size) => product * size, 1) / blockSize) * blockBytes;
}

/** Values as F32, F16 or BF16, rounded to nearest. */
export function* floatChunks(values: Float32Array, type: GgmlFloatType): Generator<Uint8Array> {
  for (let at = 0; at < values.length; at += CHUNK_VALUES) {
    yield encodeFloat32(values.subarray(at, at + CHUNK_VALUES), type);
  }
}

/** Q8_0 for weights of 8 bits, Q4_0 for those of 4. */
export const blockTypeOf = (weight: QuantizedWeight): GgmlType => (weight.bits === 8 ? 'Q8_0' : 'Q4_0');

/**
 * A quantised matrix as Q8_0 or Q4_0; the numbers that it stands for stay exactly the same. `rowOf` says which
 * row of the weight is written as row r.
 * @throws FormatError for blocks that are not of 32 values.
 */
export function* blockChunks(
  weight: QuantizedWeight,
  rowOf: (row: number) => number = (row) => row,
): Generator<Uint8Array> {
  const [rows, width] = weight.shape;
  if (weight.blockSize !== GGML_BLOCK_SIZE) {
    throw new FormatError(
      `GGUF: blocks of ${weight.blockSize} values have no type here; quantise with blocks of ${GGML_BLOCK_SIZE}.`,
    );
  }
  const blocks = width / GGML_BLOCK_SIZE;
  const { blockBytes } = TYPES[blockTypeOf(weight)];
  const scaleBits = encodeFloat32(weight.scales, 'F16');
  const rowsAtOnce = Math.max(1, Math.floor(CHUNK_VALUES / width));
  for (let first = 0; first < rows; first += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, rows - first);
    const out = new Uint8Array(count * blocks * blockBytes);
    for (let i = 0; i < count; i++) {
      const row = rowOf(first + i);
      for (let block = 0; block < blocks; block++) {
        const from = row * blocks + block;
        const at = (i * blocks + block) * blockBytes;
        out.set(scaleBits.subarray(2 * from, 2 * from + 2), at);
        if (weight.bits === 8) writeBytes(weight.data, from, out, at + 2);
        else writeHalfBytes(weight.data, from, out, at + 2);
      }
    }
    yield out;
  }
}

/** Codes around 128 become signed bytes. */
function writeBytes(codes: Uint8Array, block: number, out: Uint8Array, at: number): void {
  for (let j = 0; j < GGML_BLOCK_SIZE; j++) out[at + j] = codes[block * GGML_BLOCK_SIZE + j]! - 128;
}

/** Neighbouring pairs become pairs of values 16 apart. */
function writeHalfBytes(codes: Uint8Array, block: number, out: Uint8Array, at: number): void {
  const half = GGML_BLOCK_SIZE / 2;
  const start = block * half;
  for (let j = 0; j < half; j++) {
    const shift = 4 * (j % 2);
    const low = (codes[start + (j >> 1)]! >> shift) & 15;
    const high = (codes[start + half / 2 + (j >> 1)]! >> shift) & 15;
    out[at + j] = low | (high << 4);
  }
}
