/** Trains a `PerplexityModel` on texts read once, or twice when it also learns its tokenizer. Nothing is drawn at random. */
import { ConfigError, DataError } from '../../core/errors.ts';
import { type Tokenizer, trainBpe } from '../../tokenizer/index.ts';
import { NgramCounter } from './ngram-counter.ts';
import { estimateNgramModel } from './ngram-model.ts';
import { PerplexityModel } from './perplexity-model.ts';

export interface PerplexityModelOptions {
  /** Longest n-gram, 1 to 8. Default 5, as in cc_net. */
  order?: number;
  /**
   * What n-grams are made of: 'bytes', a tokenizer, or the size of a BPE vocabulary to learn from the same texts
   * first (fewer ids when the texts do not give so many). Default 8192.
   */
  symbols?: 'bytes' | Tokenizer | number;
  /**
   * minCounts[n - 1]: the least occurrences of an n-gram of order n. Default 1, and 2 from order 3 on, which halves
   * the file or better and costs little.
   */
  minCounts?: readonly number[];
  /** n-grams held while counting: about 40 bytes each. Default 8,000,000. */
  maxNodes?: number;
}

export interface PerplexityTrainingReport {
  numTexts: number;
  numSymbols: number;
  /** n-grams of the model, all orders. */
  numNgrams: number;
  /** n-grams dropped while counting because memory was full; those that `minCounts` cuts are not counted here. */
  numPruned: number;
}

export const DEFAULT_PERPLEXITY_OPTIONS = { order: 5, symbols: 8192, maxNodes: 8_000_000 } as const;

/**
 * @throws DataError without any text, ConfigError for options out of range
 */
export function trainPerplexityModel(
  texts: Iterable<string>,
  options: PerplexityModelOptions = {},
): { model: PerplexityModel; report: PerplexityTrainingReport } {
  const { order, symbols, maxNodes } = { ...DEFAULT_PERPLEXITY_OPTIONS, ...options };
  const minCounts = options.minCounts ?? Array.from({ length: order }, (_, i) => (i < 2 ? 1 : 2));
  let tokenizer: Tokenizer | null = null;
  if (typeof symbols === 'number') {
    if (texts[Symbol.iterator]() === (texts as unknown)) {
      throw new ConfigError('Learning a vocabulary reads the texts twice; give a list, not a generator.');
    }
    tokenizer = trainBpe(texts, { vocabSize: symbols, specialTokens: [] });
  } else if (symbols !== 'bytes') tokenizer = symbols;
  const counter = new NgramCounter(order, tokenizer?.vocabSize ?? 256, maxNodes);
  const encoder = new TextEncoder();
  let numTexts = 0;
  let numSymbols = 0;
  for (const text of texts) {
    const ids = tokenizer === null ? encoder.encode(text) : tokenizer.encode(text);
    if (ids.length === 0) continue;
    counter.add(ids);
    numTexts++;
    numSymbols += ids.length;
  }
  if (numTexts === 0) throw new DataError('No text to learn from; expected at least one that is not empty.');
  const counted = counter.finish();
  const ngrams = estimateNgramModel(counted, minCounts);
  const report = { numTexts, numSymbols, numNgrams: ngrams.numNodes - 1, numPruned: counted.numPruned };
  return { model: new PerplexityModel(ngrams, tokenizer), report };
}
