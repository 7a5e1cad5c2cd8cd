/**
 * A chart of x against y in characters: lines in braille dots (two by four to a cell), bands as a light shade, dots
 * and marks as letters of their own, axes with round values. What the page shows as SVG (recipe/report/xy-chart.ts),
 * a terminal shows with this.
 */
import { leftOutText, placeChart, type XyChart, type XySeries } from '../../recipe/report/xy-chart.ts';
import { type Style, uncolored } from './style.ts';
import { cutText, plainLine, textWidth } from './text-width.ts';

export interface TerminalChartOptions {
  /** Of everything, labels included; default 78. */
  readonly columns?: number;
  /** Of the plot; default 16. */
  readonly rows?: number;
  readonly style?: Style;
}

const MIN_COLUMNS = 30;
const MIN_ROWS = 4;
const BITS = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const;
const SHADE = '░';
const MARK = '◆';
const DOTS = ['●', '○', '■', '□', '▲', '△'];

/** Title, plot, axes and legend, as lines without a break at the end. Nothing to draw gives one line that says so. */
export function terminalXyChart(
  chart: XyChart,
  { columns = 78, rows: height = 16, style = uncolored }: TerminalChartOptions = {},
): string[] {
  const rows = Math.max(MIN_ROWS, height);
  const placed = placeChart(chart, { x: columns >= 60 ? 5 : 3, y: Math.max(2, Math.floor(rows / 3)) });
  const { x, y, series, numLeftOut } = placed;
  if (series.every(({ points }) => points.length === 0))
    return [`${plainLine(chart.title)}: nothing to draw.`];
  const yLabels = y.ticks.map((tick) => ({ row: rowOf(y.at(tick), rows), text: y.label(tick) }));
  const margin = Math.max(...yLabels.map(({ text }) => textWidth(text)), 0);
  const width = Math.max(MIN_COLUMNS, columns) - margin - 2;
  const plot = new Plot(width, rows);

  for (const { kind, points } of series) {
    if (kind !== 'band') continue;
    plot.shade(points.map((point) => ({ x: x.at(point.x), low: y.at(point.low!), high: y.at(point.high!) })));
  }
  for (const one of series) {
    if (one.kind !== 'line') continue;
    plot.line(
      one.points.map((point) => ({ x: x.at(point.x), y: y.at(point.y) })),
      one.dash ?? 'solid',
    );
  }
  const letters = dotLetters(series);
  for (const one of series) {
    if (one.kind !== 'dots') continue;
    for (const point of one.points) plot.letter(x.at(point.x), y.at(point.y), letters.get(one.name)!);
  }
  for (const one of series) {
    if (one.kind !== 'mark') continue;
    for (const point of one.points) plot.letter(x.at(point.x), y.at(point.y), MARK);
  }

  const lines = [
    style.bold(cutText(plainLine(chart.title), columns)),
    style.dim(cutText(plainLine(chart.y.label), columns)),
  ];
  plot.lines(style).forEach((text, row) => {
    const label = yLabels.find((tick) => tick.row === row)?.text;
    lines.push(`${style.dim(`${(label ?? '').padStart(margin)} ${label === undefined ? '│' : '┤'}`)}${text}`);
  });
  const { axis, labels } = bottomAxis(
    x.ticks.map((tick) => ({ at: x.at(tick), text: x.label(tick) })),
    width,
  );
  lines.push(style.dim(`${' '.repeat(margin)} └${axis}`));
  lines.push(style.dim(`${' '.repeat(margin + 2)}${labels}`));
  lines.push(style.dim(plainLine(chart.x.label).padStart(margin + 2 + width)));
  lines.push(...legend(series, letters, columns));
  if (numLeftOut > 0) lines.push(leftOutText(numLeftOut));
  return lines;
}

interface Share {
  readonly x: number;
  readonly y: number;
}

/** Cells of the plot; shares run from 0 at the left and bottom to 1. */
class Plot {
  readonly #width: number;
  readonly #rows: number;
  readonly #bits: Uint8Array[];
  readonly #shaded: Uint8Array[];
  readonly #letters: (string | undefined)[][];

  constructor(width: number, rows: number) {
    this.#width = width;
    this.#rows = rows;
    this.#bits = Array.from({ length: rows }, () => new Uint8Array(width));
    this.#shaded = Array.from({ length: rows }, () => new Uint8Array(width));
    this.#letters = Array.from({ length: rows }, () => new Array<string | undefined>(width).fill(undefined));
  }

  line(points: readonly Share[], dash: NonNullable<XySeries['dash']>): void {
    const across = 2 * this.#width - 1;
    const down = 4 * this.#rows - 1;
    let travelled = 0;
    for (let i = 0; i + 1 < points.length; i++) {
      const clipped = clip(points[i]!, points[i + 1]!);
      if (!clipped) continue;
      const [from, to] = clipped;
      const numSteps = Math.max(
        1,
        Math.ceil(Math.max(Math.abs(to.x - from.x) * across, Math.abs(to.y - from.y) * down)),
      );
      for (let step = 0; step <= numSteps; step++) {
        const share = step / numSteps;
        if (isDrawn(dash, travelled++)) {
          const column = Math.round((from.x + share * (to.x - from.x)) * across);
          const row = Math.round((1 - from.y - share * (to.y - from.y)) * down);
          this.#bits[row >> 2]![column >> 1]! |= BITS[row & 3]![column & 1]!;
        }
      }
    }
  }

  /** Fills between the edges, column by column. */
  shade(points: readonly { x: number; low: number; high: number }[]): void {
    for (let column = 0; column < this.#width; column++) {
      const at = (column + 0.5) / this.#width;
      const next = points.findIndex((point) => point.x >= at);
      if (next <= 0) continue;
      const before = points[next - 1]!;
      const after = points[next]!;
      const share = (at - before.x) / (after.x - before.x || 1);
      const low = before.low + share * (after.low - before.low);
      const high = before.high + share * (after.high - before.high);
      for (let row = 0; row < this.#rows; row++) {
        const centre = 1 - (row + 0.5) / this.#rows;
        const half = 0.5 / this.#rows;
        if (centre + half > low && centre - half < high) this.#shaded[row]![column] = 1;
      }
    }
  }

  letter(x: number, y: number, letter: string): void {
    if (x < -0.001 || x > 1.001 || y < -0.001 || y > 1.001) return;
    const column = Math.min(this.#width - 1, Math.max(0, Math.floor(x * this.#width)));
    this.#letters[rowOf(y, this.#rows)]![column] = letter;
  }

  lines(style: Style): string[] {
    return this.#bits.map((bits, row) => {
      let text = '';
      for (let column = 0; column < this.#width; column++) {
        const letter = this.#letters[row]![column];
        if (letter !== undefined) text += letter === MARK ? style.warn(letter) : style.good(letter);
        else if (bits[column]! > 0) text += style.accent(String.fromCharCode(0x2800 + bits[column]!));
        else text += this.#shaded[row]![column] ? style.dim(SHADE) : ' ';
      }
      return text.trimEnd();
    });
  }
}

function rowOf(share: number, rows: number): number {
  return Math.min(rows - 1, Math.max(0, Math.round((1 - share) * (rows - 1))));
}

function isDrawn(dash: NonNullable<XySeries['dash']>, travelled: number): boolean {
  if (dash === 'solid') return true;
  return dash === 'dashed' ? travelled % 8 < 5 : travelled % 4 === 0;
}

/** The part of a segment inside the unit square (Liang & Barsky 1984). */
function clip(from: Share, to: Share): [Share, Share] | undefined {
  let enter = 0;
  let leave = 1;
  for (const axis of ['x', 'y'] as const) {
    const change = to[axis] - from[axis];
    if (change === 0) {
      if (from[axis] < 0 || from[axis] > 1) return undefined;
      continue;
    }
    const first = (0 - from[axis]) / change;
    const second = (1 - from[axis]) / change;
    enter = Math.max(enter, Math.min(first, second));
    leave = Math.min(leave, Math.max(first, second));
  }
  if (enter > leave) return undefined;
  const at = (share: number) => ({
    x: Math.min(1, Math.max(0, from.x + share * (to.x - from.x))),
    y: Math.min(1, Math.max(0, from.y + share * (to.y - from.y))),
  });
  return [at(enter), at(leave)];
}

function bottomAxis(
  ticks: readonly { at: number; text: string }[],
  width: number,
): { axis: string; labels: string } {
  const axis = new Array<string>(width).fill('─');
  let labels = '';
  for (const { at, text } of ticks) {
    const column = Math.min(width - 1, Math.max(0, Math.floor(at * width)));
    const start = Math.max(0, Math.min(width - textWidth(text), column - Math.floor(textWidth(text) / 2)));
    axis[column] = '┬';
    if (start < labels.length + (labels === '' ? 0 : 1)) continue;
    labels = labels.padEnd(start) + text;
  }
  return { axis: axis.join(''), labels };
}

/** A letter for each name of dots. */
function dotLetters(series: readonly XySeries[]): Map<string, string> {
  const names = [...new Set(series.filter(({ kind }) => kind === 'dots').map(({ name }) => name))];
  return new Map(names.map((name, i) => [name, DOTS[i % DOTS.length]!]));
}

function legend(
  series: readonly XySeries[],
  letters: ReadonlyMap<string, string>,
  columns: number,
): string[] {
  const entries = series
    .filter(({ points }) => points.length > 0)
    .map(({ kind, name, dash = 'solid' }) => {
      const sign = {
        band: SHADE.repeat(2),
        line: { solid: '⠤⠤', dashed: '⠤ ⠤', dotted: '⠄⠄' }[dash],
        dots: letters.get(name) ?? '',
        mark: MARK,
      }[kind];
      return `${sign} ${plainLine(name)}`;
    });
  const lines: string[] = [];
  for (const entry of new Set(entries)) {
    const last = lines.at(-1);
    if (last !== undefined && textWidth(last) + 3 + textWidth(entry) <= columns) {
      lines[lines.length - 1] = `${last}   ${entry}`;
    } else lines.push(entry);
  }
  return lines;
}
