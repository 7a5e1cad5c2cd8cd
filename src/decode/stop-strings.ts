/**
 * Finds stop strings in a growing text, also across the borders of its pieces. What might still become a stop
 * string is held back, so that nothing is given out that later turns out to be one.
 */
import { ConfigError } from '../core/errors.ts';

const MAX_STRINGS = 64;
const MAX_LENGTH = 1024;

export class StopStrings {
  readonly #strings: readonly string[];
  #held = '';
  #isFound = false;

  /** Throws ConfigError for empty, too long or too many strings. */
  constructor(strings: readonly string[]) {
    if (strings.length > MAX_STRINGS) {
      throw new ConfigError(`stop: ${strings.length} strings given; expected at most ${MAX_STRINGS}.`);
    }
    for (const string of strings) {
      if (typeof string !== 'string' || string.length === 0 || string.length > MAX_LENGTH) {
        throw new ConfigError(
          `stop: ${JSON.stringify(string)?.slice(0, 100)} cannot stop a text; expected strings of 1 to ` +
            `${MAX_LENGTH} characters.`,
        );
      }
    }
    this.#strings = strings;
  }

  get isFound(): boolean {
    return this.#isFound;
  }

  /** Text that is certain now: up to the first stop string, or to where one may begin. */
  push(piece: string): string {
    if (this.#strings.length === 0) return piece;
    const text = this.#held + piece;
    let end = -1;
    for (const string of this.#strings) {
      const at = text.indexOf(string);
      if (at >= 0 && (end < 0 || at < end)) end = at;
    }
    if (end >= 0) {
      this.#isFound = true;
      this.#held = '';
      return text.slice(0, end);
    }
    const certain = this.#certainLength(text);
    this.#held = text.slice(certain);
    return text.slice(0, certain);
  }

  /** The text held back, when no more will come. */
  flush(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }

  /** Start of the longest end of the text that begins a stop string. */
  #certainLength(text: string): number {
    const longest = this.#strings.reduce((length, string) => Math.max(length, string.length), 0);
    for (let at = Math.max(0, text.length - longest + 1); at < text.length; at++) {
      const tail = text.slice(at);
      if (this.#strings.some((string) => string.startsWith(tail))) return at;
    }
    return text.length;
  }
}
