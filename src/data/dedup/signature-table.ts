/**
 * Signs documents one after the other and keeps what finding duplicates needs: for each column (a band, or the one
 * column of exact methods) a 64-bit key for each item. An item is a document, or a paragraph or line of one. Grows
 * with the documents; files keep the same columns for inputs that do not fit.
 */
import type { ResolvedMethod } from './dedup-method.ts';
import { MinHasher } from './minhash.ts';
import { UnitHasher } from './unit-hasher.ts';

export class SignatureTable {
  readonly method: ResolvedMethod;
  readonly numColumns: number;
  /** Bytes of a document's sketch; 0 where similarity is not asked for. */
  readonly sketchBytes: number;
  numDocuments = 0;
  numItems = 0;
  readonly #hasher: MinHasher | UnitHasher;
  /** Keys by item, then column. */
  #keys = new Uint32Array(1024);
  /** Items of each document, for paragraphs and lines; length of its text for MinHash. */
  #perDocument = new Uint32Array(256);
  #sketches = new Uint8Array(0);

  constructor(method: ResolvedMethod) {
    this.method = method;
    if (method.kind === 'minhash') {
      const hasher = new MinHasher(method);
      this.#hasher = hasher;
      this.numColumns = method.numBands;
      this.sketchBytes = method.minSimilarity === null ? 0 : hasher.sketchBytes;
    } else {
      this.#hasher = new UnitHasher(method);
      this.numColumns = 1;
      this.sketchBytes = 0;
    }
  }

  add(text: string): void {
    if (this.numDocuments === this.#perDocument.length) this.#perDocument = doubled(this.#perDocument);
    if (this.#hasher instanceof MinHasher) {
      const width = 2 * this.numColumns;
      this.#reserve(width * (this.numItems + 1));
      this.#hasher.sign(text);
      this.#hasher.writeBandKeys(this.#keys, width * this.numItems);
      if (this.sketchBytes > 0) this.#addSketch(this.#hasher);
      this.#perDocument[this.numDocuments] = Math.min(text.length, 0xffffffff);
      this.numItems++;
    } else {
      const { keys } = this.#hasher.hash(text);
      this.#reserve(2 * this.numItems + keys.length);
      this.#keys.set(keys, 2 * this.numItems);
      this.numItems += keys.length / 2;
      this.#perDocument[this.numDocuments] = keys.length / 2;
    }
    this.numDocuments++;
  }

  /** Keys of all items in one column, high and low word in turn. */
  column(index: number): Uint32Array<ArrayBuffer> {
    const { numColumns, numItems } = this;
    if (numColumns === 1) return this.#keys.slice(0, 2 * numItems);
    const column = new Uint32Array(2 * numItems);
    const width = 2 * numColumns;
    for (let item = 0, at = 2 * index; item < numItems; item++, at += width) {
      column[2 * item] = this.#keys[at]!;
      column[2 * item + 1] = this.#keys[at + 1]!;
    }
    return column;
  }

  /** Paragraphs or lines of each document; for MinHash the length of its text in UTF-16 units. */
  get perDocument(): Uint32Array<ArrayBuffer> {
    return this.#perDocument.subarray(0, this.numDocuments);
  }

  /** Sketches of all documents, one after the other. */
  get sketches(): Uint8Array<ArrayBuffer> {
    return this.#sketches.subarray(0, this.numDocuments * this.sketchBytes);
  }

  #reserve(numWords: number): void {
    while (this.#keys.length < numWords) this.#keys = doubled(this.#keys);
  }

  #addSketch(hasher: MinHasher): void {
    const at = this.numDocuments * this.sketchBytes;
    if (this.#sketches.length < at + this.sketchBytes) {
      const larger = new Uint8Array(Math.max(64 * this.sketchBytes, 2 * this.#sketches.length));
      larger.set(this.#sketches);
      this.#sketches = larger;
    }
    hasher.writeSketch(this.#sketches, at);
  }
}

function doubled(array: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(2 * array.length);
  larger.set(array);
  return larger;
}
