/** A tokenizer from the files of a model, wherever they are. */
import { DataError } from '../core/errors.ts';
import type { Tokenizer } from './tokenizer.ts';
import { parseTokenizerConfig, type TokenizerConfig } from './tokenizer-config.ts';
import { parseTokenizerJson } from './tokenizer-json.ts';

/** Largest file that is read; the largest vocabularies in use take 35 MB. */
export const MAX_TOKENIZER_FILE_BYTES = 256 * 1024 * 1024;

export interface LoadedTokenizer {
  tokenizer: Tokenizer;
  config: TokenizerConfig;
}

/**
 * Reads `tokenizer.json` and, if they are there, `tokenizer_config.json` and `chat_template.jinja` (which newer
 * files use instead of the field). `readText` gives undefined for a file that is not there; so does this where there
 * is no `tokenizer.json`. Throws FormatError for what is not supported in it.
 */
export async function readTokenizer(
  readText: (name: string) => Promise<string | undefined>,
): Promise<LoadedTokenizer | undefined> {
  const json = await readText('tokenizer.json');
  if (json === undefined) return undefined;
  const tokenizer = parseTokenizerJson(json);
  const config = parseTokenizerConfig((await readText('tokenizer_config.json')) ?? '{}');
  config.chatTemplate ??= (await readText('chat_template.jinja')) ?? null;
  return { tokenizer, config };
}

/** The error where a tokenizer is needed and there is none. */
export function noTokenizer(place: string): DataError {
  return new DataError(
    `${place} holds no tokenizer.json. Give the folder of a model, or save one there with saveTokenizer.`,
  );
}
