/**
 * Records of a CSV or TSV file. Papa Parse splits fields; here lines are gathered into records, so that a quote
 * that is never closed costs one line and not the rest of the file. A record with another number of fields than
 * the header is skipped and counted.
 */
import Papa from 'papaparse';
import { DataError, FormatError } from '../../core/errors.ts';
import type { ReadReport } from '../document.ts';
import { type FileLine, fileLines, positionOf } from './byte-lines.node.ts';
import { extensionOf } from './file-format.ts';

export interface CsvOptions {
  /** Default: tab for .tsv files, else guessed from the first lines among , ; tab and |. */
  delimiter?: string;
}

export interface CsvRecord {
  columns: readonly string[];
  fields: string[];
  position: string;
  number: number;
}

/** A quoted field may span this many lines; beyond, its opening quote is taken as damage. */
const maxRecordLines = 1000;
const maxRecordCharacters = 4 * 1024 * 1024;
const numSampleLines = 20;

/**
 * @throws DataError for an absent or empty file and one without rows, FormatError for one whose header is blank
 * or damaged.
 */
export async function* csvRecords(
  path: string,
  report: ReadReport,
  options: CsvOptions = {},
): AsyncGenerator<CsvRecord> {
  const lines = new LineQueue(fileLines(path, maxRecordCharacters, report.noticePosition));
  let columns: string[] | null = null;
  let numRecords = 0;
  try {
    while (lines.length < numSampleLines && (await lines.more()));
    const isTsv = extensionOf(path) === 'tsv';
    const delimiter = options.delimiter ?? (isTsv ? '\t' : guessDelimiter(lines.first(numSampleLines)));
    while (lines.length > 0 || (await lines.more())) {
      const first = lines.at(0)!;
      const position = positionOf(first);
      let record = takeRecord(lines, delimiter);
      while (record === 'more') record = takeRecord(lines, delimiter, !(await lines.more()));
      if (typeof record === 'string') {
        if (columns === null) throw damagedHeader(path, position, record);
        report.skip(position, record);
        lines.drop(1);
        continue;
      }
      lines.drop(record.numLines);
      if (record.text.trim() === '') continue;
      const fields = fieldsOf(record.text, delimiter);
      if (columns === null) {
        columns = columnNames(fields, path);
        continue;
      }
      numRecords++;
      if (fields.length === columns.length) yield { columns, fields, position, number: first.number };
      else report.skip(position, `${fields.length} fields, the header has ${columns.length}`);
    }
  } finally {
    await lines.close();
  }
  if (numRecords === 0 && report.numSkipped === 0)
    throw new DataError(`${path} has no rows${columns ? ' below its header' : ''}.`);
}

function damagedHeader(path: string, position: string, reason: string): FormatError {
  return new FormatError(
    `The header of ${path} cannot be read (${position}: ${reason}), so its columns have no names. ` +
      'Put a line of column names first.',
  );
}

/** Lines that were read and not used yet. */
class LineQueue {
  readonly #batches: AsyncGenerator<FileLine[]>;
  #lines: FileLine[] = [];
  #start = 0;

  constructor(batches: AsyncGenerator<FileLine[]>) {
    this.#batches = batches;
  }

  get length(): number {
    return this.#lines.length - this.#start;
  }

  at(index: number): FileLine | undefined {
    return this.#lines[this.#start + index];
  }

  first(numLines: number): FileLine[] {
    return this.#lines.slice(this.#start, this.#start + numLines);
  }

  drop(numLines: number): void {
    this.#start += numLines;
  }

  /** False when the file has no more lines. */
  async more(): Promise<boolean> {
    const next = await this.#batches.next();
    if (next.done) return false;
    this.#lines = this.length === 0 ? next.value : [...this.#lines.slice(this.#start), ...next.value];
    this.#start = 0;
    return true;
  }

  async close(): Promise<void> {
    await this.#batches.return(undefined);
  }
}

/** As many lines as one record needs, or why the first line cannot begin one. Consumes nothing. */
function takeRecord(
  lines: LineQueue,
  delimiter: string,
  isAtEnd = false,
): { text: string; numLines: number } | 'more' | string {
  let text = '';
  let open = false;
  for (let i = 0; i < maxRecordLines; i++) {
    const line = lines.at(i);
    if (line === undefined) return isAtEnd ? 'a quoted field is never closed' : 'more';
    if (line.text === null)
      return i === 0 ? (line.damage ?? 'damaged') : 'a quoted field runs into a damaged line';
    open = endsInQuotes(line.text, delimiter, open);
    text = i === 0 ? line.text : `${text}\n${line.text}`;
    if (!open) return { text, numLines: i + 1 };
    if (text.length > maxRecordCharacters) return `a record is longer than ${maxRecordCharacters} characters`;
  }
  return `a quoted field is not closed within ${maxRecordLines} lines`;
}

/** Whether a quoted field is still open at the end of the line. Quotes open a field only at its start. */
function endsInQuotes(line: string, delimiter: string, openBefore: boolean): boolean {
  if (!line.includes('"')) return openBefore;
  let open = openBefore;
  let atStart = !openBefore;
  for (let i = 0; i < line.length; i++) {
    const char = line[i];
    if (open) {
      if (char !== '"') continue;
      if (line[i + 1] === '"') i++;
      else open = false;
    } else if (char === '"' && atStart) {
      open = true;
      atStart = false;
    } else {
      atStart = line.startsWith(delimiter, i);
      if (atStart) i += delimiter.length - 1;
    }
  }
  return open;
}

function fieldsOf(text: string, delimiter: string): string[] {
  if (!text.includes('"')) return text.split(delimiter);
  return Papa.parse<string[]>(text, { delimiter, newline: '\n' }).data[0] ?? [];
}

function guessDelimiter(lines: readonly FileLine[]): string {
  const sample = lines.map(({ text }) => text ?? '').join('\n');
  const guess = Papa.parse(sample, { preview: 10, delimitersToGuess: [',', ';', '\t', '|'] }).meta.delimiter;
  return guess || ',';
}

/** Names made distinct: blank ones become column_3, repeated ones get a number. */
function columnNames(fields: readonly string[], path: string): string[] {
  if (fields.every((field) => field.trim() === '')) {
    throw new FormatError(`${path} has no column names in its first line. Put one in, such as name,value.`);
  }
  const seen = new Set<string>();
  return fields.map((field, i) => {
    const base = field.trim() || `column_${i + 1}`;
    let name = base;
    for (let n = 2; seen.has(name); n++) name = `${base}_${n}`;
    seen.add(name);
    return name;
  });
}
