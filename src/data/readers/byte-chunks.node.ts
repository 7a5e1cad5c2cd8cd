/**
 * The bytes of any file, unpacked, in chunks: the ground on which the readers of lines, pages and records stand.
 * Damage is told with its offset in the file, in its place among the chunks, and never thrown: what stands
 * before it has been given, and what can be read behind it follows. Only a file of which nothing comes out at
 * all is an error.
 */
import { type BrotliDecompress, constants, createBrotliDecompress } from 'node:zlib';
import { FormatError, messageOf } from '../../core/errors.ts';
import { ByteWindow, checkFile, type PositionSink, readSizeBytes } from './byte-window.node.ts';
import { DecompressionWorker } from './decompression-worker.node.ts';
import { type Compression, compressionOf } from './file-format.ts';
import { gzipPieces } from './gzip-members.node.ts';
import { xzStreams } from './xz-streams.node.ts';
import { zstdFrames } from './zstd-frames.node.ts';

export interface ByteDamage {
  /** Offset in the file, in its packed form. */
  offset: number;
  reason: string;
  /** Bytes are missing here; else all are there, but a checksum or what follows them is wrong. */
  isGap: boolean;
}

/** Unpacked bytes, the caller's to keep, or what is missing in their place. */
export type ByteChunk = Uint8Array | ByteDamage;

const formatNames: Record<Compression, string> = {
  gz: 'gzip',
  zst: 'Zstandard',
  bz2: 'bzip2',
  xz: 'xz',
  br: 'Brotli',
};
/** bzip2 and Brotli get their input in pieces of this size, which says how exact the place of a damage is. */
const pieceBytes = 16 * 1024;

/**
 * @throws DataError for a file that is absent, empty, a folder or unreadable; FormatError when its extension
 * names a compression and nothing could be unpacked.
 */
export async function* byteChunks(path: string, onPosition?: PositionSink): AsyncGenerator<ByteChunk> {
  await checkFile(path);
  const compression = compressionOf(path);
  if (compression === null) {
    yield* storedChunks(path, onPosition);
    return;
  }
  let hasBytes = false;
  let first: ByteDamage | undefined;
  const kept: ByteDamage[] = [];
  let numMore = 0;
  for await (const chunk of unpackers[compression](path, onPosition)) {
    if (hasBytes) {
      yield chunk;
    } else if ('reason' in chunk) {
      first ??= chunk;
      if (kept.length < maxKeptDamages) kept.push(chunk);
      else numMore++;
    } else if (chunk.length > 0) {
      hasBytes = true;
      yield* kept;
      if (numMore > 0) {
        const reason = `${numMore} more damaged places before the first byte that could be unpacked`;
        yield { offset: kept.at(-1)!.offset, reason, isGap: true };
      }
      yield chunk;
    }
  }
  if (!hasBytes && first !== undefined) {
    throw new FormatError(
      `${path} could not be unpacked as ${formatNames[compression]}: ${first.reason} (byte ${first.offset}). ` +
        'Check that the file is whole and that its extension fits.',
    );
  }
}

/** Damages before the first byte that came out; they are told when one does. */
const maxKeptDamages = 1000;

/** Only gzip tells positions. */
const unpackers: Record<Compression, (path: string, onPosition?: PositionSink) => AsyncGenerator<ByteChunk>> =
  {
    gz: gunzip,
    zst: zstdFrames,
    xz: xzStreams,
    bz2: bunzip2,
    br: unbrotli,
  };

async function* storedChunks(path: string, onPosition?: PositionSink): AsyncGenerator<Uint8Array> {
  const window = new ByteWindow(path, readSizeBytes);
  try {
    for (;;) {
      await window.fill(1);
      if (window.length === 0) return;
      const chunk = new Uint8Array(window.bytes);
      window.advance(window.length);
      onPosition?.(window.offset);
      yield chunk;
    }
  } finally {
    await window.close();
  }
}

async function* gunzip(path: string, onPosition?: PositionSink): AsyncGenerator<ByteChunk> {
  const options = { keepUnverified: true, ...(onPosition && { onPosition }) };
  for await (const piece of gzipPieces(path, options)) {
    yield 'reason' in piece ? piece : piece.bytes;
  }
}

async function* bunzip2(path: string): AsyncGenerator<ByteChunk> {
  const window = new ByteWindow(path, readSizeBytes);
  const worker = new DecompressionWorker('bz2');
  let hasMagic = false;
  try {
    for (;;) {
      await window.fill(pieceBytes);
      const piece = window.bytes.subarray(0, pieceBytes);
      if (!hasMagic && piece.toString('latin1', 0, 3) !== 'BZh') {
        yield { offset: 0, reason: 'not bzip2 (expected BZh)', isGap: true };
        return;
      }
      hasMagic = true;
      yield* worker.push(piece, piece.length === 0);
      if (piece.length === 0) return;
      window.advance(piece.length);
    }
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    yield {
      offset: window.offset,
      reason: `damaged bzip2 data before this byte: ${error.message}`,
      isGap: true,
    };
  } finally {
    await worker.close();
    await window.close();
  }
}

async function* unbrotli(path: string): AsyncGenerator<ByteChunk> {
  const window = new ByteWindow(path, readSizeBytes);
  const stream = createBrotliDecompress({
    chunkSize: readSizeBytes,
    params: { [constants.BROTLI_DECODER_PARAM_LARGE_WINDOW]: 0 },
  });
  const outputs: Uint8Array[] = [];
  let failure: Error | null = null;
  let isEnd = false;
  let written = 0;
  let wake = (): void => {};
  stream.on('data', (bytes: Buffer) => outputs.push(bytes));
  stream.on('end', () => {
    isEnd = true;
    wake();
  });
  stream.on('error', (error) => {
    failure = error;
    wake();
  });
  try {
    while (!isEnd) {
      await window.fill(pieceBytes);
      const piece = window.bytes.subarray(0, pieceBytes);
      written += piece.length;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (piece.length > 0) stream.write(piece, () => resolve());
        else stream.end();
      });
      yield* outputs.splice(0);
      if (failure !== null) {
        yield { offset: window.offset, reason: `damaged Brotli data: ${messageOf(failure)}`, isGap: true };
        return;
      }
      const rest = written - (stream as BrotliDecompress).bytesWritten;
      if (rest > 0) {
        yield { offset: written - rest, reason: 'bytes behind the end of the Brotli data', isGap: false };
        return;
      }
      window.advance(piece.length);
    }
  } finally {
    stream.destroy();
    await window.close();
  }
}
