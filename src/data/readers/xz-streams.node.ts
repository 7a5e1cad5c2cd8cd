/**
 * The streams of an .xz file one after the other: the decoder knows one stream only and stops at its end, so
 * that a file of several (two files put together) is cut here, at a stream footer followed by a stream header
 * (xz file format 1.2.0, 2.1). After damage, reading goes on at the next stream.
 */
import { FormatError } from '../../core/errors.ts';
import type { ByteChunk } from './byte-chunks.node.ts';
import { ByteWindow, readSizeBytes } from './byte-window.node.ts';
import { DecompressionWorker } from './decompression-worker.node.ts';

const headerMagic = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
const streamHeaderBytes = 12;

/** @throws DataError when the file cannot be read. */
export async function* xzStreams(path: string): AsyncGenerator<ByteChunk> {
  const window = new ByteWindow(path, 2 * readSizeBytes);
  let worker: DecompressionWorker | null = null;
  try {
    for (;;) {
      await window.fill(readSizeBytes);
      const streamOffset = window.offset;
      if (window.length === 0) return;
      if (!window.bytes.subarray(0, headerMagic.length).equals(headerMagic)) {
        yield { offset: streamOffset, reason: 'not an xz stream (expected fd 37 7a 58 5a 00)', isGap: true };
        await toNextStream(window, 1);
        continue;
      }
      worker ??= new DecompressionWorker('xz');
      try {
        for (let isEnd = false; !isEnd; ) {
          await window.fill(readSizeBytes);
          const next = nextStreamAt(window, window.offset === streamOffset);
          isEnd = next !== -1 || window.isAtEnd;
          // A header may begin in the last bytes: these wait for what follows them.
          const length = next !== -1 ? next : window.length - (window.isAtEnd ? 0 : streamHeaderBytes);
          yield* worker.push(window.bytes.subarray(0, length), isEnd);
          window.advance(length);
        }
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        await worker.close();
        worker = null;
        yield { offset: streamOffset, reason: `damaged xz stream: ${error.message}`, isGap: true };
        await toNextStream(window, window.offset === streamOffset ? 1 : 0);
      }
    }
  } finally {
    await worker?.close();
    await window.close();
  }
}

/** Where in the window another stream begins, or -1. */
function nextStreamAt(window: ByteWindow, isAtStart: boolean): number {
  const { bytes } = window;
  for (
    let at = bytes.indexOf(headerMagic, isAtStart ? 1 : 0);
    at !== -1;
    at = bytes.indexOf(headerMagic, at + 1)
  ) {
    if (followsFooter(bytes, at, window.offset)) return at;
  }
  return -1;
}

/** Streams and the zeros between them take multiples of four bytes; a footer ends in 'YZ'. */
function followsFooter(bytes: Buffer, at: number, offset: number): boolean {
  if ((offset + at) % 4 !== 0) return false;
  let end = at;
  while (end >= 4 && bytes.readUInt32LE(end - 4) === 0) end -= 4;
  return end < 2 ? end === 0 && offset > 0 : bytes[end - 2] === 0x59 && bytes[end - 1] === 0x5a;
}

async function toNextStream(window: ByteWindow, skipBytes: number): Promise<void> {
  window.advance(Math.min(skipBytes, window.length));
  for (;;) {
    await window.fill(readSizeBytes);
    const at = window.bytes.indexOf(headerMagic);
    if (at !== -1) {
      window.advance(at);
      return;
    }
    window.advance(window.isAtEnd ? window.length : window.length - headerMagic.length);
    if (window.isAtEnd) return;
  }
}
