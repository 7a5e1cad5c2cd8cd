/**
 * The events of a run as JSON lines. A line is whole or it is the last one, cut short by a kill; that one is
 * dropped on reading. Appending either adds all lines or none.
 */
import { readFile } from 'node:fs/promises';
import { appendWhole } from '../core/append-file.node.ts';
import { writeFileAtomic } from '../core/atomic-file.node.ts';
import { FormatError, messageOf, PlinthError } from '../core/errors.ts';
import type { PlinthEvent } from '../core/events.ts';
import { formatJsonLines } from '../core/json-lines.ts';

export class MetricsLog {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Throws PlinthError `disk`; the file is then as it was. */
  async append(events: readonly PlinthEvent[]): Promise<void> {
    if (events.length === 0) return;
    try {
      await appendWhole(this.path, formatJsonLines(events));
    } catch (error) {
      throw new PlinthError(
        'disk',
        `Could not write to ${this.path}: ${messageOf(error)}. Checkpoints are unchanged; free some space and ` +
          'start the same command again.',
        { cause: error },
      );
    }
  }

  /** The events so far; none when there is no file. Throws FormatError for a damaged line before the last. */
  async read(): Promise<PlinthEvent[]> {
    return parse(await this.#text(), this.path);
  }

  /** Keeps only the events that `isKept` accepts, and no broken last line. */
  async cut(isKept: (event: PlinthEvent) => boolean): Promise<void> {
    const before = await this.#text();
    const after = formatJsonLines(parse(before, this.path).filter(isKept));
    if (after !== before) await writeFileAtomic(this.path, after);
  }

  async #text(): Promise<string> {
    try {
      return await readFile(this.path, 'utf8');
    } catch (error) {
      if ((error as { code?: string }).code === 'ENOENT') return '';
      throw new PlinthError('disk', `Could not read ${this.path}: ${messageOf(error)}.`, { cause: error });
    }
  }
}

function parse(text: string, path: string): PlinthEvent[] {
  const lines = text.split('\n');
  return lines.flatMap((line, i) => {
    if (line === '') return [];
    try {
      return [JSON.parse(line) as PlinthEvent];
    } catch (error) {
      if (i === lines.length - 1) return [];
      throw new FormatError(
        `${path}, line ${i + 1}: not a JSON value (${messageOf(error)}). Delete that line to go on without it.`,
        { cause: error },
      );
    }
  });
}
