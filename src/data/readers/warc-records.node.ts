/**
 * Records of a WARC file (ISO 28500:2017), gzipped by members or not, streamed: at most one record is held. A
 * record with a bad version line or length, a record over the size limit and a damaged gzip member are skipped
 * and counted with their place; reading goes on at the next record.
 */
import type { ReadReport } from '../document.ts';
import { byteChunks } from './byte-chunks.node.ts';
import { checkFile } from './byte-window.node.ts';
import { compressionOf } from './file-format.ts';
import { gzipPieces } from './gzip-members.node.ts';
import { WarcSplitter } from './warc-splitter.node.ts';

export interface WarcRecord {
  /** 'response', 'conversion', ... in lower case. */
  type: string;
  /** By name in lower case; of repeated fields the first. */
  headers: ReadonlyMap<string, string>;
  /** The record's block: a view, valid until the next record is asked for. */
  content: Uint8Array;
  /** 'byte 1234': where the record, or the gzip member it stands in, begins in the file. */
  position: string;
}

/**
 * @throws DataError for a file that is absent, empty or a folder; FormatError when nothing can be unpacked.
 */
export async function* warcRecords(
  path: string,
  report: ReadReport,
  maxRecordBytes: number,
): AsyncGenerator<WarcRecord> {
  const splitter = new WarcSplitter(report, maxRecordBytes);
  if (compressionOf(path) === 'gz') {
    await checkFile(path);
    for await (const piece of gzipPieces(path, {
      keepUnverified: false,
      onPosition: report.noticePosition,
    })) {
      if ('reason' in piece) splitter.gap(`byte ${piece.offset}`, piece.reason);
      else {
        const { memberOffset, isFirst, isLast } = piece;
        splitter.push(piece.bytes, { memberOffset, isMemberStart: isFirst, isMemberEnd: isLast });
      }
      for (let record = splitter.next(); record !== null; record = splitter.next()) yield record;
    }
  } else {
    let isFirst = true;
    for await (const chunk of byteChunks(path, report.noticePosition)) {
      if ('reason' in chunk) splitter.gap(`byte ${chunk.offset} of the compressed file`, chunk.reason);
      else {
        splitter.push(chunk, { isMemberStart: isFirst, isMemberEnd: false });
        isFirst = false;
      }
      for (let record = splitter.next(); record !== null; record = splitter.next()) yield record;
    }
  }
  splitter.end();
  for (let record = splitter.next(); record !== null; record = splitter.next()) yield record;
}
