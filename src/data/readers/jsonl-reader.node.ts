/** JSON Lines files: one object a line. Lines that are not, or have no text, are skipped and counted. */
import { messageOf } from '../../core/errors.ts';
import type { Document, ReadReport } from '../document.ts';
import { type FileLine, fileLines, positionOf } from './byte-lines.node.ts';
import { FileReader } from './file-reader.ts';
import { documentOf, type RecordOptions } from './record-document.ts';

export interface JsonlReaderOptions extends RecordOptions {
  /** Longer lines are skipped. Default 64 MiB. */
  maxLineBytes?: number;
}

/** The id is the field 'id' where there is one; a field 'source' that is a text names the document's source. */
export class JsonlReader extends FileReader<JsonlReaderOptions> {
  constructor(path: string, options: JsonlReaderOptions = {}) {
    super(path, options);
  }

  protected async *documents(report: ReadReport): AsyncGenerator<Document> {
    const options = { idColumn: 'id', ...this.options };
    for await (const lines of fileLines(this.path, this.options.maxLineBytes, report.noticePosition)) {
      for (const line of lines) {
        const found = recordOf(line, report);
        if (found === null) continue;
        const document = writtenDocumentOf(found.record, this.path, `line-${line.number}`, options);
        if (typeof document === 'string') {
          report.skip(found.position, document);
        } else {
          report.numRead++;
          yield document;
        }
      }
    }
  }
}

/** A record's document. A line that was a `Document` when it was written becomes that document again. */
function writtenDocumentOf(
  record: Record<string, unknown>,
  path: string,
  fallbackId: string,
  options: RecordOptions,
): Document | string {
  const { source, meta, ...fields } = record;
  const ofSource = typeof source === 'string' && source !== '' ? source : null;
  if (typeof meta !== 'object' || meta === null || Array.isArray(meta)) {
    return documentOf(record, ofSource ?? path, fallbackId, options);
  }
  const document = documentOf(fields, ofSource ?? path, fallbackId, options);
  if (typeof document === 'string') return document;
  if (options.idColumn !== undefined) delete document.meta[options.idColumn];
  for (const [key, value] of Object.entries(meta)) {
    if (key === '__proto__') continue;
    if (value === null || typeof value === 'string' || typeof value === 'boolean') document.meta[key] = value;
    else if (typeof value === 'number' && Number.isFinite(value)) document.meta[key] = value;
  }
  return document;
}

export interface JsonlRecord {
  record: Record<string, unknown>;
  position: string;
}

/** The objects of a file; everything else is noted in the report. */
export async function* jsonlRecords(
  path: string,
  report: ReadReport,
  maxLineBytes?: number,
): AsyncGenerator<JsonlRecord> {
  for await (const lines of fileLines(path, maxLineBytes, report.noticePosition)) {
    for (const line of lines) {
      const found = recordOf(line, report);
      if (found !== null) yield found;
    }
  }
}

function recordOf(line: FileLine, report: ReadReport): JsonlRecord | null {
  const record = line.text === null ? (line.damage ?? 'damaged') : objectOf(line.text);
  if (record === null) return null;
  const position = positionOf(line);
  if (typeof record !== 'string') return { record, position };
  report.skip(position, record);
  return null;
}

/** The object of a line, null for a blank one, or why it has none. */
function objectOf(text: string): Record<string, unknown> | string | null {
  if (text.trim() === '') return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `not JSON: ${messageOf(error)}`;
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  return `expected an object, got ${Array.isArray(value) ? 'a list' : JSON.stringify(value).slice(0, 40)}`;
}
