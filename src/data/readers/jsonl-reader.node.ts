/** JSON Lines files: one object a line. Lines that are not, or have no text, are skipped and counted. */
import { messageOf } from '../../core/errors.ts';
import type { Document, ReadReport } from '../document.ts';
import { fileLines } from './byte-lines.node.ts';
import { documentsOfRecords, FileReader, type PlacedRecord } from './file-reader.ts';
import type { RecordOptions } from './record-document.ts';

export interface JsonlReaderOptions extends RecordOptions {
  /** Longer lines are skipped. Default 64 MiB. */
  maxLineBytes?: number;
}

export class JsonlReader extends FileReader<JsonlReaderOptions> {
  constructor(path: string, options: JsonlReaderOptions = {}) {
    super(path, options);
  }

  protected documents(report: ReadReport): AsyncGenerator<Document> {
    return documentsOfRecords(this.#records(report), this.path, report, this.options);
  }

  async *#records(report: ReadReport): AsyncGenerator<PlacedRecord> {
    for await (const { number, ...placed } of jsonlRecords(this.path, report, this.options.maxLineBytes)) {
      yield { ...placed, id: `line-${number}` };
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
