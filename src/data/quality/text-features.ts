/**
 * Text -> hashed n-gram features for a linear classifier: single words and pairs of neighbours, lower-cased, digits
 * as 0. Every punctuation mark and symbol is a word of its own, and so are one line break and several, because
 * menus and lists show in them. In scripts written without spaces every character is a word and triples are added.
 * A feature is a bucket number; different n-grams may share one.
 */

/** What a code unit is to the scanner. */
const SPACE = 0;
const WORD = 1;
const SYMBOL = 2;
const LINE_BREAK = 3;
/** Stands alone: Han, kana, Thai, Lao, Khmer, Myanmar, Tibetan, and surrogates. */
const CHARACTER = 4;

const FNV_BASIS = 0x811c9dc5 | 0;
const FNV_PRIME = 0x01000193;
/** Hashes of the words 'one line break' and 'several'. */
const ONE_LINE_BREAK = 0x0a0a0a01;
const LINE_BREAKS = 0x0a0a0a02;

const CHARACTER_SCRIPTS =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Tibetan}\p{Cs}]/u;

interface UnitTables {
  /** Class of each code unit. */
  classes: Uint8Array;
  /** The code unit in lower case; digits become 0. */
  folded: Uint16Array;
}

let tables: UnitTables | undefined;

function unitTables(): UnitTables {
  if (tables) return tables;
  const classes = new Uint8Array(65536);
  const folded = new Uint16Array(65536);
  for (let unit = 0; unit < 65536; unit++) {
    const character = String.fromCharCode(unit);
    folded[unit] = unit;
    if (unit === 10) classes[unit] = LINE_BREAK;
    else if (unit < 33 || /\p{White_Space}/u.test(character)) classes[unit] = SPACE;
    else if (CHARACTER_SCRIPTS.test(character)) classes[unit] = CHARACTER;
    else if (/[\p{L}\p{M}]/u.test(character)) {
      classes[unit] = WORD;
      const lower = character.toLowerCase();
      if (lower.length === 1) folded[unit] = lower.charCodeAt(0);
    } else if (/\p{Nd}/u.test(character)) {
      classes[unit] = WORD;
      folded[unit] = 0x30;
    } else classes[unit] = SYMBOL;
  }
  tables = { classes, folded };
  return tables;
}

/** Spreads a hash over all bits (the finalizer of MurmurHash3). */
function mix(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** A buffer that holds the features of one text at a time. */
export class TextFeatures {
  /** The features are buckets[0 .. count). */
  buckets = new Uint32Array(4096);
  count = 0;
  readonly #mask: number;

  /** @param numBuckets a power of two */
  constructor(numBuckets: number) {
    this.#mask = numBuckets - 1;
  }

  /** Replaces the content by the features of `text`, the first `maxFeatures` of them, and returns how many. */
  read(text: string, maxFeatures = Number.POSITIVE_INFINITY): number {
    const { classes, folded } = unitTables();
    const mask = this.#mask;
    const end = text.length;
    let buckets = this.buckets;
    let count = 0;
    let previous = 0;
    let beforePrevious = 0;
    let i = 0;
    while (i < end && count < maxFeatures) {
      const unit = text.charCodeAt(i);
      let unitClass = classes[unit]!;
      let word: number;
      if (unitClass === WORD) {
        word = FNV_BASIS;
        let current = unit;
        do {
          word = Math.imul(word ^ folded[current]!, FNV_PRIME);
          i++;
          if (i >= end) break;
          current = text.charCodeAt(i);
        } while (classes[current] === WORD);
      } else if (unitClass === SPACE || unitClass === LINE_BREAK) {
        let numLineBreaks = 0;
        do {
          if (unitClass === LINE_BREAK) numLineBreaks++;
          i++;
          if (i >= end) break;
          unitClass = classes[text.charCodeAt(i)]!;
        } while (unitClass === SPACE || unitClass === LINE_BREAK);
        if (numLineBreaks === 0) continue;
        unitClass = LINE_BREAK;
        word = numLineBreaks === 1 ? ONE_LINE_BREAK : LINE_BREAKS;
      } else {
        word = Math.imul(FNV_BASIS ^ folded[unit]!, FNV_PRIME);
        i++;
      }
      if (count + 3 > buckets.length) {
        const larger = new Uint32Array(2 * buckets.length);
        larger.set(buckets);
        this.buckets = larger;
        buckets = larger;
      }
      buckets[count++] = mix(word) & mask;
      const pair = Math.imul(previous, 0x9e3779b1) ^ word;
      if (previous !== 0) {
        buckets[count++] = mix(pair + 0x51ed270b) & mask;
        if (unitClass === CHARACTER && beforePrevious !== 0) {
          buckets[count++] = mix((Math.imul(beforePrevious, 0x2545f491) ^ pair) + 0x3c6ef372) & mask;
        }
      }
      beforePrevious = previous;
      previous = word;
    }
    this.count = Math.min(count, maxFeatures);
    return this.count;
  }
}
