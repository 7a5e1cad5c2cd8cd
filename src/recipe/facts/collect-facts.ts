/**
 * Table and sheet -> facts. A fact is one question topic with exactly one right answer. Whatever would have no
 * answer, several answers or too long an answer is left out and listed with its reason, never guessed.
 */
import { normalizeKey } from '../../data/keyed-split.ts';
import { isEmptyCell, type Table, type TableRow } from '../../data/table.ts';
import { checkFactSheet, type FactAttribute, type FactSheet } from './fact-sheet.ts';
import { cleanText, formatValue, listItems } from './fact-values.ts';
import { renderTemplate } from './templates.ts';

export interface Fact {
  /** Unique within a sheet; the keyed choice of the held-out phrasing hangs on it. */
  id: string;
  sheet: string;
  /** The entity's name as in the table. */
  entity: string;
  /** Column of the value. */
  attribute: string;
  /** 'forward' asks for the value, 'reverse' gives the value and asks for the entity. */
  direction: 'forward' | 'reverse';
  value: string;
  answer: string;
  statements: readonly string[];
  questions: readonly string[];
}

export interface LeftOutFact {
  sheet: string;
  entity: string;
  attribute: string;
  direction: 'forward' | 'reverse';
  reason:
    | 'missing'
    | 'list-too-long'
    | 'too-long'
    | 'not-a-number'
    | 'not-unique'
    | 'duplicate-entity'
    | 'no-name';
}

export interface FactSource {
  table: Table;
  sheet: FactSheet;
}

/** Facts in the table's order. `statements` and `questions` hold the rendered texts of every phrasing. */
export function collectFacts({ table, sheet }: FactSource): { facts: Fact[]; leftOut: LeftOutFact[] } {
  checkFactSheet(sheet, table);
  const leftOut: LeftOutFact[] = [];
  const rows = namedRows(table, sheet, leftOut);
  const facts: Fact[] = [];
  for (const attribute of sheet.attributes) {
    const reverse = sheet.reverse?.find((entry) => entry.column === attribute.column);
    const forward = forwardFacts(rows, sheet, attribute, leftOut);
    facts.push(...forward.map(({ fact }) => fact));
    if (!reverse) continue;
    const holders = valueHolders(rows, attribute);
    for (const { fact, isMissing } of forward) {
      if (isMissing) continue;
      const { entity, value } = fact;
      const base = { sheet: sheet.name, entity, attribute: attribute.column, direction: 'reverse' as const };
      if ((holders.get(normalizeKey(value)) ?? 0) > 1) {
        leftOut.push({ ...base, reason: 'not-unique' });
        continue;
      }
      const questions = reverse.questions.map((template) => renderTemplate(template, sheet, entity, value));
      const id = `${sheet.name}/${attribute.column}/reverse/${entity}`;
      facts.push({ ...base, id, value, answer: entity, statements: [], questions });
    }
  }
  return { facts, leftOut };
}

/** In how many rows a value stands, alone or in a list; rows whose own fact is left out count too. */
function valueHolders(rows: readonly { row: TableRow }[], attribute: FactAttribute): Map<string, number> {
  const holders = new Map<string, number>();
  for (const { row } of rows) {
    const cell = row[attribute.column];
    const formatted = formatValue(cell, attribute);
    const values = attribute.list && !isEmptyCell(cell) ? listItems(cell!, attribute.list.separator) : [];
    if ('text' in formatted) values.push(formatted.text);
    for (const key of new Set(values.map(normalizeKey))) holders.set(key, (holders.get(key) ?? 0) + 1);
  }
  return holders;
}

function namedRows(
  table: Table,
  sheet: FactSheet,
  leftOut: LeftOutFact[],
): { name: string; row: TableRow }[] {
  const rows: { name: string; row: TableRow }[] = [];
  const seen = new Set<string>();
  const base = { sheet: sheet.name, attribute: sheet.entity.key, direction: 'forward' as const };
  for (const row of table.rows) {
    const cell = row[sheet.entity.key];
    const name = isEmptyCell(cell) ? '' : cleanText(String(cell));
    if (name === '') {
      leftOut.push({ ...base, entity: '', reason: 'no-name' });
    } else if (seen.has(normalizeKey(name))) {
      leftOut.push({ ...base, entity: name, reason: 'duplicate-entity' });
    } else {
      seen.add(normalizeKey(name));
      rows.push({ name, row });
    }
  }
  return rows;
}

function forwardFacts(
  rows: readonly { name: string; row: TableRow }[],
  sheet: FactSheet,
  attribute: FactAttribute,
  leftOut: LeftOutFact[],
): { fact: Fact; isMissing: boolean }[] {
  const out: { fact: Fact; isMissing: boolean }[] = [];
  for (const { name, row } of rows) {
    const base = {
      sheet: sheet.name,
      entity: name,
      attribute: attribute.column,
      direction: 'forward' as const,
    };
    const formatted = formatValue(row[attribute.column], attribute);
    const isMissing = 'leftOut' in formatted;
    if (isMissing && !(formatted.leftOut === 'missing' && attribute.missing)) {
      leftOut.push({ ...base, reason: formatted.leftOut });
      continue;
    }
    const value = isMissing ? attribute.missing!.answer : formatted.text;
    const statements = isMissing
      ? (attribute.missing!.statements ?? [])
      : attribute.yesNo
        ? attribute.yesNo[value as 'yes' | 'no']
        : attribute.statements;
    const render = (template: string): string => renderTemplate(template, sheet, name, value);
    const answer = isMissing || attribute.answer === undefined ? value : render(attribute.answer);
    const id = `${sheet.name}/${attribute.column}/${name}`;
    const fact = {
      ...base,
      id,
      value,
      answer,
      statements: statements.map(render),
      questions: attribute.questions.map(render),
    };
    out.push({ fact, isMissing });
  }
  return out;
}
