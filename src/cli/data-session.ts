/** What the `plinth data` commands share: options for inputs and jobs, progress, Ctrl-C, and how results are printed. */
import type { Command } from 'commander';
import type { EventSink } from '../core/events.ts';
import type { JobInputs } from '../data/jobs/index.node.ts';
import { wholeNumber } from './option-values.ts';
import { grouped } from './progress/render-view.ts';
import { type Session, withSession } from './session.ts';
import { padText, plainLine, textWidth } from './terminal/text-width.ts';

const MAX_NAMED_SKIPS = 3;

export interface InputFlags {
  textColumn?: string;
  root?: string;
}

export interface JobFlags extends InputFlags {
  workers?: number;
  fresh?: boolean;
  json?: boolean;
}

export const INPUTS_HELP =
  'files, folders, globs or lists of paths: txt, md, html, jsonl, csv, tsv, parquet, sqlite, warc, wet (also .gz .zst .bz2 .xz .br)';

export function addInputOptions(command: Command): Command {
  return command
    .option('--text-column <name>', 'field with the text in tables (default: text, else content)')
    .option('--root <folder>', 'where the paths of a list (wet.paths) lie');
}

export function addJobOptions(command: Command): Command {
  return addInputOptions(command)
    .option(
      '--workers <number>',
      'worker threads; 0 works in the main thread (default: one a core)',
      wholeNumber,
    )
    .option('--fresh', 'begin anew, discarding what the folder holds of an earlier job')
    .option('--json', 'print the result as one line of JSON, progress on stderr');
}

/** Runs work with progress on stderr and a clean stop on Ctrl-C. */
export function withDataSession<T>(title: string, work: (session: Session) => Promise<T>): Promise<T> {
  return withSession(title, 'Stopping after the shards under way.', work);
}

export interface OpenedInputs {
  readonly inputs: JobInputs;
  /** What of the flags decides how inputs are read. */
  readonly inputSettings: unknown;
}

/** Opens the inputs of a command; files that cannot be read are told. HTML stays raw: workers extract its text. */
export async function openJobInputs(
  paths: readonly string[],
  flags: InputFlags,
  onEvent: EventSink,
): Promise<OpenedInputs> {
  const { openInputs } = await import('../data/readers/open-inputs.node.ts');
  const inputSettings = {
    ...(flags.textColumn !== undefined && { textColumn: flags.textColumn }),
    ...(flags.root !== undefined && { root: flags.root }),
  };
  const inputs = await openInputs(paths, { ...inputSettings, html: 'raw' });
  noteSkippedFiles(inputs.skippedFiles, onEvent);
  return { inputs, inputSettings };
}

/** The first few files that cannot be read by name, all by number. */
export function noteSkippedFiles(
  skipped: readonly { path: string; reason: string }[],
  onEvent: EventSink,
): void {
  const warn = (message: string): void => onEvent({ type: 'note', level: 'warning', message });
  for (const { path, reason } of skipped.slice(0, MAX_NAMED_SKIPS)) warn(`${path} is left out: ${reason}.`);
  if (skipped.length > MAX_NAMED_SKIPS) warn(`${skipped.length} files in all are left out.`);
}

/** Columns padded to the widest cell, figures to the right. The first row is the header. */
export function textTable(rows: readonly (readonly (string | number)[])[]): string {
  const isFigure = (column: number): boolean => typeof rows[1]?.[column] === 'number';
  const cells = rows.map((row) =>
    row.map((cell) => (typeof cell === 'number' ? grouped(cell) : plainLine(cell))),
  );
  const widths = (cells[0] ?? []).map((_, i) => Math.max(...cells.map((row) => textWidth(row[i]!))));
  return cells
    .map((row) =>
      row
        .map((cell, i) => (isFigure(i) ? cell.padStart(widths[i]!) : padText(cell, widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
