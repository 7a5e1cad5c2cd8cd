/** The texts of several files in memory, up to a bound; whatever was skipped or left unread is said. */
import { DataError } from '../core/errors.ts';
import { formatBytes } from '../core/units.ts';
import { openReader } from '../data/index.node.ts';

export interface TextsRead {
  readonly texts: string[];
  readonly sizeBytes: number;
  /** What was not read, and why. */
  readonly notes: string[];
}

/** Throws DataError when no file has text. */
export async function readTexts(
  files: readonly string[],
  options: { maxBytes: number; textColumn?: string },
): Promise<TextsRead> {
  const texts: string[] = [];
  const notes: string[] = [];
  const encoder = new TextEncoder();
  let sizeBytes = 0;
  for (const [i, file] of files.entries()) {
    const reader = openReader(
      file,
      options.textColumn === undefined ? {} : { textColumn: options.textColumn },
    );
    for await (const { text } of reader.read()) {
      texts.push(text);
      sizeBytes += encoder.encode(text).length;
      if (sizeBytes >= options.maxBytes) break;
    }
    const { numSkipped, skipped } = reader.report;
    const first = skipped[0];
    if (numSkipped > 0) {
      notes.push(`${file}: ${numSkipped} skipped; the first, ${first?.position}: ${first?.reason}.`);
    }
    if (sizeBytes >= options.maxBytes) {
      notes.push(
        `Stopped reading at ${formatBytes(sizeBytes)} in ${file}` +
          `${i + 1 < files.length ? `, ${files.length - i - 1} files unread` : ''}; --max-bytes raises the bound.`,
      );
      break;
    }
  }
  if (texts.length === 0) {
    throw new DataError(
      `No text in ${files.join(', ')}. ${notes[0] ?? 'Check the files, and --text-column.'}`,
    );
  }
  return { texts, sizeBytes, notes };
}
