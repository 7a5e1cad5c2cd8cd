/** CSV and TSV files as documents: one column is the text, the others become meta, all as text. */
import { DataError } from '../../core/errors.ts';
import type { Document, ReadReport } from '../document.ts';
import { type CsvOptions, csvRecords } from './csv-records.node.ts';
import { documentsOfRecords, FileReader, type PlacedRecord } from './file-reader.ts';
import { type RecordOptions, textColumnOf } from './record-document.ts';

export type CsvReaderOptions = CsvOptions & RecordOptions;

export class CsvReader extends FileReader<CsvReaderOptions> {
  constructor(path: string, options: CsvReaderOptions = {}) {
    super(path, options);
  }

  /** @throws DataError when the text column is not in the header. */
  protected documents(report: ReadReport): AsyncGenerator<Document> {
    return documentsOfRecords(this.#records(report), this.path, report, this.options);
  }

  async *#records(report: ReadReport): AsyncGenerator<PlacedRecord> {
    for await (const { columns, fields, position, number } of csvRecords(this.path, report, this.options)) {
      if (textColumnOf(columns, this.options) === null)
        throw missingTextColumn(this.path, columns, this.options);
      const record = Object.fromEntries(columns.map((column, i) => [column, fields[i]]));
      yield { record, position, id: `line-${number}` };
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
