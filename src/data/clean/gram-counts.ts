/**
 * Which n-grams of a word sequence occur more than once, for n = 2, 3, ... in turn. An n-gram can repeat only where
 * both (n-1)-grams inside it repeat, so each level looks at the positions that survived the level before: prose
 * leaves a third of them at n = 3 and next to none at n = 6. Counting is exact: a gram is told by the id of its
 * first n-1 words and the id of its last one, not by a hash.
 */

const minCapacity = 64;

/** The repeated n-grams of one length. Valid until the next `GramCounts.start`. */
export interface GramLevel {
  /** Positions, ascending, at which a repeated n-gram begins: the first `length` entries. */
  readonly positions: Int32Array;
  /** Which n-gram begins there; ids are in order of first occurrence. */
  readonly grams: Int32Array;
  length: number;
  /** Occurrences by gram id: the first `numGrams` entries; 1 for grams that turned out to be unique. */
  readonly counts: Int32Array;
  numGrams: number;
}

export class GramCounts {
  #ids: Int32Array = new Int32Array(0);
  #numWords = 0;
  #idCounts: Int32Array = this.#ids;
  readonly #levels: (GramLevel | undefined)[] = [];
  #numLevels = 1;
  #slots = new Int32Array(minCapacity);
  #firsts = new Int32Array(minCapacity);
  #lasts = new Int32Array(minCapacity);

  /** @param ids [numWords] word ids; @param idCounts occurrences by word id. Kept by reference. */
  start(ids: Int32Array, numWords: number, idCounts: Int32Array): void {
    this.#ids = ids;
    this.#numWords = numWords;
    this.#idCounts = idCounts;
    this.#numLevels = 1;
  }

  /** @param n from 2 to 10. */
  level(n: number): GramLevel {
    while (this.#numLevels < n) this.#build(++this.#numLevels);
    return this.#levels[n]!;
  }

  #build(n: number): void {
    const ids = this.#ids;
    const below = n === 2 ? null : this.#levels[n - 1]!;
    const maxPositions = below === null ? Math.max(this.#numWords - 1, 0) : below.length;
    const level = this.#room(n, maxPositions);
    const { positions, grams, counts } = level;
    const mask = this.#clearSlots(maxPositions);
    const firsts = this.#firsts;
    const lasts = this.#lasts;
    const slots = this.#slots;
    let numPositions = 0;
    let numGrams = 0;
    for (let j = 0; j < maxPositions; j++) {
      let position: number;
      let first: number;
      if (below === null) {
        position = j;
        first = ids[j]!;
        if (this.#idCounts[first] === 1 || this.#idCounts[ids[j + 1]!] === 1) continue;
      } else {
        position = below.positions[j]!;
        if (j + 1 >= maxPositions || below.positions[j + 1] !== position + 1) continue;
        first = below.grams[j]!;
      }
      const last = ids[position + n - 1]!;
      let slot = (Math.imul(first, 0x9e3779b1) ^ Math.imul(last, 0x85ebca6b)) | 0;
      slot = (slot ^ (slot >>> 15)) & mask;
      let gram = slots[slot]! - 1;
      while (gram >= 0 && (firsts[gram] !== first || lasts[gram] !== last)) {
        slot = (slot + 1) & mask;
        gram = slots[slot]! - 1;
      }
      if (gram < 0) {
        gram = numGrams++;
        slots[slot] = gram + 1;
        firsts[gram] = first;
        lasts[gram] = last;
        counts[gram] = 0;
      }
      counts[gram]!++;
      positions[numPositions] = position;
      grams[numPositions++] = gram;
    }
    let kept = 0;
    for (let j = 0; j < numPositions; j++) {
      const gram = grams[j]!;
      if (counts[gram] === 1) continue;
      positions[kept] = positions[j]!;
      grams[kept++] = gram;
    }
    level.length = kept;
    level.numGrams = numGrams;
  }

  #room(n: number, size: number): GramLevel {
    const known = this.#levels[n];
    if (known !== undefined && known.positions.length >= size) return known;
    const capacity = Math.max(minCapacity, 2 ** (32 - Math.clz32(size)));
    const level: GramLevel = {
      positions: new Int32Array(capacity),
      grams: new Int32Array(capacity),
      length: 0,
      counts: new Int32Array(capacity),
      numGrams: 0,
    };
    this.#levels[n] = level;
    return level;
  }

  #clearSlots(size: number): number {
    let capacity = minCapacity;
    while (capacity < size * 2) capacity *= 2;
    if (this.#slots.length < capacity) {
      this.#slots = new Int32Array(capacity);
      this.#firsts = new Int32Array(capacity);
      this.#lasts = new Int32Array(capacity);
    } else {
      this.#slots.fill(0, 0, capacity);
    }
    return capacity - 1;
  }
}

/** The most frequent n-gram, the earliest of several; null when no n-gram occurs twice. */
export function topGram(level: GramLevel): { gram: number; count: number } | null {
  let gram = -1;
  let count = 1;
  for (let id = 0; id < level.numGrams; id++) {
    if (level.counts[id]! > count) {
      count = level.counts[id]!;
      gram = id;
    }
  }
  return gram < 0 ? null : { gram, count };
}
