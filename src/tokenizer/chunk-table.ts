/**
 * A hash table of chunks of text, numbered in the order they were first seen. Keys are stored as UTF-16 code
 * units in one array and looked up by (units, start, end), so a known chunk costs no substring. The encoder's
 * cache and the trainer's counts are both built on it.
 */
import { growInt32, growUint16 } from './growing-arrays.ts';

export class ChunkTable {
  /** Number of chunks. */
  size = 0;
  /** Code units of all chunks, one after the other. */
  units = new Uint16Array(4096);
  /** Where chunk i begins in `units`; entry `size` is the end of the last one. */
  starts = new Int32Array(1024);
  #hashes = new Int32Array(1024);
  /** Slot -> chunk number + 1; 0 is free. */
  #slots = new Int32Array(2048);
  #mask = 2047;

  /** Number of code units stored. */
  get numUnits(): number {
    return this.starts[this.size]!;
  }

  /** Number of the chunk `units[start, end)`, or -1. */
  find(units: Uint16Array, start: number, end: number): number {
    return this.#slots[this.#probe(units, start, end, hashUnits(units, start, end))]! - 1;
  }

  /** Number of the chunk, added if it is new: then it is the `size` from before the call. */
  intern(units: Uint16Array, start: number, end: number): number {
    const hash = hashUnits(units, start, end);
    const slot = this.#probe(units, start, end, hash);
    const found = this.#slots[slot]! - 1;
    return found >= 0 ? found : this.#add(units, start, end, hash, slot);
  }

  /** Chunk `index` as a string. */
  textOf(index: number): string {
    const end = this.starts[index + 1]!;
    let text = '';
    // In steps, because the number of arguments of a call is limited.
    for (let start = this.starts[index]!; start < end; start += 8192) {
      text += String.fromCharCode(...this.units.subarray(start, Math.min(end, start + 8192)));
    }
    return text;
  }

  /** Forgets everything and keeps the memory. */
  clear(): void {
    this.size = 0;
    this.#slots.fill(0);
  }

  #probe(units: Uint16Array, start: number, end: number, hash: number): number {
    const slots = this.#slots;
    const length = end - start;
    let slot = hash & this.#mask;
    for (;;) {
      const index = slots[slot]! - 1;
      if (index < 0) return slot;
      if (this.#hashes[index] === hash) {
        const first = this.starts[index]!;
        if (this.starts[index + 1]! - first === length) {
          let i = 0;
          while (i < length && this.units[first + i] === units[start + i]!) i++;
          if (i === length) return slot;
        }
      }
      slot = (slot + 1) & this.#mask;
    }
  }

  #add(units: Uint16Array, start: number, end: number, hash: number, slot: number): number {
    const index = this.size++;
    const first = this.starts[index]!;
    const length = end - start;
    this.units = growUint16(this.units, first + length);
    this.starts = growInt32(this.starts, this.size + 1);
    this.#hashes = growInt32(this.#hashes, this.size);
    for (let i = 0; i < length; i++) this.units[first + i] = units[start + i]!;
    this.starts[this.size] = first + length;
    this.#hashes[index] = hash;
    this.#slots[slot] = this.size;
    if (2 * this.size > this.#mask) this.#rehash();
    return index;
  }

  #rehash(): void {
    const capacity = 2 * (this.#mask + 1);
    this.#mask = capacity - 1;
    this.#slots = new Int32Array(capacity);
    for (let index = 0; index < this.size; index++) {
      let slot = this.#hashes[index]! & this.#mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
      this.#slots[slot] = index + 1;
    }
  }
}

function hashUnits(units: Uint16Array, start: number, end: number): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ units[i]!, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}
