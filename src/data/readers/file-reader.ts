/** What the readers of files have in common: a path, options, and a report that each reading begins anew. */
import { type Document, type Reader, ReadReport } from '../document.ts';
import { documentOf, type RecordOptions } from './record-document.ts';

export abstract class FileReader<Options> implements Reader {
  readonly path: string;
  readonly options: Options;
  #report: ReadReport;

  constructor(path: string, options: Options) {
    this.path = path;
    this.options = options;
    this.#report = new ReadReport(path);
  }

  get report(): ReadReport {
    return this.#report;
  }

  async *read(): AsyncGenerator<Document> {
    const report = new ReadReport(this.path);
    this.#report = report;
    yield* this.documents(report);
  }

  /** The documents from the start; what is read and skipped goes into the report. */
  protected abstract documents(report: ReadReport): AsyncGenerator<Document>;
}

export interface PlacedRecord {
  record: Record<string, unknown>;
  /** Where to look when the record has no text. */
  position: string;
  /** Its document's id when no field is one. */
  id: string;
}

/** Records as documents; those without a text are skipped with the reason. */
export async function* documentsOfRecords(
  records: AsyncIterable<PlacedRecord>,
  source: string,
  report: ReadReport,
  options: RecordOptions,
): AsyncGenerator<Document> {
  for await (const { record, position, id } of records) {
    const document = documentOf(record, source, id, options);
    if (typeof document === 'string') {
      report.skip(position, document);
    } else {
      report.numRead++;
      yield document;
    }
  }
}
