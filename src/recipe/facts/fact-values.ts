/**
 * Cells as the text of an answer: lists in a stable order, numbers with units, booleans as yes and no.
 * One cell has exactly one form, so that answers can be graded by equality.
 */
import type { Cell } from '../../data/table.ts';
import { isEmptyCell } from '../../data/table.ts';
import { defaultMaxCharacters, type FactAttribute } from './fact-sheet.ts';

export type FormattedValue =
  | { text: string }
  | { leftOut: 'missing' | 'list-too-long' | 'too-long' | 'not-a-number' };

export function formatValue(cell: Cell | undefined, attribute: FactAttribute): FormattedValue {
  if (cell === undefined || isEmptyCell(cell)) return { leftOut: 'missing' };
  let text: string;
  if (attribute.list) {
    const items = listItems(cell!, attribute.list.separator);
    if (items.length === 0) return { leftOut: 'missing' };
    if (items.length > attribute.list.max) return { leftOut: 'list-too-long' };
    if (attribute.list.order !== 'as-given') items.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    text = joinList(items);
  } else if (attribute.yesNo) {
    const value = yesOrNo(cell!);
    if (value === null) return { leftOut: 'missing' };
    text = value;
  } else if (attribute.number) {
    const number = typeof cell === 'number' ? cell : Number(String(cell).replaceAll(',', '').trim());
    if (!Number.isFinite(number)) return { leftOut: 'not-a-number' };
    text = formatNumber(number, attribute.number);
  } else if (typeof cell === 'object') {
    text = joinList(listItems(cell!));
  } else {
    text = cleanText(String(cell));
  }
  if (text === '') return { leftOut: 'missing' };
  if (text.length > (attribute.maxCharacters ?? defaultMaxCharacters)) return { leftOut: 'too-long' };
  return { text };
}

/** "a", "a and b", "a, b and c". */
export function joinList(items: readonly string[]): string {
  if (items.length < 2) return items.join('');
  return `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}

/** Rounds to significant digits, groups thousands with commas, appends the unit. Never exponent notation. */
export function formatNumber(
  value: number,
  options: { significantDigits?: number; unit?: string; grouping?: boolean },
): string {
  const { significantDigits, unit, grouping = true } = options;
  const rounded = significantDigits === undefined ? value : Number(value.toPrecision(significantDigits));
  const decimals = Number.isInteger(rounded) ? 0 : Math.min(20, decimalPlaces(rounded));
  const [whole, fraction] = Math.abs(rounded).toFixed(decimals).split('.');
  const grouped = grouping ? whole!.replace(/\B(?=(\d{3})+(?!\d))/g, ',') : whole!;
  const text = `${rounded < 0 ? '-' : ''}${grouped}${fraction ? `.${fraction}` : ''}`;
  return unit ? `${text} ${unit}` : text;
}

function decimalPlaces(value: number): number {
  const [mantissa, exponent] = value.toString().split('e');
  const decimals = mantissa!.split('.')[1]?.length ?? 0;
  return Math.max(0, decimals - Number(exponent ?? 0));
}

export function listItems(cell: NonNullable<Cell>, separator?: string): string[] {
  const raw =
    typeof cell === 'object'
      ? cell.map(String)
      : separator === undefined
        ? [String(cell)]
        : String(cell).split(separator);
  return [...new Set(raw.map(cleanText).filter((item) => item !== ''))];
}

function yesOrNo(cell: NonNullable<Cell>): 'yes' | 'no' | null {
  const text = String(cell).trim().toLowerCase();
  if (['true', 'yes', 'y', '1'].includes(text)) return 'yes';
  return ['false', 'no', 'n', '0'].includes(text) ? 'no' : null;
}

/** One line: control characters and runs of white space become single spaces; NFC. */
export function cleanText(text: string): string {
  return text
    .normalize('NFC')
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim();
}
