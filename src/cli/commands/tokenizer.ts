/** `plinth tokenizer`: train a tokenizer, and see what one makes of a text. */
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { DataError, messageOf, PlinthError } from '../../core/errors.ts';
import { nameList, positiveInteger, quantity, tokenIds } from '../option-values.ts';
import { premiumCommand } from './tokenizer-premium.ts';

export function tokenizerCommand(): Command {
  return new Command('tokenizer')
    .description('Train a tokenizer, encode and decode with one, or see what languages cost with one.')
    .helpCommand(false)
    .addCommand(trainCommand())
    .addCommand(encodeCommand())
    .addCommand(decodeCommand())
    .addCommand(premiumCommand())
    .addHelpText(
      'after',
      '\nExample:\n  $ plinth tokenizer train corpus.txt --vocab-size 4096 --out my-tokenizer',
    );
}

interface TrainFlags {
  vocabSize: number;
  out: string;
  preTokenizer?: string;
  minFrequency?: number;
  specialTokens?: string[];
  textColumn?: string;
  maxBytes: number;
  json?: boolean;
}

function trainCommand(): Command {
  return new Command('train')
    .description('Train a byte-level BPE tokenizer on text files and write tokenizer.json.')
    .argument('<files...>', 'txt, md, jsonl, csv, tsv (each also .gz) or parquet')
    .requiredOption(
      '--vocab-size <number>',
      'number of token ids wanted, bytes and special tokens included',
      positiveInteger,
    )
    .requiredOption('--out <folder>', 'where tokenizer.json and tokenizer_config.json go')
    .option(
      '--pre-tokenizer <name>',
      'how text is cut before merging: qwen2, gpt2, gpt2-digits, llama3',
      'qwen2',
    )
    .option('--min-frequency <number>', 'merge only pairs that occur so often (default: 2)', positiveInteger)
    .option(
      '--special-tokens <names>',
      'comma-separated (default: <|endoftext|>,<|im_start|>,<|im_end|>)',
      nameList,
    )
    .option(
      '--text-column <name>',
      'field with the text in jsonl, csv and parquet (default: text, else content)',
    )
    .option('--max-bytes <number>', 'read about so much text at most (200M, 1G)', quantity, 500e6)
    .option('--json', 'print the result as one line of JSON')
    .addHelpText(
      'after',
      '\nExample:\n  $ plinth tokenizer train books/*.txt --vocab-size 8192 --out my-tokenizer',
    )
    .action(train);
}

async function train(files: string[], flags: TrainFlags): Promise<void> {
  const [{ readTexts }, { DEFAULT_TOKENIZER_CONFIG, trainBpe }, { saveTokenizer }, { openProgress }] =
    await Promise.all([
      import('../read-texts.ts'),
      import('../../tokenizer/index.ts'),
      import('../../tokenizer/index.node.ts'),
      import('../progress/progress.ts'),
    ]);
  const progress = openProgress({ title: 'plinth tokenizer train' });
  const start = performance.now();
  try {
    const { texts, sizeBytes, notes } = await readTexts(files, {
      maxBytes: flags.maxBytes,
      ...(flags.textColumn !== undefined && { textColumn: flags.textColumn }),
    });
    for (const note of notes) progress.onEvent({ type: 'note', level: 'warning', message: note });
    const tokenizer = trainBpe(texts, {
      vocabSize: flags.vocabSize,
      // Names are checked there, with the list of known ones.
      ...(flags.preTokenizer !== undefined && { preTokenizer: flags.preTokenizer as 'qwen2' }),
      ...(flags.minFrequency !== undefined && { minFrequency: flags.minFrequency }),
      ...(flags.specialTokens !== undefined && { specialTokens: flags.specialTokens }),
      onProgress: progress.onEvent,
    });
    // Whether a model chats is the model's affair; a tokenizer alone has no chat format.
    const endOfText = tokenizer.specialTokens.has('<|endoftext|>') ? '<|endoftext|>' : null;
    await saveTokenizer(flags.out, tokenizer, {
      ...DEFAULT_TOKENIZER_CONFIG,
      chatTemplate: null,
      eosToken: endOfText,
      padToken: endOfText,
    });
    progress.close();
    const numTokens = texts.reduce((sum, text) => sum + tokenizer.encode(text).length, 0);
    const result = {
      out: flags.out,
      vocabSize: tokenizer.vocabSize,
      numDocuments: texts.length,
      sizeBytes,
      bytesPerToken: sizeBytes / numTokens,
      seconds: (performance.now() - start) / 1000,
    };
    process.stdout.write(
      flags.json
        ? `${JSON.stringify(result)}\n`
        : `${result.vocabSize} token ids, ${result.bytesPerToken.toFixed(2)} bytes a token on ${result.numDocuments} documents, written to ${flags.out}\n`,
    );
  } finally {
    progress.close();
  }
}

function encodeCommand(): Command {
  return new Command('encode')
    .description('Print the token ids of a text.')
    .argument('[text]', 'the text; or use --file')
    .option('--file <path>', 'read the text from a file')
    .requiredOption('--tokenizer <folder>', 'folder with a tokenizer.json')
    .option('--parse-special', 'names such as <|im_end|> in the text become special tokens')
    .option('--pieces', 'also show the text of each token')
    .option('--json', 'print {"tokens","numTokens"} (with --pieces also "pieces") as one line of JSON')
    .addHelpText(
      'after',
      '\nExample:\n  $ plinth tokenizer encode "Hello, world" --tokenizer my-tokenizer --pieces',
    )
    .action(encode);
}

interface EncodeFlags {
  file?: string;
  tokenizer: string;
  parseSpecial?: boolean;
  pieces?: boolean;
  json?: boolean;
}

async function encode(text: string | undefined, flags: EncodeFlags): Promise<void> {
  if ((text === undefined) === (flags.file === undefined)) {
    throw new PlinthError('usage', 'Give either a text or --file. See "plinth tokenizer encode --help".');
  }
  const content = text ?? (await readTextFile(flags.file!));
  const { loadTokenizer } = await import('../../tokenizer/index.node.ts');
  const { tokenizer } = await loadTokenizer(flags.tokenizer);
  const tokens = tokenizer.encode(content, { special: flags.parseSpecial ? 'parse' : 'text' });
  const pieces = flags.pieces ? tokens.map((id) => tokenizer.decode([id], { special: 'keep' })) : undefined;
  if (flags.json) {
    process.stdout.write(
      `${JSON.stringify({ tokens, numTokens: tokens.length, ...(pieces && { pieces }) })}\n`,
    );
  } else if (pieces) {
    const lines = tokens.map((id, i) => `${String(id).padStart(7)}  ${JSON.stringify(pieces[i])}`);
    process.stdout.write(lines.length === 0 ? '' : `${lines.join('\n')}\n`);
  } else {
    process.stdout.write(`${tokens.join(' ')}\n`);
  }
}

async function readTextFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new DataError(`${path} could not be read: ${messageOf(error)}. Check the path.`, { cause: error });
  }
}

function decodeCommand(): Command {
  return new Command('decode')
    .description('Print the text of token ids.')
    .argument('<ids...>', 'token ids, separated by spaces or commas', (text: string, before?: number[]) => [
      ...(before ?? []),
      ...tokenIds(text),
    ])
    .requiredOption('--tokenizer <folder>', 'folder with a tokenizer.json')
    .option('--skip-special', 'leave special tokens out')
    .option('--json', 'print {"text"} as one line of JSON')
    .addHelpText('after', '\nExample:\n  $ plinth tokenizer decode 40,1083,11 --tokenizer my-tokenizer')
    .action(decode);
}

async function decode(
  ids: number[],
  flags: { tokenizer: string; skipSpecial?: boolean; json?: boolean },
): Promise<void> {
  const { loadTokenizer } = await import('../../tokenizer/index.node.ts');
  const { tokenizer } = await loadTokenizer(flags.tokenizer);
  const text = tokenizer.decode(ids, { special: flags.skipSpecial ? 'skip' : 'keep' });
  process.stdout.write(flags.json ? `${JSON.stringify({ text })}\n` : `${text}\n`);
}
