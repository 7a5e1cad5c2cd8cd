/**
 * Writes GGUF version 3, the file of llama.cpp, Ollama and LM Studio: a header of typed keys, a list of tensors,
 * then their data, each at a multiple of 32 bytes. The size of everything is known before the first byte, and
 * the data comes in chunks, so no second copy of a model is ever held. Knows nothing of models or tokenizers.
 *
 * Source: docs/gguf.md of the ggml repository.
 */
import { FormatError } from '../../core/errors.ts';
import { type GgmlType, ggmlTypeId, tensorBytes } from './gguf-types.ts';

const VERSION = 3;
const ALIGNMENT = 32;
/** Ends the process that loads it when longer (GGML_MAX_NAME). */
const MAX_NAME_LENGTH = 63;

/** A typed value of the header. */
export type GgufValue =
  | { readonly type: 'uint32' | 'int32' | 'float32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'int32s' | 'float32s'; readonly value: readonly number[] };

const VALUE_TYPES = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const;

export interface GgufTensor {
  readonly name: string;
  /** Row-major, outermost size first; the file lists them the other way round. */
  readonly shape: readonly number[];
  readonly type: GgmlType;
  /** The stored bytes in order, in pieces of any size. */
  data(): Iterable<Uint8Array>;
}

export interface GgufFile {
  readonly sizeBytes: number;
  /** The whole file in order; every call starts anew. */
  chunks(): Iterable<Uint8Array>;
}

/** Little-endian bytes that grow. */
class ByteList {
  #bytes = new Uint8Array(1 << 16);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  #reserve(more: number): number {
    const at = this.length;
    if (at + more > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(2 * this.#bytes.length, at + more));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.length += more;
    return at;
  }

  // Making room may replace the memory, so the place comes first.
  uint8(value: number): void {
    const at = this.#reserve(1);
    this.#view.setUint8(at, value);
  }

  uint32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value, true);
  }

  int32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setInt32(at, value, true);
  }

  float32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setFloat32(at, value, true);
  }

  uint64(value: number): void {
    const at = this.#reserve(8);
    this.#view.setBigUint64(at, BigInt(value), true);
  }

  string(text: string): void {
    const utf8 = new TextEncoder().encode(text);
    this.uint64(utf8.length);
    const at = this.#reserve(utf8.length);
    this.#bytes.set(utf8, at);
  }

  toBytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
}

function writeValue(list: ByteList, value: GgufValue): void {
  switch (value.type) {
    case 'uint32':
    case 'int32':
    case 'float32':
      list.uint32(VALUE_TYPES[value.type]);
      list[value.type](value.value);
      return;
    case 'bool':
      list.uint32(VALUE_TYPES.bool);
      list.uint8(value.value ? 1 : 0);
      return;
    case 'string':
      list.uint32(VALUE_TYPES.string);
      list.string(value.value);
      return;
    case 'strings':
      writeArray(list, 'string', value.value, (text) => list.string(text));
      return;
    case 'int32s':
      writeArray(list, 'int32', value.value, (number) => list.int32(number));
      return;
    case 'float32s':
      writeArray(list, 'float32', value.value, (number) => list.float32(number));
  }
}

function writeArray<T>(
  list: ByteList,
  type: keyof typeof VALUE_TYPES,
  values: readonly T[],
  write: (value: T) => void,
): void {
  list.uint32(VALUE_TYPES.array);
  list.uint32(VALUE_TYPES[type]);
  list.uint64(values.length);
  for (const value of values) write(value);
}

const align = (offset: number): number => Math.ceil(offset / ALIGNMENT) * ALIGNMENT;

function checkNames(tensors: readonly GgufTensor[]): void {
  const seen = new Set<string>();
  for (const { name } of tensors) {
    if (seen.has(name)) throw new FormatError(`GGUF: two tensors are named ${JSON.stringify(name)}.`);
    if (new TextEncoder().encode(name).length > MAX_NAME_LENGTH) {
      throw new FormatError(
        `GGUF: the name ${JSON.stringify(name)} is longer than the ${MAX_NAME_LENGTH} bytes that ggml allows.`,
      );
    }
    seen.add(name);
  }
}

/**
 * Lays out a file; nothing is converted before `chunks` is walked.
 * @throws FormatError for names that occur twice or are too long, and for rows that no block of the type fills.
 */
export function ggufFile(metadata: ReadonlyMap<string, GgufValue>, tensors: readonly GgufTensor[]): GgufFile {
  checkNames(tensors);
  const header = new ByteList();
  for (const letter of 'GGUF') header.uint8(letter.charCodeAt(0));
  header.uint32(VERSION);
  header.uint64(tensors.length);
  header.uint64(metadata.size);
  for (const [key, value] of metadata) {
    header.string(key);
    writeValue(header, value);
  }
  let offset = 0;
  for (const { name, shape, type } of tensors) {
    header.string(name);
    header.uint32(shape.length);
    for (const size of [...shape].reverse()) header.uint64(size);
    header.uint32(ggmlTypeId(type));
    header.uint64(offset);
    offset += align(tensorBytes(type, shape));
  }
  const dataStart = align(header.length);
  return {
    sizeBytes: dataStart + offset,
    *chunks() {
      yield header.toBytes();
      yield new Uint8Array(dataStart - header.length);
      for (const { name, shape, type, data } of tensors) {
        let written = 0;
        for (const bytes of data()) {
          written += bytes.length;
          yield bytes;
        }
        const expected = tensorBytes(type, shape);
        if (written !== expected) {
          throw new FormatError(
            `GGUF: tensor ${JSON.stringify(name)} gave ${written} bytes, its type ${type} and shape [${shape.join(', ')}] need ${expected}.`,
          );
        }
        yield new Uint8Array(align(written) - written);
      }
    },
  };
}
