/** JSON Lines: one JSON value a line, UTF-8. Splitting is pure; file access lives with the callers. */
import { FormatError, messageOf } from './errors.ts';

/** Parses every non-blank line. Errors give `source` and the 1-based line number. */
export function parseJsonLines<T = unknown>(text: string, source = 'JSON lines'): T[] {
  const values: T[] = [];
  const lines = text.split('\n');
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!.trim();
    if (line === '') continue;
    try {
      values.push(JSON.parse(line) as T);
    } catch (error) {
      throw new FormatError(`${source}, line ${i + 1}: not a JSON value (${messageOf(error)}).`, {
        cause: error,
      });
    }
  }
  return values;
}

export function formatJsonLines(values: Iterable<unknown>): string {
  let text = '';
  for (const value of values) text += `${JSON.stringify(value)}\n`;
  return text;
}
