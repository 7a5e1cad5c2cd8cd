/**
 * Text files to token sets on disk: `train`, and `validation` where documents were kept aside. A document's own
 * text decides its set, so a copy never stands in both. Made once; a set that is listed is whole.
 */
import type { EventSink } from '../../core/events.ts';
import {
  type OpenReaderOptions,
  openReader,
  openTokenShards,
  readTokenSetEntries,
  type SourcedTokenDocument,
  splitOf,
  type TokenDataset,
  tokenizeText,
  writeTokenShards,
} from '../../data/index.node.ts';
import type { Tokenizer } from '../../tokenizer/index.ts';

export interface TextSetOptions {
  tokenizer: Tokenizer;
  endOfTextId: number;
  validationShare: number;
  seed: number;
  reader: OpenReaderOptions;
  onEvent: EventSink;
  signal?: AbortSignal;
}

export async function prepareTextSets(
  folder: string,
  files: readonly string[],
  options: TextSetOptions,
): Promise<{ train: TokenDataset; validation: TokenDataset | undefined }> {
  const { tokenizer, endOfTextId, signal } = options;
  const shardOptions = { vocabSize: tokenizer.vocabSize, endOfTextId, ...(signal && { signal }) };
  // The training set is written last: where it is listed, nothing is missing.
  if (!(await readTokenSetEntries(folder)).train) {
    const kept = documentsOf(files, 'validation', options);
    const first = options.validationShare > 0 ? await kept.next() : undefined;
    if (first && !first.done) {
      await writeTokenShards(folder, 'validation', withFirst(first.value, kept), shardOptions);
    }
    await writeTokenShards(folder, 'train', documentsOf(files, 'train', options), shardOptions);
  }
  const hasValidation = (await readTokenSetEntries(folder)).validation !== undefined;
  return {
    train: await openTokenShards(folder, 'train'),
    validation: hasValidation ? await openTokenShards(folder, 'validation') : undefined,
  };
}

async function* documentsOf(
  files: readonly string[],
  split: 'train' | 'validation',
  { tokenizer, endOfTextId, validationShare, seed, reader: readerOptions, onEvent }: TextSetOptions,
): AsyncGenerator<SourcedTokenDocument> {
  const shares = { validation: validationShare, test: 0 };
  for (const path of files) {
    const reader = openReader(path, readerOptions);
    for await (const { text } of reader.read()) {
      if (splitOf(text, shares, seed) !== split) continue;
      yield { ...tokenizeText(text, tokenizer, endOfTextId), source: path };
    }
    const { numSkipped, skipped } = reader.report;
    if (split === 'validation' || numSkipped === 0) continue;
    onEvent({
      type: 'note',
      level: 'warning',
      message: `${path}: ${numSkipped} records skipped; the first, ${skipped[0]?.position}: ${skipped[0]?.reason}.`,
    });
  }
}

async function* withFirst<T>(first: T, rest: AsyncIterable<T>): AsyncGenerator<T> {
  yield first;
  yield* rest;
}
