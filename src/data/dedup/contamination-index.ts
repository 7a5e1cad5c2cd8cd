/**
 * The word n-grams of evaluation items, to be looked for in training data (Brown et al. 2020, appendix C;
 * datatrove pipeline/decont/n_grams.py). An item that shares n words in a row with a document contaminates it. The
 * table holds 64-bit keys and no text: among T n-grams of training data and N of the items a chance match has
 * probability T x N / 2^64 (1e10 words against a million: 5e-4).
 */
import { ConfigError, DataError, LimitError } from '../../core/errors.ts';
import { formatBytes } from '../../core/units.ts';
import type { Document } from '../document.ts';
import { FOLDINGS, type Folding, TextFolder } from './character-folding.ts';
import { hashRunAgain, hashRuns, WordHasher } from './word-hasher.ts';

export interface EvaluationItem {
  readonly id: string;
  readonly text: string;
}

export interface ContaminationOptions {
  /** Words of an n-gram. Default 12, datatrove's; GPT-3 used 13. */
  readonly n?: number;
  /**
   * Items of fewer than n words are looked for as a whole if they have at least so many; shorter ones would be
   * found everywhere, and are counted instead. Default 8, GPT-3's least n.
   */
  readonly minWords?: number;
  /** How words are compared. Default 'datatrove'. */
  readonly normalize?: Folding;
  /** Bound of the table. Default 1 GiB: 44 million n-grams. */
  readonly memoryBytes?: number;
}

export interface ContaminationCounts {
  /** Evaluation items indexed, with those below. */
  readonly items: number;
  /** Different n-grams, whole short items among them. */
  readonly ngrams: number;
  /** Items of fewer than n words that are looked for as a whole. */
  readonly shortItems: number;
  /** Items of fewer than `minWords` words, which are not looked for. */
  readonly tooShortItems: number;
}

export interface ContaminationMatch {
  /** `id` of the evaluation item; the first one that has the n-gram. */
  readonly item: string;
  /** The matching words as they stand in the document. */
  readonly ngram: string;
  /** Where they begin in the text, and end, in UTF-16 units. */
  readonly position: number;
  readonly end: number;
}

/** What an index is made of, to be stored. */
export interface ContaminationParts {
  readonly n: number;
  readonly minWords: number;
  readonly normalize: Folding;
  readonly counts: ContaminationCounts;
  readonly itemIds: readonly string[];
  readonly shortLengths: readonly number[];
  readonly keys1: Uint32Array<ArrayBuffer>;
  readonly keys2: Uint32Array<ArrayBuffer>;
  readonly items: Uint32Array<ArrayBuffer>;
}

const BYTES_PER_SLOT = 12;
const MIN_SLOTS = 1024;
const MAX_FILL = 0.5;
const MAX_N = 1000;
const DEFAULT_MEMORY_BYTES = 1024 ** 3;

export class ContaminationIndex {
  readonly n: number;
  readonly minWords: number;
  readonly normalize: Folding;
  readonly #memoryBytes: number;
  readonly #folder: TextFolder;
  readonly #words = new WordHasher();
  readonly #itemIds: string[] = [];
  /** Open addressing; 0 in the first array is an empty slot, which no key's first word is. */
  #keys1 = new Uint32Array(MIN_SLOTS);
  #keys2 = new Uint32Array(MIN_SLOTS);
  #items = new Uint32Array(MIN_SLOTS);
  #numFilled = 0;
  #numShort = 0;
  #numTooShort = 0;
  /** Lengths, in words, of short items. */
  #shortLengths: number[] = [];
  #runs = new Int32Array(1024);

  private constructor(options: ContaminationOptions) {
    const { n = 12, minWords = 8, normalize = 'datatrove', memoryBytes = DEFAULT_MEMORY_BYTES } = options;
    checkWords('n', n);
    checkWords('minWords', minWords);
    if (!FOLDINGS.includes(normalize)) {
      throw new ConfigError(`Unknown normalization '${normalize}'; known are ${FOLDINGS.join(', ')}.`);
    }
    this.n = n;
    this.minWords = minWords;
    this.normalize = normalize;
    this.#memoryBytes = memoryBytes;
    this.#folder = new TextFolder(normalize);
  }

  /**
   * @throws ConfigError for a number out of range; DataError when there is no item to look for; LimitError when
   * the table would pass `memoryBytes`.
   */
  static async build(
    items: Iterable<EvaluationItem> | AsyncIterable<EvaluationItem>,
    options: ContaminationOptions = {},
  ): Promise<ContaminationIndex> {
    const index = new ContaminationIndex(options);
    for await (const item of items) index.#add(item);
    if (index.#numFilled === 0) {
      throw new DataError(
        `None of the ${index.#itemIds.length} evaluation items has at least ${Math.min(index.n, index.minWords)} ` +
          'words, so there is nothing to look for. Check which field holds the text, or lower --ngram.',
      );
    }
    return index;
  }

  static fromParts(parts: ContaminationParts): ContaminationIndex {
    const index = new ContaminationIndex(parts);
    index.#itemIds.push(...parts.itemIds);
    index.#keys1 = parts.keys1;
    index.#keys2 = parts.keys2;
    index.#items = parts.items;
    index.#numFilled = parts.counts.ngrams;
    index.#numShort = parts.counts.shortItems;
    index.#numTooShort = parts.counts.tooShortItems;
    index.#shortLengths = [...parts.shortLengths];
    return index;
  }

  get parts(): ContaminationParts {
    return {
      n: this.n,
      minWords: this.minWords,
      normalize: this.normalize,
      counts: this.counts,
      itemIds: this.#itemIds,
      shortLengths: this.#shortLengths,
      keys1: this.#keys1,
      keys2: this.#keys2,
      items: this.#items,
    };
  }

  get counts(): ContaminationCounts {
    return {
      items: this.#itemIds.length,
      ngrams: this.#numFilled,
      shortItems: this.#numShort,
      tooShortItems: this.#numTooShort,
    };
  }

  /** The first n-gram of the document that an item has, or null. */
  check({ text }: Pick<Document, 'text'>): ContaminationMatch | null {
    const first = this.#find(text, true)[0];
    return first === undefined ? null : this.#describe(text, [first])[0]!;
  }

  /** All matches in order, those that overlap or touch joined (under the item of the first). */
  matches({ text }: Pick<Document, 'text'>): ContaminationMatch[] {
    const found = this.#find(text, false);
    if (found.length === 0) return [];
    found.sort((a, b) => a.word - b.word || b.length - a.length);
    const joined: WordMatch[] = [];
    for (const match of found) {
      const last = joined[joined.length - 1];
      if (last && match.word <= last.word + last.length) {
        last.length = Math.max(last.length, match.word + match.length - last.word);
      } else {
        joined.push({ ...match });
      }
    }
    return this.#describe(text, joined);
  }

  #add({ id, text }: EvaluationItem): void {
    const item = this.#itemIds.push(id) - 1;
    const numWords = this.#words.hash(this.#folder.fold(text)).numWords;
    if (numWords < this.n) {
      if (numWords < this.minWords) {
        this.#numTooShort++;
        return;
      }
      this.#numShort++;
      if (!this.#shortLengths.includes(numWords)) this.#shortLengths.push(numWords);
    }
    const length = Math.min(this.n, numWords);
    const numRuns = this.#hashRuns(length);
    for (let i = 0; i < numRuns; i++)
      this.#insert(firstKey(this.#runs[i]!), this.#secondKey(i, length), item);
  }

  #hashRuns(length: number): number {
    const { words1, numWords } = this.#words;
    if (this.#runs.length < numWords) this.#runs = new Int32Array(2 * numWords);
    return hashRuns(words1, numWords, length, this.#runs);
  }

  #secondKey(word: number, length: number): number {
    return hashRunAgain(this.#words.words2, word, length) >>> 0;
  }

  #insert(key1: number, key2: number, item: number): void {
    if (this.#numFilled + 1 > this.#keys1.length * MAX_FILL) this.#grow();
    const slot = this.#slotOf(key1, key2);
    if (this.#keys1[slot] !== 0) return;
    this.#keys1[slot] = key1;
    this.#keys2[slot] = key2;
    this.#items[slot] = item;
    this.#numFilled++;
  }

  /** The slot of a key, or the empty one where it would go. */
  #slotOf(key1: number, key2: number): number {
    const keys1 = this.#keys1;
    const mask = keys1.length - 1;
    let slot = key1 & mask;
    while (keys1[slot] !== 0 && (keys1[slot] !== key1 || this.#keys2[slot] !== key2))
      slot = (slot + 1) & mask;
    return slot;
  }

  #grow(): void {
    const numSlots = 2 * this.#keys1.length;
    if (numSlots * BYTES_PER_SLOT > this.#memoryBytes) {
      throw new LimitError(
        `The n-grams of the evaluation items need more than ${formatBytes(this.#memoryBytes)}: ${this.#numFilled} ` +
          `so far, at item ${this.#itemIds.length}. Raise memoryBytes, or look for a part of the items at a time.`,
      );
    }
    const [keys1, keys2, items] = [this.#keys1, this.#keys2, this.#items];
    this.#keys1 = new Uint32Array(numSlots);
    this.#keys2 = new Uint32Array(numSlots);
    this.#items = new Uint32Array(numSlots);
    for (let i = 0; i < keys1.length; i++) {
      if (keys1[i] === 0) continue;
      const slot = this.#slotOf(keys1[i]!, keys2[i]!);
      this.#keys1[slot] = keys1[i]!;
      this.#keys2[slot] = keys2[i]!;
      this.#items[slot] = items[i]!;
    }
  }

  /** Matches by word; with `onlyFirst` at most one for each length, and the earliest of all at the front. */
  #find(text: string, onlyFirst: boolean): WordMatch[] {
    const { numWords } = this.#words.hash(this.#folder.fold(text));
    const found: WordMatch[] = [];
    for (const length of [this.n, ...this.#shortLengths]) {
      if (numWords < length) continue;
      const numRuns = this.#hashRuns(length);
      const last = onlyFirst && found.length > 0 ? Math.min(numRuns, found[0]!.word) : numRuns;
      for (let word = 0; word < last; ) {
        word = firstCandidate(this.#runs, word, last, this.#keys1);
        if (word === last) break;
        const slot = this.#slotOf(firstKey(this.#runs[word]!), this.#secondKey(word, length));
        if (this.#keys1[slot] !== 0) {
          const match = { word, length, item: this.#items[slot]! };
          if (onlyFirst) found.unshift(match);
          else found.push(match);
          if (onlyFirst) break;
        }
        word++;
      }
    }
    this.#folder.release();
    this.#words.release();
    return found;
  }

  /** Finds the words in the text again, this time with their places. */
  #describe(text: string, found: readonly WordMatch[]): ContaminationMatch[] {
    const positions: number[] = [];
    const spans: number[] = [];
    this.#words.hash(this.#folder.fold(text, 0, text.length, positions), spans);
    return found.map(({ word, length, item }) => {
      const position = positions[spans[2 * word]!]!;
      const lastCharacter = positions[spans[2 * (word + length - 1) + 1]! - 1]!;
      const end = lastCharacter + (text.codePointAt(lastCharacter)! > 0xffff ? 2 : 1);
      return { item: this.#itemIds[item]!, ngram: text.slice(position, end), position, end };
    });
  }
}

interface WordMatch {
  word: number;
  length: number;
  item: number;
}

function firstKey(hash: number): number {
  return hash === 0 ? 1 : hash >>> 0;
}

/** The first run in [start, end) whose 32-bit key is in the table, or `end`. */
function firstCandidate(runs: Int32Array, start: number, end: number, keys1: Uint32Array): number {
  const mask = keys1.length - 1;
  for (let i = start; i < end; i++) {
    const key = runs[i] === 0 ? 1 : runs[i]! >>> 0;
    let slot = key & mask;
    for (let there = keys1[slot]!; there !== 0; there = keys1[slot]!) {
      if (there === key) return i;
      slot = (slot + 1) & mask;
    }
  }
  return end;
}

function checkWords(what: string, count: number): void {
  if (Number.isInteger(count) && count >= 1 && count <= MAX_N) return;
  throw new ConfigError(`${what} must be a whole number of words from 1 to ${MAX_N}; got ${count}.`);
}
