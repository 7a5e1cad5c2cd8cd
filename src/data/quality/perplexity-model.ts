/**
 * A small language model of texts for perplexity filtering: how surprising a text is to someone who has read the
 * training texts. An `NgramModel` over the bytes of UTF-8 or over the tokens of a BPE tokenizer, so no text holds an
 * unknown symbol. With a tokenizer the probability is that of the tokens the tokenizer gives, a lower bound of the
 * text's. One instance holds scratch memory: give each thread its own.
 */
import { DataError, FormatError } from '../../core/errors.ts';
import { formatTokenizerJson, parseTokenizerJson, type Tokenizer } from '../../tokenizer/index.ts';
import { decodeArrayFile, encodeArrayFile } from './array-file.ts';
import { NgramModel } from './ngram-model.ts';

/** Whatever says how many bits a byte of a text costs: an n-gram model, a transformer's checkpoint. */
export interface PerplexityScorer {
  bitsPerByte(text: string): number | Promise<number>;
}

export interface TextSurprise {
  /** -log2 of the probability of the text and its end. */
  bits: number;
  numBytes: number;
  /** Runs of characters that are not white space. */
  numWords: number;
  /** Bytes or tokens, and the end. */
  numSymbols: number;
  /** `bits` by bytes; what to compare between tokenizers. 0 for an empty text. */
  bitsPerByte: number;
  /** 2^(bits / numSymbols), as cc_net counts it; what to compare within a language. */
  perplexity: number;
  /** 2^(bits / numWords); of no use in scripts without spaces. Infinite without words. */
  perplexityPerWord: number;
}

export const PERPLEXITY_FILE_KIND = 'ngram-language-model';
const NUM_BYTES = 256;

export class PerplexityModel implements PerplexityScorer {
  readonly ngrams: NgramModel;
  /** null: symbols are bytes. */
  readonly tokenizer: Tokenizer | null;
  readonly #encoder = new TextEncoder();

  /** @throws DataError when the model's symbols are not the tokenizer's */
  constructor(ngrams: NgramModel, tokenizer: Tokenizer | null) {
    const numOrdinary = tokenizer?.vocabSize ?? NUM_BYTES;
    if (ngrams.numSymbols !== numOrdinary + 1) {
      throw new DataError(
        `The n-gram model has ${ngrams.numSymbols - 1} symbols, its ${tokenizer ? 'tokenizer' : 'bytes'} ${numOrdinary}.`,
      );
    }
    this.ngrams = ngrams;
    this.tokenizer = tokenizer;
  }

  measure(text: string): TextSurprise {
    const bytes = this.#encoder.encode(text);
    const symbols = this.tokenizer === null ? bytes : this.tokenizer.encode(text);
    const bits = this.ngrams.bits(symbols);
    const numWords = countWords(text);
    const numSymbols = symbols.length + 1;
    return {
      bits,
      numBytes: bytes.length,
      numWords,
      numSymbols,
      bitsPerByte: bytes.length === 0 ? 0 : bits / bytes.length,
      perplexity: 2 ** (bits / numSymbols),
      perplexityPerWord: 2 ** (bits / numWords),
    };
  }

  /** By symbol, the end included, as in cc_net. */
  perplexity(text: string): number {
    return this.measure(text).perplexity;
  }

  bitsPerByte(text: string): number {
    return this.measure(text).bitsPerByte;
  }

  /** @throws FormatError for a tokenizer that has no tokenizer.json of ours */
  toBytes(): Uint8Array {
    const { order, numSymbols, parents, symbols, shares, backoffs } = this.ngrams.parts;
    const tokenizer = this.#encoder.encode(
      this.tokenizer === null ? '' : formatTokenizerJson(this.tokenizer),
    );
    return encodeArrayFile(
      PERPLEXITY_FILE_KIND,
      { order, numSymbols },
      { parents, symbols, shares, backoffs, tokenizer },
    );
  }

  /** @throws FormatError when the bytes are not such a model or are damaged */
  static fromBytes(bytes: Uint8Array): PerplexityModel {
    const { settings, arrays } = decodeArrayFile(bytes, PERPLEXITY_FILE_KIND, {
      parents: 'int32',
      symbols: 'int32',
      shares: 'float32',
      backoffs: 'float32',
      tokenizer: 'uint8',
    });
    const { tokenizer: json, ...parts } = arrays;
    const ngrams = new NgramModel({
      order: settings.order as number,
      numSymbols: settings.numSymbols as number,
      ...parts,
    });
    try {
      return new PerplexityModel(
        ngrams,
        json.length === 0 ? null : parseTokenizerJson(new TextDecoder().decode(json)),
      );
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      throw new FormatError(error.message, { cause: error });
    }
  }
}

function countWords(text: string): number {
  let count = 0;
  let inWord = false;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    const isSpace = unit <= 32 || unit === 0xa0 || unit === 0x3000 || (unit >= 0x2000 && unit <= 0x200a);
    if (!isSpace && !inWord) count++;
    inWord = !isSpace;
  }
  return count;
}
