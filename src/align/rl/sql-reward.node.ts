/**
 * Rewards for SQL: a query that SQLite accepts, and a query that gives the same rows as the right one. Queries run in a
 * database of their own in memory, made by the record's statements, so that nothing an answer says can do harm;
 * only single reading queries are run. A query over many joined tables takes as long as it takes: keep tables small.
 */
import sqlite, { type Database } from 'node-sqlite3-wasm';
import { DataError, messageOf } from '../../core/errors.ts';
import type { AnsweredPrompt, RewardFunction } from '../reward-function.ts';

export interface SqlRewardOptions {
  /**
   * `valid`: SQLite can prepare the answer against the record's tables. `result`: it also gives the same rows as the
   * record's query; their order counts only where that query has ORDER BY.
   */
  readonly compare: 'valid' | 'result';
  /** Field with the statements that make the tables. Default "schema". */
  readonly schemaField?: string;
  /** Field with the right query. Default "answer". */
  readonly answerField?: string;
}

/** Rows that are compared at most: a query that gives more is wrong unless the right one does too. */
const MAX_ROWS = 10_000;
/** Databases of different tables kept open. */
const MAX_DATABASES = 64;
const FENCE = /^```(?:sql(?:ite)?)?\s*([\s\S]*?)\s*```$/iu;
const READS = /^(?:select|with|values)\b/iu;
const UNBOUNDED = /\brecursive\b/iu;

/** 1 for an answer that passes, else 0. */
export function sqlReward(options: SqlRewardOptions): RewardFunction {
  const { compare, schemaField = 'schema', answerField = 'answer' } = options;
  const databases = new Map<string, Database>();
  const databaseOf = (schema: string): Database => {
    const known = databases.get(schema);
    if (known) return known;
    if (databases.size >= MAX_DATABASES) {
      for (const database of databases.values()) database.close();
      databases.clear();
    }
    const database = new sqlite.Database();
    try {
      database.exec(schema);
    } catch (error) {
      database.close();
      throw new DataError(
        `The record's field "${schemaField}" cannot be run as SQL: ${messageOf(error)}. It must make the tables, such ` +
          "as CREATE TABLE city (name TEXT); INSERT INTO city VALUES ('Rome').",
        { cause: error },
      );
    }
    databases.set(schema, database);
    return database;
  };
  const judge = ({ completion, record }: AnsweredPrompt): number => {
    const database = databaseOf(textField(record, schemaField));
    const query = queryOf(completion.text);
    if (query === undefined) return 0;
    if (compare === 'valid') return isPrepared(database, query) ? 1 : 0;
    const wanted = queryOf(textField(record, answerField));
    const right = wanted === undefined ? undefined : rowsOf(database, wanted);
    if (right === undefined) {
      throw new DataError(
        `The record's field "${answerField}" is no SELECT that SQLite can run on its tables: ${wanted ?? record[answerField]}`,
      );
    }
    const given = rowsOf(database, query);
    if (given === undefined) return 0;
    const isOrdered = /\border\s+by\b/iu.test(wanted!);
    return isSameRows(given, right, isOrdered) ? 1 : 0;
  };
  return { name: `sql-${compare}`, score: (answers) => answers.map(judge) };
}

/** The one query of an answer, without a code fence; undefined for anything that is not a single reading query. */
export function queryOf(text: string): string | undefined {
  const plain = text.trim();
  const query = (FENCE.exec(plain)?.[1] ?? plain).trim().replace(/;\s*$/u, '');
  return READS.test(query) && !UNBOUNDED.test(query) ? query : undefined;
}

/** In parentheses there is room for one query only. */
const bounded = (query: string) => `SELECT * FROM (${query}\n) LIMIT ${MAX_ROWS}`;

function isPrepared(database: Database, query: string): boolean {
  try {
    database.prepare(bounded(query)).finalize();
    return true;
  } catch {
    return false;
  }
}

/** Each row as text; undefined for a query that fails. */
function rowsOf(database: Database, query: string): string[] | undefined {
  let statement: ReturnType<Database['prepare']> | undefined;
  try {
    statement = database.prepare(bounded(query));
    return statement.all().map((row) => JSON.stringify(Object.values(row as object).map(comparable)));
  } catch {
    return undefined;
  } finally {
    statement?.finalize();
  }
}

/** JSON has neither big integers nor bytes. */
function comparable(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  return value instanceof Uint8Array ? `bytes ${Array.from(value).join()}` : value;
}

function isSameRows(a: readonly string[], b: readonly string[], isOrdered: boolean): boolean {
  if (a.length !== b.length) return false;
  const [left, right] = isOrdered ? [a, b] : [[...a].sort(), [...b].sort()];
  return left.every((row, i) => row === right[i]);
}

function textField(record: AnsweredPrompt['record'], field: string): string {
  const value = Object.hasOwn(record, field) ? record[field] : undefined;
  if (typeof value === 'string') return value;
  throw new DataError(
    `A record lacks the text "${field}" that the SQL reward needs; it has ${Object.keys(record).join(', ') || 'no field'}.`,
  );
}
