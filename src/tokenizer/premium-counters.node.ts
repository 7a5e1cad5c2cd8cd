/**
 * Tokenizers by name for measuring a premium: a folder with tokenizer.json, such a file, an encoding of the npm
 * package `gpt-tokenizer` (which is only loaded when one is asked for), or the baselines `bytes` and `characters`.
 */
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { ConfigError, DataError, LimitError, messageOf, PlinthError } from '../core/errors.ts';
import { byteCounter, characterCounter, counterOf, type TokenCounter } from './premium.ts';
import { loadTokenizer, MAX_TOKENIZER_FILE_BYTES } from './tokenizer-files.node.ts';
import { parseTokenizerJson } from './tokenizer-json.ts';

export const GPT_ENCODINGS: readonly string[] = [
  'r50k_base',
  'p50k_base',
  'p50k_edit',
  'cl100k_base',
  'o200k_base',
  'o200k_harmony',
];
const BASELINES = [byteCounter, characterCounter];

/** @throws ConfigError for a name that is none of these; what reading a tokenizer.json throws. */
export async function openTokenCounter(nameOrPath: string): Promise<TokenCounter> {
  const baseline = BASELINES.find(({ name }) => name === nameOrPath);
  if (baseline) return baseline;
  if (GPT_ENCODINGS.includes(nameOrPath)) return gptCounter(nameOrPath);
  const info = await stat(nameOrPath).catch(() => undefined);
  if (info?.isDirectory()) return counterOf(nameOf(nameOrPath), (await loadTokenizer(nameOrPath)).tokenizer);
  if (info?.isFile()) {
    if (info.size > MAX_TOKENIZER_FILE_BYTES) {
      throw new LimitError(
        `${nameOrPath} has ${info.size} bytes; at most ${MAX_TOKENIZER_FILE_BYTES} are read.`,
      );
    }
    return counterOf(nameOf(nameOrPath), parseTokenizerJson(await readFile(nameOrPath, 'utf8')));
  }
  throw new ConfigError(
    `'${nameOrPath}' is no tokenizer: give a folder with a tokenizer.json, such a file, or one of ` +
      `${[...GPT_ENCODINGS, ...BASELINES.map(({ name }) => name)].join(', ')}.`,
  );
}

/** my-model/tokenizer.json and my-model/ are both 'my-model'. */
function nameOf(path: string): string {
  const trimmed = path.replace(/[\\/]+$/, '');
  const short =
    basename(trimmed) === 'tokenizer.json' ? basename(trimmed.slice(0, -'/tokenizer.json'.length)) : '';
  return short || basename(trimmed) || trimmed;
}

interface GptEncoding {
  encode(text: string, options: { disallowedSpecial: Set<string> }): number[];
  vocabularySize: number;
}

async function gptCounter(name: string): Promise<TokenCounter> {
  // In a variable, so that no bundler asks for the package.
  const specifier = `gpt-tokenizer/encoding/${name}`;
  let encoding: GptEncoding;
  try {
    encoding = (await import(specifier)) as GptEncoding;
  } catch (error) {
    throw new PlinthError(
      'runtime',
      `The encoding ${name} comes from the package gpt-tokenizer, which could not be loaded (${messageOf(error)}). ` +
        'Run "npm install gpt-tokenizer".',
      { cause: error },
    );
  }
  // Names of special tokens in the text are text, as with our own tokenizers.
  const options = { disallowedSpecial: new Set<string>() };
  return {
    name,
    vocabSize: encoding.vocabularySize,
    numTokens: (text) => {
      try {
        return encoding.encode(text, options).length;
      } catch (error) {
        throw new DataError(`${name} could not encode a text: ${messageOf(error)}.`, { cause: error });
      }
    },
  };
}
