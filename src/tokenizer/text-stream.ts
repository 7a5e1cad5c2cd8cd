/**
 * Text out of a growing sequence of token ids, one id at a time. A token may end in the middle of a character
 * (an emoji is four bytes), so incomplete UTF-8 is held back until the next token completes it. The pieces
 * joined are `decode` of all ids. It continues a text: a tokenizer that strips the space at the beginning of
 * a text does not strip it here.
 */
import { type DecodeOptions, type Tokenizer, TokenizerError } from './tokenizer.ts';

export class TextStream {
  readonly #tokenizer: Tokenizer;
  readonly #keepSpecial: boolean;
  readonly #specialIds: ReadonlySet<number>;
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #ended = false;

  constructor(tokenizer: Tokenizer, options: DecodeOptions = {}) {
    this.#tokenizer = tokenizer;
    this.#keepSpecial = options.special === 'keep';
    this.#specialIds = new Set(tokenizer.specialTokens.values());
  }

  /** Text that this token completes, possibly empty; never half a character. */
  push(id: number): string {
    if (this.#ended) throw new TokenizerError('TextStream.push after flush: make a new TextStream per text.');
    const bytes = this.#tokenizer.tokenBytes(id);
    if (!this.#keepSpecial && this.#specialIds.has(id)) return '';
    return this.#decoder.decode(bytes, { stream: true });
  }

  /** What is left: U+FFFD if the last character is incomplete, otherwise nothing. Ends the stream. */
  flush(): string {
    if (this.#ended) return '';
    this.#ended = true;
    return this.#decoder.decode();
  }
}
