/** JSON files that people may have edited or a kill may have cut: missing, unreadable and damaged are told apart. */
import { readFile } from 'node:fs/promises';
import { FormatError, messageOf, PlinthError } from './errors.ts';

/**
 * The value of a JSON file; undefined when there is no such file. Throws FormatError (its cause the SyntaxError)
 * that ends with `advice` for what is not JSON, PlinthError `disk` when the file cannot be read.
 */
export async function readJsonFile(path: string, advice: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return undefined;
    throw new PlinthError('disk', `Could not read ${path}: ${messageOf(error)}.`, { cause: error });
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new FormatError(`${path} is damaged (${messageOf(error)}). ${advice}`, { cause: error });
  }
}
