/**
 * The members of a gzip file (RFC 1952), each inflated on its own: one synchronous inflate for a member that
 * fits the window (Common Crawl's are 5 to 20 KB), a stream for a longer one. A damaged member is told with its
 * offset, and reading goes on at the next member header. The checksum of every member is compared.
 */
import { constants, crc32, inflateRawSync } from 'node:zlib';
import { messageOf } from '../../core/errors.ts';
import { ByteWindow, type PositionSink, readSizeBytes } from './byte-window.node.ts';
import { PieceInflate } from './piece-inflate.node.ts';

/** Compressed members up to this size are inflated in one call. */
const windowBytes = 1024 * 1024;
/** Output of one such call; a member with more is streamed. */
const maxInflatedBytes = 32 * 1024 * 1024;
/** A streamed member is fed in pieces of this size, which bounds what a bomb can unpack at once (1032 to 1). */
const streamPieceBytes = 64 * 1024;
const fixedHeaderBytes = 10;
const trailerBytes = 8;

export interface GzipPiece {
  /** Unpacked bytes; the caller may keep them. */
  bytes: Uint8Array;
  /** Offset in the file of the member they come from. */
  memberOffset: number;
  /** They begin a member. */
  isFirst: boolean;
  /** They end it. */
  isLast: boolean;
}

export interface GzipDamage {
  /** Offset in the file where the damaged member begins. */
  offset: number;
  reason: string;
  /** Bytes are missing here; else all are there, but not to be trusted. */
  isGap: boolean;
}

export interface GzipOptions {
  /** Give out the bytes of a member whose checksum is wrong, if it fits the window; the damage follows them. */
  keepUnverified: boolean;
  /** Told how many bytes of the file are behind. */
  onPosition?: PositionSink;
}

/** @throws DataError when the file cannot be read. */
export async function* gzipPieces(
  path: string,
  { keepUnverified, onPosition }: GzipOptions,
): AsyncGenerator<GzipPiece | GzipDamage> {
  const window = new ByteWindow(path, windowBytes + readSizeBytes);
  try {
    for (;;) {
      await window.fill(readSizeBytes / 4);
      if (window.length === 0) return;
      const offset = window.offset;
      onPosition?.(offset);
      if (isZeroPadding(window.bytes)) {
        window.advance(window.length);
        continue;
      }
      const headerBytes = await takeHeader(window);
      if (typeof headerBytes === 'string') {
        yield { offset, reason: headerBytes, isGap: true };
        await toNextMember(window, 1);
        continue;
      }
      const whole = await inflateWhole(window, headerBytes);
      if (whole === 'long') {
        for await (const piece of streamMember(window, headerBytes)) {
          onPosition?.(window.offset);
          yield piece;
        }
        continue;
      }
      const { bytes, consumedBytes, damage, isVerified, isGap = false } = whole;
      if (bytes.length > 0 && (isVerified || keepUnverified)) {
        yield { bytes, memberOffset: offset, isFirst: true, isLast: damage === undefined };
      }
      if (damage !== undefined) yield { offset, reason: damage, isGap: isGap || !keepUnverified };
      if (consumedBytes > 0) window.advance(consumedBytes);
      else await toNextMember(window, headerBytes);
    }
  } finally {
    await window.close();
  }
}

/** Length of the member header at the window's start, or why there is none. */
async function takeHeader(window: ByteWindow): Promise<number | string> {
  let length = headerLength(window.bytes);
  if (length === 'short') {
    await window.fill(windowBytes);
    length = headerLength(window.bytes);
  }
  return length === 'short' ? 'the gzip header is cut' : length;
}

/** RFC 1952, 2.3. */
function headerLength(bytes: Buffer): number | 'short' | string {
  if (bytes.length < fixedHeaderBytes) return 'short';
  if (!isHeaderStart(bytes, 0)) return 'not a gzip member (expected 1f 8b 08)';
  const flags = bytes[3]!;
  let at = fixedHeaderBytes;
  if (flags & 4) {
    if (bytes.length < 12) return 'short';
    at += 2 + bytes.readUInt16LE(10);
  }
  // Name and comment are zero-ended.
  for (const flag of [8, 16]) {
    if ((flags & flag) === 0) continue;
    const end = bytes.indexOf(0, at);
    if (end === -1) return bytes.length >= windowBytes ? 'the gzip header has no end' : 'short';
    at = end + 1;
  }
  if (flags & 2) at += 2;
  return at > bytes.length ? 'short' : at;
}

/** Magic, deflate, no reserved flag. */
function isHeaderStart(bytes: Buffer, at: number): boolean {
  return bytes[at] === 0x1f && bytes[at + 1] === 0x8b && bytes[at + 2] === 8 && (bytes[at + 3]! & 0xe0) === 0;
}

interface WholeMember {
  bytes: Uint8Array;
  /** 0: unknown, look for the next header. */
  consumedBytes: number;
  damage?: string;
  /** The checksum was right, or the damage was met before it: what came out until then stands. */
  isVerified: boolean;
  /** Bytes of the member are missing. */
  isGap?: boolean;
}

/** With `info`, zlib's functions also tell how much input was used; its types do not know. */
interface InflateResult {
  buffer: Buffer;
  engine: { bytesWritten: number };
}

async function inflateWhole(window: ByteWindow, headerBytes: number): Promise<WholeMember | 'long'> {
  for (;;) {
    const deflated = window.bytes.subarray(headerBytes);
    try {
      const { buffer, engine } = inflateRawSync(deflated, {
        info: true,
        maxOutputLength: maxInflatedBytes,
        chunkSize: 32 * 1024,
      }) as unknown as InflateResult;
      const end = headerBytes + engine.bytesWritten;
      if (window.length < end + trailerBytes) {
        if (!window.isAtEnd && end + trailerBytes <= windowBytes) {
          await window.fill(end + trailerBytes);
          if (window.length >= end + trailerBytes) return verified(window.bytes, headerBytes, end, buffer);
        }
        if (!window.isAtEnd) return 'long';
        return {
          bytes: buffer,
          consumedBytes: window.length,
          damage: 'the gzip member is cut in its checksum',
          isVerified: true,
        };
      }
      return verified(window.bytes, headerBytes, end, buffer);
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      if (code === 'ERR_BUFFER_TOO_LARGE') return 'long';
      if (code === 'Z_BUF_ERROR' && !window.isAtEnd) {
        if (window.length >= windowBytes) return 'long';
        await window.fill(windowBytes);
        continue;
      }
      const reason = code === 'Z_BUF_ERROR' ? 'the file ends inside of it' : messageOf(error);
      // What belongs to another member is none of this one's.
      const next = likelyHeaderAt(window.bytes, headerBytes);
      return {
        bytes: inflatePrefix(window.bytes.subarray(headerBytes, next === -1 ? undefined : next)),
        consumedBytes: 0,
        damage: `damaged gzip member: ${reason}`,
        isVerified: true,
        isGap: true,
      };
    }
  }
}

function verified(bytes: Buffer, headerBytes: number, end: number, buffer: Buffer): WholeMember {
  const consumedBytes = end + trailerBytes;
  if (bytes.readUInt32LE(end) === crc32(buffer) && bytes.readUInt32LE(end + 4) === buffer.length >>> 0) {
    return { bytes: buffer, consumedBytes, isVerified: true };
  }
  const next = likelyHeaderAt(bytes, headerBytes);
  if (next !== -1 && next < consumedBytes) {
    // Only by running over the next member's header did the inflate come to an end.
    return {
      bytes: inflatePrefix(bytes.subarray(headerBytes, next)),
      consumedBytes: next,
      damage: 'damaged gzip member: cut before its end',
      isVerified: true,
      isGap: true,
    };
  }
  return { bytes: buffer, consumedBytes, damage: 'damaged gzip member: wrong checksum', isVerified: false };
}

/**
 * All that comes out of damaged data before its first error. zlib keeps that back, but inflates a part of the
 * input gladly: the longest part without an error is found by halving.
 */
function inflatePrefix(deflated: Buffer): Uint8Array {
  let good: Buffer = Buffer.alloc(0);
  let low = 0;
  let high = deflated.length;
  const attempt = (length: number): boolean => {
    try {
      good = inflateRawSync(deflated.subarray(0, length), {
        finishFlush: constants.Z_SYNC_FLUSH,
        maxOutputLength: maxInflatedBytes,
      });
      return true;
    } catch {
      return false;
    }
  };
  if (attempt(high)) return good;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (attempt(middle)) low = middle;
    else high = middle;
  }
  return good;
}

async function* streamMember(
  window: ByteWindow,
  headerBytes: number,
): AsyncGenerator<GzipPiece | GzipDamage> {
  const memberOffset = window.offset;
  const inflate = new PieceInflate();
  let crc = 0;
  let numBytes = 0;
  let isFirst = true;
  window.advance(headerBytes);
  try {
    for (;;) {
      await window.fill(streamPieceBytes);
      const piece = window.bytes.subarray(0, streamPieceBytes);
      if (piece.length === 0) {
        yield {
          offset: memberOffset,
          reason: 'damaged gzip member: the file ends inside of it',
          isGap: true,
        };
        if (window.rewind(memberOffset)) await toNextMember(window, headerBytes);
        return;
      }
      const { outputs, consumedBytes, isEnd, error } = await inflate.push(piece);
      for (const bytes of outputs) {
        crc = crc32(bytes, crc);
        numBytes += bytes.length;
        yield { bytes, memberOffset, isFirst, isLast: false };
        isFirst = false;
      }
      if (error !== undefined) {
        yield { offset: memberOffset, reason: `damaged gzip member: ${error}`, isGap: true };
        // The error comes late: by then the stream may have run over the next header.
        await toNextMember(window, window.rewind(memberOffset) ? headerBytes : 0);
        return;
      }
      window.advance(consumedBytes);
      if (!isEnd) continue;
      await window.fill(trailerBytes + 4);
      const { bytes } = window;
      const isRight =
        bytes.length >= trailerBytes &&
        bytes.readUInt32LE(0) === crc &&
        bytes.readUInt32LE(4) === numBytes % 2 ** 32;
      if (isRight) {
        yield { bytes: new Uint8Array(0), memberOffset, isFirst, isLast: true };
        window.advance(trailerBytes);
      } else {
        // Where no member follows, the stream may have run over the next one's header.
        const isInPlace = bytes.length === trailerBytes || isHeaderStart(bytes, trailerBytes);
        yield { offset: memberOffset, reason: 'damaged gzip member: wrong checksum', isGap: !isInPlace };
        if (isInPlace) window.advance(trailerBytes);
        else await toNextMember(window, window.rewind(memberOffset) ? headerBytes : 0);
      }
      return;
    }
  } finally {
    inflate.close();
  }
}

/** Moves on to the next thing that looks like a member header, `skipBytes` or more ahead, or to the end. */
async function toNextMember(window: ByteWindow, skipBytes: number): Promise<void> {
  await window.fill(skipBytes);
  window.advance(Math.min(skipBytes, window.length));
  for (;;) {
    await window.fill(readSizeBytes);
    const { bytes } = window;
    const at = likelyHeaderAt(bytes, 0);
    if (at !== -1) {
      window.advance(at);
      return;
    }
    window.advance(window.isAtEnd ? bytes.length : bytes.length - fixedHeaderBytes);
    if (window.isAtEnd) return;
  }
}

/**
 * The first place from `from` on that begins as a member does, or -1. Besides the magic, the two bytes that name
 * the compressor's effort and system must have a known value: by chance this comes once in 200 GB.
 */
function likelyHeaderAt(bytes: Buffer, from: number): number {
  for (let at = bytes.indexOf(0x1f, from); at !== -1; at = bytes.indexOf(0x1f, at + 1)) {
    if (at + fixedHeaderBytes > bytes.length) return -1;
    if (!isHeaderStart(bytes, at)) continue;
    const effort = bytes[at + 8]!;
    const system = bytes[at + 9]!;
    if ((effort === 0 || effort === 2 || effort === 4) && (system <= 13 || system === 255)) return at;
  }
  return -1;
}

/** Some writers fill the last block with zeros (gzip itself takes these for the end too). */
function isZeroPadding(bytes: Buffer): boolean {
  if (bytes[0] !== 0) return false;
  return bytes.every((byte) => byte === 0);
}
