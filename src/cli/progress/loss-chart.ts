/**
 * A curve in braille characters, two by four dots to a cell (Unicode block U+2800). The vertical range is that
 * of the values, cut at the 2nd percentile from the top so that the first steps do not flatten the rest.
 */

/** Bits of a cell's dots, by row and column. */
const DOTS = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const;

export interface ChartText {
  /** `rows` strings of `columns` characters. */
  readonly lines: string[];
  /** Values at the top and bottom edge. */
  readonly top: number;
  readonly bottom: number;
}

/** @param place the part of the width that the values fill, from 0 to 1: the part of the run they belong to. */
export function brailleChart(
  values: readonly number[],
  columns: number,
  rows: number,
  place: { from: number; to: number } = { from: 0, to: 1 },
): ChartText {
  const cells = Array.from({ length: rows }, () => new Uint8Array(columns));
  const finite = values.filter(Number.isFinite);
  if (finite.length === 0) return { lines: textOf(cells), top: Number.NaN, bottom: Number.NaN };
  const sorted = [...finite].sort((a, b) => a - b);
  const bottom = sorted[0]!;
  const top = sorted[Math.ceil((sorted.length - 1) * 0.98)]!;
  const range = top - bottom || 1;
  const first = Math.max(0, Math.min(2 * columns - 1, Math.round(2 * columns * place.from)));
  const width = Math.max(1, Math.min(2 * columns - first, Math.round(2 * columns * (place.to - place.from))));
  const lastRow = 4 * rows - 1;
  let previous: number | undefined;
  for (let x = 0; x < width; x++) {
    const value = valueAt(finite, x, width);
    const y = Math.max(0, Math.min(lastRow, Math.round(((top - value) / range) * lastRow)));
    // Dots between neighbours join them, so that a fall is a line and not a gap.
    const from = previous === undefined ? y : y > previous ? Math.min(previous + 1, y) : y;
    const to = previous === undefined ? y : y > previous ? y : Math.max(previous - 1, y);
    const at = first + x;
    for (let dot = from; dot <= to; dot++) cells[dot >> 2]![at >> 1]! |= DOTS[dot & 3]![at & 1]!;
    previous = y;
  }
  return { lines: textOf(cells), top, bottom };
}

/** Mean of the values that fall on column x, or the line between the two nearest when there are fewer. */
function valueAt(values: readonly number[], x: number, width: number): number {
  if (values.length >= width) {
    const from = Math.floor((x * values.length) / width);
    const to = Math.max(from + 1, Math.floor(((x + 1) * values.length) / width));
    let sum = 0;
    for (let i = from; i < to; i++) sum += values[i]!;
    return sum / (to - from);
  }
  const position = width === 1 ? 0 : (x * (values.length - 1)) / (width - 1);
  const i = Math.floor(position);
  const next = values[Math.min(i + 1, values.length - 1)]!;
  return values[i]! + (next - values[i]!) * (position - i);
}

const textOf = (cells: readonly Uint8Array[]) =>
  cells.map((row) =>
    Array.from(row, (bits) => (bits === 0 ? ' ' : String.fromCharCode(0x2800 + bits))).join(''),
  );
