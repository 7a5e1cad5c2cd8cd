/**
 * What was measured, one JSON line a result, each under the digest of everything that it depends on. A line is whole
 * or it is the last one, cut short by a kill; that one is cut off on opening. So a command that was stopped goes on,
 * and one with more widths or rates makes only what is new.
 */
import { readFile } from 'node:fs/promises';
import { appendWhole } from '../../core/append-file.node.ts';
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import { digest } from '../../core/digest.node.ts';
import { FormatError, messageOf, PlinthError } from '../../core/errors.ts';

export class RunJournal {
  readonly path: string;
  readonly #values: Map<string, unknown>;

  private constructor(path: string, values: Map<string, unknown>) {
    this.path = path;
    this.#values = values;
  }

  /** Throws FormatError for a damaged line before the last, PlinthError `disk` when it cannot be read. */
  static async open(path: string): Promise<RunJournal> {
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      if ((error as { code?: string }).code === 'ENOENT') return '';
      throw new PlinthError('disk', `Could not read ${path}: ${messageOf(error)}.`, { cause: error });
    });
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    if (whole !== text) await writeFileAtomic(path, whole);
    const values = new Map<string, unknown>();
    whole.split('\n').forEach((line, i) => {
      if (line === '') return;
      const { key, value } = parsed(line, `${path}, line ${i + 1}`);
      values.set(key, value);
    });
    return new RunJournal(path, values);
  }

  get<T>(of: unknown): T | undefined {
    return this.#values.get(digest(of)) as T | undefined;
  }

  /** `about` is for people who read the file. Throws PlinthError `disk`; the file is then as it was. */
  async add(of: unknown, value: unknown, about: Readonly<Record<string, unknown>>): Promise<void> {
    const key = digest(of);
    try {
      await appendWhole(this.path, `${JSON.stringify({ key, about, value })}\n`);
    } catch (error) {
      throw new PlinthError(
        'disk',
        `Could not write to ${this.path}: ${messageOf(error)}. Free some space and start the same command again.`,
        { cause: error },
      );
    }
    this.#values.set(key, value);
  }
}

function parsed(line: string, where: string): { key: string; value: unknown } {
  const entry = jsonOf(line) as { key?: unknown; value?: unknown } | null | undefined;
  if (typeof entry?.key === 'string' && 'value' in entry) return { key: entry.key, value: entry.value };
  throw new FormatError(`${where}: not a result. Delete that line to measure it again.`);
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
