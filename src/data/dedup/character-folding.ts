/**
 * Texts as they are compared: lower case, digits, punctuation, accents and white space folded as the reference
 * implementations of deduplication do it. One pass over the code units through a table that is filled as
 * characters are met. Folding is defined by code point, so it does not know of context: the final sigma is
 * folded like the others, and marks are not put in canonical order (they are removed where that matters).
 */
import { ConfigError } from '../../core/errors.ts';

/**
 * - `datatrove`: lower case; white space to one space; punctuation and control characters removed (so "don't" is
 *   "dont"); NFD without combining marks; digits "0" a run (huggingface/datatrove utils/text.py, simplify_text).
 * - `text-dedup`: lower case; all but letters, numbers and "_" is a space (ChenghaoMou/text-dedup, `\W`).
 * - `cc-net`: lower case; each digit "0"; the punctuation of cc_net's table, which has no ASCII, and control
 *   characters removed (facebookresearch/cc_net text_normalizer.py, normalize_for_dedup).
 * - `c4`: lower case (C4's lower(strip(line)); stripping is done where lines are found).
 * - `none`: as it is; white space counts as one space between words.
 */
export type Folding = 'datatrove' | 'text-dedup' | 'cc-net' | 'c4' | 'none';

export const FOLDINGS: readonly Folding[] = ['datatrove', 'text-dedup', 'cc-net', 'c4', 'none'];

/** Set in the value of a character whose script writes no spaces between words. Code points need 21 bits. */
export const UNSPACED = 1 << 21;
export const SPACE = 32;

const ZERO = 48;
const DROP = -1;
const FOLDED_SPACE = -2;
const FOLDED_DIGIT = -3;
/** Several values, or half of a surrogate pair: looked up by code point. */
const SEVERAL = -4;
const UNKNOWN = -5;

/** cc_net's UNICODE_PUNCT, its stray full-width one included. */
const CC_NET_PUNCTUATION = '，。、„”“«»１」「《》´∶：？！（）；–—．～’…━〈〉【】％►';
/** datatrove's list: cc_net's table and ASCII punctuation. */
const DATATROVE_PUNCTUATION = `${CC_NET_PUNCTUATION}!"#$%&'()*+,-./:;<=>?@[\\]^_\`{|}~`;

// Python's \s: the information separators and NEL are white space there, the byte-order mark only here.
// biome-ignore lint/suspicious/noControlCharactersInRegex: those are the characters meant.
const whitespace = /[\s\x1c-\x1f\x85]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above.
const control = /[\x00-\x1f\x7f-\x9f]/;
const mark = /\p{Mn}/u;
const decimalDigit = /\p{Nd}/u;
const wordCharacter = /[\p{L}\p{N}_]/u;
const unspacedScript = new RegExp(
  `[\u30fc${['Han', 'Hira', 'Kana', 'Bopo', 'Thai', 'Lao', 'Khmr', 'Mymr', 'Tibt', 'Yiii', 'Tale', 'Talu']
    .concat('Lana', 'Tavt', 'Java', 'Bali')
    .map((script) => `\\p{Script=${script}}`)
    .join('')}]`,
  'u',
);

const ccNetPunctuation = new Set(CC_NET_PUNCTUATION);
const datatrovePunctuation = new Set(DATATROVE_PUNCTUATION);

/** Lower case by code point: both sigmas are one. */
function lowerCase(character: string): string {
  return character.toLowerCase().replace('ς', 'σ');
}

function wordValue(character: string): number {
  const value = character.codePointAt(0)!;
  return unspacedScript.test(character) ? value | UNSPACED : value;
}

/** The values of one code point, by folding. */
const foldCharacter: Record<Folding, (character: string) => number[]> = {
  datatrove(character) {
    if (whitespace.test(character)) return [FOLDED_SPACE];
    const values: number[] = [];
    for (const lower of lowerCase(character)) {
      if (datatrovePunctuation.has(lower) || control.test(lower)) continue;
      for (const part of lower.normalize('NFD')) {
        if (mark.test(part)) continue;
        values.push(decimalDigit.test(part) ? FOLDED_DIGIT : wordValue(part));
      }
    }
    return values;
  },
  'text-dedup'(character) {
    return [...lowerCase(character)].map((lower) =>
      wordCharacter.test(lower) ? wordValue(lower) : FOLDED_SPACE,
    );
  },
  'cc-net'(character) {
    if (decimalDigit.test(character)) return [ZERO];
    return [...lowerCase(character)]
      .filter((lower) => !ccNetPunctuation.has(lower) && !control.test(lower))
      .map((lower) => lower.codePointAt(0)!);
  },
  c4: (character) => [...lowerCase(character)].map((lower) => lower.codePointAt(0)!),
  none: (character) => [whitespace.test(character) ? FOLDED_SPACE : wordValue(character)],
};

/** What is known of a folding: a value for each code unit, and parts of code points that have several. */
interface FoldingTable {
  readonly units: Int32Array<ArrayBuffer>;
  readonly several: Map<number, readonly number[]>;
}

/** Filled as characters are met, for all folders together. */
const tables = new Map<Folding, FoldingTable>();

function tableOf(folding: Folding): FoldingTable {
  let table = tables.get(folding);
  if (table === undefined) {
    table = { units: new Int32Array(65536).fill(UNKNOWN), several: new Map() };
    tables.set(folding, table);
  }
  return table;
}

/** Larger buffers are not kept after use. */
const MAX_KEPT_VALUES = 1 << 20;

/** Folds texts one at a time into a buffer of its own. */
export class TextFolder {
  readonly folding: Folding;
  /**
   * The folded text in the first `length` entries: code points, with UNSPACED set where it applies. A SPACE that
   * does not count stands after them.
   */
  values: Int32Array<ArrayBuffer> = new Int32Array(4096);
  length = 0;
  readonly #fold: (character: string) => number[];
  readonly #table: Int32Array<ArrayBuffer>;
  readonly #several: Map<number, readonly number[]>;

  /** @throws ConfigError for an unknown folding. */
  constructor(folding: Folding) {
    if (!Object.hasOwn(foldCharacter, folding)) {
      throw new ConfigError(`Unknown normalization '${folding}'; known are ${FOLDINGS.join(', ')}.`);
    }
    this.folding = folding;
    this.#fold = foldCharacter[folding];
    const { units, several } = tableOf(folding);
    this.#table = units;
    this.#several = several;
  }

  /** Folds `text[start, end)`. With `positions` also notes for each value where in `text` it comes from. */
  fold(text: string, start = 0, end = text.length, positions?: number[]): this {
    // Nothing expands to more than this: U+0390 and its like have three parts.
    this.#reserve(end - start + 8);
    const table = this.#table;
    let values = this.values;
    let length = 0;
    let afterSpace = false;
    let afterDigit = false;
    for (let i = start; i < end; i++) {
      let value = table[text.charCodeAt(i)]!;
      if (value === UNKNOWN) value = this.#learn(text.charCodeAt(i));
      if (value >= 0) {
        if (positions) positions[length] = i;
        values[length++] = value;
        afterSpace = false;
        afterDigit = false;
      } else if (value === FOLDED_SPACE) {
        if (!afterSpace) {
          if (positions) positions[length] = i;
          values[length++] = SPACE;
        }
        afterSpace = true;
        afterDigit = false;
      } else if (value === FOLDED_DIGIT) {
        if (!afterDigit) {
          if (positions) positions[length] = i;
          values[length++] = ZERO;
        }
        afterSpace = false;
        afterDigit = true;
      } else if (value === SEVERAL) {
        const at = i;
        let codePoint = text.charCodeAt(i);
        if (codePoint >= 0xd800 && codePoint < 0xdc00 && i + 1 < end) {
          const low = text.charCodeAt(i + 1);
          if (low >= 0xdc00 && low < 0xe000) {
            codePoint = 0x10000 + ((codePoint - 0xd800) << 10) + (low - 0xdc00);
            i++;
          }
        }
        const parts = this.#partsOf(codePoint);
        this.#reserve(length + parts.length + (end - i) + 8, length);
        values = this.values;
        for (const part of parts) {
          if (part === FOLDED_SPACE ? afterSpace : part === FOLDED_DIGIT && afterDigit) continue;
          if (positions) positions[length] = at;
          values[length++] = part === FOLDED_SPACE ? SPACE : part === FOLDED_DIGIT ? ZERO : part;
          afterSpace = part === FOLDED_SPACE;
          afterDigit = part === FOLDED_DIGIT;
        }
      }
      // What is left is DROP, which leaves the text as if it had never been there.
    }
    values[length] = SPACE;
    this.length = length;
    return this;
  }

  /** The folded text as a string. */
  toString(): string {
    let text = '';
    for (let i = 0; i < this.length; i++) text += String.fromCodePoint(this.values[i]! & (UNSPACED - 1));
    return text;
  }

  /** Lets go of a buffer too large to keep. */
  release(): void {
    if (this.values.length > MAX_KEPT_VALUES) this.values = new Int32Array(4096);
    this.length = 0;
  }

  #reserve(needed: number, keep = 0): void {
    if (needed <= this.values.length) return;
    const larger = new Int32Array(Math.max(needed, 2 * this.values.length));
    larger.set(this.values.subarray(0, keep));
    this.values = larger;
  }

  #learn(unit: number): number {
    let value = SEVERAL;
    if (unit < 0xd800 || unit > 0xdfff) {
      const parts = this.#fold(String.fromCharCode(unit));
      if (parts.length === 0) value = DROP;
      else if (parts.length === 1) value = parts[0]!;
    }
    this.#table[unit] = value;
    return value;
  }

  #partsOf(codePoint: number): readonly number[] {
    let parts = this.#several.get(codePoint);
    if (parts === undefined) {
      parts = this.#fold(String.fromCodePoint(codePoint));
      this.#several.set(codePoint, parts);
    }
    return parts;
  }
}
