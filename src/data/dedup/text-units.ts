/**
 * The units in which exact duplicates are looked for, and a text without some of them. A line ends at "\n"; a
 * paragraph is a run of lines that are not blank. Blank lines are no units. Units are numbered from 0 in their
 * order, the same way each time.
 */
export type TextUnit = 'document' | 'paragraph' | 'line';

export const TEXT_UNITS: readonly TextUnit[] = ['document', 'paragraph', 'line'];

const blank = /^\s*$/;

/** Start and end of every unit, two entries a unit, without the line end after it. */
export function unitSpans(text: string, unit: TextUnit): number[] {
  if (unit === 'document') return [0, text.length];
  const spans: number[] = [];
  let paragraphStart = -1;
  let paragraphEnd = 0;
  for (let start = 0; start <= text.length; ) {
    const newline = text.indexOf('\n', start);
    const end = newline === -1 ? text.length : newline;
    if (isBlank(text, start, end)) {
      if (paragraphStart !== -1) spans.push(paragraphStart, paragraphEnd);
      paragraphStart = -1;
    } else if (unit === 'line') {
      spans.push(start, end);
    } else {
      if (paragraphStart === -1) paragraphStart = start;
      paragraphEnd = end;
    }
    if (newline === -1) break;
    start = end + 1;
  }
  if (paragraphStart !== -1) spans.push(paragraphStart, paragraphEnd);
  return spans;
}

function isBlank(text: string, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x20 && code < 0x7f) return false;
    if (code > 0x7f) return blank.test(text.slice(i, end));
  }
  return blank.test(text.slice(start, end));
}

/**
 * The text without the given units (ascending). What stood between a removed unit and the next one goes with it;
 * what stays is unchanged.
 */
export function withoutUnits(text: string, spans: readonly number[], removed: readonly number[]): string {
  if (removed.length === 0) return text;
  const numUnits = spans.length / 2;
  const gone = new Set(removed);
  const kept: string[] = [text.slice(0, spans[0] ?? 0)];
  let last = -1;
  for (let unit = 0; unit < numUnits; unit++) {
    if (gone.has(unit)) continue;
    // Between two kept units stands what stood after the first of them.
    if (last !== -1) kept.push(text.slice(spans[2 * last + 1], spans[2 * last + 2]));
    kept.push(text.slice(spans[2 * unit], spans[2 * unit + 1]));
    last = unit;
  }
  if (last !== -1) kept.push(text.slice(spans[2 * numUnits - 1]));
  return last === -1 ? '' : kept.join('');
}
