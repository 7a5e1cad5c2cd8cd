/**
 * Numbers for equal stretches of a text: the first distinct one is 0, the next new one 1, and so on. An open
 * addressing table over typed arrays that is kept between documents; equality is by characters, never by hash.
 */

const minCapacity = 64;
/** FNV-1a over UTF-16 units, 32 bits: hash = imul(hash ^ unit, hashFactor). */
export const startHash = 0x811c9dc5 | 0;
export const hashFactor = 0x01000193;

export class SpanTable {
  /** Id + 1, or 0 for an empty slot. */
  #slots = new Int32Array(minCapacity);
  #mask = minCapacity - 1;
  #hashes = new Int32Array(minCapacity);
  #starts = new Int32Array(minCapacity);
  #lengths = new Int32Array(minCapacity);
  /** How often each id was seen: the first `size` entries. */
  counts = new Int32Array(minCapacity);
  size = 0;

  /** Forgets everything. @param numExpected of distinct spans, about; the table grows when there are more. */
  clear(numExpected = 0): void {
    let capacity = minCapacity;
    while (capacity < numExpected * 2) capacity *= 2;
    if (this.#slots.length < capacity) this.#slots = new Int32Array(capacity);
    else this.#slots.fill(0, 0, capacity);
    this.#mask = capacity - 1;
    this.size = 0;
  }

  /** @param hash of the units in [start, end) by the steps above. */
  intern(codes: Uint16Array, start: number, end: number, hash: number): number {
    const length = end - start;
    const slots = this.#slots;
    const mask = this.#mask;
    let slot = spread(hash) & mask;
    for (;;) {
      const id = slots[slot]! - 1;
      if (id < 0) break;
      if (this.#hashes[id] === hash && this.#lengths[id] === length) {
        let from = this.#starts[id]!;
        let at = start;
        while (at < end && codes[from] === codes[at]) {
          from++;
          at++;
        }
        if (at === end) {
          this.counts[id]!++;
          return id;
        }
      }
      slot = (slot + 1) & mask;
    }
    const added = this.size++;
    if (added >= this.counts.length) this.#growEntries();
    slots[slot] = added + 1;
    this.#hashes[added] = hash;
    this.#starts[added] = start;
    this.#lengths[added] = length;
    this.counts[added] = 1;
    if (this.size * 2 > mask) this.#growSlots();
    return added;
  }

  /** Hashes [start, end) and interns it. */
  add(codes: Uint16Array, start: number, end: number): number {
    let hash = startHash;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ codes[i]!, hashFactor);
    return this.intern(codes, start, end, hash);
  }

  /** Id of a text, or -1. */
  find(codes: Uint16Array, text: string): number {
    let hash = startHash;
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), hashFactor);
    for (let slot = spread(hash) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const id = this.#slots[slot]! - 1;
      if (id < 0) return -1;
      if (this.#hashes[id] !== hash || this.#lengths[id] !== text.length) continue;
      const from = this.#starts[id]!;
      let i = 0;
      while (i < text.length && codes[from + i] === text.charCodeAt(i)) i++;
      if (i === text.length) return id;
    }
  }

  #growEntries(): void {
    this.#hashes = doubled(this.#hashes);
    this.#starts = doubled(this.#starts);
    this.#lengths = doubled(this.#lengths);
    this.counts = doubled(this.counts);
  }

  #growSlots(): void {
    const capacity = (this.#mask + 1) * 2;
    if (this.#slots.length < capacity) this.#slots = new Int32Array(capacity);
    else this.#slots.fill(0, 0, capacity);
    this.#mask = capacity - 1;
    for (let id = 0; id < this.size; id++) {
      let slot = spread(this.#hashes[id]!) & this.#mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
      this.#slots[slot] = id + 1;
    }
  }
}

function doubled(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}

/** The low bits of FNV depend on the low bits of the units alone; this brings the high ones down. */
function spread(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return mixed ^ (mixed >>> 13);
}
