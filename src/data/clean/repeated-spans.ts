/**
 * How much of a page stands in lines or paragraphs that occur more than once. Three ways of counting:
 * - 'paper': copies of an earlier line, among the lines that are not blank and their characters;
 * - 'datatrove': copies of an earlier line after splitting at runs of \n, among all of these and all characters of
 *   the text (blank first and last pieces count, as there);
 * - 'dolma': every line that occurs more than once, the first occurrence too, among all lines (blank ones too) and
 *   the characters of the words.
 * Paragraphs are split at two or more \n after stripping the text; dolma has no rule for them, so there 'dolma' is
 * 'paper' with first occurrences.
 */
import { characterClasses, SPACE } from './character-classes.ts';
import type { Page } from './page.ts';
import { SpanTable } from './span-table.ts';

export const COUNTING_VARIANTS = ['paper', 'datatrove', 'dolma'] as const;
export type CountingVariant = (typeof COUNTING_VARIANTS)[number];

export interface RepeatedShares {
  /** Share of the spans. */
  spans: number;
  /** Share of the characters; can pass 1 with 'dolma', where white space is in the part but not in the whole. */
  characters: number;
}

const table = new SpanTable();
let ids = new Int32Array(64);
let sizes = new Int32Array(64);
let numSpans = 0;

export function repeatedLines(page: Page, variant: CountingVariant): RepeatedShares {
  return page.shared(`lines-${variant}`, () => linesOf(page, variant));
}

export function repeatedParagraphs(page: Page, variant: CountingVariant): RepeatedShares {
  return page.shared(`paragraphs-${variant}`, () => paragraphsOf(page, variant));
}

function linesOf(page: Page, variant: CountingVariant): RepeatedShares {
  begin();
  const { lineEnds, codes } = page;
  const numLines = page.numNewlines + 1;
  let start = 0;
  for (let line = 0; line < numLines; line++) {
    const end = lineEnds[line]!;
    const keeps =
      variant === 'dolma' ||
      (variant === 'paper' && !isBlank(codes, start, end)) ||
      // Splitting at runs of \n leaves no empty piece but before the first and after the last one.
      (variant === 'datatrove' && (start < end || line === 0 || line === numLines - 1));
    if (keeps) push(page, start, end);
    start = end + 1;
  }
  return sharesOf(page, variant);
}

function paragraphsOf(page: Page, variant: CountingVariant): RepeatedShares {
  // Most web text has no empty line: one paragraph.
  if (!page.text.includes('\n\n')) return { spans: 0, characters: 0 };
  begin();
  const { codes } = page;
  const classes = characterClasses();
  let start = 0;
  let last = page.length;
  while (start < last && (classes[codes[start]!]! & SPACE) !== 0) start++;
  while (last > start && (classes[codes[last - 1]!]! & SPACE) !== 0) last--;
  for (let i = start; i < last; i++) {
    if (codes[i] !== 10 || codes[i + 1] !== 10) continue;
    push(page, start, i);
    while (codes[i + 1] === 10) i++;
    start = i + 1;
  }
  push(page, start, last);
  return sharesOf(page, variant);
}

function begin(): void {
  table.clear();
  numSpans = 0;
}

function push(page: Page, start: number, end: number): void {
  if (numSpans >= ids.length) {
    ids = grown(ids);
    sizes = grown(sizes);
  }
  ids[numSpans] = table.add(page.codes, start, end);
  sizes[numSpans++] = page.charactersIn(start, end);
}

function sharesOf(page: Page, variant: CountingVariant): RepeatedShares {
  if (table.size === numSpans) return { spans: 0, characters: 0 };
  let numRepeated = 0;
  let repeatedCharacters = 0;
  let characters = 0;
  let nextNew = 0;
  for (let i = 0; i < numSpans; i++) {
    characters += sizes[i]!;
    const isFirst = ids[i] === nextNew;
    if (isFirst) nextNew++;
    if (isFirst && (variant !== 'dolma' || table.counts[ids[i]!] === 1)) continue;
    numRepeated++;
    repeatedCharacters += sizes[i]!;
  }
  let whole = characters;
  if (variant === 'datatrove') whole = page.numCharacters;
  if (variant === 'dolma') whole = page.words('whitespace').numCharacters;
  return { spans: numRepeated / numSpans, characters: whole === 0 ? 0 : repeatedCharacters / whole };
}

function isBlank(codes: Uint16Array, start: number, end: number): boolean {
  const classes = characterClasses();
  for (let i = start; i < end; i++) if ((classes[codes[i]!]! & SPACE) === 0) return false;
  return true;
}

function grown(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}
