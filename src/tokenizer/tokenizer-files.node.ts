/**
 * A tokenizer in a model's folder: `tokenizer.json` and `tokenizer_config.json`. Each file is written beside its
 * place and renamed into it, so a reader never sees half a file and a crash leaves the old one.
 */
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../core/atomic-file.node.ts';
import { DataError, LimitError, messageOf } from '../core/errors.ts';
import type { Tokenizer } from './tokenizer.ts';
import { DEFAULT_TOKENIZER_CONFIG, formatTokenizerConfig, type TokenizerConfig } from './tokenizer-config.ts';
import {
  type LoadedTokenizer,
  MAX_TOKENIZER_FILE_BYTES,
  noTokenizer,
  readTokenizer,
} from './tokenizer-files.ts';
import { formatTokenizerJson } from './tokenizer-json.ts';

export { type LoadedTokenizer, MAX_TOKENIZER_FILE_BYTES } from './tokenizer-files.ts';

/**
 * `readTokenizer` of a folder. Throws DataError when `tokenizer.json` cannot be read, FormatError for what is not
 * supported in it.
 */
export async function loadTokenizer(directory: string): Promise<LoadedTokenizer> {
  const loaded = await readTokenizer((name) => readText(join(directory, name)));
  if (loaded === undefined) throw noTokenizer(directory);
  return loaded;
}

/** Writes both files, making the folder if needed. */
export async function saveTokenizer(
  directory: string,
  tokenizer: Tokenizer,
  config: TokenizerConfig = DEFAULT_TOKENIZER_CONFIG,
): Promise<void> {
  const files: [string, string][] = [
    ['tokenizer.json', formatTokenizerJson(tokenizer)],
    ['tokenizer_config.json', formatTokenizerConfig(tokenizer, config)],
  ];
  await mkdir(directory, { recursive: true });
  for (const [name, text] of files) await writeFileAtomic(join(directory, name), text);
}

async function readText(path: string): Promise<string | undefined> {
  try {
    const { size } = await stat(path);
    if (size > MAX_TOKENIZER_FILE_BYTES) {
      throw new LimitError(`${path} has ${size} bytes; at most ${MAX_TOKENIZER_FILE_BYTES} are read.`);
    }
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof LimitError) throw error;
    if ((error as { code?: string }).code === 'ENOENT') return undefined;
    throw new DataError(`${path} could not be read: ${messageOf(error)}`, { cause: error });
  }
}
