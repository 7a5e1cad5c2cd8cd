/** Texts with `{column}` in them, filled from the rows of a table. Two braces stand for one: `{{` and `}}`. */
import { ConfigError } from '../../core/errors.ts';
import { nearestNames } from '../../core/nearest-name.ts';
import { isEmptyCell, type TableRow } from '../../data/table.ts';

const PLACEHOLDER = /\{\{|\}\}|\{([^{}]*)\}/g;

/** Throws ConfigError for a placeholder that names no column. */
export function checkTemplate(template: string, columns: readonly string[]): void {
  for (const [whole, column] of template.matchAll(PLACEHOLDER)) {
    if (column === undefined || columns.includes(column)) continue;
    throw new ConfigError(
      `The template "${template}" has ${whole}, which is no column. Columns: ${nearestNames(column, columns)}. ` +
        'For a brace as text write two of them.',
    );
  }
}

/** The text of a row; undefined where a column that it needs is empty. Lists become "a, b". */
export function fillTemplate(template: string, row: TableRow): string | undefined {
  let isWhole = true;
  const text = template.replace(PLACEHOLDER, (whole, column: string | undefined) => {
    if (column === undefined) return whole[0]!;
    const cell = row[column];
    if (isEmptyCell(cell)) isWhole = false;
    return Array.isArray(cell) ? cell.join(', ') : String(cell);
  });
  return isWhole ? text : undefined;
}
