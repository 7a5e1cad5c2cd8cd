/**
 * Learns a byte-level BPE vocabulary from documents: cut into chunks, count each distinct chunk once, learn
 * merges on the counts. Ids: the 256 bytes in order, then merged tokens in the order they were learned, then
 * the special tokens in the order given. The same documents and options give the same vocabulary everywhere.
 */
import { ConfigError, LimitError } from '../core/errors.ts';
import type { EventSink } from '../core/events.ts';
import { AddedTokenSplitter } from './added-tokens.ts';
import { BpeTokenizer } from './bpe-tokenizer.ts';
import type { ChunkScanner } from './chunk-scanners.ts';
import { ChunkTable } from './chunk-table.ts';
import { growFloat64 } from './growing-arrays.ts';
import { type CountedChunks, learnMerges, type TieBreak } from './merge-learner.ts';
import { DEFAULT_PRE_TOKENIZER, type PreTokenizerName, preTokenizerOf } from './pre-tokenizer.ts';
import { TextUnits } from './text-units.ts';

/** End of a document (also padding), and the brackets of a ChatML turn. */
export const DEFAULT_SPECIAL_TOKENS: readonly string[] = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];

export interface TrainBpeOptions {
  /** Number of ids wanted, the 256 bytes and the special tokens included. */
  vocabSize: number;
  /** Default: `DEFAULT_SPECIAL_TOKENS`. Where one stands in a document the text is cut and it is not counted. */
  specialTokens?: readonly string[];
  /** A named pre-tokenizer (default `qwen2`) or a pattern of one's own. */
  preTokenizer?: PreTokenizerName | { pattern: string };
  /** A pair that occurs less often is never merged. Default 2. */
  minFrequency?: number;
  /** Default `pair-ids`. */
  tieBreak?: TieBreak;
  /** Progress of the stages `count-chunks` and `learn-merges`, and a warning when the corpus gives fewer ids. */
  onProgress?: EventSink;
}

const MAX_VOCAB_SIZE = 1 << 20;
const MERGES_PER_EVENT = 256;
const DOCUMENTS_PER_EVENT = 1024;

/**
 * Trains a tokenizer. When the corpus runs out of pairs that occur `minFrequency` times, the vocabulary is
 * smaller than asked for: `vocabSize` of the result says so, and `onProgress` gets a warning.
 * Throws ConfigError for options out of range, LimitError for more than 2^31 bytes of distinct chunks.
 */
export function trainBpe(documents: Iterable<string>, options: TrainBpeOptions): BpeTokenizer {
  const specialTokens = options.specialTokens ?? DEFAULT_SPECIAL_TOKENS;
  const minFrequency = options.minFrequency ?? 2;
  checkOptions(options.vocabSize, specialTokens, minFrequency);
  const preTokenizer = preTokenizerOf(options.preTokenizer ?? DEFAULT_PRE_TOKENIZER);
  const added = specialTokens.map((content, i) => ({ content, id: i, special: true }));

  const chunks = countChunks(
    documents,
    preTokenizer.scanner,
    new AddedTokenSplitter(added),
    options.onProgress,
  );
  const numTokens = options.vocabSize - specialTokens.length;
  const startedAt = performance.now();
  const learned = learnMerges(chunks, {
    numTokens,
    minFrequency,
    tieBreak: options.tieBreak ?? 'pair-ids',
    onMerge: (done) => {
      if (done % MERGES_PER_EVENT !== 0 && done !== numTokens) return;
      report(options.onProgress, 'learn-merges', done - 256, numTokens - 256, 'merges', startedAt);
    },
  });
  if (learned.tokens.length < numTokens) {
    options.onProgress?.({
      type: 'note',
      level: 'warning',
      message:
        `The vocabulary has ${learned.tokens.length + specialTokens.length} ids instead of ${options.vocabSize}: no ` +
        `pair of tokens occurs ${minFrequency} times any more. Use more text, or a smaller vocabSize or minFrequency.`,
    });
  }
  return new BpeTokenizer({
    tokens: learned.tokens,
    merges: Int32Array.from(learned.triples),
    addedTokens: added.map((token) => ({ ...token, id: learned.tokens.length + token.id })),
    preTokenizer,
    ignoreMerges: preTokenizer.ignoreMerges,
  });
}

function checkOptions(vocabSize: number, specialTokens: readonly string[], minFrequency: number): void {
  const smallest = 256 + specialTokens.length;
  if (!Number.isInteger(vocabSize) || vocabSize < smallest || vocabSize > MAX_VOCAB_SIZE) {
    throw new ConfigError(
      `vocabSize is ${vocabSize}; expected an integer from ${smallest} (256 bytes and ${specialTokens.length} ` +
        `special tokens) to ${MAX_VOCAB_SIZE}.`,
    );
  }
  if (!(minFrequency >= 1))
    throw new ConfigError(`minFrequency is ${minFrequency}; expected a number from 1.`);
  const repeated = specialTokens.find((token, i) => token === '' || specialTokens.indexOf(token) !== i);
  if (repeated !== undefined) {
    throw new ConfigError(
      `Special token ${JSON.stringify(repeated)} is empty or given twice. List each name once.`,
    );
  }
}

/** Distinct chunks of all documents with their counts, as UTF-8. */
function countChunks(
  documents: Iterable<string>,
  scanner: () => ChunkScanner,
  splitter: AddedTokenSplitter,
  onProgress: EventSink | undefined,
): CountedChunks {
  const table = new ChunkTable();
  const source = new TextUnits();
  let counts = new Float64Array(1024);
  const total = Array.isArray(documents) ? documents.length : Number.NaN;
  let numDocuments = 0;
  const startedAt = performance.now();
  for (const document of documents) {
    splitter.split(document, (text, id) => {
      if (id >= 0) return;
      const nextEnd = scanner();
      source.set(text);
      for (let start = 0; start < text.length; ) {
        const end = nextEnd(source, start);
        const chunk = table.intern(source.units, start, end);
        counts = growFloat64(counts, chunk + 1);
        counts[chunk]!++;
        start = end;
      }
    });
    numDocuments++;
    if (numDocuments % DOCUMENTS_PER_EVENT === 0) {
      report(onProgress, 'count-chunks', numDocuments, total, 'documents', startedAt);
    }
  }
  report(onProgress, 'count-chunks', numDocuments, numDocuments, 'documents', startedAt);
  return encodeChunks(table, counts.subarray(0, table.size));
}

function encodeChunks(table: ChunkTable, counts: Float64Array): CountedChunks {
  const encoder = new TextEncoder();
  const starts = new Int32Array(table.size + 1);
  let bytes = new Uint8Array(table.numUnits + 64);
  for (let i = 0; i < table.size; i++) {
    const text = table.textOf(i);
    const first = starts[i]!;
    if (first + 3 * text.length > bytes.length) {
      const grown = new Uint8Array(Math.max(first + 3 * text.length, Math.ceil(1.5 * bytes.length)));
      grown.set(bytes.subarray(0, first));
      bytes = grown;
    }
    const { written } = encoder.encodeInto(text, bytes.subarray(first));
    if (first + written > 0x7fffffff) {
      throw new LimitError(
        'The distinct chunks of this corpus hold more than 2^31 bytes. Train on a sample of it.',
      );
    }
    starts[i + 1] = first + written;
  }
  return { bytes: bytes.subarray(0, starts[table.size]!), starts, counts };
}

function report(
  sink: EventSink | undefined,
  stage: string,
  done: number,
  total: number,
  unit: string,
  startedAt: number,
): void {
  if (sink === undefined) return;
  const seconds = Math.max(1e-9, (performance.now() - startedAt) / 1000);
  const ratePerSecond = done / seconds;
  const secondsLeft = ratePerSecond > 0 ? (total - done) / ratePerSecond : Number.NaN;
  sink({ type: 'progress', stage, done, total, unit, ratePerSecond, secondsLeft });
}
