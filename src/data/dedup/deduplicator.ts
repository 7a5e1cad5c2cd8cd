/** Drops duplicate documents, or removes duplicate paragraphs and lines from them, by a set found before. */
import { DataError } from '../../core/errors.ts';
import { utf8Bytes } from '../clean/character-classes.ts';
import type { Document } from '../document.ts';
import { type DedupMethod, type ResolvedMethod, resolveMethod } from './dedup-method.ts';
import { type DuplicateSet, UnitDuplicates } from './duplicate-set.ts';
import { unitSpans, withoutUnits } from './text-units.ts';

export type DedupVerdict =
  | { kept: true; document: Document }
  | { kept: false; rule: 'duplicate'; detail: string };

export interface DedupCounts {
  documents: { in: number; out: number };
  /** UTF-8 bytes of text. */
  bytes: { in: number; out: number };
  /** Documents dropped, documents whose text was shortened, paragraphs or lines removed. */
  duplicates: { documents: number; shortened: number; units: number };
}

export class Deduplicator {
  readonly counts: DedupCounts = {
    documents: { in: 0, out: 0 },
    bytes: { in: 0, out: 0 },
    duplicates: { documents: 0, shortened: 0, units: 0 },
  };
  readonly #set: DuplicateSet;
  readonly #method: ResolvedMethod;

  constructor(set: DuplicateSet, method: DedupMethod) {
    this.#set = set;
    this.#method = resolveMethod(method);
  }

  /**
   * `ordinal` is the document's position in the input that was searched. The document itself is not changed.
   * @throws DataError when the document is not the one that was searched there.
   */
  apply(document: Document, ordinal: number): DedupVerdict {
    const { counts } = this;
    const isDuplicate = this.#set.isDuplicate(ordinal);
    const sizeBytes = utf8Bytes(document.text);
    counts.documents.in++;
    counts.bytes.in += sizeBytes;
    const edited = this.#set instanceof UnitDuplicates ? this.#withoutUnits(document, ordinal) : document;
    if (isDuplicate) {
      counts.duplicates.documents++;
      return { kept: false, rule: 'duplicate', detail: this.#detail(ordinal) };
    }
    counts.documents.out++;
    if (edited === document) {
      counts.bytes.out += sizeBytes;
    } else {
      counts.bytes.out += utf8Bytes(edited.text);
      counts.duplicates.shortened++;
    }
    return { kept: true, document: edited };
  }

  #withoutUnits(document: Document, ordinal: number): Document {
    const method = this.#method;
    if (method.kind !== 'exact')
      throw new DataError('A set of duplicate units goes with an exact method only.');
    const removed = this.#set.duplicateUnits(ordinal);
    const spans = unitSpans(document.text, method.unit);
    const numUnits = (this.#set as UnitDuplicates).numUnitsOf(ordinal);
    if (spans.length / 2 !== numUnits) {
      throw new DataError(
        `Document ${ordinal} ('${document.id}') has ${spans.length / 2} ${method.unit}s; there were ${numUnits} ` +
          'when duplicates were looked for. Look for them again after the input has changed.',
      );
    }
    if (removed.length === 0) return document;
    this.counts.duplicates.units += removed.length;
    return { ...document, text: withoutUnits(document.text, spans, removed) };
  }

  #detail(ordinal: number): string {
    const method = this.#method;
    const representative = this.#set.representativeOf(ordinal);
    if (method.kind === 'minhash') return `near duplicate of document ${representative}`;
    if (method.unit === 'document') return `same as document ${representative}`;
    return `every ${method.unit} occurs earlier`;
  }
}
