/**
 * Safetensors files held in memory: bytes in, named tensors out, and back. Works in browsers too.
 * A file that does not follow the format in every detail is refused with a FormatError; nothing in it can
 * crash the reader or make it allocate more than the file's own size. Files on disk: `safetensors.node.ts`.
 */
import { FormatError, LimitError, messageOf } from '../core/errors.ts';
import { formatBytes } from '../core/units.ts';
import { decodeFloat32, encodeFloat32, isFloatDtype } from './safetensors-float.ts';
import {
  ELEMENT_BYTES,
  encodeSafetensorsHeader,
  layOut,
  numElements,
  parseHeaderLength,
  parseSafetensorsHeader,
  quoteName,
  type SafetensorsDtype,
  type TensorInfo,
} from './safetensors-header.ts';

/** One tensor of a file: raw little-endian bytes in row-major order, a view of the file's memory. */
export interface TensorView {
  dtype: SafetensorsDtype;
  shape: number[];
  bytes: Uint8Array;
}

/**
 * A tensor to store. `data` is either its raw bytes in `dtype`, or float32 values that are stored as F32
 * (as they are), BF16, F16 or F64.
 */
export interface TensorInput {
  name: string;
  dtype: SafetensorsDtype;
  shape: readonly number[];
  data: Uint8Array | Float32Array;
}

export interface Safetensors {
  tensors: Map<string, TensorView>;
  metadata: Map<string, string>;
}

/** Anything that hands out tensors by name: a file, a download, or several of them under an index. */
export interface TensorSource {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Float32 values in row-major order, in memory of their own. */
  readFloat32(name: string): Promise<Float32Array>;
  /** Raw little-endian bytes, in memory of their own. */
  readBytes(name: string): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Allocates what a file asks for; being refused by the machine is an error with a reason, not a crash. */
export function allocate<T>(what: string, sizeBytes: number, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new LimitError(
      `${what} needs ${formatBytes(sizeBytes)} of memory in one piece: ${messageOf(error)}.`,
    );
  }
}

/**
 * Reads a whole file. The tensors share memory with `bytes`.
 * @throws FormatError for anything the format does not allow.
 */
export function parseSafetensors(bytes: Uint8Array): Safetensors {
  const headerBytes = parseHeaderLength(bytes.subarray(0, 8), bytes.length);
  const header = parseSafetensorsHeader(bytes.subarray(8, 8 + headerBytes), bytes.length);
  const tensors = new Map<string, TensorView>();
  for (const [name, { dtype, shape, begin, end }] of header.tensors) {
    tensors.set(name, {
      dtype,
      shape,
      bytes: bytes.subarray(header.dataOffset + begin, header.dataOffset + end),
    });
  }
  return { tensors, metadata: header.metadata };
}

/**
 * Float32 values of a tensor, in row-major order. An F32 tensor at an aligned address is not copied: the
 * result then shares memory with the file. F64 is rounded to nearest.
 * @throws FormatError for integer and boolean tensors.
 */
export function toFloat32(view: TensorView): Float32Array {
  const { bytes, dtype } = view;
  if (dtype === 'F32' && bytes.byteOffset % 4 === 0) {
    return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  }
  const out = new Float32Array(bytes.length / ELEMENT_BYTES[dtype]);
  decodeFloat32(bytes, dtype, out);
  return out;
}

/** @throws FormatError when a tensor's data does not have the size or kind that its shape and dtype ask for. */
export function checkTensorInput({ name, dtype, shape, data }: TensorInput): void {
  const elements = numElements(shape);
  const isFloats = data instanceof Float32Array;
  if (isFloats && !isFloatDtype(dtype)) {
    throw new FormatError(
      `Tensor ${quoteName(name)}: float32 values cannot be stored as ${dtype}; pass raw bytes.`,
    );
  }
  if (elements === undefined) {
    throw new FormatError(`Tensor ${quoteName(name)} has no possible shape: [${shape.join(', ')}].`);
  }
  const expected = isFloats ? elements : elements * ELEMENT_BYTES[dtype];
  if (data.length !== expected) {
    throw new FormatError(
      `Tensor ${quoteName(name)}: ${dtype} [${shape.join(', ')}] needs ${expected} ${isFloats ? 'values' : 'bytes'}, got ${data.length}.`,
    );
  }
}

/** The bytes to store for a run of elements [from, to) of a tensor; a view where no conversion is needed. */
export function storedBytes({ dtype, data }: TensorInput, from: number, to: number): Uint8Array {
  if (data instanceof Float32Array && isFloatDtype(dtype))
    return encodeFloat32(data.subarray(from, to), dtype);
  return (data as Uint8Array).subarray(from * ELEMENT_BYTES[dtype], to * ELEMENT_BYTES[dtype]);
}

/**
 * A whole file in memory. Equal tensors and metadata give equal bytes, whatever their order; `format: "pt"` is
 * added to the metadata. Very large files: `writeSafetensors` in `safetensors.node.ts` needs no second copy.
 * @throws FormatError for duplicate names, or data that does not fit its shape and dtype.
 */
export function encodeSafetensors(
  tensors: Iterable<TensorInput>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const ordered = layOut(tensors);
  for (const tensor of ordered) checkTensorInput(tensor);
  const header = encodeSafetensorsHeader(ordered, metadata);
  const sizes = ordered.map(({ dtype, shape }) => numElements(shape)! * ELEMENT_BYTES[dtype]);
  const file = new Uint8Array(sizes.reduce((sum, size) => sum + size, header.length));
  file.set(header);
  let at = header.length;
  ordered.forEach((tensor, i) => {
    file.set(storedBytes(tensor, 0, numElements(tensor.shape)!), at);
    at += sizes[i]!;
  });
  return file;
}
