/**
 * A tokenizer in a model's folder: `tokenizer.json` and `tokenizer_config.json`. Each file is written beside its
 * place and renamed into it, so a reader never sees half a file and a crash leaves the old one.
 */
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../core/atomic-file.node.ts';
import { DataError, LimitError, messageOf } from '../core/errors.ts';
import type { Tokenizer } from './tokenizer.ts';
import {
  DEFAULT_TOKENIZER_CONFIG,
  formatTokenizerConfig,
  parseTokenizerConfig,
  type TokenizerConfig,
} from './tokenizer-config.ts';
import { formatTokenizerJson, parseTokenizerJson } from './tokenizer-json.ts';

/** Largest file that is read; the largest vocabularies in use take 35 MB. */
export const MAX_TOKENIZER_FILE_BYTES = 256 * 1024 * 1024;

export interface LoadedTokenizer {
  tokenizer: Tokenizer;
  config: TokenizerConfig;
}

/**
 * Reads `tokenizer.json` and, if they are there, `tokenizer_config.json` and `chat_template.jinja` (which newer
 * files use instead of the field). Throws DataError when `tokenizer.json` cannot be read, FormatError for what
 * is not supported in it.
 */
export async function loadTokenizer(directory: string): Promise<LoadedTokenizer> {
  const json = await readText(join(directory, 'tokenizer.json'));
  if (json === undefined) {
    throw new DataError(
      `${directory} holds no tokenizer.json. Give the folder of a model, or save one there with saveTokenizer.`,
    );
  }
  const tokenizer = parseTokenizerJson(json);
  const config = parseTokenizerConfig((await readText(join(directory, 'tokenizer_config.json'))) ?? '{}');
  config.chatTemplate ??= (await readText(join(directory, 'chat_template.jinja'))) ?? null;
  return { tokenizer, config };
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
