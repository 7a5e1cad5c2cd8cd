/**
 * The HTTP message inside a WARC response record: its status, media type and body, with transfer and content
 * encodings undone. Archives often keep the headers of encodings that they have undone themselves, so a body that
 * does not look encoded is taken as it is.
 */
import { brotliDecompressSync, constants, gunzipSync, inflateRawSync, inflateSync } from 'node:zlib';
import { concatenate } from './byte-lines.node.ts';

export interface HttpMessage {
  status: number;
  /** In lower case, without parameters; '' when the header is absent. */
  mediaType: string;
  /** The whole header value. */
  contentType: string;
  /** The body with its encodings undone, or why it cannot be had. */
  body(): Uint8Array | string;
}

const maxHeaderBytes = 256 * 1024;
const latin1 = new TextDecoder('latin1');

/** The message, or why the block is none. */
export function parseHttp(block: Uint8Array, maxBodyBytes: number): HttpMessage | string {
  const view = Buffer.from(block.buffer, block.byteOffset, block.length);
  if (view.toString('latin1', 0, 5) !== 'HTTP/') return 'the record holds no HTTP response';
  const firstEnd = view.indexOf(10);
  const isLong = view[firstEnd - 1] === 13;
  const blank = view.indexOf(isLong ? '\r\n\r\n' : '\n\n', 0, 'latin1');
  const headerEnd = blank === -1 ? view.length : blank;
  if (headerEnd > maxHeaderBytes) return 'the HTTP header has no end';
  const [statusLine = '', ...lines] = latin1.decode(view.subarray(0, headerEnd)).split(/\r?\n/);
  const status = Number(/^HTTP\/[\d.]+\s+(\d{3})/.exec(statusLine)?.[1] ?? 0);
  const fields = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  const contentType = fields.get('content-type') ?? '';
  const stored = view.subarray(Math.min(view.length, headerEnd + (isLong ? 4 : 2)));
  return {
    status,
    mediaType: contentType.split(';', 1)[0]!.trim().toLowerCase(),
    contentType,
    body: () => bodyOf(stored, fields, maxBodyBytes),
  };
}

function bodyOf(stored: Buffer, fields: ReadonlyMap<string, string>, maxBytes: number): Uint8Array | string {
  const isChunked = /\bchunked\b/i.test(fields.get('transfer-encoding') ?? '');
  let body: Buffer = isChunked ? (withoutChunks(stored) ?? stored) : stored;
  const encodings = (fields.get('content-encoding') ?? '').toLowerCase().split(',');
  for (const encoding of encodings.map((name) => name.trim()).reverse()) {
    if (encoding === '' || encoding === 'identity') continue;
    const decode = Object.hasOwn(decoders, encoding) ? decoders[encoding] : undefined;
    if (decode === undefined) return `unknown content encoding '${encoding.slice(0, 40)}'`;
    try {
      body = decode(body, maxBytes);
    } catch (error) {
      if ((error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE') {
        return `the body is over the limit of ${maxBytes} bytes`;
      }
      return `the body is not ${encoding}, as its header says`;
    }
  }
  return body;
}

// Crawlers cut long bodies, so what comes out before a missing end counts.
const decoders: Record<string, (body: Buffer, maxOutputLength: number) => Buffer> = {
  gzip: gunzip,
  'x-gzip': gunzip,
  deflate(body, maxOutputLength) {
    const options = { maxOutputLength, finishFlush: constants.Z_SYNC_FLUSH };
    if (looksPlain(body)) return body;
    // Some servers send the bare deflate stream (RFC 9110, 8.4.1.2, note).
    const hasZlibHeader = (body[0]! & 15) === 8 && body.length > 1 && body.readUInt16BE(0) % 31 === 0;
    return hasZlibHeader ? inflateSync(body, options) : inflateRawSync(body, options);
  },
  br(body, maxOutputLength) {
    if (looksPlain(body)) return body;
    return brotliDecompressSync(body, { maxOutputLength, finishFlush: constants.BROTLI_OPERATION_FLUSH });
  },
};

function gunzip(body: Buffer, maxOutputLength: number): Buffer {
  if (body[0] !== 0x1f || body[1] !== 0x8b) return body;
  return gunzipSync(body, { maxOutputLength, finishFlush: constants.Z_SYNC_FLUSH });
}

/** Begins as a page does. */
function looksPlain(body: Buffer): boolean {
  return body.length === 0 || /^(?:\xef\xbb\xbf)?\s*<(?:!|\?|[a-z])/i.test(body.toString('latin1', 0, 64));
}

/** RFC 9112, 7.1; null when the body is not in chunks. A cut last chunk counts as far as it goes. */
function withoutChunks(body: Buffer): Buffer | null {
  const chunks: Buffer[] = [];
  let length = 0;
  for (let at = 0; at < body.length; ) {
    const lineEnd = body.indexOf(10, at);
    const line = lineEnd === -1 || lineEnd - at > 1024 ? '' : body.toString('latin1', at, lineEnd);
    const size = /^\s*([0-9a-f]{1,8})\s*(?:;[^\r]*)?\r?$/i.exec(line)?.[1];
    if (size === undefined) {
      if (chunks.length === 0) return null;
      break;
    }
    const numBytes = Number.parseInt(size, 16);
    if (numBytes === 0) break;
    const chunk = body.subarray(lineEnd + 1, lineEnd + 1 + numBytes);
    chunks.push(chunk);
    length += chunk.length;
    at = lineEnd + 1 + numBytes;
    if (body[at] === 13) at++;
    if (body[at] === 10) at++;
  }
  return Buffer.from(concatenate(chunks, length).buffer);
}
