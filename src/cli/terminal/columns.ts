/** Rows of cells as aligned columns: names to the left, numbers to the right, two spaces between. */
import { padText, textWidth } from './text-width.ts';

/**
 * @param alignment one letter per column, `l` or `r`. A row of a single cell is a heading: it takes no part in the widths.
 * @returns one line per row, without a line break at the end
 */
export function columns(rows: readonly (readonly string[])[], alignment: string): string {
  const full = rows.filter((row) => row.length > 1);
  const widths = [...alignment].map((_, i) => Math.max(0, ...full.map((row) => textWidth(row[i] ?? ''))));
  return rows
    .map((row) =>
      row
        .map((cell, i) => {
          const gap = ' '.repeat(Math.max(0, widths[i]! - textWidth(cell)));
          return alignment[i] === 'r' ? gap + cell : padText(cell, widths[i]!);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
