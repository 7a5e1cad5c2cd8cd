/**
 * A moving window over a file's bytes: what compressed formats are taken apart in. Reads in order, so that
 * pipes work too, and goes back only where it can; a view of the window is valid until the next `fill`.
 */
import { type FileHandle, open, stat } from 'node:fs/promises';
import { DataError, messageOf } from '../../core/errors.ts';

export const readSizeBytes = 256 * 1024;

/** Takes how far reading has come in a file, in bytes as they lie on disk. */
export type PositionSink = (numBytes: number) => void;

/** @throws DataError that says what is wrong with the path. */
export async function checkFile(path: string): Promise<{ sizeBytes: number }> {
  let info: Awaited<ReturnType<typeof stat>>;
  try {
    info = await stat(path);
  } catch (error) {
    const isAbsent = (error as { code?: unknown }).code === 'ENOENT';
    throw new DataError(
      isAbsent
        ? `There is no file ${path}. Check the path.`
        : `${path} cannot be opened (${messageOf(error)}).`,
      { cause: error },
    );
  }
  if (info.isDirectory()) throw new DataError(`${path} is a folder; name a file in it.`);
  if (info.size === 0 && info.isFile()) throw new DataError(`${path} is empty.`);
  return { sizeBytes: info.size };
}

export class ByteWindow {
  readonly path: string;
  #file: FileHandle | null = null;
  #buffer: Buffer;
  #start = 0;
  #end = 0;
  #offset = 0;
  #isAtEnd = false;
  /** Where the next read begins; null in a pipe, which has no places. */
  #readOffset: number | null = 0;

  /** @param capacityBytes the most that the window can hold. */
  constructor(path: string, capacityBytes: number) {
    this.path = path;
    this.#buffer = Buffer.allocUnsafeSlow(capacityBytes);
  }

  /** Offset in the file of the window's first byte. */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes in the window. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** No byte of the file is missing behind the window. */
  get isAtEnd(): boolean {
    return this.#isAtEnd;
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  /**
   * Reads until the window holds `numBytes` or the file ends; what was viewed before may be overwritten.
   * @throws DataError when the file cannot be opened or read.
   */
  async fill(numBytes: number): Promise<void> {
    if (this.length >= numBytes || this.#isAtEnd) return;
    if (this.#start > 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    const wanted = Math.min(numBytes, this.#buffer.length);
    try {
      if (this.#file === null) {
        this.#file = await open(this.path, 'r');
        if (!(await this.#file.stat()).isFile()) this.#readOffset = null;
      }
      while (this.#end < wanted) {
        const { bytesRead } = await this.#file.read(
          this.#buffer,
          this.#end,
          this.#buffer.length - this.#end,
          this.#readOffset,
        );
        if (bytesRead === 0) {
          this.#isAtEnd = true;
          return;
        }
        this.#end += bytesRead;
        if (this.#readOffset !== null) this.#readOffset += bytesRead;
      }
    } catch (error) {
      throw new DataError(`${this.path} could not be read to its end (${messageOf(error)}).`, {
        cause: error,
      });
    }
  }

  advance(numBytes: number): void {
    this.#start += numBytes;
    this.#offset += numBytes;
  }

  /** Goes back to an earlier place of the file; false, and nothing is changed, where that cannot be done. */
  rewind(offset: number): boolean {
    if (this.#readOffset === null) return false;
    this.#start = 0;
    this.#end = 0;
    this.#offset = offset;
    this.#readOffset = offset;
    this.#isAtEnd = false;
    return true;
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await file?.close().catch(() => {});
  }
}
