/**
 * Which documents of an input are duplicates, or which paragraphs or lines of them, in typed arrays: 4 bytes a
 * document and a bit a unit. Documents are named by their ordinal, the position in the whole input.
 */
import { DataError } from '../../core/errors.ts';

export interface DuplicateSet {
  readonly numDocuments: number;
  /** Documents to drop: duplicates, or those whose every paragraph or line is one. */
  readonly numDuplicates: number;
  /** Groups of two or more documents of which one stays; 0 for paragraphs and lines. */
  readonly numClusters: number;
  /** Paragraphs or lines in all documents; for whole documents their number. */
  readonly numUnits: number;
  readonly numDuplicateUnits: number;
  /** Documents that were compared with too few others, see MAX_LEADERS; 0 without `minSimilarity`. */
  readonly numLeaderless: number;
  /** @throws DataError for an ordinal that is not in the input, as the functions below. */
  isDuplicate(ordinal: number): boolean;
  /** The document that stays in its place; itself for one that stays. */
  representativeOf(ordinal: number): number;
  /** Paragraphs or lines of the document that occur earlier, by number; [] for sets of whole documents. */
  duplicateUnits(ordinal: number): readonly number[];
}

/** Whole documents: an ordinal for each, that of its representative. */
export class DocumentDuplicates implements DuplicateSet {
  readonly representatives: Uint32Array;
  readonly numDuplicates: number;
  readonly numClusters: number;
  readonly numLeaderless: number;

  constructor(representatives: Uint32Array, numLeaderless = 0) {
    this.representatives = representatives;
    this.numLeaderless = numLeaderless;
    let numDuplicates = 0;
    let numClusters = 0;
    const hasDuplicates = new Uint8Array(Math.ceil(representatives.length / 8));
    for (let i = 0; i < representatives.length; i++) {
      const representative = representatives[i]!;
      if (representative === i) continue;
      numDuplicates++;
      const bit = 1 << (representative & 7);
      if ((hasDuplicates[representative >>> 3]! & bit) === 0) numClusters++;
      hasDuplicates[representative >>> 3]! |= bit;
    }
    this.numDuplicates = numDuplicates;
    this.numClusters = numClusters;
  }

  get numDocuments(): number {
    return this.representatives.length;
  }

  get numUnits(): number {
    return this.representatives.length;
  }

  get numDuplicateUnits(): number {
    return this.numDuplicates;
  }

  isDuplicate(ordinal: number): boolean {
    return this.representativeOf(ordinal) !== ordinal;
  }

  representativeOf(ordinal: number): number {
    checkOrdinal(ordinal, this.numDocuments);
    return this.representatives[ordinal]!;
  }

  duplicateUnits(): readonly number[] {
    return [];
  }
}

/** Paragraphs or lines: where each document's units begin, and a bit for each unit. */
export class UnitDuplicates implements DuplicateSet {
  /** Number of units before each document, and all of them at the end. */
  readonly firstUnits: Uint32Array;
  readonly duplicateBits: Uint8Array;
  /** Documents of which no unit that counts is left. */
  readonly emptyBits: Uint8Array;
  readonly numDuplicates: number;
  readonly numDuplicateUnits: number;
  readonly numClusters = 0;
  readonly numLeaderless = 0;

  constructor(firstUnits: Uint32Array, duplicateBits: Uint8Array, emptyBits: Uint8Array) {
    this.firstUnits = firstUnits;
    this.duplicateBits = duplicateBits;
    this.emptyBits = emptyBits;
    this.numDuplicates = countBits(emptyBits);
    this.numDuplicateUnits = countBits(duplicateBits);
  }

  get numDocuments(): number {
    return this.firstUnits.length - 1;
  }

  get numUnits(): number {
    return this.firstUnits[this.firstUnits.length - 1]!;
  }

  isDuplicate(ordinal: number): boolean {
    checkOrdinal(ordinal, this.numDocuments);
    return ((this.emptyBits[ordinal >>> 3]! >> (ordinal & 7)) & 1) === 1;
  }

  representativeOf(ordinal: number): number {
    checkOrdinal(ordinal, this.numDocuments);
    return ordinal;
  }

  /** Number of the document's units, duplicates and others. */
  numUnitsOf(ordinal: number): number {
    checkOrdinal(ordinal, this.numDocuments);
    return this.firstUnits[ordinal + 1]! - this.firstUnits[ordinal]!;
  }

  duplicateUnits(ordinal: number): readonly number[] {
    checkOrdinal(ordinal, this.numDocuments);
    const first = this.firstUnits[ordinal]!;
    const end = this.firstUnits[ordinal + 1]!;
    const units: number[] = [];
    for (let unit = first; unit < end; unit++) {
      if (hasBit(this.duplicateBits, unit)) units.push(unit - first);
    }
    return units;
  }
}

export function bitsFor(count: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Math.ceil(count / 8));
}

export function setBit(bits: Uint8Array, at: number): void {
  bits[at >>> 3]! |= 1 << (at & 7);
}

export function hasBit(bits: Uint8Array, at: number): boolean {
  return ((bits[at >>> 3]! >> (at & 7)) & 1) === 1;
}

function countBits(bits: Uint8Array): number {
  let count = 0;
  for (let i = 0; i < bits.length; i++) for (let byte = bits[i]!; byte !== 0; byte &= byte - 1) count++;
  return count;
}

function checkOrdinal(ordinal: number, numDocuments: number): void {
  if (Number.isInteger(ordinal) && ordinal >= 0 && ordinal < numDocuments) return;
  throw new DataError(
    `Document ${ordinal} is not in the set of duplicates, which was made for ${numDocuments} documents. ` +
      'Look for duplicates again after the input has changed.',
  );
}
