/**
 * The end of a text that grows token by token, as far as stop strings need it. It never changes: what a token adds
 * is a new tail, so that many texts can grow from one. Characters come as in `TextStream`: incomplete ones wait.
 */
import type { Tokenizer } from '../../tokenizer/index.ts';

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export class TextTail {
  readonly #stops: readonly string[];
  readonly #tokenizer: Tokenizer;
  readonly #specialIds: ReadonlySet<number>;
  /** As much of the text as a stop string that is not complete can take. */
  #text = '';
  /** Bytes of a character that is not complete, at most three. */
  #bytes: Uint8Array = new Uint8Array(0);
  #hasStop = false;

  constructor(stops: readonly string[], tokenizer: Tokenizer, specialIds?: ReadonlySet<number>) {
    this.#stops = stops;
    this.#tokenizer = tokenizer;
    this.#specialIds = specialIds ?? new Set(tokenizer.specialTokens.values());
  }

  /** The last token completed a stop string. */
  get hasStop(): boolean {
    return this.#hasStop;
  }

  after(token: number): TextTail {
    const next = new TextTail(this.#stops, this.#tokenizer, this.#specialIds);
    const added = this.#specialIds.has(token) ? new Uint8Array(0) : this.#tokenizer.tokenBytes(token);
    const bytes = new Uint8Array(this.#bytes.length + added.length);
    bytes.set(this.#bytes);
    bytes.set(added, this.#bytes.length);
    const piece = decoder.decode(bytes, { stream: true });
    // The decoder keeps what it waits for to itself; without those bytes it gives the same text.
    if (decoder.decode() !== '') {
      let end = bytes.length - 1;
      while (decoder.decode(bytes.subarray(0, end)) !== piece) end--;
      next.#bytes = bytes.subarray(end);
    }
    const text = this.#text + piece;
    next.#hasStop = this.#stops.some((stop) => text.includes(stop));
    const longest = this.#stops.reduce((length, stop) => Math.max(length, stop.length), 1);
    next.#text = longest > 1 ? text.slice(1 - longest) : '';
    return next;
  }
}
