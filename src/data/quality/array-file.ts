/**
 * One file of settings and named arrays of numbers, for small models: 8 bytes `PLINTHA1`, uint32 length of the
 * header, uint32 checksum of everything after these 16 bytes, the header as JSON `{ kind, settings, arrays: [{ name, dtype,
 * length }] }` padded with spaces to a multiple of 8, then the arrays in this order, little-endian, each padded to a
 * multiple of 8. Lengths are checked before anything is allocated; a flipped bit fails the checksum.
 */
import { FormatError, messageOf } from '../../core/errors.ts';

const MAGIC = 'PLINTHA1';
const PREFIX_BYTES = 16;
const MAX_HEADER_BYTES = 1 << 20;

interface ArrayTypes {
  float32: Float32Array;
  int32: Int32Array;
  uint8: Uint8Array;
}
type ArrayType = keyof ArrayTypes;

interface ArrayEntry {
  name: string;
  dtype: ArrayType;
  length: number;
}

interface Header {
  kind: string;
  settings: Record<string, unknown>;
  arrays: ArrayEntry[];
}

const padded = (size: number): number => Math.ceil(size / 8) * 8;
const elementBytes = (dtype: ArrayType): number => (dtype === 'uint8' ? 1 : 4);

function typeOf(values: ArrayTypes[ArrayType]): ArrayType {
  if (values instanceof Float32Array) return 'float32';
  return values instanceof Int32Array ? 'int32' : 'uint8';
}

/** Sum and rotation over 32-bit words; the content's length is a multiple of 8. */
function checksumOf(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let sum = 0x811c9dc5 | 0;
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    sum = Math.imul(sum ^ view.getInt32(at, true), 0x01000193);
    sum = (sum << 13) | (sum >>> 19);
  }
  return sum >>> 0;
}

export function encodeArrayFile(
  kind: string,
  settings: Record<string, unknown>,
  arrays: Record<string, ArrayTypes[ArrayType]>,
): Uint8Array {
  const entries = Object.entries(arrays);
  const header: Header = {
    kind,
    settings,
    arrays: entries.map(([name, values]) => ({ name, dtype: typeOf(values), length: values.length })),
  };
  const json = new TextEncoder().encode(JSON.stringify(header));
  const headerBytes = padded(json.length);
  const numBytes = entries.reduce(
    (sum, [, values]) => sum + padded(values.byteLength),
    PREFIX_BYTES + headerBytes,
  );
  const bytes = new Uint8Array(numBytes);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < MAGIC.length; i++) bytes[i] = MAGIC.charCodeAt(i);
  view.setUint32(8, headerBytes, true);
  bytes.fill(0x20, PREFIX_BYTES, PREFIX_BYTES + headerBytes);
  bytes.set(json, PREFIX_BYTES);
  let at = PREFIX_BYTES + headerBytes;
  for (const [, values] of entries) {
    for (let i = 0; i < values.length; i++) {
      if (values instanceof Float32Array) view.setFloat32(at + 4 * i, values[i]!, true);
      else if (values instanceof Int32Array) view.setInt32(at + 4 * i, values[i]!, true);
      else bytes[at + i] = values[i]!;
    }
    at += padded(values.byteLength);
  }
  view.setUint32(12, checksumOf(bytes.subarray(PREFIX_BYTES)), true);
  return bytes;
}

/**
 * @param kind what the file must be
 * @param expected names and types of its arrays, all of which must be there
 * @throws FormatError when anything is missing, too long, of another kind or damaged
 */
export function decodeArrayFile<T extends Record<string, ArrayType>>(
  bytes: Uint8Array,
  kind: string,
  expected: T,
): { settings: Record<string, unknown>; arrays: { [Name in keyof T]: ArrayTypes[T[Name]] } } {
  const start = String.fromCharCode(...bytes.subarray(0, MAGIC.length));
  if (start !== MAGIC || bytes.length < PREFIX_BYTES) {
    throw new FormatError(
      `Not a model file of Plinth: it begins with ${JSON.stringify(start)}, expected "${MAGIC}". ` +
        `Give a file that "plinth data quality train" or its library functions wrote.`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerBytes = view.getUint32(8, true);
  if (headerBytes > MAX_HEADER_BYTES || PREFIX_BYTES + headerBytes > bytes.length) {
    throw new FormatError(
      `The header says ${headerBytes} bytes; the file has ${bytes.length - PREFIX_BYTES} after its prefix and a ` +
        `header at most ${MAX_HEADER_BYTES}. The file is cut short or damaged.`,
    );
  }
  const checksum = view.getUint32(12, true);
  if (checksumOf(bytes.subarray(PREFIX_BYTES)) !== checksum) {
    throw new FormatError('The file is damaged: its checksum does not fit. Train or copy it again.');
  }
  const header = parseHeader(bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + headerBytes));
  if (header.kind !== kind) {
    throw new FormatError(`The file holds a "${header.kind}", expected a "${kind}".`);
  }
  const arrays: Record<string, ArrayTypes[ArrayType]> = {};
  let at = PREFIX_BYTES + headerBytes;
  for (const { name, dtype, length } of header.arrays) {
    const size = length * elementBytes(dtype);
    if (at + padded(size) > bytes.length) {
      throw new FormatError(
        `Array "${name}" needs ${size} bytes, ${bytes.length - at} are left: the file is cut short.`,
      );
    }
    arrays[name] = readArray(view, at, dtype, length);
    at += padded(size);
  }
  if (at !== bytes.length) throw new FormatError(`${bytes.length - at} bytes too many at the file's end.`);
  for (const [name, dtype] of Object.entries(expected)) {
    if (arrays[name] === undefined || typeOf(arrays[name]) !== dtype) {
      throw new FormatError(`The file has no ${dtype} array "${name}".`);
    }
  }
  return { settings: header.settings, arrays: arrays as { [Name in keyof T]: ArrayTypes[T[Name]] } };
}

/** The kind a file says it is, or undefined when it is no such file; nothing else of it is checked. */
export function arrayFileKind(bytes: Uint8Array): string | undefined {
  if (bytes.length < PREFIX_BYTES || String.fromCharCode(...bytes.subarray(0, MAGIC.length)) !== MAGIC) {
    return undefined;
  }
  const headerBytes = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(8, true);
  if (headerBytes > MAX_HEADER_BYTES) return undefined;
  try {
    return parseHeader(bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + headerBytes)).kind;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

function readArray(view: DataView, at: number, dtype: ArrayType, length: number): ArrayTypes[ArrayType] {
  if (dtype === 'uint8') return new Uint8Array(view.buffer, view.byteOffset + at, length).slice();
  if (dtype === 'float32') {
    const values = new Float32Array(length);
    for (let i = 0; i < length; i++) values[i] = view.getFloat32(at + 4 * i, true);
    return values;
  }
  const values = new Int32Array(length);
  for (let i = 0; i < length; i++) values[i] = view.getInt32(at + 4 * i, true);
  return values;
}

function parseHeader(json: Uint8Array): Header {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
  } catch (error) {
    throw new FormatError(`The header is not JSON: ${messageOf(error)}.`, { cause: error });
  }
  const { kind, settings, arrays } = (parsed ?? {}) as Partial<Header>;
  const wellFormed =
    typeof kind === 'string' &&
    typeof settings === 'object' &&
    settings !== null &&
    Array.isArray(arrays) &&
    arrays.every(
      (entry) =>
        typeof entry?.name === 'string' &&
        ['float32', 'int32', 'uint8'].includes(entry.dtype) &&
        Number.isSafeInteger(entry.length) &&
        entry.length >= 0,
    );
  if (!wellFormed) throw new FormatError('The header lacks its kind, settings or list of arrays.');
  return { kind, settings, arrays };
}
