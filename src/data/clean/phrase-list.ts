/**
 * Finds phrases of a list in a lower-case text, in one pass over the text whatever the list's size. With word
 * boundaries a phrase counts only where no letter, digit or _ touches it, as C4's regex
 * (?:\W|^)(phrase)(?:\W|$); without, anywhere, for scripts that write no spaces.
 */
import { characterClasses, DIGIT, LETTER } from './character-classes.ts';
import { hashFactor, startHash } from './span-table.ts';

const filterMask = 0x3fff;

export class PhraseList {
  readonly #boundaries: boolean;
  /** Phrases by their first word's hash, or without boundaries by their first unit. */
  readonly #byStart = new Map<number, string[]>();
  readonly #filter = new Uint8Array(filterMask + 1);
  /** Phrases that begin with something other than a letter or digit: searched for one by one. */
  readonly #irregular: string[] = [];

  constructor(phrases: Iterable<string>, boundaries: boolean) {
    this.#boundaries = boundaries;
    for (const phrase of new Set([...phrases].map((one) => one.trim().toLowerCase()))) {
      if (phrase === '') continue;
      const end = wordEnd(phrase, 0);
      if (boundaries && end === 0) this.#irregular.push(phrase);
      else this.#add(boundaries ? hashOf(phrase, 0, end) : phrase.charCodeAt(0), phrase);
    }
  }

  #add(key: number, phrase: string): void {
    this.#filter[key & filterMask] = 1;
    const known = this.#byStart.get(key);
    if (known === undefined) this.#byStart.set(key, [phrase]);
    else known.push(phrase);
  }

  /** Phrases found, in order, at most `atMost` of them; a phrase that occurs twice is found twice. */
  find(lower: string, atMost: number): string[] {
    const found = this.#boundaries ? this.#findWords(lower, atMost) : this.#findAnywhere(lower, atMost);
    for (const phrase of this.#irregular) {
      for (let at = lower.indexOf(phrase); at >= 0; at = lower.indexOf(phrase, at + 1)) {
        if (found.length >= atMost) return found;
        if ((at === 0 || !isWordUnit(lower.charCodeAt(at - 1))) && endsWord(lower, at + phrase.length)) {
          found.push(phrase);
        }
      }
    }
    return found;
  }

  #findWords(lower: string, atMost: number): string[] {
    const found: string[] = [];
    const length = lower.length;
    const classes = characterClasses();
    const wordBits = LETTER | DIGIT;
    const factor = hashFactor;
    for (let at = 0; at < length && found.length < atMost; ) {
      let hash = startHash;
      let end = at;
      for (; end < length; end++) {
        const unit = lower.charCodeAt(end);
        if ((classes[unit]! & wordBits) === 0) break;
        hash = Math.imul(hash ^ unit, factor);
      }
      if (end > at && this.#filter[hash & filterMask] === 1) {
        for (const phrase of this.#byStart.get(hash) ?? []) {
          if (lower.startsWith(phrase, at) && endsWord(lower, at + phrase.length)) {
            found.push(phrase);
            break;
          }
        }
      }
      at = end + 1;
    }
    return found;
  }

  #findAnywhere(lower: string, atMost: number): string[] {
    const found: string[] = [];
    for (let at = 0; at < lower.length && found.length < atMost; at++) {
      const unit = lower.charCodeAt(at);
      if (this.#filter[unit & filterMask] === 0) continue;
      const phrase = this.#byStart.get(unit)?.find((one) => lower.startsWith(one, at));
      if (phrase !== undefined) found.push(phrase);
    }
    return found;
  }
}

/** Python's \w for one unit: letters, digits, _. */
function isWordUnit(unit: number): boolean {
  if (unit < 0x80) {
    return (unit >= 0x61 && unit <= 0x7a) || (unit >= 0x30 && unit <= 0x39) || unit === 0x5f
      ? true
      : unit >= 0x41 && unit <= 0x5a;
  }
  return (characterClasses()[unit]! & (LETTER | DIGIT)) !== 0;
}

function endsWord(text: string, end: number): boolean {
  return end >= text.length || !isWordUnit(text.charCodeAt(end));
}

function wordEnd(text: string, start: number): number {
  let end = start;
  while (end < text.length && isWordUnit(text.charCodeAt(end))) end++;
  return end;
}

function hashOf(text: string, start: number, end: number): number {
  let hash = startHash;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ text.charCodeAt(i), hashFactor);
  return hash;
}
