/**
 * From links between items to a set of duplicates. Documents: clusters by union-find, linked transitively as in
 * datatrove, then one of each cluster is chosen. Paragraphs and lines: every one that is linked to an earlier one
 * goes. Where keys come from (memory or files) and in which passes is the caller's affair.
 */
import { LimitError } from '../../core/errors.ts';
import type { ResolvedMethod } from './dedup-method.ts';
import {
  bitsFor,
  DocumentDuplicates,
  type DuplicateSet,
  hasBit,
  setBit,
  UnitDuplicates,
} from './duplicate-set.ts';
import { type LinkerHooks, MAX_ITEMS } from './key-linker.ts';
import { estimateJaccardFromSketches } from './minhash.ts';
import { UnionFind } from './union-find.ts';

export interface ItemCounts {
  readonly numDocuments: number;
  readonly numItems: number;
  readonly sketchBytes: number;
}

export class DuplicateFinding {
  numLeaderless = 0;
  readonly #method: ResolvedMethod;
  readonly #counts: ItemCounts;
  readonly #clusters: UnionFind | null = null;
  readonly #duplicateBits: Uint8Array;
  /** Items without a key: they are kept and do not count. */
  readonly #keylessBits: Uint8Array;
  readonly #firstUnits: Uint32Array;
  readonly #lengths: Uint32Array;

  /** @throws LimitError when there are more items than ordinals. */
  constructor(method: ResolvedMethod, counts: ItemCounts) {
    if (counts.numItems > MAX_ITEMS) {
      throw new LimitError(
        `${counts.numItems} documents, paragraphs or lines are more than the ${MAX_ITEMS} that can be numbered. ` +
          'Split the input.',
      );
    }
    this.#method = method;
    this.#counts = counts;
    const hasUnits = unitsOf(method);
    const keepsLongest = method.kind === 'minhash' && method.keep === 'longest';
    if (!hasUnits) this.#clusters = new UnionFind(counts.numDocuments);
    this.#duplicateBits = bitsFor(hasUnits ? counts.numItems : 0);
    this.#keylessBits = bitsFor(hasUnits ? counts.numItems : 0);
    this.#firstUnits = new Uint32Array(hasUnits ? counts.numDocuments + 1 : 0);
    this.#lengths = new Uint32Array(keepsLongest ? counts.numDocuments : 0);
  }

  /** Bytes that all this takes, the finished set included. */
  static memoryBytes(method: ResolvedMethod, { numDocuments, numItems }: ItemCounts): number {
    if (unitsOf(method))
      return 4 * (numDocuments + 1) + Math.ceil(numItems / 4) + Math.ceil(numDocuments / 8);
    const perDocument = method.kind === 'minhash' && method.keep === 'longest' ? 12 : 4;
    return perDocument * numDocuments + Math.ceil(numDocuments / 8);
  }

  /** What a linker does with items of one key. `sketchOf` gives a document's sketch at the start of the array. */
  hooks(sketchOf: (ordinal: number) => Uint8Array): LinkerHooks {
    const clusters = this.#clusters;
    if (clusters === null) return { link: (_, later) => setBit(this.#duplicateBits, later) };
    const link = (first: number, later: number): void => clusters.union(first, later);
    const { kind } = this.#method;
    const minSimilarity = kind === 'minhash' ? this.#method.minSimilarity : null;
    if (minSimilarity === null) return { link };
    const { sketchBytes } = this.#counts;
    return {
      link,
      isSame: (first, later) =>
        estimateJaccardFromSketches(sketchOf(first), 0, sketchOf(later), 0, sketchBytes) >= minSimilarity,
    };
  }

  /** Notes which paragraphs or lines have no key. */
  noteKeyless(keys: Uint32Array, firstItem: number): void {
    if (this.#clusters !== null) return;
    for (let i = 0; i < keys.length; i += 2) {
      if (keys[i] === 0 && keys[i + 1] === 0) setBit(this.#keylessBits, firstItem + i / 2);
    }
  }

  /** Numbers of units, or lengths of texts, of documents from `firstOrdinal` on. To be given in order. */
  addPerDocument(values: Uint32Array, firstOrdinal: number): void {
    if (this.#lengths.length > 0) this.#lengths.set(values, firstOrdinal);
    if (this.#clusters !== null) return;
    const firstUnits = this.#firstUnits;
    for (let i = 0; i < values.length; i++) {
      firstUnits[firstOrdinal + i + 1] = firstUnits[firstOrdinal + i]! + values[i]!;
    }
  }

  finish(): DuplicateSet {
    if (this.#clusters === null) return this.#finishUnits();
    const roots = this.#clusters.flatten();
    if (this.#lengths.length > 0) representByLongest(roots, this.#lengths);
    return new DocumentDuplicates(roots, this.numLeaderless);
  }

  #finishUnits(): DuplicateSet {
    const { numDocuments } = this.#counts;
    const emptyBits = bitsFor(numDocuments);
    for (let ordinal = 0; ordinal < numDocuments; ordinal++) {
      const end = this.#firstUnits[ordinal + 1]!;
      let numRemoved = 0;
      let numLeft = 0;
      for (let unit = this.#firstUnits[ordinal]!; unit < end; unit++) {
        if (hasBit(this.#duplicateBits, unit)) numRemoved++;
        else if (!hasBit(this.#keylessBits, unit)) numLeft++;
      }
      if (numRemoved > 0 && numLeft === 0) setBit(emptyBits, ordinal);
    }
    return new UnitDuplicates(this.#firstUnits, this.#duplicateBits, emptyBits);
  }
}

export function unitsOf(method: ResolvedMethod): boolean {
  return method.kind === 'exact' && method.unit !== 'document';
}

/** Replaces roots by the member of their set with the longest text, the first of equals. */
function representByLongest(roots: Uint32Array, lengths: Uint32Array): void {
  const longest = roots.slice();
  for (let i = 0; i < roots.length; i++) {
    const root = roots[i]!;
    if (lengths[i]! > lengths[longest[root]!]!) longest[root] = i;
  }
  for (let i = 0; i < roots.length; i++) roots[i] = longest[roots[i]!]!;
}
