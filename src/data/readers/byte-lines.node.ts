/**
 * Lines of a file as text, streamed, with their numbers and byte offsets: the ground on which text, JSONL and
 * CSV readers stand. Compressed files are read as what is inside. A line that is not UTF-8 or longer than the
 * bound is given as damage, and so is a gap where a compressed file is damaged; the lines after it are read on.
 */
import { FormatError } from '../../core/errors.ts';
import { type ByteDamage, byteChunks } from './byte-chunks.node.ts';
import type { PositionSink } from './byte-window.node.ts';

export interface FileLine {
  /** 1-based. */
  number: number;
  /** Offset of the line's first byte, of the unpacked text in a compressed file. */
  offset: number;
  /** The line without its end, or null when it is damaged. */
  text: string | null;
  damage?: string;
  /** The damage is of the compressed file, at this offset in it. */
  packedOffset?: number;
}

export const defaultMaxLineBytes = 64 * 1024 * 1024;

/** Where a line stands, for reports. */
export function positionOf({ number, offset, packedOffset }: FileLine): string {
  return packedOffset === undefined
    ? `line ${number} (byte ${offset})`
    : `line ${number} (byte ${packedOffset} of the compressed file)`;
}

/**
 * The lines in batches, one for each chunk that is read, because a promise for each line costs more than reading
 * it.
 * @throws DataError for a file that is absent, empty or a folder; FormatError for UTF-16, and for a compressed
 * file from which nothing can be unpacked.
 */
export async function* fileLines(
  path: string,
  maxLineBytes = defaultMaxLineBytes,
  onPosition?: PositionSink,
): AsyncGenerator<FileLine[]> {
  const splitter = new LineSplitter(path, maxLineBytes);
  for await (const chunk of byteChunks(path, onPosition)) {
    const lines = 'reason' in chunk ? [splitter.damage(chunk)] : splitter.push(chunk);
    if (lines.length > 0) yield lines;
  }
  const last = splitter.end();
  if (last !== null) yield [last];
}

class LineSplitter {
  readonly #path: string;
  readonly #maxLineBytes: number;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  /** The line that is not at its end yet. */
  #parts: Uint8Array[] = [];
  #length = 0;
  #number = 1;
  #offset = 0;
  #isAtStart = true;

  constructor(path: string, maxLineBytes: number) {
    this.#path = path;
    this.#maxLineBytes = maxLineBytes;
  }

  push(chunk: Uint8Array): FileLine[] {
    const lines: FileLine[] = [];
    let start = 0;
    if (this.#isAtStart && chunk.length > 0) {
      this.#isAtStart = false;
      checkEncoding(chunk, this.#path);
      if (chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf) start = 3;
      this.#offset = start;
    }
    for (let end = chunk.indexOf(10, start); end !== -1; end = chunk.indexOf(10, start)) {
      this.#keep(chunk.subarray(start, end));
      start = end + 1;
      lines.push(this.#finish());
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
    return lines;
  }

  /** What has been read of the line before a gap is lost with it. */
  damage({ offset, reason, isGap }: ByteDamage): FileLine {
    const line: FileLine = {
      number: this.#number,
      offset: this.#offset,
      text: null,
      damage: reason,
      packedOffset: offset,
    };
    if (isGap) {
      this.#isAtStart = false;
      this.#next();
    }
    return line;
  }

  end(): FileLine | null {
    return this.#length > 0 ? this.#finish() : null;
  }

  #keep(part: Uint8Array): void {
    // Beyond the bound only the length is kept, so that a file without line ends cannot fill the memory.
    if (this.#length <= this.#maxLineBytes) this.#parts.push(part);
    this.#length += part.length;
  }

  #finish(): FileLine {
    const number = this.#number;
    const offset = this.#offset;
    let line: FileLine;
    if (this.#length > this.#maxLineBytes) {
      line = { number, offset, text: null, damage: `longer than ${this.#maxLineBytes} bytes` };
    } else {
      let bytes = this.#parts.length === 1 ? this.#parts[0]! : concatenate(this.#parts, this.#length);
      if (bytes.at(-1) === 13) bytes = bytes.subarray(0, -1);
      try {
        line = { number, offset, text: this.#decoder.decode(bytes) };
      } catch {
        line = { number, offset, text: null, damage: 'not valid UTF-8' };
      }
    }
    this.#next();
    return line;
  }

  #next(): void {
    this.#offset += this.#length + 1;
    this.#number++;
    this.#parts = [];
    this.#length = 0;
  }
}

export function concatenate(parts: readonly Uint8Array[], length: number): Uint8Array {
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function checkEncoding(chunk: Uint8Array, path: string): void {
  const [first, second] = chunk;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    throw new FormatError(`${path} is UTF-16. Save it as UTF-8 (for example: iconv -f UTF-16 -t UTF-8).`);
  }
}
