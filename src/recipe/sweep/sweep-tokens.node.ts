/** A sweep's tokens from text files: a part kept out, a tokenizer (given, or trained on the rest), token sets on disk. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { digest } from '../../core/digest.node.ts';
import { CancelledError, ConfigError, DataError } from '../../core/errors.ts';
import type { EventSink } from '../../core/events.ts';
import {
  openReader,
  openTokenShards,
  readTokenSetEntries,
  type SourcedTokenDocument,
  tokenizeText,
  WindowBatches,
  writeTokenShards,
} from '../../data/index.node.ts';
import { loadTokenizer, saveTokenizer } from '../../tokenizer/index.node.ts';
import {
  DEFAULT_TOKENIZER_CONFIG,
  formatTokenizerConfig,
  formatTokenizerJson,
  type Tokenizer,
  trainBpe,
} from '../../tokenizer/index.ts';
import { END_OF_TEXT } from '../stages/fact-data.node.ts';
import { chooseHeldOut, cutEnd, type DocumentSize, type HeldOutSplit } from './held-out-split.ts';
import type { SweepTokens } from './sweep.ts';

export interface TextTokensOptions {
  readonly files: readonly string[];
  /** Folder with a tokenizer.json; left out, one is trained. */
  readonly tokenizer?: string;
  readonly vocabSize: number;
  readonly textColumn?: string;
  readonly seed: number;
  readonly onEvent: EventSink;
  readonly signal?: AbortSignal;
}

/** Text that a tokenizer is trained on, drawn evenly from all documents. */
const TOKENIZER_CHARACTERS = 4_000_000;
/** Text that is read; more than this is more than a sweep of hours trains on. */
const MAX_TEXT_BYTES = 1_000_000_000;

/** Throws DataError for files that cannot be read or hold too little text, ConfigError for a tokenizer without an end of text. */
export async function prepareTextTokens(
  folder: string,
  identity: string,
  options: TextTokensOptions,
): Promise<SweepTokens> {
  const { seed, signal } = options;
  const data = join(folder, 'data');
  // The training set is written last: where it is listed, nothing is missing.
  const isPrepared = (await readTokenSetEntries(data)).train !== undefined;
  const sizes = isPrepared ? [] : await documentSizes(options);
  const split = chooseHeldOut(sizes, seed);
  const tokenizer = await tokenizerFor(join(folder, 'tokenizer'), options, split, sizes);
  const endOfTextId = tokenizer.specialTokens.get(END_OF_TEXT);
  if (endOfTextId === undefined) {
    throw new ConfigError(
      `The tokenizer has no ${END_OF_TEXT} among its special tokens (${[...tokenizer.specialTokens.keys()].join(' ') || 'none'}). ` +
        'Leave out --tokenizer to have one trained.',
    );
  }
  if (!isPrepared) {
    const shardOptions = { vocabSize: tokenizer.vocabSize, endOfTextId, ...(signal && { signal }) };
    const encode = (part: Part) => tokensOf(part, options, split, tokenizer, endOfTextId);
    await writeTokenShards(data, 'validation', encode('held out'), shardOptions);
    await writeTokenShards(data, 'train', encode('train'), shardOptions);
  }
  const train = await openTokenShards(data, 'train');
  const validation = await openTokenShards(data, 'validation');
  const config = { ...DEFAULT_TOKENIZER_CONFIG, chatTemplate: null, eosToken: END_OF_TEXT };
  return {
    identity,
    vocabSize: tokenizer.vocabSize,
    endOfTextId,
    numTokens: train.numTokens,
    tokenizer,
    tokenizerFiles: new Map([
      ['tokenizer.json', formatTokenizerJson(tokenizer)],
      ['tokenizer_config.json', formatTokenizerConfig(tokenizer, config)],
    ]),
    train: (shape) => new WindowBatches(train, { ...shape, documentSegments: true }),
    validation: (shape) => new WindowBatches(validation, { ...shape, documentSegments: true }),
  };
}

type Part = 'train' | 'held out';

async function* documentsOf(
  { files, textColumn, onEvent, signal }: TextTokensOptions,
  tellsNotes: boolean,
): AsyncGenerator<{ text: string; source: string }> {
  let sizeBytes = 0;
  for (const path of files) {
    const reader = openReader(path, textColumn === undefined ? {} : { textColumn });
    for await (const { text } of reader.read()) {
      if (signal?.aborted) throw new CancelledError();
      if (text.trim() === '') continue;
      sizeBytes += Buffer.byteLength(text);
      if (sizeBytes > MAX_TEXT_BYTES) {
        if (tellsNotes) {
          const message = `Read the first ${MAX_TEXT_BYTES / 1e6} MB of text and left the rest, from ${path} on.`;
          onEvent({ type: 'note', level: 'warning', message });
        }
        return;
      }
      yield { text, source: path };
    }
    const { numSkipped, skipped } = reader.report;
    if (!tellsNotes || numSkipped === 0) continue;
    onEvent({
      type: 'note',
      level: 'warning',
      message: `${path}: ${numSkipped} records skipped; the first, ${skipped[0]?.position}: ${skipped[0]?.reason}.`,
    });
  }
}

async function documentSizes(options: TextTokensOptions): Promise<DocumentSize[]> {
  const sizes: DocumentSize[] = [];
  for await (const { text } of documentsOf(options, true)) {
    sizes.push({ digest: digest(text), sizeBytes: Buffer.byteLength(text) });
  }
  if (sizes.length === 0) {
    throw new DataError(`No text in ${options.files.join(', ')}. Check the files, and --text-column.`);
  }
  return sizes;
}

/** A document's text of one part; undefined when all of it is in the other. */
function partOf(text: string, split: HeldOutSplit, part: Part): string | undefined {
  if (split.kind === 'documents') {
    return split.digests.has(digest(text)) === (part === 'held out') ? text : undefined;
  }
  const { head, tail } = cutEnd(text, split.share);
  const own = part === 'train' ? head : tail;
  return own.trim() === '' ? undefined : own;
}

async function* tokensOf(
  part: Part,
  options: TextTokensOptions,
  split: HeldOutSplit,
  tokenizer: Tokenizer,
  endOfTextId: number,
): AsyncGenerator<SourcedTokenDocument> {
  for await (const { text, source } of documentsOf(options, false)) {
    const own = partOf(text, split, part);
    if (own !== undefined) yield { ...tokenizeText(own, tokenizer, endOfTextId), source };
  }
}

async function tokenizerFor(
  folder: string,
  options: TextTokensOptions,
  split: HeldOutSplit,
  sizes: readonly DocumentSize[],
): Promise<Tokenizer> {
  if (options.tokenizer !== undefined) return (await loadTokenizer(options.tokenizer)).tokenizer;
  // The second file is written last: with it, both are whole.
  const isWhole = existsSync(join(folder, 'tokenizer_config.json'));
  if (isWhole) return (await loadTokenizer(folder)).tokenizer;
  const total = (sizes.length > 0 ? sizes : await documentSizes(options)).reduce(
    (sum, { sizeBytes }) => sum + sizeBytes,
    0,
  );
  const share = Math.min(1, TOKENIZER_CHARACTERS / Math.max(1, total));
  const texts: string[] = [];
  for await (const { text } of documentsOf(options, false)) {
    const own = partOf(text, split, 'train');
    if (own !== undefined) texts.push(own.slice(0, Math.ceil(own.length * share)).toWellFormed());
  }
  const tokenizer = trainBpe(texts, { vocabSize: options.vocabSize, onProgress: options.onEvent });
  const config = { ...DEFAULT_TOKENIZER_CONFIG, chatTemplate: null, eosToken: END_OF_TEXT };
  await saveTokenizer(folder, tokenizer, config);
  return tokenizer;
}
