/**
 * Lines of a file as text, streamed, with their numbers and byte offsets: the ground on which text, JSONL and
 * CSV readers stand. Opens `.gz` files as what is inside. A line that is not UTF-8 or longer than the bound is
 * given as damage, and the lines after it are read on.
 */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { DataError, FormatError, messageOf } from '../../core/errors.ts';

export interface FileLine {
  /** 1-based. */
  number: number;
  /** Offset of the line's first byte (of the unpacked text for .gz). */
  offset: number;
  /** The line without its end, or null when it is damaged. */
  text: string | null;
  damage?: string;
}

export const defaultMaxLineBytes = 64 * 1024 * 1024;

/** @throws DataError for a file that is absent, empty or a folder; FormatError for a damaged archive or UTF-16. */
export async function* fileLines(path: string, maxLineBytes = defaultMaxLineBytes): AsyncGenerator<FileLine> {
  await checkFile(path);
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let parts: Uint8Array[] = [];
  let length = 0;
  let number = 1;
  let offset = 0;
  const finish = (): FileLine => {
    const line = lineOf(parts, length, maxLineBytes, decoder);
    const done: FileLine = { number, offset, ...line };
    parts = [];
    offset += length + 1;
    length = 0;
    number++;
    return done;
  };
  for await (const chunk of byteChunks(path)) {
    if (offset === 0 && length === 0) checkEncoding(chunk, path);
    let start =
      number === 1 && length === 0 && chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf ? 3 : 0;
    offset += start;
    for (let end = chunk.indexOf(10, start); end !== -1; end = chunk.indexOf(10, start)) {
      keep(chunk.subarray(start, end));
      start = end + 1;
      yield finish();
    }
    keep(chunk.subarray(start));
  }
  if (length > 0) yield finish();

  function keep(part: Uint8Array): void {
    // Beyond the bound only the length is kept, so that a file without line ends cannot fill the memory.
    if (length <= maxLineBytes) parts.push(part);
    length += part.length;
  }
}

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

async function* byteChunks(path: string): AsyncGenerator<Uint8Array> {
  const file = createReadStream(path, { highWaterMark: 256 * 1024 });
  const stream = path.toLowerCase().endsWith('.gz') ? file.pipe(createGunzip()) : file;
  // pipe() does not pass errors on: without this a failing file would leave the reader waiting.
  if (stream !== file) file.on('error', (error) => stream.destroy(error));
  try {
    for await (const chunk of stream) yield chunk as Uint8Array;
  } catch (error) {
    throw new FormatError(`${path} could not be read to its end (${messageOf(error)}).`, { cause: error });
  } finally {
    file.destroy();
    stream.destroy();
  }
}

function lineOf(
  parts: readonly Uint8Array[],
  length: number,
  maxLineBytes: number,
  decoder: TextDecoder,
): { text: string | null; damage?: string } {
  if (length > maxLineBytes) return { text: null, damage: `longer than ${maxLineBytes} bytes` };
  let bytes = parts.length === 1 ? parts[0]! : concatenate(parts, length);
  if (bytes.at(-1) === 13) bytes = bytes.subarray(0, -1);
  try {
    return { text: decoder.decode(bytes) };
  } catch {
    return { text: null, damage: 'not valid UTF-8' };
  }
}

function concatenate(parts: readonly Uint8Array[], length: number): Uint8Array {
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
