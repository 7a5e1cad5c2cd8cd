/**
 * Runs of a decoder over slots of a cache: lays out ids, positions, masks and places, and reuses their memory from
 * run to run. Keys and values come back to the caller, who says how many of them count.
 */
import { MASKED } from '../model/transformer.ts';
import type { HostArray } from '../runtime/device.ts';
import type { Decoder, DecoderOutput } from './decoder.ts';
import { KeyValueCache } from './key-value-cache.ts';

/** Which new tokens' scores a run gives: of each row's last, or of all (in order, without padding). */
export type Wanted = 'last' | 'all';

export class DecoderBatch {
  readonly #decoder: Decoder;
  readonly #cache: KeyValueCache;
  #ids = new Int32Array(0);
  #positions = new BigInt64Array(0);
  /** The same memory: the low words (all devices are little-endian) are written without making BigInts. */
  #positionWords = new Int32Array(0);
  #mask = new Float32Array(0);
  #places = new BigInt64Array(0);
  #placeWords = new Int32Array(0);
  #empty: { key: string; feeds: Record<string, HostArray> } | undefined;

  constructor(decoder: Decoder, cache: KeyValueCache) {
    this.#decoder = decoder;
    this.#cache = cache;
  }

  /** Scores after one new token in each of the slots 0..numRows-1; `numSlots` are in use. */
  async step(
    numRows: number,
    numSlots: number,
    tokenOf: (slot: number) => number,
    hidden = false,
  ): Promise<DecoderOutput> {
    this.#makeRoom(numRows);
    let longest = 0;
    for (let slot = 0; slot < numRows; slot++) {
      const length = this.#cache.lengthOf(slot);
      this.#ids[slot] = tokenOf(slot);
      this.#positionWords[2 * slot] = length;
      if (length > longest) longest = length;
    }
    this.#cache.reserve(numSlots, longest + 1);
    await this.#decoder.ensurePositions(longest + 1);
    const output = await this.#decoder.step({
      numRows,
      length: 1,
      ids: this.#ids.subarray(0, numRows),
      positions: this.#positions.subarray(0, numRows),
      past: this.#cache.feeds(0, numRows),
      hidden,
    });
    for (let slot = 0; slot < numRows; slot++) this.#cache.append(slot, output.present, numRows, slot, 1);
    return output;
  }

  /**
   * Scores after new tokens in the slots from `first` on, at least one in each. Nothing is appended: `accept` does
   * that. Rows are padded by repeating their last token, which writes the same values to the same place again.
   */
  async read(
    first: number,
    numSlots: number,
    tokens: readonly Int32Array[],
    wanted: Wanted,
    hidden = false,
  ): Promise<DecoderOutput> {
    const numRows = tokens.length;
    const { numKvHeads } = this.#decoder.config;
    // Two at least: kernels for a single row may add in another order.
    const length = Math.max(2, ...tokens.map((row) => row.length));
    this.#makeRoom(numRows * length);
    let longest = 0;
    let readsCache = false;
    for (let row = 0; row < numRows; row++) {
      const start = this.#cache.lengthOf(first + row);
      const { length: count } = tokens[row]!;
      for (let t = 0; t < length; t++) {
        const last = Math.min(t, count - 1);
        this.#ids[row * length + t] = tokens[row]![last]!;
        this.#positionWords[2 * (row * length + t)] = start + last;
      }
      longest = Math.max(longest, start + count);
      readsCache ||= start > 0;
    }
    this.#cache.reserve(numSlots, longest);
    await this.#decoder.ensurePositions(longest);
    const numPlaces = readsCache ? this.#cache.capacity : KeyValueCache.capacityFor(longest);
    const past = readsCache ? this.#cache.feeds(first, numRows) : this.#emptyFeeds(numRows, numPlaces);
    const counts = tokens.map((row) => row.length);
    return this.#decoder.read({
      numRows,
      length,
      ids: this.#ids.subarray(0, numRows * length),
      positions: this.#positions.subarray(0, numRows * length),
      past: { ...past, 'past/mask': this.#maskOf(numRows, length, numPlaces) },
      places: this.#placesOf(numRows, length, numKvHeads),
      wanted: wantedPlaces(counts, length, wanted),
      hidden,
    });
  }

  /** Appends the first `count` tokens that a `read` had in a row to a slot. */
  accept(slot: number, output: DecoderOutput, numRows: number, row: number, count: number): void {
    this.#cache.append(slot, output.present, numRows, row, count);
  }

  /** Gives back what is kept between runs. */
  release(): void {
    this.#empty = undefined;
    this.#mask = new Float32Array(0);
  }

  #makeRoom(numTokens: number): void {
    if (this.#ids.length >= numTokens) return;
    this.#ids = new Int32Array(numTokens);
    this.#positions = new BigInt64Array(numTokens);
    this.#positionWords = new Int32Array(this.#positions.buffer);
  }

  #emptyFeeds(numRows: number, numPlaces: number): Record<string, HostArray> {
    const key = `${numRows} ${numPlaces}`;
    if (this.#empty?.key !== key) this.#empty = { key, feeds: this.#cache.emptyFeeds(numRows, numPlaces) };
    return this.#empty.feeds;
  }

  /** [numRows, 1, length, numPlaces]: a token may read the places before its own. */
  #maskOf(numRows: number, length: number, numPlaces: number): HostArray {
    const size = numRows * length * numPlaces;
    if (this.#mask.length < size) this.#mask = new Float32Array(size);
    for (let token = 0; token < numRows * length; token++) {
      const at = token * numPlaces;
      const position = this.#positionWords[2 * token]!;
      this.#mask.fill(0, at, at + position);
      this.#mask.fill(MASKED, at + position, at + numPlaces);
    }
    return { data: this.#mask.subarray(0, size), shape: [numRows, 1, length, numPlaces] };
  }

  #placesOf(numRows: number, length: number, numHeads: number): BigInt64Array {
    const size = numRows * numHeads * length * 3;
    if (this.#places.length < size) {
      this.#places = new BigInt64Array(size);
      this.#placeWords = new Int32Array(this.#places.buffer);
    }
    let at = 0;
    for (let row = 0; row < numRows; row++) {
      for (let head = 0; head < numHeads; head++) {
        for (let t = 0; t < length; t++, at += 6) {
          this.#placeWords[at] = row;
          this.#placeWords[at + 2] = head;
          this.#placeWords[at + 4] = this.#positionWords[2 * (row * length + t)]!;
        }
      }
    }
    return this.#places.subarray(0, size);
  }
}

function wantedPlaces(counts: readonly number[], length: number, wanted: Wanted): Int32Array {
  if (wanted === 'last') return Int32Array.from(counts, (count, row) => row * length + count - 1);
  return Int32Array.from(
    counts.flatMap((count, row) => Array.from({ length: count }, (_, t) => row * length + t)),
  );
}
