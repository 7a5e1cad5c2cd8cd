/**
 * Cuts a stream of WARC bytes into records by their declared lengths, and finds its way back after damage: at
 * the start of the next gzip member, or at the next version line. A record is believed only when a record, a
 * member's end or the file's end follows it. Holds the bytes of one record at most.
 */
import type { ReadReport } from '../document.ts';
import { concatenate } from './byte-lines.node.ts';
import type { WarcRecord } from './warc-records.node.ts';

/** Named fields of a record may take this much. */
const maxHeaderBytes = 256 * 1024;
/** 'WARC/1.0', an end of line, and some of what follows. */
const versionBytes = 10;
/** A version line and the beginning of the field behind it. */
const recognizedBytes = 24;
const cr = 13;
const lf = 10;

export interface PieceInfo {
  /** Offset in the file of the gzip member; undefined in files whose offsets are those of the bytes themselves. */
  memberOffset?: number;
  /** The bytes begin a gzip member, or the file. */
  isMemberStart: boolean;
  /** They end a gzip member. */
  isMemberEnd: boolean;
}

export class WarcSplitter {
  readonly #report: ReadReport;
  readonly #maxRecordBytes: number;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** Bytes behind these, joined to them when there are enough. */
  #parts: Uint8Array[] = [];
  #partsLength = 0;
  /** Offset of #bytes[0] in the file, or in the unpacked member. */
  #offset = 0;
  #memberOffset: number | undefined;
  /** The bytes end with their gzip member. */
  #isMemberEnd = false;
  /** No more bytes come. */
  #isEnd = false;
  /** Looking for the next version line, because what was read is damaged or too large. */
  #isLost = false;
  /** Bytes that must be there before it is worth looking again. */
  #numNeeded = 0;

  constructor(report: ReadReport, maxRecordBytes: number) {
    this.#report = report;
    this.#maxRecordBytes = maxRecordBytes;
  }

  /** Adds bytes. All records that stand in the earlier ones must have been taken with `next`. */
  push(bytes: Uint8Array, { memberOffset, isMemberStart, isMemberEnd }: PieceInfo): void {
    if (bytes.length > 0 && isMemberStart && startsRecord(bytes, 0)) {
      // The record before ended with its member, whatever its length said.
      if (this.#numWaiting > 0 && !this.#isLost) this.#skip('the record ends before its declared length');
      this.#drop();
      this.#isLost = false;
    }
    if (isMemberStart && this.#numWaiting === 0) {
      this.#memberOffset = memberOffset;
      this.#offset = 0;
      this.#bytes = bytes;
      this.#at = 0;
    } else if (bytes.length > 0) {
      this.#parts.push(bytes);
      this.#partsLength += bytes.length;
    }
    this.#isMemberEnd = isMemberEnd;
  }

  /** Bytes are missing here: the record that was being read is lost with them. */
  gap(position: string, reason: string): void {
    this.#report.skip(position, reason);
    this.#drop();
    this.#isLost = true;
  }

  /** No more bytes come. */
  end(): void {
    this.#isEnd = true;
  }

  /** The next record, or null when more bytes are needed. */
  next(): WarcRecord | null {
    if (this.#numWaiting < this.#numNeeded && !this.#isEnd && !this.#isMemberEnd) return null;
    if (this.#partsLength > 0) this.#join();
    this.#numNeeded = 0;
    for (;;) {
      if (this.#isLost && !this.#findVersion()) return null;
      while (this.#at < this.#bytes.length && isBlank(this.#bytes[this.#at]!)) this.#at++;
      if (this.#at === this.#bytes.length) return null;
      const record = this.#take();
      if (record !== 'damaged') return record;
    }
  }

  get #numWaiting(): number {
    return this.#bytes.length - this.#at + this.#partsLength;
  }

  #drop(): void {
    this.#offset += this.#bytes.length + this.#partsLength;
    this.#bytes = new Uint8Array(0);
    this.#at = 0;
    this.#parts = [];
    this.#partsLength = 0;
    this.#numNeeded = 0;
  }

  #join(): void {
    const rest = this.#bytes.subarray(this.#at);
    this.#offset += this.#at;
    this.#bytes = concatenate([rest, ...this.#parts], rest.length + this.#partsLength);
    this.#at = 0;
    this.#parts = [];
    this.#partsLength = 0;
  }

  /** One record from the place where one should begin; null when its end is not there yet. */
  #take(): WarcRecord | null | 'damaged' {
    const { headerEnd, lineEndBytes } = this.#findHeaderEnd();
    const available = this.#bytes.length - this.#at;
    if (headerEnd === -1) {
      const isRecord = startsRecord(this.#bytes, this.#at) || available < versionBytes;
      if (isRecord && available < maxHeaderBytes && !this.#isEnd) {
        return this.#need(available + 1);
      }
      return this.#lose(
        !isRecord
          ? 'not a WARC record (expected a line such as WARC/1.0)'
          : available < maxHeaderBytes
            ? 'the record is cut in its header'
            : 'the record has no end of header',
      );
    }
    const header = headerDecoder.decode(this.#bytes.subarray(this.#at, headerEnd));
    const fields = headerFields(header);
    if (fields === null)
      return this.#lose(`unknown version line '${header.split(/\r?\n/, 1)[0]!.slice(0, 40)}'`);
    const declared = fields.get('content-length') ?? '';
    if (!/^\d{1,15}$/.test(declared)) return this.#lose(`Content-Length is '${declared.slice(0, 40)}'`);
    const length = Number(declared);
    if (length > this.#maxRecordBytes) {
      const reason = `a record of ${length} bytes is over the limit of ${this.#maxRecordBytes}`;
      return this.#lose(reason, headerEnd + lineEndBytes);
    }
    const start = headerEnd + lineEndBytes;
    const end = start + length;
    // The blank lines and the next version line, or the member's end, show that the length was right.
    const isAllHere = this.#isEnd || (this.#isMemberEnd && this.#bytes.length >= end);
    const numNeeded = end - this.#at + 2 * lineEndBytes + versionBytes;
    if (this.#bytes.length - this.#at < numNeeded && !isAllHere) return this.#need(numNeeded);
    if (end > this.#bytes.length) return this.#lose('the record ends before its declared length', start);
    if (!this.#isFollowed(end, lineEndBytes))
      return this.#lose('no record follows where its length says', start);
    const position = this.#position();
    this.#at = end;
    return {
      type: (fields.get('warc-type') ?? '').toLowerCase(),
      headers: fields,
      content: this.#bytes.subarray(start, end),
      position,
    };
  }

  #need(numBytes: number): null {
    this.#numNeeded = numBytes;
    return null;
  }

  #lose(reason: string, from = this.#at + 1): 'damaged' {
    this.#skip(reason);
    this.#at = from;
    this.#isLost = true;
    return 'damaged';
  }

  #skip(reason: string): void {
    this.#report.skip(this.#position(), reason);
  }

  #position(): string {
    const at = this.#offset + this.#at;
    if (this.#memberOffset === undefined) return `byte ${at}`;
    return at === 0
      ? `byte ${this.#memberOffset}`
      : `byte ${this.#memberOffset}, unpacked byte ${at} from there`;
  }

  #findHeaderEnd(): { headerEnd: number; lineEndBytes: number } {
    const { buffer, byteOffset, length } = this.#bytes;
    const limit = Math.min(length, this.#at + maxHeaderBytes);
    const view = Buffer.from(buffer, byteOffset, limit);
    const firstEnd = view.indexOf(lf, this.#at);
    if (firstEnd === -1 || firstEnd - this.#at > 20) return { headerEnd: -1, lineEndBytes: 0 };
    const isLong = view[firstEnd - 1] === cr;
    const headerEnd = view.indexOf(isLong ? '\r\n\r\n' : '\n\n', this.#at, 'latin1');
    return { headerEnd, lineEndBytes: isLong ? 4 : 2 };
  }

  /** Two line ends, or a version line behind however many. */
  #isFollowed(end: number, lineEndBytes: number): boolean {
    let at = end;
    while (at < this.#bytes.length && at < end + 16 && isBlank(this.#bytes[at]!)) at++;
    return at === this.#bytes.length || at >= end + lineEndBytes || startsRecord(this.#bytes, at);
  }

  /** Moves to the next version line; false when there is none yet. */
  #findVersion(): boolean {
    const { buffer, byteOffset, length } = this.#bytes;
    const view = Buffer.from(buffer, byteOffset, length);
    for (
      let at = view.indexOf('WARC/', this.#at, 'latin1');
      at !== -1;
      at = view.indexOf('WARC/', at + 1, 'latin1')
    ) {
      if (at + recognizedBytes > length && !this.#isEnd && !this.#isMemberEnd) {
        this.#at = Math.max(this.#at, at - 1);
        this.#numNeeded = length - this.#at + 1;
        return false;
      }
      if (!startsRecord(this.#bytes, at)) continue;
      // Where a record is cut, the next one does not begin a line; then its first field must be seen.
      const isLineStart = at === 0 ? this.#offset === 0 : view[at - 1] === lf;
      if (!isLineStart && !/^WARC\/\d\.\d\r?\n(?:WARC|Content)-/i.test(view.toString('latin1', at, at + 24)))
        continue;
      this.#at = at;
      this.#isLost = false;
      return true;
    }
    // A version line that is cut here keeps its start, and the end of line before it.
    this.#at = Math.max(this.#at, length - versionBytes - 1);
    this.#numNeeded = length - this.#at + 1;
    return false;
  }
}

const headerDecoder = new TextDecoder('utf-8');

function isBlank(byte: number): boolean {
  return byte === cr || byte === lf;
}

/** 'WARC/' digit '.' digit and an end of line. */
function startsRecord(bytes: Uint8Array, at: number): boolean {
  return (
    bytes[at] === 87 &&
    bytes[at + 1] === 65 &&
    bytes[at + 2] === 82 &&
    bytes[at + 3] === 67 &&
    bytes[at + 4] === 47 &&
    isDigit(bytes[at + 5]) &&
    bytes[at + 6] === 46 &&
    isDigit(bytes[at + 7])
  );
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 48 && byte <= 57;
}

/** Null when the first line is no version line. */
function headerFields(header: string): Map<string, string> | null {
  const lines = header.split('\n');
  if (!/^WARC\/(?:0\.\d+|1\.\d+)\s*$/.test(lines[0]!)) return null;
  const fields = new Map<string, string>();
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i]!;
    const colon = line.indexOf(':');
    if (colon <= 0 || line.charCodeAt(0) <= 32) continue;
    const name = line.slice(0, colon).trim().toLowerCase();
    if (!fields.has(name)) fields.set(name, line.slice(colon + 1).trim());
  }
  return fields;
}
