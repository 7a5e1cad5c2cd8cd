/**
 * Where an export may go: a new file, a new or empty folder, or in place of an earlier export when that is asked
 * for. A folder of exports carries a mark; one without it is somebody else's and never touched.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError } from '../../core/errors.ts';

/** The file that marks a folder as written by an export, and lists what is in it. */
export const EXPORT_MARK = 'plinth-export.json';

/** @throws ConfigError for a folder, or for a file that is there while `overwrite` is false. */
export async function checkFilePlace(out: string, overwrite: boolean): Promise<void> {
  const info = await stat(out).catch(() => undefined);
  if (info === undefined) return;
  if (!info.isFile()) {
    throw new ConfigError(`${out} is no file; give the file to write, such as ${join(out, 'model.gguf')}.`);
  }
  if (!overwrite) {
    throw new ConfigError(`${out} is already there. Choose another file, or pass --overwrite to replace it.`);
  }
}

/** @throws ConfigError for a file, for a folder of other things, and for an earlier export without `overwrite`. */
export async function checkFolderPlace(out: string, overwrite: boolean): Promise<void> {
  const info = await stat(out).catch(() => undefined);
  if (info === undefined) return;
  if (!info.isDirectory()) throw new ConfigError(`${out} is no folder; give a folder to write to.`);
  const names = (await readdir(out)).sort();
  if (names.length === 0) return;
  if (!names.includes(EXPORT_MARK)) {
    const shown = names.slice(0, 3).join(', ');
    throw new ConfigError(
      `${out} holds files that no export has written (${shown}${names.length > 3 ? ', ...' : ''}). Choose a new or an empty folder.`,
    );
  }
  if (!overwrite) {
    throw new ConfigError(
      `${out} holds an earlier export. Choose another folder, or pass --overwrite to replace it.`,
    );
  }
}
