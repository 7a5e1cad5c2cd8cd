/**
 * The header of a safetensors file: which tensors there are, of which type and shape, and where their bytes
 * lie. The reader accepts exactly the header's own grammar, not any JSON: that finds duplicate names, keeps
 * names like `__proto__` ordinary, and bounds memory by the header's length. Knows nothing of files.
 *
 * Layout: 8 bytes little-endian header length, the header (JSON, padded with spaces), the tensors' bytes.
 * Source: https://github.com/huggingface/safetensors (README, "Format").
 */
import { FormatError } from '../core/errors.ts';

/** Bytes of one element. All types are little-endian; BOOL is one byte, 0 or 1. */
export const ELEMENT_BYTES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
} as const;

export type SafetensorsDtype = keyof typeof ELEMENT_BYTES;

/** Where a tensor's bytes lie: [begin, end) counted from the end of the header. */
export interface TensorInfo {
  dtype: SafetensorsDtype;
  shape: number[];
  begin: number;
  end: number;
}

export interface SafetensorsHeader {
  /** In the order of their bytes. */
  tensors: Map<string, TensorInfo>;
  metadata: Map<string, string>;
  /** Position in the file of the first tensor byte: 8 + header length. */
  dataOffset: number;
}

/** The header may be 100 MB long (the reference implementation's limit): about a million tensors. */
export const MAX_HEADER_BYTES = 100_000_000;
/** More dimensions than any framework has. */
export const MAX_RANK = 64;
const METADATA_KEY = '__metadata__';

/** A name from a file, quoted and short enough for an error's text. */
export function quoteName(name: string): string {
  return JSON.stringify(name.length > 120 ? `${name.slice(0, 120)}...` : name);
}

/**
 * The header's length from a file's first 8 bytes.
 * @throws FormatError when the file is too short for it or the length passes `MAX_HEADER_BYTES`.
 */
export function parseHeaderLength(first8Bytes: Uint8Array, fileBytes: number): number {
  if (fileBytes < 8 || first8Bytes.length < 8) {
    throw new FormatError(`Not a safetensors file: ${fileBytes} bytes, but the header length alone takes 8.`);
  }
  const view = new DataView(first8Bytes.buffer, first8Bytes.byteOffset, 8);
  const length = view.getUint32(4, true) * 4294967296 + view.getUint32(0, true);
  if (length > MAX_HEADER_BYTES) {
    throw new FormatError(
      `Not a safetensors file: it claims a header of ${length} bytes; at most ${MAX_HEADER_BYTES} are allowed.`,
    );
  }
  if (8 + length > fileBytes) {
    throw new FormatError(
      `Truncated safetensors file: the header takes ${8 + length} bytes, the file has ${fileBytes}. Fetch it again.`,
    );
  }
  return length;
}

/** Reads the header's grammar from left to right; never backtracks, never recurses. */
class HeaderReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  fail(expected: string): never {
    const got = this.#text.slice(this.#at, this.#at + 20);
    throw new FormatError(
      `Malformed safetensors header at character ${this.#at}: expected ${expected}, got ${got === '' ? 'the end' : JSON.stringify(got)}.`,
    );
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return;
      this.#at++;
    }
  }

  /** Takes one punctuation character if it comes next. */
  accept(character: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  expect(character: string): void {
    if (!this.accept(character)) this.fail(`"${character}"`);
  }

  end(): void {
    this.#skipSpace();
    if (this.#at < this.#text.length) this.fail('only spaces after the last "}"');
  }

  string(): string {
    this.#skipSpace();
    if (this.#text[this.#at] !== '"') this.fail('a string in double quotes');
    let end = this.#at + 1;
    for (;;) {
      const code = this.#text.charCodeAt(end);
      if (Number.isNaN(code)) this.fail('a string with a closing quote');
      if (code === 34) break;
      end += code === 92 ? 2 : 1;
    }
    let value: string;
    try {
      value = JSON.parse(this.#text.slice(this.#at, end + 1)) as string;
    } catch {
      this.fail('a valid JSON string');
    }
    if (/\p{Surrogate}/u.test(value)) this.fail('a string of whole Unicode characters');
    this.#at = end + 1;
    return value;
  }

  /** A whole number from 0 to 2^53 - 1, without sign, point or exponent. */
  count(): number {
    this.#skipSpace();
    let end = this.#at;
    while (end - this.#at < 17 && this.#text.charCodeAt(end) >= 48 && this.#text.charCodeAt(end) <= 57) end++;
    const digits = this.#text.slice(this.#at, end);
    const value = Number(digits);
    const next = this.#text[end] ?? '';
    const isWhole = digits !== '' && (digits === '0' || digits[0] !== '0') && !/[0-9.eE]/.test(next);
    if (!isWhole || !Number.isSafeInteger(value)) this.fail('a whole number from 0 to 2^53 - 1');
    this.#at = end;
    return value;
  }

  counts(limit: number): number[] {
    const values: number[] = [];
    this.expect('[');
    if (this.accept(']')) return values;
    do {
      if (values.length === limit) this.fail(`"]" after at most ${limit} numbers`);
      values.push(this.count());
    } while (this.accept(','));
    this.expect(']');
    return values;
  }

  /** Calls `member` at each value of an object, with its name; a name twice is an error. */
  object(what: string, member: (name: string) => void): void {
    const seen = new Set<string>();
    this.expect('{');
    if (this.accept('}')) return;
    do {
      const name = this.string();
      if (seen.has(name))
        throw new FormatError(`Malformed safetensors header: ${what} names ${quoteName(name)} twice.`);
      seen.add(name);
      this.expect(':');
      member(name);
    } while (this.accept(','));
    this.expect('}');
  }
}

/** Elements of a shape; undefined for a negative or fractional size, or a product beyond 2^53 - 1. */
export function numElements(shape: readonly number[]): number | undefined {
  let product = 1;
  for (const size of shape) {
    product *= size;
    if (!Number.isSafeInteger(size) || size < 0 || !Number.isSafeInteger(product)) return undefined;
  }
  return product;
}

function readTensorInfo(reader: HeaderReader, name: string): TensorInfo {
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  reader.object(`tensor ${quoteName(name)}`, (key) => {
    if (key === 'dtype') dtype = reader.string();
    else if (key === 'shape') shape = reader.counts(MAX_RANK);
    else if (key === 'data_offsets') offsets = reader.counts(2);
    else
      reader.fail(
        `only dtype, shape and data_offsets in tensor ${quoteName(name)}, not ${quoteName(key)}, here`,
      );
  });
  if (dtype === undefined || shape === undefined || offsets?.length !== 2) {
    throw new FormatError(
      `Malformed safetensors header: tensor ${quoteName(name)} needs dtype, shape and data_offsets (two numbers).`,
    );
  }
  if (!Object.hasOwn(ELEMENT_BYTES, dtype)) {
    throw new FormatError(
      `Tensor ${quoteName(name)} has dtype ${quoteName(dtype)}, which is not supported; expected one of ${Object.keys(ELEMENT_BYTES).join(', ')}.`,
    );
  }
  return { dtype: dtype as SafetensorsDtype, shape, begin: offsets[0]!, end: offsets[1]! };
}

/** Every byte of the data belongs to exactly one tensor, and each tensor has the bytes its shape asks for. */
function checkOffsets(tensors: readonly [string, TensorInfo][], dataBytes: number): void {
  let at = 0;
  for (const [name, { dtype, shape, begin, end }] of tensors) {
    const elements = numElements(shape);
    const sizeBytes = elements === undefined ? Number.NaN : elements * ELEMENT_BYTES[dtype];
    const where = `Tensor ${quoteName(name)} (${dtype} [${shape.join(', ')}], data_offsets [${begin}, ${end}])`;
    if (!Number.isSafeInteger(sizeBytes)) throw new FormatError(`${where}: the shape's size overflows.`);
    if (end < begin || end > dataBytes) {
      throw new FormatError(
        `${where}: the offsets leave the file's ${dataBytes} data bytes. The file may be truncated.`,
      );
    }
    if (end - begin !== sizeBytes) {
      throw new FormatError(`${where}: the shape needs ${sizeBytes} bytes, the offsets hold ${end - begin}.`);
    }
    if (begin !== at) {
      throw new FormatError(
        `${where}: ${begin < at ? 'overlaps the tensor before it' : 'leaves a hole before it'}; its bytes must begin at ${at}.`,
      );
    }
    at = end;
  }
  if (at !== dataBytes && dataBytes !== Infinity) {
    throw new FormatError(`The safetensors file has ${dataBytes - at} data bytes that belong to no tensor.`);
  }
}

/**
 * Reads and checks the header (without the 8 length bytes) of a file of `fileBytes` bytes; Infinity where the size is
 * not known, as of a download.
 * @throws FormatError for anything that the format does not allow: not UTF-8, other JSON, duplicate names,
 *   unknown types, shapes that overflow, and offsets that overlap, leave holes or leave the file.
 */
export function parseSafetensorsHeader(header: Uint8Array, fileBytes: number): SafetensorsHeader {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(header);
  } catch (error) {
    throw new FormatError('Malformed safetensors header: not UTF-8.', { cause: error });
  }
  if (text[0] !== '{') throw new FormatError('Not a safetensors file: the header does not begin with "{".');
  const reader = new HeaderReader(text);
  const found: [string, TensorInfo][] = [];
  const metadata = new Map<string, string>();
  reader.object('the file', (name) => {
    if (name === METADATA_KEY) reader.object(METADATA_KEY, (key) => metadata.set(key, reader.string()));
    else found.push([name, readTensorInfo(reader, name)]);
  });
  reader.end();
  found.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  const dataOffset = 8 + header.length;
  checkOffsets(found, fileBytes - dataOffset);
  return { tensors: new Map(found), metadata, dataOffset };
}

/** A tensor to be written: its bytes will follow in the order of `layOut`. */
export interface TensorLayout {
  name: string;
  dtype: SafetensorsDtype;
  shape: readonly number[];
}

/**
 * Order of the bytes in a written file: larger elements first, then by name, so that every tensor begins at a
 * multiple of its element size and the same tensors always give the same file.
 */
export function layOut<T extends TensorLayout>(tensors: Iterable<T>): T[] {
  return [...tensors].sort(
    (a, b) =>
      ELEMENT_BYTES[b.dtype] - ELEMENT_BYTES[a.dtype] || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
}

/**
 * The first bytes of a file (length and header) for tensors already in `layOut` order.
 * `format: "pt"` is put into the metadata unless it names another format, because readers insist on it.
 * @throws FormatError for duplicate or impossible names, shapes and metadata, or a header over the limit.
 */
export function encodeSafetensorsHeader(
  tensors: readonly TensorLayout[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== 'string' || /\p{Surrogate}/u.test(key + value)) {
      throw new FormatError(
        `Metadata ${quoteName(key)} must be a string of whole Unicode characters: ${typeof value}.`,
      );
    }
  }
  const members: string[] = [
    `${JSON.stringify(METADATA_KEY)}:${JSON.stringify({ format: 'pt', ...metadata })}`,
  ];
  const names = new Set<string>([METADATA_KEY]);
  let at = 0;
  for (const { name, dtype, shape } of tensors) {
    if (names.has(name) || /\p{Surrogate}/u.test(name)) {
      throw new FormatError(
        `Tensor name ${quoteName(name)} is used twice, reserved, or not whole Unicode characters.`,
      );
    }
    names.add(name);
    const elements = shape.length <= MAX_RANK ? numElements(shape) : undefined;
    if (elements === undefined)
      throw new FormatError(`Tensor ${quoteName(name)} has no possible shape: [${shape}].`);
    const end = at + elements * ELEMENT_BYTES[dtype];
    members.push(
      `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":[${at},${end}]}`,
    );
    at = end;
  }
  const json = new TextEncoder().encode(`{${members.join(',')}}`);
  const length = Math.ceil(json.length / 8) * 8;
  if (length > MAX_HEADER_BYTES) {
    throw new FormatError(`The header would take ${length} bytes; at most ${MAX_HEADER_BYTES} are allowed.`);
  }
  const bytes = new Uint8Array(8 + length).fill(32);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, 8);
  return bytes;
}
