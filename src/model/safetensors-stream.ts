/**
 * A safetensors file that arrives in order, such as a download. The header is read when it is opened; each tensor goes
 * into memory of its own as its bytes arrive, float32 straight into the memory it ends up in, and is handed out once.
 * At no time is there a second copy of more than one tensor.
 */
import { FormatError, PlinthError } from '../core/errors.ts';
import { allocate, type TensorSource } from './safetensors.ts';
import { decodeFloat32, isFloatDtype } from './safetensors-float.ts';
import {
  ELEMENT_BYTES,
  parseHeaderLength,
  parseSafetensorsHeader,
  quoteName,
  type SafetensorsHeader,
  type TensorInfo,
} from './safetensors-header.ts';

export interface SafetensorsStreamOptions {
  /** Path or address, for errors. */
  readonly path: string;
  /** Size of the file where it is known. */
  readonly sizeBytes?: number | undefined;
  /** Told of tensor bytes that arrived. */
  readonly onBytes?: (numBytes: number) => void;
}

/** Bytes of a stream in pieces of any wanted size. */
class ByteReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);
  #at = 0;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
  }

  /** Bytes taken so far. */
  get at(): number {
    return this.#at;
  }

  /** Fills `target` and gives the number of bytes written: fewer only where the stream ends. */
  async fill(target: Uint8Array, onBytes?: (numBytes: number) => void): Promise<number> {
    let done = 0;
    while (done < target.length) {
      if (this.#rest.length === 0) {
        const { value } = await this.#reader.read();
        if (value === undefined) break;
        this.#rest = value;
        continue;
      }
      const part = this.#rest.subarray(0, target.length - done);
      target.set(part, done);
      this.#rest = this.#rest.subarray(part.length);
      done += part.length;
      this.#at += part.length;
      onBytes?.(part.length);
    }
    return done;
  }

  async cancel(): Promise<void> {
    // A stream that has failed refuses to be cancelled; its error was seen where it was read.
    await this.#reader.cancel().catch(() => {});
  }
}

export class SafetensorsStream implements TensorSource {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Bytes of all tensors. */
  readonly dataBytes: number;
  readonly #bytes: ByteReader;
  readonly #options: SafetensorsStreamOptions;
  /** Names that have not arrived yet, in the order of the file. */
  readonly #coming: string[];
  readonly #arrived = new Map<string, Uint8Array<ArrayBuffer>>();

  private constructor(bytes: ByteReader, header: SafetensorsHeader, options: SafetensorsStreamOptions) {
    this.tensors = header.tensors;
    this.#bytes = bytes;
    this.#options = options;
    this.#coming = [...header.tensors.keys()];
    this.dataBytes = header.tensors.get(this.#coming.at(-1) ?? '')?.end ?? 0;
  }

  /**
   * Reads and checks the header.
   * @throws FormatError for a file that does not follow the format or ends too early.
   */
  static async open(
    stream: ReadableStream<Uint8Array>,
    options: SafetensorsStreamOptions,
  ): Promise<SafetensorsStream> {
    const bytes = new ByteReader(stream);
    const sizeBytes = options.sizeBytes ?? Infinity;
    try {
      const first = new Uint8Array(8);
      const numFirst = await bytes.fill(first);
      const length = parseHeaderLength(first.subarray(0, numFirst), numFirst < 8 ? numFirst : sizeBytes);
      const header = new Uint8Array(length);
      const got = await bytes.fill(header);
      if (got < length) throw new FormatError(`It ends at byte ${8 + got}, in the middle of its header.`);
      return new SafetensorsStream(bytes, parseSafetensorsHeader(header, sizeBytes), options);
    } catch (error) {
      await bytes.cancel();
      throw error instanceof FormatError
        ? new FormatError(`${options.path}: ${error.message}`, { cause: error })
        : error;
    }
  }

  /** Takes everything in, so that nothing waits at the other end. */
  async readAhead(): Promise<void> {
    while (this.#coming.length > 0) await this.#next();
  }

  /** Each tensor can be read once. One call at a time. */
  async readBytes(name: string): Promise<Uint8Array<ArrayBuffer>> {
    if (!this.tensors.has(name))
      throw new FormatError(`${this.#options.path} has no tensor ${quoteName(name)}.`);
    while (!this.#arrived.has(name) && this.#coming.length > 0) await this.#next();
    const bytes = this.#arrived.get(name);
    if (bytes === undefined) {
      throw new PlinthError(
        'runtime',
        `Tensor ${quoteName(name)} was read before; what arrives in order is handed out once.`,
      );
    }
    this.#arrived.delete(name);
    return bytes;
  }

  /** @throws FormatError for a type without a float32 reading. */
  async readFloat32(name: string): Promise<Float32Array> {
    const bytes = await this.readBytes(name);
    const { dtype } = this.tensors.get(name)!;
    if (!isFloatDtype(dtype)) {
      throw new FormatError(
        `${this.#options.path}: tensor ${quoteName(name)} is ${dtype}; expected F32, F16, BF16 or F64.`,
      );
    }
    if (dtype === 'F32') return new Float32Array(bytes.buffer);
    const length = bytes.length / ELEMENT_BYTES[dtype];
    const out = allocate(`Tensor ${quoteName(name)}`, length * 4, () => new Float32Array(length));
    decodeFloat32(bytes, dtype, out);
    return out;
  }

  async close(): Promise<void> {
    this.#arrived.clear();
    await this.#bytes.cancel();
  }

  async #next(): Promise<void> {
    const { path, onBytes } = this.#options;
    const name = this.#coming.shift()!;
    const { begin, end } = this.tensors.get(name)!;
    const bytes = allocate(`Tensor ${quoteName(name)}`, end - begin, () => new Uint8Array(end - begin));
    const got = await this.#bytes.fill(bytes, onBytes);
    if (got < bytes.length) {
      throw new FormatError(
        `${path} is truncated: it ends at byte ${this.#bytes.at}, ${this.dataBytes - begin - got} bytes before ` +
          'the end that its header tells of. Fetch it again, and check the copy on the server.',
      );
    }
    this.#arrived.set(name, bytes);
    if (this.#coming.length > 0) return;
    if ((await this.#bytes.fill(new Uint8Array(1))) > 0) {
      throw new FormatError(
        `${path} goes on after the ${this.#bytes.at - 1} bytes that its header tells of.`,
      );
    }
  }
}
