/**
 * A table in memory: named columns, one record a row. What every table reader returns and what the facts
 * writer starts from. A row holds every column; an absent cell is null. It knows nothing of files.
 */
import { DataError } from '../core/errors.ts';

export type Cell = string | number | boolean | null | readonly (string | number | boolean)[];

export type TableRow = Record<string, Cell>;

export interface Table {
  columns: string[];
  rows: TableRow[];
}

/** A table of the given records; columns in order of first appearance, absent cells null. */
export function tableOf(records: Iterable<Record<string, unknown>>): Table {
  const columns = new Set<string>();
  const given: Record<string, unknown>[] = [];
  for (const record of records) {
    for (const column of Object.keys(record)) columns.add(column);
    given.push(record);
  }
  const names = [...columns];
  const rows = given.map((record) => {
    const entries = names.map((name) => [name, Object.hasOwn(record, name) ? cellOf(record[name]) : null]);
    return Object.fromEntries(entries) as TableRow;
  });
  return { columns: names, rows };
}

/** Any value as a cell: lists of plain values stay lists, dates become ISO text, objects become JSON. */
export function cellOf(value: unknown): Cell {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value.toString();
  }
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (Array.isArray(value)) {
    const items: (string | number | boolean)[] = [];
    for (const item of value) {
      const cell = cellOf(item);
      if (cell === null) continue;
      items.push(typeof cell === 'object' ? JSON.stringify(cell) : cell);
    }
    return items;
  }
  return JSON.stringify(value) ?? null;
}

/** True for null, blank text and empty lists. */
export function isEmptyCell(cell: Cell | undefined): boolean {
  if (cell === undefined || cell === null) return true;
  if (typeof cell === 'string') return cell.trim() === '';
  return typeof cell === 'object' && cell.length === 0;
}

/** @throws DataError naming the columns there are, when `column` is not one of them. */
export function requireColumn(table: Table, column: string, what: string): void {
  if (table.columns.includes(column)) return;
  throw new DataError(
    `${what} names the column '${column}', which the table does not have. Its columns: ${table.columns.join(', ')}.`,
  );
}

/** Text columns whose filled cells are all plain numbers, or all true and false, as numbers and booleans. */
export function typeColumns(table: Table): Table {
  const convert = new Map<string, (text: string) => Cell>();
  for (const column of table.columns) {
    const texts = table.rows.map((row) => row[column]).filter((cell) => !isEmptyCell(cell));
    if (texts.length === 0 || texts.some((cell) => typeof cell !== 'string')) continue;
    const trimmed = texts.map((cell) => String(cell).trim());
    // Leading zeros and long digit strings are codes (post codes, phone numbers), not quantities.
    if (trimmed.every((text) => /^-?(0|[1-9]\d{0,14})(\.\d{1,12})?$/.test(text))) convert.set(column, Number);
    else if (trimmed.every((text) => /^(true|false)$/i.test(text))) {
      convert.set(column, (text) => text.toLowerCase() === 'true');
    }
  }
  const rows = table.rows.map((row) => {
    const typed: TableRow = { ...row };
    for (const column of table.columns) {
      const cell = row[column];
      if (typeof cell !== 'string') continue;
      if (cell.trim() === '') typed[column] = null;
      else typed[column] = convert.get(column)?.(cell.trim()) ?? cell;
    }
    return typed;
  });
  return { columns: table.columns, rows };
}
