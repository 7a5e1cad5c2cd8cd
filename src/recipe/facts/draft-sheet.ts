/**
 * A first fact sheet for any table: finds the column with the names, chooses the columns that make good facts,
 * and writes general phrasings for each. Every column it does not use is named with its reason. The result is
 * meant to be read and edited; `factSheetSource` writes it as TypeScript.
 */
import { ConfigError, DataError } from '../../core/errors.ts';
import { normalizeKey } from '../../data/keyed-split.ts';
import { type Cell, isEmptyCell, requireColumn, type Table } from '../../data/table.ts';
import {
  draftQuestions,
  draftReverseQuestions,
  draftStatements,
  draftYesNoStatements,
  labelOf,
} from './draft-phrasings.ts';
import {
  defaultMaxCharacters,
  type FactAttribute,
  type FactSheet,
  type ReverseQuestions,
} from './fact-sheet.ts';
import { cleanText } from './fact-values.ts';

export interface DraftOptions {
  /** Column with the names; found by uniqueness where absent. */
  keyColumn?: string;
  /** Columns to ask about; chosen by usefulness where absent. */
  columns?: readonly string[];
  /** Name of the sheet. Default 'facts'. */
  name?: string;
  /** What one row is, in the singular. Default: the key column's name, or 'entry' for 'name', 'id' and the like. */
  noun?: string;
  /** Most columns chosen by itself. Default 12. */
  maxColumns?: number;
}

export interface FactSheetDraft {
  sheet: FactSheet;
  skippedColumns: { column: string; reason: string }[];
}

const maxReverseColumns = 2;
const draftListMax = 4;

/** @throws DataError when no column can be the key or no column makes facts; ConfigError for unknown options. */
export function draftFactSheet(table: Table, options: DraftOptions = {}): FactSheetDraft {
  if (table.rows.length < 2) {
    throw new DataError(`A fact sheet needs a table of at least 2 rows; this one has ${table.rows.length}.`);
  }
  const { name = 'facts', maxColumns = 12 } = options;
  const key = options.keyColumn ?? findKeyColumn(table);
  requireColumn(table, key, 'keyColumn');
  for (const column of options.columns ?? []) requireColumn(table, column, 'columns');
  if (options.columns?.includes(key)) {
    throw new ConfigError(
      `'${key}' is the key column and cannot be asked about; take it out of columns or name another keyColumn.`,
    );
  }
  const skippedColumns: FactSheetDraft['skippedColumns'] = [];
  const usable = options.columns ?? bestColumns(table, key, maxColumns);
  const chosen = table.columns.filter((column) => column !== key && usable.includes(column));
  for (const column of table.columns) {
    if (column === key || usable.includes(column)) continue;
    const reason = options.columns ? 'not among the columns asked for' : reasonAgainst(column, table);
    skippedColumns.push({
      column,
      reason: reason ?? `less complete or longer than the ${maxColumns} chosen`,
    });
  }
  if (chosen.length === 0) {
    const reasons = skippedColumns.map(({ column, reason }) => `${column}: ${reason}`).join('; ');
    throw new DataError(
      `No column beside '${key}' makes good facts (${reasons}). Name columns to use them all the same.`,
    );
  }
  const noun = options.noun ?? nounOf(key);
  const labels = distinctLabels(chosen);
  const attributes = chosen.map((column, i) => draftAttribute(column, labels[i]!, table));
  const reverse = attributes
    .filter((attribute) => isReversible(attribute, table))
    .slice(0, maxReverseColumns)
    .map(
      ({ column, label }): ReverseQuestions => ({ column, questions: draftReverseQuestions(label, noun) }),
    );
  const sheet: FactSheet = {
    name,
    entity: { noun, key },
    attributes,
    ...(reverse.length > 0 && { reverse }),
    unknown: { answer: "I don't know." },
  };
  return { sheet, skippedColumns };
}

/** The sheet as the text of a TypeScript constant. */
export function factSheetSource(sheet: FactSheet, constantName = 'sheet'): string {
  const body = JSON.stringify(sheet, null, 2).replace(/^(\s*)"([A-Za-z_$][\w$]*)":/gm, '$1$2:');
  return `export const ${constantName}: FactSheet = ${body};\n`;
}

function findKeyColumn(table: Table): string {
  const scored = table.columns
    .map((column, position) => ({ column, score: keyScore(column, table) - position * 0.01 }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score);
  if (scored[0]) return scored[0].column;
  throw new DataError(
    `No column names the rows: none holds short texts that are all different. Columns: ${table.columns.join(', ')}. ` +
      'Set keyColumn to the one with the names.',
  );
}

/** Above 0 for texts that differ in at least 85 % of the rows; names are preferred to codes. */
function keyScore(column: string, table: Table): number {
  const texts = filledCells(column, table).filter((cell) => typeof cell === 'string');
  const distinct = new Set(texts.map(normalizeKey));
  if (distinct.size < 0.85 * table.rows.length) return 0;
  const meanLength = texts.reduce((sum, text) => sum + text.length, 0) / texts.length;
  if (meanLength > defaultMaxCharacters || texts.some((text) => /^https?:/.test(text))) return 0;
  const isNamed = /(^|[^a-z])(name|title|label)s?($|[^a-z])/i.test(splitWords(column));
  const looksLikeName =
    texts.filter((text) => /^\p{L}[\p{L}\p{M}\s'’.,()-]*$/u.test(text)).length / texts.length;
  return 1 + (isNamed ? 1 : 0) + looksLikeName + (meanLength > 4 ? 0.5 : 0);
}

/** The usable columns, the fullest with the shortest values first. */
function bestColumns(table: Table, key: string, maxColumns: number): string[] {
  const scoreOf = (column: string): number => {
    const cells = filledCells(column, table);
    const meanLength = cells.reduce<number>((sum, cell) => sum + String(cell).length, 0) / cells.length;
    return cells.length / table.rows.length - meanLength / defaultMaxCharacters;
  };
  return table.columns
    .filter((column) => column !== key && reasonAgainst(column, table) === null)
    .map((column) => ({ column, score: scoreOf(column) }))
    .sort((a, b) => b.score - a.score)
    .slice(0, maxColumns)
    .map(({ column }) => column);
}

/** Why a column makes no good facts, or null. */
function reasonAgainst(column: string, table: Table): string | null {
  const cells = filledCells(column, table);
  if (cells.length < Math.max(2, 0.3 * table.rows.length)) {
    return `only ${cells.length} of ${table.rows.length} rows have a value`;
  }
  const texts = cells.map((cell) => cleanText(typeof cell === 'object' ? cell.join(', ') : String(cell)));
  if (new Set(texts).size < 2) return 'all rows have the same value';
  const share = (test: (text: string) => boolean): number => texts.filter(test).length / texts.length;
  if (share((text) => /^(https?:|www\.)/.test(text)) > 0.5) return 'web addresses';
  if (share((text) => /^[0-9a-f-]{24,}$/i.test(text)) > 0.5) return 'random identifiers';
  if (share((text) => /^[[{].*[\]}]$/.test(text)) > 0.5) return 'nested data';
  if (share((text) => text.length <= defaultMaxCharacters) < 0.7) return 'values are too long';
  const meanWords = texts.reduce((sum, text) => sum + text.split(' ').length, 0) / texts.length;
  return meanWords > 8 ? 'free text' : null;
}

function draftAttribute(column: string, label: string, table: Table): FactAttribute {
  const cells = filledCells(column, table);
  const separator = listSeparator(cells);
  const isList = separator !== null || cells.some((cell) => typeof cell === 'object' && cell.length > 1);
  const base = {
    column,
    label,
    statements: draftStatements(label, isList),
    questions: draftQuestions(label, isList),
  };
  if (isList) {
    return {
      ...base,
      list: { max: draftListMax, ...(separator !== null && { separator }) },
      maxCharacters: 80,
    };
  }
  if (cells.every((cell) => typeof cell === 'number')) return { ...base, number: { grouping: false } };
  if (cells.every((cell) => typeof cell === 'boolean')) {
    return { ...base, statements: [], yesNo: draftYesNoStatements(label) };
  }
  return base;
}

/** A mark that cuts the texts of at least a third of the rows into several short items. */
function listSeparator(cells: readonly NonNullable<Cell>[]): string | null {
  const texts = cells.filter((cell) => typeof cell === 'string');
  if (texts.length < cells.length) return null;
  return (
    [';', '|'].find((mark) => texts.filter((text) => text.includes(mark)).length * 3 >= texts.length) ?? null
  );
}

/** Texts, nearly all different: asking back has one right answer. */
function isReversible(attribute: FactAttribute, table: Table): boolean {
  if (attribute.number || attribute.yesNo || attribute.list) return false;
  const cells = filledCells(attribute.column, table);
  return new Set(cells.map((cell) => normalizeKey(String(cell)))).size >= 0.9 * cells.length;
}

function filledCells(column: string, table: Table): NonNullable<Cell>[] {
  const cells: NonNullable<Cell>[] = [];
  for (const row of table.rows) {
    const cell = row[column];
    if (cell !== undefined && cell !== null && !isEmptyCell(cell)) cells.push(cell);
  }
  return cells;
}

/** Labels that differ in their letters, so that no two columns ask the same question. */
function distinctLabels(columns: readonly string[]): string[] {
  const seen = new Set<string>();
  return columns.map((column, i) => {
    let label = labelOf(column) || `value ${i + 1}`;
    const form = (): string =>
      label
        .toLowerCase()
        .replace(/[^\p{L}\p{N}]+/gu, ' ')
        .trim();
    for (let n = 2; seen.has(form()); n++) label = `${labelOf(column) || 'value'} ${n}`;
    seen.add(form());
    return label;
  });
}

function nounOf(key: string): string {
  const label = labelOf(key)
    .replace(/\b(name|title|label|id|key)s?\b/gi, '')
    .trim();
  return /^\p{L}[\p{L} -]{2,}$/u.test(label) ? label : 'entry';
}

function splitWords(column: string): string {
  return column.replace(/([a-z0-9])([A-Z])/g, '$1 $2').replace(/[_\s.-]+/g, ' ');
}
