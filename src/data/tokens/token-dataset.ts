/**
 * Tokens of many documents as one addressable sequence, whatever holds them (memory or shards on disk).
 * Document i stands at [documentStart(i), documentStart(i + 1)); its last token may be an end-of-text token,
 * which is then part of it. A loss mask (1 = this token is to be predicted) runs parallel to the tokens.
 */
import { DataError } from '../../core/errors.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';

export interface TokenDocument {
  tokens: ArrayLike<number>;
  /** One entry a token, 0 or 1. Absent: every token counts. */
  lossMask?: ArrayLike<number>;
}

export interface TokenDataset {
  readonly vocabSize: number;
  readonly numTokens: number;
  readonly numDocuments: number;
  readonly hasLossMask: boolean;
  /** Tokens [start, start + length). @throws DataError outside the data, FormatError for damaged files. */
  readTokens(start: number, length: number): Int32Array;
  /** 0 or 1 for each of the same tokens; all 1 without a stored mask. */
  readLossMask(start: number, length: number): Uint8Array;
  /** For index in [0, numDocuments]; the last one is numTokens. */
  documentStart(index: number): number;
  close(): void;
}

/** The whole set in memory, for small data, tests and the browser. */
export class MemoryTokenDataset implements TokenDataset {
  readonly vocabSize: number;
  readonly numTokens: number;
  readonly numDocuments: number;
  readonly hasLossMask: boolean;
  readonly #tokens: Int32Array;
  readonly #lossMask: Uint8Array | null;
  readonly #starts: Float64Array;

  /** Empty documents are left out. @throws DataError for an id outside [0, vocabSize). */
  constructor(documents: Iterable<TokenDocument>, vocabSize: number) {
    const kept = [...documents].filter(({ tokens }) => tokens.length > 0);
    this.vocabSize = vocabSize;
    this.numDocuments = kept.length;
    this.numTokens = kept.reduce((sum, { tokens }) => sum + tokens.length, 0);
    this.hasLossMask = kept.some(({ lossMask }) => lossMask !== undefined);
    this.#tokens = new Int32Array(this.numTokens);
    this.#lossMask = this.hasLossMask ? new Uint8Array(this.numTokens).fill(1) : null;
    this.#starts = new Float64Array(kept.length + 1);
    let at = 0;
    for (const [i, document] of kept.entries()) {
      checkTokenDocument(document, vocabSize, i);
      this.#tokens.set(document.tokens, at);
      if (document.lossMask) this.#lossMask!.set(document.lossMask, at);
      at += document.tokens.length;
      this.#starts[i + 1] = at;
    }
  }

  readTokens(start: number, length: number): Int32Array {
    checkRange(this, start, length);
    return this.#tokens.slice(start, start + length);
  }

  readLossMask(start: number, length: number): Uint8Array {
    checkRange(this, start, length);
    return this.#lossMask?.slice(start, start + length) ?? new Uint8Array(length).fill(1);
  }

  documentStart(index: number): number {
    checkDocumentIndex(this, index);
    return this.#starts[index]!;
  }

  close(): void {}
}

/** Index of the document that holds token `position`. */
export function documentAt(dataset: TokenDataset, position: number): number {
  let low = 0;
  let high = dataset.numDocuments - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (dataset.documentStart(middle) <= position) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** A text's tokens followed by the end-of-text token. Special tokens in the text stay ordinary text. */
export function tokenizeText(text: string, tokenizer: Tokenizer, endOfTextId: number): TokenDocument {
  const tokens = tokenizer.encode(text);
  tokens.push(endOfTextId);
  return { tokens };
}

/** @throws DataError for ids outside [0, vocabSize), a mask of another length, or mask values beside 0 and 1. */
export function checkTokenDocument(document: TokenDocument, vocabSize: number, index: number): void {
  const { tokens, lossMask } = document;
  for (let i = 0; i < tokens.length; i++) {
    const id = tokens[i]!;
    if (Number.isInteger(id) && id >= 0 && id < vocabSize) continue;
    throw new DataError(
      `Document ${index}, token ${i}: id ${id} is outside the vocabulary (0 to ${vocabSize - 1}). ` +
        'Tokenize the text with the tokenizer whose vocabulary size was given.',
    );
  }
  if (lossMask === undefined) return;
  if (lossMask.length !== tokens.length) {
    throw new DataError(
      `Document ${index}: the loss mask has ${lossMask.length} entries for ${tokens.length} tokens; give one for each.`,
    );
  }
  for (let i = 0; i < lossMask.length; i++) {
    if (lossMask[i] === 0 || lossMask[i] === 1) continue;
    throw new DataError(`Document ${index}: loss mask entry ${i} is ${lossMask[i]}; expected 0 or 1.`);
  }
}

export function checkRange(dataset: TokenDataset, start: number, length: number): void {
  const isInside =
    Number.isInteger(start) &&
    Number.isInteger(length) &&
    start >= 0 &&
    length >= 0 &&
    start + length <= dataset.numTokens;
  if (isInside) return;
  throw new DataError(
    `Tokens ${start} to ${start + length} were asked for; this set has tokens 0 to ${dataset.numTokens}.`,
  );
}

export function checkDocumentIndex(dataset: TokenDataset, index: number): void {
  if (Number.isInteger(index) && index >= 0 && index <= dataset.numDocuments) return;
  throw new DataError(`Document ${index} was asked for; this set has ${dataset.numDocuments} documents.`);
}
