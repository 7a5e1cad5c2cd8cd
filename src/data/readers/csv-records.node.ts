/**
 * Records of a CSV or TSV file. Papa Parse splits fields; here lines are gathered into records, so that a quote
 * that is never closed costs one line and not the rest of the file. A record with another number of fields than
 * the header is skipped and counted.
 */
import Papa from 'papaparse';
import { DataError, FormatError } from '../../core/errors.ts';
import type { ReadReport } from '../document.ts';
import { type FileLine, fileLines } from './byte-lines.node.ts';

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

/** @throws DataError for an absent or empty file and one without rows, FormatError for one without a header. */
export async function* csvRecords(
  path: string,
  report: ReadReport,
  options: CsvOptions = {},
): AsyncGenerator<CsvRecord> {
  const pending: FileLine[] = [];
  const lines = fileLines(path, maxRecordCharacters);
  const more = async (): Promise<boolean> => {
    const next = await lines.next();
    if (!next.done) pending.push(next.value);
    return !next.done;
  };
  while (pending.length < numSampleLines && (await more()));
  const isTsv = /\.tsv(\.gz)?$/i.test(path);
  const delimiter = options.delimiter ?? (isTsv ? '\t' : guessDelimiter(pending));
  let columns: string[] | null = null;
  let numRecords = 0;
  try {
    while (pending.length > 0 || (await more())) {
      const first = pending[0]!;
      const position = `line ${first.number} (byte ${first.offset})`;
      const record = await takeRecord(pending, more, delimiter);
      if (typeof record === 'string') {
        report.skip(position, record);
        pending.shift();
        continue;
      }
      pending.splice(0, record.numLines);
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
    await lines.return(undefined);
  }
  if (numRecords === 0 && report.numSkipped === 0)
    throw new DataError(`${path} has no rows${columns ? ' below its header' : ''}.`);
}

/** As many lines as one record needs, or why the first line cannot begin one. Consumes nothing. */
async function takeRecord(
  pending: readonly FileLine[],
  more: () => Promise<boolean>,
  delimiter: string,
): Promise<{ text: string; numLines: number } | string> {
  let text = '';
  let open = false;
  for (let i = 0; i < maxRecordLines; i++) {
    if (i >= pending.length && !(await more())) return 'a quoted field is never closed';
    const line = pending[i]!;
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
