/**
 * Keyed random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
 * A draw is a pure function of (key, index), so results never depend on the order, the batch or the slot
 * in which they are asked for, and a resumed run needs no saved generator state, only its position.
 */

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;

/** High 32 bits of the unsigned product of two 32-bit integers. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const low = aLow * bLow;
  const middle1 = aHigh * bLow + (low >>> 16);
  const middle2 = aLow * bHigh + (middle1 & 0xffff);
  return (aHigh * bHigh + Math.floor(middle1 / 65536) + Math.floor(middle2 / 65536)) >>> 0;
}

/** One Philox4x32-10 block: 128-bit counter and 64-bit key in, four uint32 out (written to `out`). */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
  out: Uint32Array = new Uint32Array(4),
): Uint32Array {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(M0, c0);
    const low0 = Math.imul(M0, c0) >>> 0;
    const high1 = multiplyHigh(M1, c2);
    const low1 = Math.imul(M1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + W0) >>> 0;
    k1 = (k1 + W1) >>> 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
  return out;
}

/** FNV-1a over UTF-16 code units, to turn a label into 32 bits of key. */
function hashLabel(label: string, seed: number): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < label.length; i++) {
    hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193) >>> 0;
  }
  return hash;
}

/**
 * A keyed source of draws. `at(i)` is a pure function of the key and `i`.
 * `fork(label)` gives an independent source, so that adding a consumer never shifts another one's draws.
 */
export class KeyedRandom {
  readonly #key: readonly [number, number];
  readonly #stream: number;
  readonly #block = new Uint32Array(4);

  constructor(seed: number, stream = 0) {
    const high = Math.floor(Math.abs(seed) / 4294967296) >>> 0;
    this.#key = [seed >>> 0, high];
    this.#stream = stream >>> 0;
  }

  fork(label: string): KeyedRandom {
    return new KeyedRandom(this.#key[1] * 4294967296 + this.#key[0], hashLabel(label, this.#stream));
  }

  /** Uniform uint32 number `index` (a non-negative integer below 2^53). */
  uint32(index: number): number {
    const low = index >>> 0;
    const high = Math.floor(index / 4294967296) >>> 0;
    return philox4x32([low, high, this.#stream, 0], this.#key, this.#block)[0]!;
  }

  /** Uniform in [0, 1) with 53 bits, number `index`. */
  uniform(index: number): number {
    const low = index >>> 0;
    const high = Math.floor(index / 4294967296) >>> 0;
    const block = philox4x32([low, high, this.#stream, 1], this.#key, this.#block);
    return ((block[0]! >>> 5) * 67108864 + (block[1]! >>> 6)) / 9007199254740992;
  }

  /** Uniform integer in [0, limit), number `index`. */
  integer(index: number, limit: number): number {
    return Math.floor(this.uniform(index) * limit);
  }

  /** `count` draws of a normal distribution (Box-Muller), numbers 0..count-1. */
  normals(count: number, standardDeviation = 1): Float32Array {
    const out = new Float32Array(count);
    const block = this.#block;
    for (let i = 0; i < count; i += 4) {
      philox4x32([(i / 4) >>> 0, 0, this.#stream, 2], this.#key, block);
      for (let pair = 0; pair < 2; pair++) {
        const u = (block[2 * pair]! + 1) / 4294967297;
        const angle = (block[2 * pair + 1]! / 4294967296) * 2 * Math.PI;
        const radius = Math.sqrt(-2 * Math.log(u)) * standardDeviation;
        const at = i + 2 * pair;
        if (at < count) out[at] = radius * Math.cos(angle);
        if (at + 1 < count) out[at + 1] = radius * Math.sin(angle);
      }
    }
    return out;
  }

  /** A permutation of 0..count-1 (Fisher-Yates on this source's draws). */
  permutation(count: number): Uint32Array {
    const order = new Uint32Array(count);
    for (let i = 0; i < count; i++) order[i] = i;
    for (let i = count - 1; i > 0; i--) {
      const j = this.integer(i, i + 1);
      const other = order[j]!;
      order[j] = order[i]!;
      order[i] = other;
    }
    return order;
  }

  /** One element of a non-empty list, by draw number `index`. */
  pick<T>(index: number, items: readonly T[]): T {
    return items[this.integer(index, items.length)]!;
  }
}
