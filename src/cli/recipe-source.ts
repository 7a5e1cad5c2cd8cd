/** The text of a drafted recipe: short, plain, meant to be read and edited. */
import type { FactSheet } from '../recipe/facts/index.ts';

export interface RecipeDraft {
  readonly name: string;
  readonly minutes: number;
  /** Relative URL of the table, seen from the recipe's file. */
  readonly tableUrl: string;
  readonly tableName: string;
  readonly sheet: FactSheet;
}

export function recipeSource({ name, minutes, tableUrl, tableName, sheet }: RecipeDraft): string {
  const { noun } = sheet.entity;
  const attributes = sheet.attributes.map(({ label }) => label).join(', ');
  return `import { fileURLToPath } from 'node:url';
import { readTable } from 'plinth/data';
import { defineRecipe, type FactSheet } from 'plinth/recipe';

const tablePath = fileURLToPath(new URL(${quoted(tableUrl)}, import.meta.url));

// {entity} is the name as it stands in a sentence, {name} the bare name, {value} the value. Write the sentences as
// people would say them, at least four of each kind, all different. One question of every fact is kept for the test.
const sheet: FactSheet = ${literal(sheet, 0)};

export default defineRecipe({
  name: ${quoted(name)},
  description: ${quoted(oneLine(`Facts from ${tableName}: ${attributes} of each ${noun}.`))},
  minutes: ${minutes},
  sources: async () => {
    const { table } = await readTable(tablePath);
    return [{ table, sheet, licence: 'your own data' }];
  },
});
`;
}

const oneLine = (text: string) => text.replace(/\s+/g, ' ').trim();

/** A TypeScript string in single quotes, or in double quotes when it holds one. */
function quoted(text: string): string {
  const json = JSON.stringify(text).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
  return text.includes("'") ? json : `'${json.slice(1, -1).replaceAll('\\"', '"')}'`;
}

const LINE_WIDTH = 110;

/** Plain data as TypeScript: one line where it fits, else one line for each item. */
function literal(value: unknown, depth: number): string {
  if (typeof value === 'string') return quoted(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const items = Array.isArray(value)
    ? value.map((item) => literal(item, depth + 1))
    : Object.entries(value)
        .filter(([, item]) => item !== undefined)
        .map(([key, item]) => `${keyOf(key)}: ${literal(item, depth + 1)}`);
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{ ', ' }'];
  const line = `${open}${items.join(', ')}${close}`;
  if (!line.includes('\n') && 2 * depth + line.length <= LINE_WIDTH - 20) return line;
  const indent = '  '.repeat(depth + 1);
  return `${open.trim()}\n${items.map((item) => `${indent}${item},\n`).join('')}${'  '.repeat(depth)}${close.trim()}`;
}

const keyOf = (key: string) => (/^[A-Za-z_$][\w$]*$/.test(key) && key !== '__proto__' ? key : quoted(key));
