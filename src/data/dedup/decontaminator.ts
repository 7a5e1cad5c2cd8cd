/**
 * Takes evaluation items out of training data: drops a document that has one, or removes the passage with what is
 * around it and splits the document there (Brown et al. 2020, appendix C), which saves the rest of long documents.
 */
import { ConfigError } from '../../core/errors.ts';
import { utf8Bytes } from '../clean/character-classes.ts';
import type { Document } from '../document.ts';
import type { ContaminationIndex, ContaminationMatch } from './contamination-index.ts';

export type DecontaminationAction = 'drop' | 'remove-passage';

export interface DecontaminatorOptions {
  /** Default 'drop'. */
  readonly action?: DecontaminationAction;
  /** Characters removed on each side of a passage. Default 200, as the two below GPT-3's. */
  readonly windowCharacters?: number;
  /** Shorter pieces are discarded. Default 200. */
  readonly minPieceCharacters?: number;
  /** A document that falls into more pieces is dropped. Default 10. */
  readonly maxPieces?: number;
}

export type DecontaminationVerdict =
  /** The document itself, or what is left of it in pieces. */
  { kept: true; documents: Document[] } | { kept: false; rule: 'contaminated'; detail: string };

export interface DecontaminationCounts {
  documents: { in: number; out: number };
  /** UTF-8 bytes of text. */
  bytes: { in: number; out: number };
  contaminated: {
    documents: number;
    dropped: number;
    /** Documents of which a part stays, and the passages that were removed. */
    shortened: number;
    passages: number;
    discardedPieces: number;
  };
}

const ACTIONS: readonly DecontaminationAction[] = ['drop', 'remove-passage'];

export class Decontaminator {
  readonly counts: DecontaminationCounts = {
    documents: { in: 0, out: 0 },
    bytes: { in: 0, out: 0 },
    contaminated: { documents: 0, dropped: 0, shortened: 0, passages: 0, discardedPieces: 0 },
  };
  /** Evaluation items that were found, with the number of documents that had them. */
  readonly foundItems = new Map<string, number>();
  readonly #index: ContaminationIndex;
  readonly #options: Required<DecontaminatorOptions>;

  /** @throws ConfigError for an unknown action or a number out of range. */
  constructor(index: ContaminationIndex, options: DecontaminatorOptions = {}) {
    this.#index = index;
    this.#options = {
      action: 'drop',
      windowCharacters: 200,
      minPieceCharacters: 200,
      maxPieces: 10,
      ...options,
    };
    const { action, ...numbers } = this.#options;
    if (!ACTIONS.includes(action)) {
      throw new ConfigError(`Unknown action '${action}'; known are ${ACTIONS.join(', ')}.`);
    }
    for (const [name, value] of Object.entries(numbers)) {
      if (Number.isInteger(value) && value >= 0) continue;
      throw new ConfigError(`${name} must be a whole number from 0; got ${value}.`);
    }
  }

  /** The document itself is not changed. */
  apply(document: Document): DecontaminationVerdict {
    const { counts } = this;
    const sizeBytes = utf8Bytes(document.text);
    counts.documents.in++;
    counts.bytes.in += sizeBytes;
    const isDropped = this.#options.action === 'drop';
    const first = isDropped ? this.#index.check(document) : null;
    const matches = isDropped ? (first ? [first] : []) : this.#index.matches(document);
    if (matches.length === 0) {
      counts.documents.out++;
      counts.bytes.out += sizeBytes;
      return { kept: true, documents: [document] };
    }
    counts.contaminated.documents++;
    for (const item of new Set(matches.map(({ item }) => item))) {
      this.foundItems.set(item, (this.foundItems.get(item) ?? 0) + 1);
    }
    const detail = describe(matches[0]!);
    if (isDropped) return this.#drop(detail);
    const pieces = this.#piecesOf(document.text, matches);
    const { minPieceCharacters, maxPieces } = this.#options;
    if (pieces.length > maxPieces) return this.#drop(`${detail}, and falls into ${pieces.length} pieces`);
    const kept = pieces.filter(({ length }) => length >= minPieceCharacters && length > 0);
    if (kept.length === 0) return this.#drop(`${detail}, and little else`);
    counts.contaminated.shortened++;
    counts.contaminated.passages += matches.length;
    counts.contaminated.discardedPieces += pieces.length - kept.length;
    counts.documents.out += kept.length;
    for (const text of kept) counts.bytes.out += utf8Bytes(text);
    const documents = kept.map((text, i) => ({
      ...document,
      text,
      ...(kept.length > 1 && { id: `${document.id}#${i + 1}` }),
    }));
    return { kept: true, documents };
  }

  #drop(detail: string): DecontaminationVerdict {
    this.counts.contaminated.dropped++;
    return { kept: false, rule: 'contaminated', detail };
  }

  /** What lies between the passages and the windows around them, without white space at the ends. */
  #piecesOf(text: string, matches: readonly ContaminationMatch[]): string[] {
    const { windowCharacters } = this.#options;
    const pieces: string[] = [];
    let start = 0;
    for (const { position, end } of matches) {
      const cut = characterStart(text, Math.max(0, position - windowCharacters));
      if (cut > start) pieces.push(text.slice(start, cut).trim());
      start = Math.max(start, characterStart(text, Math.min(text.length, end + windowCharacters)));
    }
    if (start < text.length) pieces.push(text.slice(start).trim());
    return pieces.filter((piece) => piece !== '');
  }
}

/** Does not cut a surrogate pair in two. */
function characterStart(text: string, at: number): number {
  const isLow = (text.charCodeAt(at) & 0xfc00) === 0xdc00;
  return isLow && at > 0 && (text.charCodeAt(at - 1) & 0xfc00) === 0xd800 ? at + 1 : at;
}

const MAX_QUOTED_CHARACTERS = 120;

function describe({ item, ngram, position }: ContaminationMatch): string {
  const quoted = ngram.length > MAX_QUOTED_CHARACTERS ? `${ngram.slice(0, MAX_QUOTED_CHARACTERS)}...` : ngram;
  return `has "${quoted}" of evaluation item '${item}' at character ${position}`;
}
