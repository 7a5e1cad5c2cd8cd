/**
 * A text with where it came from, and the interface of everything that yields texts. A reader never holds more
 * than one record; a damaged record is skipped and counted with its position, and reading goes on.
 */

export interface Document {
  /** Unique within its source. */
  id: string;
  text: string;
  /** File or other place it came from. */
  source: string;
  meta: Record<string, string | number | boolean | null>;
}

export interface Reader {
  /** Reads from the start; each call begins a new report. */
  read(): AsyncIterable<Document>;
  /** Counts of the latest `read`, final when it has ended. */
  readonly report: ReadReport;
}

export interface SkippedRecord {
  /** 'line 12', 'rows 100 to 199': where to look. */
  position: string;
  reason: string;
}

const maxListedSkips = 100;

export class ReadReport {
  readonly source: string;
  numRead = 0;
  numSkipped = 0;
  /** How far into the file reading has come, in bytes as they lie on disk; absent where nobody counts. */
  positionBytes?: number;
  /** The first 100 skipped records; `numSkipped` counts all. */
  readonly skipped: SkippedRecord[] = [];

  constructor(source: string) {
    this.source = source;
  }

  /** For whoever reads the bytes. */
  readonly noticePosition = (numBytes: number): void => {
    this.positionBytes = numBytes;
  };

  skip(position: string, reason: string, count = 1): void {
    this.numSkipped += count;
    if (this.skipped.length < maxListedSkips) this.skipped.push({ position, reason });
  }
}

/** A reader over documents that are already in memory. */
export function readerOf(documents: Iterable<Document>, source = 'memory'): Reader {
  let report = new ReadReport(source);
  return {
    get report() {
      return report;
    },
    async *read() {
      report = new ReadReport(source);
      for (const document of documents) {
        report.numRead++;
        yield document;
      }
    },
  };
}

/** Several readers one after the other, as one; the report adds theirs up. */
export function concatenateReaders(readers: readonly Reader[], source = `${readers.length} sources`): Reader {
  let report = new ReadReport(source);
  return {
    get report() {
      return report;
    },
    async *read() {
      report = new ReadReport(source);
      for (const reader of readers) {
        for await (const document of reader.read()) {
          report.numRead++;
          yield document;
        }
        const { numSkipped, skipped } = reader.report;
        report.numSkipped += numSkipped;
        for (const { position, reason } of skipped) {
          if (report.skipped.length < maxListedSkips) {
            report.skipped.push({ position: `${reader.report.source}, ${position}`, reason });
          }
        }
      }
    },
  };
}
