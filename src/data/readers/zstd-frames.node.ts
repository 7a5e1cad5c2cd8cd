/**
 * The frames of a Zstandard file (RFC 8878), walked block by block: fzstd decodes the blocks, and here window
 * sizes are bounded and each frame's checksum is compared, which it does not do. After damage, reading goes on
 * at the next frame header.
 */
import xxhash from 'xxhash-wasm';
import { FormatError } from '../../core/errors.ts';
import type { ByteChunk } from './byte-chunks.node.ts';
import { ByteWindow, readSizeBytes } from './byte-window.node.ts';
import { DecompressionWorker } from './decompression-worker.node.ts';

/** The most memory a frame may ask for; the same bound as zstd's own without --long. */
const maxWindowBytes = 128 * 1024 * 1024;
/** RFC 8878, 3.1.1.2.3: a block is at most 128 KB. */
const maxBlockBytes = 128 * 1024;
const frameMagic = 0xfd2fb528;
const checksumBytes = 4;
/** Blocks are sent to the decoder together up to this size. */
const batchBytes = 64 * 1024;

let hashing: ReturnType<typeof xxhash> | undefined;

/** @throws DataError when the file cannot be read. */
export async function* zstdFrames(path: string): AsyncGenerator<ByteChunk> {
  const window = new ByteWindow(path, 2 * readSizeBytes);
  hashing ??= xxhash();
  const { create64 } = await hashing;
  let worker: DecompressionWorker | null = null;
  try {
    for (;;) {
      await window.fill(maxBlockBytes);
      if (window.length === 0) return;
      const offset = window.offset;
      const header = frameHeader(window.bytes);
      if (typeof header === 'string') {
        yield { offset, reason: header, isGap: true };
        await toNextFrame(window, 1);
        continue;
      }
      if ('skipBytes' in header) {
        if (await skip(window, header.skipBytes)) continue;
        yield { offset, reason: 'the file ends inside a skippable frame', isGap: false };
        return;
      }
      worker ??= new DecompressionWorker('zst');
      const hash = create64();
      try {
        for (let at = header.headerBytes, isEnd = false; !isEnd; at = 0) {
          await window.fill(batchBytes + maxBlockBytes + 16);
          const batch = blocksOf(window.bytes, at, header.hasChecksum);
          isEnd = batch.isEnd;
          for await (const bytes of worker.push(window.bytes.subarray(0, batch.length), isEnd)) {
            hash.update(bytes);
            yield bytes;
          }
          if (isEnd && header.hasChecksum) {
            const stored = window.bytes.readUInt32LE(batch.length - checksumBytes);
            const isRight = stored === Number(hash.digest() & 0xffffffffn);
            if (!isRight) yield { offset, reason: 'damaged Zstandard frame: wrong checksum', isGap: false };
          }
          window.advance(batch.length);
        }
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        await worker.close();
        worker = null;
        yield { offset, reason: `damaged Zstandard frame: ${error.message}`, isGap: true };
        await toNextFrame(window, window.offset === offset ? 1 : 0);
      }
    }
  } finally {
    await worker?.close();
    await window.close();
  }
}

type FrameHeader = { headerBytes: number; hasChecksum: boolean } | { skipBytes: number };

/** RFC 8878, 3.1.1.1 and 3.1.2. */
function frameHeader(bytes: Buffer): FrameHeader | string {
  if (bytes.length < 8) return 'the Zstandard frame header is cut';
  const magic = bytes.readUInt32LE(0);
  if (magic >>> 4 === 0x184d2a5) return { skipBytes: 8 + bytes.readUInt32LE(4) };
  if (magic !== frameMagic) return 'not a Zstandard frame (expected 28 b5 2f fd)';
  const descriptor = bytes[4]!;
  if (descriptor & 8) return 'damaged Zstandard frame: a reserved bit is set';
  const isSingleSegment = (descriptor & 32) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  if (dictionaryBytes > 0) return 'the Zstandard frame needs a dictionary; unpack it with zstd -D first';
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >>> 6]!;
  const headerBytes = 5 + (isSingleSegment ? 0 : 1) + sizeBytes;
  if (bytes.length < headerBytes) return 'the Zstandard frame header is cut';
  let windowSizeBytes: number;
  if (isSingleSegment) {
    windowSizeBytes = contentSize(bytes, headerBytes - sizeBytes, sizeBytes);
  } else {
    const base = 2 ** (10 + (bytes[5]! >>> 3));
    windowSizeBytes = base + (base / 8) * (bytes[5]! & 7);
  }
  if (windowSizeBytes > maxWindowBytes) {
    return `the Zstandard frame needs a window of ${windowSizeBytes} bytes; the most is ${maxWindowBytes}`;
  }
  return { headerBytes, hasChecksum: (descriptor & 4) !== 0 };
}

function contentSize(bytes: Buffer, at: number, sizeBytes: number): number {
  if (sizeBytes === 1) return bytes[at]!;
  if (sizeBytes === 2) return 256 + bytes.readUInt16LE(at);
  return sizeBytes === 4 ? bytes.readUInt32LE(at) : Number(bytes.readBigUInt64LE(at));
}

/** Whole blocks from `at`, their end, and whether the frame ends there. @throws FormatError when one is cut. */
function blocksOf(bytes: Buffer, at: number, hasChecksum: boolean): { length: number; isEnd: boolean } {
  let end = at;
  while (end - at < batchBytes) {
    if (end + 3 > bytes.length) throw new FormatError('the file ends inside of it');
    const header = bytes.readUIntLE(end, 3);
    const type = (header >>> 1) & 3;
    const size = header >>> 3;
    if (type === 3) throw new FormatError('unknown type of block');
    if (size > maxBlockBytes) throw new FormatError(`a block of ${size} bytes, the most is ${maxBlockBytes}`);
    const isEnd = (header & 1) !== 0;
    end += 3 + (type === 1 ? 1 : size) + (isEnd && hasChecksum ? checksumBytes : 0);
    if (end > bytes.length) throw new FormatError('the file ends inside of it');
    if (isEnd) return { length: end, isEnd };
  }
  return { length: end, isEnd: false };
}

async function skip(window: ByteWindow, numBytes: number): Promise<boolean> {
  for (let left = numBytes; left > 0; ) {
    await window.fill(1);
    if (window.length === 0) return false;
    const step = Math.min(left, window.length);
    window.advance(step);
    left -= step;
  }
  return true;
}

async function toNextFrame(window: ByteWindow, skipBytes: number): Promise<void> {
  window.advance(Math.min(skipBytes, window.length));
  for (;;) {
    await window.fill(readSizeBytes);
    const { bytes } = window;
    const at = bytes.indexOf(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]));
    if (at !== -1) {
      window.advance(at);
      return;
    }
    window.advance(window.isAtEnd ? bytes.length : bytes.length - 3);
    if (window.isAtEnd) return;
  }
}
