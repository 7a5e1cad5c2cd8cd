/**
 * The interface that everything above the tokenizer is written against, and the one place where token ids
 * are checked. Ids are integers in [0, vocabSize). What always holds for an implementation: `decode` inverts
 * `encode` for every well-formed string unless the tokenizer's file prescribes a normalization, and special tokens never come out of ordinary text by accident.
 * It knows nothing of files, chat formats or models.
 */
import { PlinthError } from '../core/errors.ts';

/**
 * `text` (default): strings such as `<|im_end|>` inside the text are ordinary text, so that text from a user
 * cannot end a turn. `parse`: they become their ids; only for text the caller wrote.
 */
export type SpecialInText = 'text' | 'parse';

export interface EncodeOptions {
  special?: SpecialInText;
  /** The text continues an earlier one: a tokenizer that begins a text with a space does not do so here. */
  continues?: boolean;
}

/** `skip` (default) leaves special tokens out of decoded text, `keep` writes them by name. */
export interface DecodeOptions {
  special?: 'skip' | 'keep';
}

export interface Tokenizer {
  /** Number of ids, special tokens included: the largest id + 1. */
  readonly vocabSize: number;
  /** Name -> id of the control tokens, which ordinary text never produces. */
  readonly specialTokens: ReadonlyMap<string, number>;
  /** Lone surrogates in `text` are encoded as U+FFFD, as `TextEncoder` does. */
  encode(text: string, options?: EncodeOptions): number[];
  /** Bytes that are not UTF-8 become U+FFFD. Throws TokenizerError for ids outside [0, vocabSize). */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
  /** The bytes that `decode` turns into text. Throws TokenizerError for ids outside [0, vocabSize). */
  decodeBytes(ids: ArrayLike<number>, options?: DecodeOptions): Uint8Array;
  /** Raw bytes of one token (a special token: the UTF-8 of its name; an unused id: none). Do not modify. */
  tokenBytes(id: number): Uint8Array;
  /** Id of a special token's name, or of the token whose bytes are exactly the UTF-8 of `token`. */
  idOf(token: string): number | undefined;
}

/** A tokenizer was asked for something that its vocabulary does not have. */
export class TokenizerError extends PlinthError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('tokenizer', message, options);
  }
}

export function checkTokenId(id: number | undefined, vocabSize: number): asserts id is number {
  if (id === undefined || !Number.isInteger(id) || id < 0 || id >= vocabSize) {
    throw new TokenizerError(
      `Token id ${id} is not in this vocabulary: ids are integers from 0 to ${vocabSize - 1}. ` +
        'Decode with the tokenizer that the ids were made with.',
    );
  }
}

/** UTF-8 to text the way every decoder here does it: U+FFFD for broken bytes, a leading U+FEFF is kept. */
export function textFromUtf8(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}
