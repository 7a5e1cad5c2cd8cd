/**
 * A job's view as lines of text for a terminal of a given size: stages, the running one's bar, the loss curve,
 * the numbers, the latest sample. Pure; no line is wider than the terminal and there are never more lines than
 * it has rows.
 */
import type { ValidationEvent } from '../../core/events.ts';
import { formatCount, formatDuration } from '../../core/units.ts';
import type { Style } from '../terminal/style.ts';
import { cutText, padText, plainLine, textWidth } from '../terminal/text-width.ts';
import { brailleChart } from './loss-chart.ts';
import type { JobView, StageView } from './view-state.ts';

export interface Screen {
  readonly columns: number;
  readonly rows: number;
  readonly style: Style;
}

const CHART_ROWS = 6;
const MAX_CHART_COLUMNS = 64;
const MAX_BAR_COLUMNS = 30;
const MAX_METRIC_COLUMNS = 32;
const METRIC_DIGITS = 8;
/** Below this height the chart and the sample give way to the numbers. */
const ROWS_FOR_CHART = 16;

export function renderView(title: string, view: JobView, nowMs: number, screen: Screen): string[] {
  const { style } = screen;
  // The last column stays free: some terminals wrap when it is written.
  const columns = Math.max(10, screen.columns - 1);
  const hasRoom = screen.rows >= ROWS_FOR_CHART && columns >= 30;
  const elapsed = formatDuration((nowMs - view.startedAtMs) / 1000);
  const lines = [
    between(style.bold, title, style.dim, elapsed, columns),
    ...stageLines(view, nowMs, columns, style),
    ...(hasRoom ? chartLines(view, columns, style) : []),
    ...numberLines(view, columns, style),
    ...(hasRoom ? metricLines(view, columns, style) : []),
    ...(hasRoom ? sampleLines(view, columns, style) : []),
  ];
  return lines.length < screen.rows ? lines : lines.slice(0, Math.max(1, screen.rows - 1));
}

function between(
  leftStyle: (text: string) => string,
  left: string,
  rightStyle: (text: string) => string,
  right: string,
  columns: number,
): string {
  const cut = cutText(left, columns - textWidth(right) - 1);
  const gap = ' '.repeat(Math.max(1, columns - textWidth(cut) - textWidth(right)));
  return textWidth(cut) < 4 ? leftStyle(cutText(left, columns)) : leftStyle(cut) + gap + rightStyle(right);
}

function stageLines(view: JobView, nowMs: number, columns: number, style: Style): string[] {
  const nameWidth = Math.min(16, columns - 6, Math.max(4, ...view.stages.map(({ name }) => textWidth(name))));
  const lines = view.stages.map((stage) => {
    const name = padText(cutText(plainLine(stage.name), nameWidth), nameWidth);
    const left = columns - nameWidth - 5;
    if (stage.state === 'running') {
      return `${style.accent(' ●')} ${style.bold(name)}  ${runningText(view, nowMs, left, style)}`;
    }
    const mark = stage.state === 'done' ? style.good(' ✓') : style.dim(' –');
    return `${mark} ${name}  ${style.dim(cutText(doneText(stage), left))}`;
  });
  const numNext = view.numStages - view.stages.length;
  if (numNext > 0)
    lines.push(style.dim(cutText(` ○ ${numNext} more ${numNext === 1 ? 'stage' : 'stages'}`, columns)));
  return lines;
}

function doneText({ state, seconds, detail }: StageView): string {
  const time =
    state === 'skipped' ? 'kept from before' : seconds === undefined ? '' : formatDuration(seconds);
  return [time.padEnd(10), plainLine(detail ?? '')].join('  ').trimEnd();
}

function runningText(view: JobView, nowMs: number, columns: number, style: Style): string {
  const work = workOf(view);
  if (!work) {
    const seconds = (nowMs - view.stageStartedAtMs) / 1000;
    return style.dim(cutText(seconds < 1 ? '…' : formatDuration(seconds), columns));
  }
  const { share, text } = work;
  const percent = `${Math.floor(share * 100)} %`.padStart(5);
  const barColumns = Math.min(MAX_BAR_COLUMNS, columns - textWidth(percent) - textWidth(text) - 4);
  if (barColumns < 5) return cutText(`${percent.trim()}  ${text}`, columns);
  const filled = Math.round(barColumns * share);
  return `${style.accent('━'.repeat(filled))}${style.dim('─'.repeat(barColumns - filled))} ${percent}  ${text}`;
}

/** How much of the running stage is done. */
export function workOf(view: JobView): { share: number; text: string; secondsLeft: number } | undefined {
  const { step, counted } = view;
  if (step) {
    return {
      share: fraction(step.step, step.numSteps),
      text: `step ${grouped(step.step)} of ${grouped(step.numSteps)}`,
      secondsLeft: step.secondsLeft,
    };
  }
  if (!counted) return undefined;
  return {
    share: fraction(counted.done, counted.total),
    text: `${grouped(counted.done)} of ${grouped(counted.total)} ${plainLine(counted.unit)}`,
    secondsLeft: counted.secondsLeft,
  };
}

const fraction = (done: number, total: number) => (total > 0 ? Math.min(1, Math.max(0, done / total)) : 0);

/** 12345 -> 12,345, without a locale. */
export function grouped(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

function chartLines(view: JobView, columns: number, style: Style): string[] {
  const { step, losses } = view;
  if (!step || losses.points.length < 2) return [];
  const labelWidth = 7;
  const chartColumns = Math.min(MAX_CHART_COLUMNS, columns - labelWidth - 2);
  // After a resume the curve begins where this session did.
  const place = {
    from: fraction(losses.firstStep - 1, step.numSteps),
    to: fraction(step.step, step.numSteps),
  };
  const chart = brailleChart(losses.points, chartColumns, CHART_ROWS, place);
  const middle = Math.floor(CHART_ROWS / 2);
  const labels = new Map([
    [0, chart.top],
    [middle, chart.top + ((chart.bottom - chart.top) * (middle + 0.5)) / CHART_ROWS],
    [CHART_ROWS - 1, chart.bottom],
  ]);
  return [
    '',
    ...chart.lines.map((line, row) => {
      const label = labels.get(row);
      const axis = `${(label === undefined ? '' : label.toFixed(2)).padStart(labelWidth)} ${label === undefined ? '│' : '┤'}`;
      return style.dim(axis) + style.accent(line.trimEnd());
    }),
  ];
}

function numberLines(view: JobView, columns: number, style: Style): string[] {
  const { step, validation } = view;
  const work = workOf(view);
  const parts: string[] = [];
  if (step) parts.push(`loss ${lossText(view)}`);
  if (validation) parts.push(validationText(validation));
  if (step) parts.push(`${formatCount(step.tokensPerSecond)} tokens/s`);
  if (step && Number.isFinite(step.shareOfPeak))
    parts.push(`${Math.round(step.shareOfPeak * 100)} % of peak`);
  if (!step && view.counted && view.counted.ratePerSecond > 0) {
    parts.push(`${formatCount(view.counted.ratePerSecond)} ${plainLine(view.counted.unit)}/s`);
  }
  if (work && work.share < 1 && Number.isFinite(work.secondsLeft))
    parts.push(`${formatDuration(work.secondsLeft)} left`);
  if (view.numWarnings > 0)
    parts.push(`${view.numWarnings} ${view.numWarnings === 1 ? 'warning' : 'warnings'}`);
  if (parts.length === 0) return [];
  return ['', ...flow(parts, columns - 1).map((line) => ` ${style.bold(line)}`)];
}

/** A line of its own for each metric: its latest value and its course so far. */
function metricLines({ metrics, step }: JobView, columns: number, style: Style): string[] {
  const names = Object.keys(metrics);
  if (!step || names.length === 0) return [];
  const nameWidth = Math.min(24, Math.max(...names.map((name) => textWidth(name))));
  const chartColumns = Math.min(MAX_METRIC_COLUMNS, columns - nameWidth - METRIC_DIGITS - 4);
  const lines = names.map((name) => {
    const { points, firstStep } = metrics[name]!;
    const label = ` ${padText(cutText(plainLine(name), nameWidth), nameWidth)} `;
    const value = metricText(points.at(-1) ?? Number.NaN).padStart(METRIC_DIGITS);
    if (chartColumns < 8) return cutText(label + value, columns);
    const place = {
      from: fraction(firstStep - 1, step.numSteps),
      to: fraction(step.step, step.numSteps),
    };
    const [course = ''] = brailleChart(points, chartColumns, 1, place).lines;
    return `${style.dim(label)}${value}  ${style.accent(course.trimEnd())}`;
  });
  return ['', ...lines];
}

/** Four digits that matter: 0.6931, 12.35, 1.2e-5. */
export function metricText(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(1);
  return String(Number(value.toPrecision(4)));
}

/** Bits per byte of a language model, the loss of anything else. */
export function validationText({ loss, bitsPerByte }: ValidationEvent): string {
  return bitsPerByte === undefined
    ? `validation loss ${loss.toFixed(3)}`
    : `validation ${bitsPerByte.toFixed(3)} bits/byte`;
}

/** The latest point of the smoothed curve: a single step's loss jumps too much to be read. */
function lossText(view: JobView): string {
  const recent = view.losses.points.slice(-8);
  const mean = recent.reduce((sum, loss) => sum + loss, 0) / recent.length;
  return Number.isFinite(mean) ? mean.toFixed(3) : String(view.step?.loss);
}

/** Parts on as many lines as they need. */
function flow(parts: readonly string[], columns: number): string[] {
  const lines: string[] = [];
  for (const part of parts) {
    const last = lines.at(-1);
    const joined = last === undefined ? part : `${last}   ${part}`;
    if (last !== undefined && textWidth(joined) <= columns) lines[lines.length - 1] = joined;
    else lines.push(cutText(part, columns));
  }
  return lines;
}

function sampleLines(view: JobView, columns: number, style: Style): string[] {
  if (!view.sample) return [];
  return [
    '',
    style.dim(` ${cutText(plainLine(view.sample.prompt), columns - 2)}`),
    ` ${style.accent('›')} ${cutText(plainLine(view.sample.completion), columns - 4)}`,
  ];
}
