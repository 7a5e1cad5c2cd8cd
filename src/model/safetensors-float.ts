/**
 * Conversion between float32 and the other stored floating types, for whole tensors at once. Widening F16 and
 * BF16 is exact, including subnormals, infinities and NaN payloads; narrowing rounds to nearest, ties to even
 * (IEEE 754), and turns what is too large into infinity. Bytes are little-endian, as in the file.
 */
import { FormatError, PlinthError } from '../core/errors.ts';
import { ELEMENT_BYTES, type SafetensorsDtype } from './safetensors-header.ts';

/** The stored types that have a float32 reading. */
export type FloatDtype = 'F32' | 'F16' | 'BF16' | 'F64';

export function isFloatDtype(dtype: SafetensorsDtype): dtype is FloatDtype {
  return dtype === 'F32' || dtype === 'F16' || dtype === 'BF16' || dtype === 'F64';
}

const isLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function requireLittleEndian(): void {
  if (!isLittleEndian) {
    throw new PlinthError(
      'runtime',
      'This machine is big-endian; tensors are only read on little-endian machines.',
    );
  }
}

/** The float32 bits of the binary16 number with these bits. */
function halfToFloatBits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 31) return sign | 0x7f800000 | (fraction << 13);
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // Subnormal: fraction * 2^-24. Shift its leading one to the hidden bit.
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}

let halfTable: Uint32Array | undefined;

/** All 65,536 binary16 numbers as float32 bits (256 KB), made on first use. */
function halfToFloatTable(): Uint32Array {
  if (halfTable === undefined) {
    halfTable = new Uint32Array(65536);
    for (let half = 0; half < 65536; half++) halfTable[half] = halfToFloatBits(half);
  }
  return halfTable;
}

/** Bytes at an address that is a multiple of `alignment`, copied only when they are not there already. */
function aligned(bytes: Uint8Array, alignment: number): Uint8Array {
  return bytes.byteOffset % alignment === 0 ? bytes : new Uint8Array(bytes);
}

/**
 * Widens or narrows `bytes` (elements of `dtype`) into `out`, which must have one place per element.
 * @throws FormatError for a type without a float32 reading or a length that does not fit.
 */
export function decodeFloat32(bytes: Uint8Array, dtype: SafetensorsDtype, out: Float32Array): void {
  requireLittleEndian();
  if (!isFloatDtype(dtype)) {
    throw new FormatError(
      `A tensor of dtype ${dtype} has no float32 reading; expected F32, F16, BF16 or F64.`,
    );
  }
  const length = out.length;
  if (bytes.length !== length * ELEMENT_BYTES[dtype]) {
    throw new FormatError(`${bytes.length} bytes of ${dtype} do not fill ${length} places.`);
  }
  if (dtype === 'F32') {
    new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(bytes);
    return;
  }
  const source = aligned(bytes, ELEMENT_BYTES[dtype]);
  if (dtype === 'F64') {
    out.set(new Float64Array(source.buffer, source.byteOffset, length));
    return;
  }
  const halves = new Uint16Array(source.buffer, source.byteOffset, length);
  const bits = new Uint32Array(out.buffer, out.byteOffset, length);
  if (dtype === 'BF16') {
    for (let i = 0; i < length; i++) bits[i] = halves[i]! << 16;
  } else {
    const table = halfToFloatTable();
    for (let i = 0; i < length; i++) bits[i] = table[halves[i]!]!;
  }
}

/** BF16 bits of float32 bits: adding 0x7fff plus the last kept bit rounds to nearest, ties to even. */
function toBfloat16Bits(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40; // a NaN stays one
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** binary16 bits of float32 bits. */
function toHalfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const size = bits & 0x7fffffff;
  if (size > 0x7f800000) return sign | 0x7e00 | ((size >>> 13) & 0x3ff);
  if (size >= 0x477ff000) return sign | 0x7c00; // 65520 and more round to infinity
  if (size >= 0x38800000) {
    // A normal half: exponent bias 127 -> 15, then round away 13 bits.
    return sign | ((size - 0x38000000 + 0xfff + ((size >>> 13) & 1)) >>> 13);
  }
  if (size < 0x33000000) return sign; // below half of the smallest subnormal
  // A subnormal half counts units of 2^-24; ties to even on the shifted-out bits.
  const fraction = (size & 0x7fffff) | 0x800000;
  const shift = 126 - (size >>> 23);
  const kept = fraction >>> shift;
  const rest = fraction & ((1 << shift) - 1);
  const tie = 1 << (shift - 1);
  return sign | (kept + (rest > tie || (rest === tie && (kept & 1) === 1) ? 1 : 0));
}

/**
 * The stored bytes of `values` in `dtype`. F32 gives a view of the same memory, the others a new array.
 */
export function encodeFloat32(values: Float32Array, dtype: FloatDtype): Uint8Array {
  requireLittleEndian();
  if (dtype === 'F32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  if (dtype === 'F64') return new Uint8Array(Float64Array.from(values).buffer);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  if (dtype === 'BF16') for (let i = 0; i < out.length; i++) out[i] = toBfloat16Bits(bits[i]!);
  else for (let i = 0; i < out.length; i++) out[i] = toHalfBits(bits[i]!);
  return new Uint8Array(out.buffer);
}
