/** CSV and TSV files as documents: one column is the text, the others become meta, all as text. */
import { DataError } from '../core/errors.ts';
import { type CsvOptions, csvRecords } from './csv-records.node.ts';
import { type Document, type Reader, ReadReport } from './document.ts';
import { documentOf, type RecordOptions, textColumnOf } from './record-document.ts';

export type CsvReaderOptions = CsvOptions & RecordOptions;

export class CsvReader implements Reader {
  readonly #path: string;
  readonly #options: CsvReaderOptions;
  #report: ReadReport;

  constructor(path: string, options: CsvReaderOptions = {}) {
    this.#path = path;
    this.#options = options;
    this.#report = new ReadReport(path);
  }

  get report(): ReadReport {
    return this.#report;
  }

  /** @throws DataError when the text column is not in the header. */
  async *read(): AsyncGenerator<Document> {
    const report = new ReadReport(this.#path);
    this.#report = report;
    for await (const { columns, fields, position, number } of csvRecords(this.#path, report, this.#options)) {
      if (textColumnOf(columns, this.#options) === null)
        throw missingTextColumn(this.#path, columns, this.#options);
      const record = Object.fromEntries(columns.map((column, i) => [column, fields[i]]));
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

export function missingTextColumn(
  path: string,
  columns: readonly string[],
  options: RecordOptions,
): DataError {
  const wanted = options.textColumn === undefined ? "'text' or 'content'" : `'${options.textColumn}'`;
  return new DataError(`${path} has no column ${wanted}. Set textColumn to one of: ${columns.join(', ')}.`);
}
