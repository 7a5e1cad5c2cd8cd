/** A record of a structured file as a document: which field is the text, which the id; plain fields become meta. */
import type { Document } from '../document.ts';

export interface RecordOptions {
  /** Field with the text. Default 'text', else 'content'. */
  textColumn?: string;
  /** Field with the id. Default: the record's number. */
  idColumn?: string;
}

export const usualTextColumns = ['text', 'content'];

/** The column that holds the text, or null. */
export function textColumnOf(columns: readonly string[], options: RecordOptions): string | null {
  const wanted = options.textColumn === undefined ? usualTextColumns : [options.textColumn];
  return wanted.find((column) => columns.includes(column)) ?? null;
}

/** The document, or why there is none. */
export function documentOf(
  record: Record<string, unknown>,
  source: string,
  fallbackId: string,
  options: RecordOptions,
): Document | string {
  const column = textColumnOf(Object.keys(record), options);
  if (column === null) return `no field '${options.textColumn ?? usualTextColumns.join("' or '")}'`;
  const text = record[column];
  if (typeof text !== 'string')
    return `field '${column}' is ${text === null ? 'null' : typeof text}, expected text`;
  if (text.trim() === '') return `field '${column}' is blank`;
  const rawId = options.idColumn === undefined ? undefined : record[options.idColumn];
  const id = typeof rawId === 'string' || typeof rawId === 'number' ? String(rawId) : fallbackId;
  const meta: Document['meta'] = {};
  for (const [key, value] of Object.entries(record)) {
    if (key === column || key === '__proto__') continue;
    if (value === null || typeof value === 'string' || typeof value === 'boolean') meta[key] = value;
    else if (typeof value === 'number' && Number.isFinite(value)) meta[key] = value;
  }
  return { id, text, source, meta };
}
