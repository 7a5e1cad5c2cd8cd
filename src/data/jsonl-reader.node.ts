/** JSON Lines files: one object a line. Lines that are not, or have no text, are skipped and counted. */
import { messageOf } from '../core/errors.ts';
import { fileLines } from './byte-lines.node.ts';
import { type Document, type Reader, ReadReport } from './document.ts';
import { documentOf, type RecordOptions } from './record-document.ts';

export interface JsonlReaderOptions extends RecordOptions {
  /** Longer lines are skipped. Default 64 MiB. */
  maxLineBytes?: number;
}

export class JsonlReader implements Reader {
  readonly #path: string;
  readonly #options: JsonlReaderOptions;
  #report: ReadReport;

  constructor(path: string, options: JsonlReaderOptions = {}) {
    this.#path = path;
    this.#options = options;
    this.#report = new ReadReport(path);
  }

  get report(): ReadReport {
    return this.#report;
  }

  async *read(): AsyncGenerator<Document> {
    const report = new ReadReport(this.#path);
    this.#report = report;
    for await (const { record, position, number } of jsonlRecords(
      this.#path,
      report,
      this.#options.maxLineBytes,
    )) {
      const document = documentOf(record, this.#path, `line-${number}`, this.#options);
      if (typeof document === 'string') {
        report.skip(position, document);
      } else {
        report.numRead++;
        yield document;
      }
    }
  }
}

/** The objects of a file; everything else is noted in the report. */
export async function* jsonlRecords(
  path: string,
  report: ReadReport,
  maxLineBytes?: number,
): AsyncGenerator<{ record: Record<string, unknown>; position: string; number: number }> {
  for await (const { text, damage, number, offset } of fileLines(path, maxLineBytes)) {
    const position = `line ${number} (byte ${offset})`;
    if (text === null) {
      report.skip(position, damage ?? 'damaged');
      continue;
    }
    if (text.trim() === '') continue;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      report.skip(position, `not JSON: ${messageOf(error)}`);
      continue;
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      report.skip(
        position,
        `expected an object, got ${Array.isArray(value) ? 'a list' : JSON.stringify(value)?.slice(0, 40)}`,
      );
      continue;
    }
    yield { record: value as Record<string, unknown>, position, number };
  }
}
