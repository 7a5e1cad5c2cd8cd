/**
 * A fact sheet says how a table becomes sentences and questions. It is plain data (JSON would do), written by
 * hand or drafted by `draftFactSheet`, and meant to be edited. Templates use these placeholders:
 * `{entity}` the name as it stands in a sentence (with its article, lower-cased where the sheet says so),
 * `{name}` the bare name, `{value}` the formatted value. Checking a sheet finds every mistake at once.
 */
import { ConfigError } from '../../core/errors.ts';
import { requireColumn, type Table } from '../../data/table.ts';
import type { NameStyles } from './name-styles.ts';

export interface FactSheet {
  name: string;
  entity: {
    /** What one row is, in the singular: 'country'. */
    noun: string;
    /** Column with the entity's name. */
    key: string;
    /** Column with a list of other names; no invented name may equal one. */
    aliases?: string;
    /** Names that contain one of these words get "the" in sentences: 'Islands', 'Republic'. */
    article?: readonly string[];
    /** Write the name in lower case inside sentences ("iron"); answers keep the table's spelling. */
    lowerCaseInText?: boolean;
  };
  attributes: readonly FactAttribute[];
  /** Questions from a value back to its entity; only values that one entity alone has are asked. */
  reverse?: readonly ReverseQuestions[];
  unknown: {
    /** The answer to questions about names that are not in the table. */
    answer: string;
    /** How invented names look; inferred from the real names where absent. */
    styles?: Partial<NameStyles>;
    /** Further names that are not in the table, for training. */
    trainNames?: readonly string[];
    /** Further names that are not in the table, for evaluation only. */
    testNames?: readonly string[];
  };
}

export interface FactAttribute {
  column: string;
  label: string;
  /** Full sentences. Not used for yes/no attributes. */
  statements: readonly string[];
  questions: readonly string[];
  /** Template of the answer; the bare value by default. */
  answer?: string;
  /** The cell is a list, or text cut at `separator`. Longer lists than `max` are left out. */
  list?: { max: number; separator?: string; order?: 'alphabetical' | 'as-given' };
  /** The cell is a number, rounded and written with thousands separators and unit. */
  number?: { significantDigits?: number; unit?: string; grouping?: boolean };
  /** The cell is a boolean; one set of statements for each value. */
  yesNo?: { yes: readonly string[]; no: readonly string[] };
  /** What to say where the cell is empty. Without it, such facts are left out. */
  missing?: { answer: string; statements?: readonly string[] };
  /** Longer values are left out. Default 60. */
  maxCharacters?: number;
}

export interface ReverseQuestions {
  column: string;
  questions: readonly string[];
}

export const defaultMaxCharacters = 60;

const placeholder = /\{([^{}]*)\}/g;

/** @throws ConfigError that lists every fault; DataError for a column that the table does not have. */
export function checkFactSheet(sheet: FactSheet, table: Table): void {
  const faults: string[] = [];
  requireColumn(table, sheet.entity.key, `Fact sheet '${sheet.name}', entity.key`);
  if (sheet.entity.aliases !== undefined) {
    requireColumn(table, sheet.entity.aliases, `Fact sheet '${sheet.name}', entity.aliases`);
  }
  if (sheet.attributes.length === 0)
    faults.push('attributes: the list is empty; add at least one attribute.');
  if (sheet.unknown.answer.trim() === '')
    faults.push("unknown.answer is blank; write for example I don't know.");
  const seenColumns = new Set<string>();
  const seenQuestions = new Map<string, string>();
  for (const attribute of sheet.attributes) {
    requireColumn(table, attribute.column, `Fact sheet '${sheet.name}'`);
    const at = `attribute '${attribute.column}'`;
    if (seenColumns.has(attribute.column)) faults.push(`${at} appears twice.`);
    seenColumns.add(attribute.column);
    if (attribute.questions.length === 0) faults.push(`${at}: no questions.`);
    checkTemplates(`${at} questions`, attribute.questions, ['entity', 'name'], ['entity', 'name'], faults);
    checkTemplates(`${at} statements`, attribute.statements, ['entity', 'name', 'value'], ['value'], faults);
    for (const statements of [attribute.yesNo?.yes, attribute.yesNo?.no, attribute.missing?.statements]) {
      if (statements)
        checkTemplates(`${at} statements`, statements, ['entity', 'name'], ['entity', 'name'], faults);
    }
    if (attribute.answer !== undefined) {
      checkTemplates(`${at} answer`, [attribute.answer], ['entity', 'name', 'value'], ['value'], faults);
    }
    if (attribute.list && !(attribute.list.max >= 1)) faults.push(`${at}: list.max must be at least 1.`);
    if (attribute.missing && attribute.missing.answer.trim() === '')
      faults.push(`${at}: missing.answer is blank.`);
    noteQuestions(at, attribute.questions, seenQuestions, faults);
  }
  for (const reverse of sheet.reverse ?? []) {
    const at = `reverse '${reverse.column}'`;
    if (!seenColumns.has(reverse.column)) faults.push(`${at}: there is no attribute with this column.`);
    if (reverse.questions.length === 0) faults.push(`${at}: no questions.`);
    checkTemplates(`${at} questions`, reverse.questions, ['value'], ['value'], faults);
    noteQuestions(at, reverse.questions, seenQuestions, faults);
  }
  if (faults.length === 0) return;
  throw new ConfigError(
    `Fact sheet '${sheet.name}' cannot be used:\n${faults.map((fault) => `- ${fault}`).join('\n')}`,
  );
}

function checkTemplates(
  at: string,
  templates: readonly string[],
  allowed: readonly string[],
  oneOf: readonly string[],
  faults: string[],
): void {
  for (const template of templates) {
    const used = [...template.matchAll(placeholder)].map((match) => match[1]!);
    const strange = used.filter((name) => !allowed.includes(name));
    if (strange.length > 0) {
      faults.push(
        `${at}: "${template}" uses {${strange[0]}}; here only {${allowed.join('}, {')}} can stand.`,
      );
    } else if (!used.some((name) => oneOf.includes(name))) {
      faults.push(`${at}: "${template}" needs {${oneOf.join('} or {')}}.`);
    }
  }
}

/** The same question under two attributes would have two right answers; twice in one would break hold-outs. */
function noteQuestions(
  at: string,
  questions: readonly string[],
  seen: Map<string, string>,
  faults: string[],
): void {
  for (const question of questions) {
    const form = question
      .replaceAll('{name}', '{entity}')
      .toLowerCase()
      .replace(/[^a-z0-9{}\p{L}]+/gu, ' ')
      .trim();
    const before = seen.get(form);
    if (before !== undefined)
      faults.push(`${at}: the question "${question}" stands already under ${before}.`);
    else seen.set(form, at);
  }
}
