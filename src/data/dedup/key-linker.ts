/**
 * Links items with equal 64-bit keys, in one pass and bounded memory. A table of fixed size remembers the first
 * item of each key, and later ones are linked to it. Keys are taken a range at a time: when the table is full the
 * caller goes over them again with a smaller range, so memory sets the number of passes and nothing else. Links
 * do not depend on the ranges, since items of one key meet in the order in which they are given.
 */

/** An item number that no item has. */
const EMPTY = 0xffffffff;
/** Items at most: ordinals are 32-bit numbers. */
export const MAX_ITEMS = EMPTY;
export const BYTES_PER_SLOT = 12;
const MAX_FILL = 0.75;
/** First items of one key that others are compared with, when sharing a key is not enough. */
export const MAX_LEADERS = 64;
export const MIN_SLOTS = 256;

export interface LinkerHooks {
  /** `later` has the key of `first` (and passed `isSame`). */
  link(first: number, later: number): void;
  /** Whether two items of one key are the same; without it all are. */
  isSame?(first: number, later: number): boolean;
}

export class KeyLinker {
  /** Items since `begin` that differed from 64 others of their key and so were compared with no more. */
  numLeaderless = 0;
  readonly #highs: Uint32Array;
  readonly #lows: Uint32Array;
  readonly #items: Uint32Array;
  readonly #maxFilled: number;
  readonly #hooks: LinkerHooks;
  #numFilled = 0;
  #from = 0;
  #to = 2 ** 32;

  /** `numSlots` is a power of two of at least 256. */
  constructor(numSlots: number, hooks: LinkerHooks) {
    this.#highs = new Uint32Array(numSlots);
    this.#lows = new Uint32Array(numSlots);
    this.#items = new Uint32Array(numSlots);
    this.#maxFilled = Math.floor(numSlots * MAX_FILL);
    this.#hooks = hooks;
  }

  /** Forgets all keys; from now on those with a high word in [from, to) count. */
  begin(from: number, to: number): void {
    this.#items.fill(EMPTY);
    this.#numFilled = 0;
    this.numLeaderless = 0;
    this.#from = from;
    this.#to = to;
  }

  /**
   * Takes keys (high and low word in turn) of items `firstItem`, `firstItem` + 1 ...
   * Returns false when the table is full: begin a smaller range and give all keys again. Links made so far hold.
   */
  add(keys: Uint32Array, firstItem: number): boolean {
    const highs = this.#highs;
    const lows = this.#lows;
    const items = this.#items;
    const mask = items.length - 1;
    const from = this.#from;
    const to = this.#to;
    const empty = EMPTY;
    for (let i = 0; i < keys.length; i += 2) {
      const high = keys[i]!;
      const low = keys[i + 1]!;
      if (high < from || high >= to || (high === 0 && low === 0)) continue;
      const item = firstItem + i / 2;
      let slot = low & mask;
      let numLeaders = 0;
      for (;;) {
        const first = items[slot]!;
        if (first === empty) {
          if (this.#numFilled >= this.#maxFilled) return false;
          items[slot] = item;
          highs[slot] = high;
          lows[slot] = low;
          this.#numFilled++;
          break;
        }
        if (lows[slot] === low && highs[slot] === high) {
          if (this.#hooks.isSame === undefined || this.#hooks.isSame(first, item)) {
            this.#hooks.link(first, item);
            break;
          }
          if (++numLeaders === MAX_LEADERS) {
            this.numLeaderless++;
            break;
          }
        }
        slot = (slot + 1) & mask;
      }
    }
    return true;
  }
}

/** The power of two of slots that `numItems` need, or as many as fit in the memory. */
export function slotsFor(numItems: number, memoryBytes: number): number {
  let numSlots = MIN_SLOTS;
  while (numSlots * MAX_FILL < numItems && 2 * numSlots * BYTES_PER_SLOT <= memoryBytes) numSlots *= 2;
  return numSlots;
}

/** How many ranges of keys to begin with so that the table does not overflow when no two items share a key. */
export function numRangesFor(numItems: number, numSlots: number): number {
  let numRanges = 1;
  while (numItems / numRanges > numSlots * MAX_FILL * 0.9 && numRanges < 2 ** 31) numRanges *= 2;
  return numRanges;
}
