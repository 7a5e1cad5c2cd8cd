/**
 * Cuts a stream of documents into shards of about equal size. Where a shard ends depends on the input alone, so
 * a job that goes on after a stop meets the same shards again, also when it starts reading in the middle.
 */
import { PlinthError } from '../../core/errors.ts';
import type { Document, Reader, SkippedRecord } from '../document.ts';
import type { Shard } from './shard-task.ts';

export interface InputFile {
  readonly path: string;
  readonly sizeBytes: number;
}

/** The input of a job, in a fixed order. */
export interface JobInputs {
  readonly files: readonly InputFile[];
  reader(file: InputFile): Reader;
}

/** A place between two documents: so many of the file's documents are behind it. */
export interface InputPosition {
  readonly fileIndex: number;
  readonly numDocuments: number;
}

/** What was read on the way to the end of a shard. */
export interface ReadCounts {
  numRead: number;
  numSkipped: number;
  skipped: (SkippedRecord & { source: string })[];
}

export interface CutShard extends Shard {
  readonly end: InputPosition;
  readonly read: ReadCounts;
  /** Bytes of all files up to here, as they lie on disk. */
  readonly inputBytes: number;
}

/** A longer document is skipped and counted: its rules and counts would take a worker's memory. */
export const maxDocumentCharacters = 8 * 1024 * 1024;
/** Skips listed with their position for one shard; all are counted. */
const MAX_LISTED_SKIPS = 20;

export interface CutOptions {
  /** A shard is closed by the document that takes it to this many characters. */
  readonly shardCharacters: number;
  /** Where an earlier session stopped. */
  readonly start?: { readonly index: number; readonly ordinal: number; readonly position: InputPosition };
}

/**
 * The last shard may be empty: it carries what was skipped after the last document.
 * @throws the first file's PlinthError when no file gives a document.
 */
export async function* cutIntoShards(inputs: JobInputs, options: CutOptions): AsyncGenerator<CutShard> {
  let index = options.start?.index ?? 0;
  let ordinal = options.start?.ordinal ?? 0;
  const from = options.start?.position ?? { fileIndex: 0, numDocuments: 0 };
  let bytesBefore = inputs.files.slice(0, from.fileIndex).reduce((sum, file) => sum + file.sizeBytes, 0);
  let documents: Document[] = [];
  let numCharacters = 0;
  let read = emptyCounts();
  const failures: PlinthError[] = [];
  const close = (end: InputPosition, inputBytes: number): CutShard => {
    const shard = { index, firstOrdinal: ordinal, documents, end, read, inputBytes };
    index++;
    ordinal += documents.length;
    documents = [];
    numCharacters = 0;
    read = emptyCounts();
    return shard;
  };
  for (let fileIndex = from.fileIndex; fileIndex < inputs.files.length; fileIndex++) {
    const file = inputs.files[fileIndex]!;
    const reader = inputs.reader(file);
    const numToPass = fileIndex === from.fileIndex ? from.numDocuments : 0;
    let numDocuments = 0;
    const noted = { numSkipped: 0, listed: 0 };
    for await (const document of untilDamaged(reader, failures)) {
      numDocuments++;
      if (numDocuments <= numToPass) {
        // Skips up to here were counted by the session that made the shards before.
        noted.numSkipped = reader.report.numSkipped;
        noted.listed = reader.report.skipped.length;
        continue;
      }
      if (document.text.length > maxDocumentCharacters) {
        reader.report.skip(document.id, `longer than ${maxDocumentCharacters} characters`);
        continue;
      }
      documents.push(document);
      read.numRead++;
      numCharacters += document.text.length;
      if (numCharacters >= options.shardCharacters) {
        noteSkips(reader, noted, read);
        const position = Math.min(reader.report.positionBytes ?? 0, file.sizeBytes);
        yield close({ fileIndex, numDocuments }, bytesBefore + position);
      }
    }
    noteSkips(reader, noted, read);
    bytesBefore += file.sizeBytes;
  }
  if (failures.length > 0 && ordinal + documents.length === 0) throw failures[0];
  if (documents.length > 0 || read.numSkipped > 0 || index === 0) {
    yield close({ fileIndex: inputs.files.length, numDocuments: 0 }, bytesBefore);
  }
}

/** A file that turns out to be no such file is one skip more; the others are read on. */
async function* untilDamaged(reader: Reader, failures: PlinthError[]): AsyncGenerator<Document> {
  try {
    yield* reader.read();
  } catch (error) {
    if (!(error instanceof PlinthError) || (error.code !== 'format' && error.code !== 'data')) throw error;
    failures.push(error);
    reader.report.skip('the file', error.message);
  }
}

function noteSkips(reader: Reader, noted: { numSkipped: number; listed: number }, read: ReadCounts): void {
  const { report } = reader;
  read.numSkipped += report.numSkipped - noted.numSkipped;
  for (const skip of report.skipped.slice(noted.listed)) {
    if (read.skipped.length < MAX_LISTED_SKIPS) read.skipped.push({ ...skip, source: report.source });
  }
  noted.numSkipped = report.numSkipped;
  noted.listed = report.skipped.length;
}

export function emptyCounts(): ReadCounts {
  return { numRead: 0, numSkipped: 0, skipped: [] };
}

export function addReadCounts(into: ReadCounts, from: ReadCounts): void {
  into.numRead += from.numRead;
  into.numSkipped += from.numSkipped;
  for (const skip of from.skipped) if (into.skipped.length < MAX_LISTED_SKIPS) into.skipped.push(skip);
}
