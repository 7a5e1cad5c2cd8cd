/**
 * Parquet files through hyparquet, one row group in memory at a time. A row group that cannot be decoded is
 * skipped and counted with its rows; the others are read on.
 */
import { DataError, FormatError, LimitError, messageOf } from '../../core/errors.ts';
import type { Document, ReadReport } from '../document.ts';
import { checkFile } from './byte-window.node.ts';
import { missingTextColumn } from './csv-reader.node.ts';
import { documentsOfRecords, FileReader, type PlacedRecord } from './file-reader.ts';
import { ParquetDecoder, type RowGroupInfo } from './parquet-decoder.node.ts';
import { type RecordOptions, textColumnOf } from './record-document.ts';

/** Uncompressed size that a row group may declare; a hostile file could name any number. */
const maxRowGroupBytes = 2 * 1024 * 1024 * 1024;
const maxRowGroupRows = 20_000_000;
const defaultTimeoutMs = 120_000;

export interface ParquetReaderOptions extends RecordOptions {
  /** A row group whose decoder is silent this long counts as damaged. Default 120,000. */
  timeoutMs?: number;
}

export class ParquetReader extends FileReader<ParquetReaderOptions> {
  constructor(path: string, options: ParquetReaderOptions = {}) {
    super(path, options);
  }

  /** @throws DataError when the text column is not in the schema; FormatError for a damaged footer. */
  protected documents(report: ReadReport): AsyncGenerator<Document> {
    return documentsOfRecords(this.#records(report), this.path, report, this.options);
  }

  async *#records(report: ReadReport): AsyncGenerator<PlacedRecord> {
    for await (const { record, number } of parquetRecords(this.path, report, this.options.timeoutMs)) {
      if (textColumnOf(Object.keys(record), this.options) === null) {
        throw missingTextColumn(this.path, Object.keys(record), this.options);
      }
      yield { record, position: `row ${number}`, id: `row-${number}` };
    }
  }
}

/**
 * Rows as objects, numbered from 1.
 * @param timeoutMs longest wait for the decoder before a row group counts as damaged.
 */
export async function* parquetRecords(
  path: string,
  report: ReadReport,
  timeoutMs = defaultTimeoutMs,
): AsyncGenerator<{ record: Record<string, unknown>; number: number }> {
  await checkFile(path);
  const decoder = new ParquetDecoder(path, timeoutMs);
  try {
    const groups = await decoder.rowGroups().catch((error: unknown) => {
      throw new FormatError(`${path} is not a readable Parquet file (${messageOf(error)}).`, {
        cause: error,
      });
    });
    let rowStart = 0;
    for (const group of groups) {
      checkGroup(path, group);
      const rowEnd = rowStart + group.numRows;
      let number = rowStart;
      let reason = 'rows are not in the file';
      try {
        for await (const rows of decoder.rows(rowStart, rowEnd)) {
          for (const record of rows) yield { record, number: ++number };
        }
      } catch (error) {
        // Only the decoder's verdict on the data; what the consumer throws does not pass through here.
        if (!(error instanceof FormatError)) throw error;
        reason = error.message;
      }
      if (number < rowEnd) report.skip(`rows ${number + 1} to ${rowEnd}`, reason, rowEnd - number);
      rowStart = rowEnd;
    }
    if (rowStart === 0) throw new DataError(`${path} has no rows.`);
  } finally {
    await decoder.close();
  }
}

function checkGroup(path: string, { numRows, sizeBytes }: RowGroupInfo): void {
  if (!Number.isSafeInteger(numRows) || numRows < 0) {
    throw new FormatError(`${path} declares a row group of ${numRows} rows; its footer is damaged.`);
  }
  if (sizeBytes <= maxRowGroupBytes && numRows <= maxRowGroupRows) return;
  throw new LimitError(
    `${path} has a row group of ${numRows} rows and ${sizeBytes} bytes; the most is ${maxRowGroupRows} rows and ` +
      `${maxRowGroupBytes} bytes. Write it with smaller row groups.`,
  );
}
