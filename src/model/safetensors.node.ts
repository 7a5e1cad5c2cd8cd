/**
 * Safetensors files on disk: opening reads the header only, each tensor is read when asked for, straight into
 * the memory it ends up in; writing streams tensor after tensor and is atomic. At no time is there a second
 * copy of a tensor larger than one chunk. Several files under one index: `safetensors-sharded.ts`.
 */
import { type FileHandle, open, stat } from 'node:fs/promises';
import { writeFileAtomic } from '../core/atomic-file.node.ts';
import { FormatError, messageOf, PlinthError } from '../core/errors.ts';
import {
  allocate,
  checkTensorInput,
  storedBytes,
  type TensorInput,
  type TensorSource,
} from './safetensors.ts';
import { decodeFloat32, isFloatDtype } from './safetensors-float.ts';
import {
  ELEMENT_BYTES,
  encodeSafetensorsHeader,
  layOut,
  numElements,
  parseHeaderLength,
  parseSafetensorsHeader,
  quoteName,
  type TensorInfo,
} from './safetensors-header.ts';

/** Elements that are converted at a time: 4 MB of F16, small enough for the cache hierarchy to help. */
const CHUNK_ELEMENTS = 2 * 1024 * 1024;
/** One read call takes at most this much; the system's own limit is 2 GiB. */
const MAX_READ_BYTES = 256 * 1024 * 1024;

/** Fills `target` from `position` on. */
async function readFully(
  handle: FileHandle,
  path: string,
  target: Uint8Array,
  position: number,
): Promise<void> {
  for (let done = 0; done < target.length; ) {
    const length = Math.min(target.length - done, MAX_READ_BYTES);
    let bytesRead: number;
    try {
      ({ bytesRead } = await handle.read(target, done, length, position + done));
    } catch (error) {
      throw new PlinthError('disk', `Could not read ${path}: ${messageOf(error)}.`, { cause: error });
    }
    if (bytesRead === 0) {
      throw new FormatError(
        `${path} ended at byte ${position + done} while being read; ${target.length - done} more were expected. It was changed after it was opened.`,
      );
    }
    done += bytesRead;
  }
}

/** An error about a file's content, with the file's path in front. */
function inFile(path: string, error: unknown): unknown {
  return error instanceof FormatError
    ? new FormatError(`${path}: ${error.message}`, { cause: error })
    : error;
}

/** One open file. Replacing the file on disk does not disturb it; close it when done. */
export class SafetensorsFile implements TensorSource {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly #handle: FileHandle;
  readonly #dataOffset: number;

  private constructor(
    path: string,
    handle: FileHandle,
    header: { tensors: Map<string, TensorInfo>; metadata: Map<string, string>; dataOffset: number },
  ) {
    this.path = path;
    this.tensors = header.tensors;
    this.metadata = header.metadata;
    this.#handle = handle;
    this.#dataOffset = header.dataOffset;
  }

  /**
   * Reads and checks the header.
   * @throws FormatError for a file that does not follow the format; PlinthError `disk` when it cannot be read.
   */
  static async open(path: string): Promise<SafetensorsFile> {
    let handle: FileHandle;
    try {
      // A pipe or device would block or never end; `open` is only safe once this is an ordinary file.
      if (!(await stat(path)).isFile()) throw new Error('not an ordinary file');
      handle = await open(path, 'r');
    } catch (error) {
      throw new PlinthError('disk', `Could not open ${path}: ${messageOf(error)}.`, { cause: error });
    }
    try {
      const { size } = await handle.stat();
      const first = new Uint8Array(Math.min(8, size));
      await readFully(handle, path, first, 0);
      const header = new Uint8Array(parseHeaderLength(first, size));
      await readFully(handle, path, header, 8);
      return new SafetensorsFile(path, handle, parseSafetensorsHeader(header, size));
    } catch (error) {
      await handle.close();
      throw inFile(path, error);
    }
  }

  #info(name: string): TensorInfo {
    const info = this.tensors.get(name);
    if (info === undefined) throw new FormatError(`${this.path} has no tensor ${quoteName(name)}.`);
    return info;
  }

  async readBytes(name: string): Promise<Uint8Array> {
    const { begin, end } = this.#info(name);
    const bytes = allocate(`Tensor ${quoteName(name)}`, end - begin, () => new Uint8Array(end - begin));
    await readFully(this.#handle, this.path, bytes, this.#dataOffset + begin);
    return bytes;
  }

  /**
   * Values as float32. F32 is read straight into the result; F16, BF16 and F64 pass through a chunk.
   * @throws FormatError for an unknown name or a type without a float32 reading; LimitError without memory.
   */
  async readFloat32(name: string): Promise<Float32Array> {
    const { dtype, begin, end } = this.#info(name);
    if (!isFloatDtype(dtype)) {
      throw new FormatError(
        `${this.path}: tensor ${quoteName(name)} is ${dtype}; expected F32, F16, BF16 or F64. Quantised weights are not loaded: use the unquantised model.`,
      );
    }
    const elementBytes = ELEMENT_BYTES[dtype];
    const length = (end - begin) / elementBytes;
    const out = allocate(`Tensor ${quoteName(name)}`, length * 4, () => new Float32Array(length));
    const position = this.#dataOffset + begin;
    if (dtype === 'F32') {
      await readFully(this.#handle, this.path, new Uint8Array(out.buffer), position);
      return out;
    }
    const chunk = new Uint8Array(Math.min(length, CHUNK_ELEMENTS) * elementBytes);
    for (let at = 0; at < length; at += CHUNK_ELEMENTS) {
      const part = out.subarray(at, at + CHUNK_ELEMENTS);
      const bytes = chunk.subarray(0, part.length * elementBytes);
      await readFully(this.#handle, this.path, bytes, position + at * elementBytes);
      decodeFloat32(bytes, dtype, part);
    }
    return out;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

function* fileChunks(header: Uint8Array, tensors: readonly TensorInput[]): Generator<Uint8Array> {
  yield header;
  for (const tensor of tensors) {
    const length = numElements(tensor.shape)!;
    for (let at = 0; at < length; at += CHUNK_ELEMENTS) {
      yield storedBytes(tensor, at, Math.min(at + CHUNK_ELEMENTS, length));
    }
  }
}

/**
 * Writes a file atomically, one chunk at a time. The bytes equal those of `encodeSafetensors`.
 * @throws FormatError for tensors that do not fit their shapes (before anything is written); PlinthError `disk`.
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<TensorInput>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const ordered = layOut(tensors);
  for (const tensor of ordered) checkTensorInput(tensor);
  const header = encodeSafetensorsHeader(ordered, metadata);
  let sizeBytes = header.length;
  for (const { dtype, shape } of ordered) sizeBytes += numElements(shape)! * ELEMENT_BYTES[dtype];
  await writeFileAtomic(path, fileChunks(header, ordered), { sizeBytes });
}
