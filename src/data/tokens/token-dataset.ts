/**
 * Tokens of many documents as one addressable sequence, whatever holds them (memory or shards on disk).
 * Document i stands at [documentStart(i), documentStart(i + 1)); its last token may be an end-of-text token,
 * which is then part of it. A loss mask (1 = this token is to be predicted) runs parallel to the tokens, and so do,
 * for conversations, roles: who wrote each token.
 */
import { DataError } from '../../core/errors.ts';
import { CHAT_ROLES } from '../../tokenizer/chat-format.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';

export interface TokenDocument {
  tokens: ArrayLike<number>;
  /** One entry a token, 0 or 1. Absent: every token counts. */
  lossMask?: ArrayLike<number>;
  /** One entry a token, an index into CHAT_ROLES. */
  roles?: ArrayLike<number>;
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
  /** Index into CHAT_ROLES for each of the same tokens; undefined where roles are not stored. */
  readRoles(start: number, length: number): Uint8Array | undefined;
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
  readonly #roles: Uint8Array | null;
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
    const hasRoles = kept.length > 0 && kept.every(({ roles }) => roles !== undefined);
    this.#roles = hasRoles ? new Uint8Array(this.numTokens) : null;
    this.#starts = new Float64Array(kept.length + 1);
    let at = 0;
    for (const [i, document] of kept.entries()) {
      checkTokenDocument(document, vocabSize, i);
      this.#tokens.set(document.tokens, at);
      if (document.lossMask) this.#lossMask!.set(document.lossMask, at);
      if (document.roles) this.#roles?.set(document.roles, at);
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

  readRoles(start: number, length: number): Uint8Array | undefined {
    checkRange(this, start, length);
    return this.#roles?.slice(start, start + length);
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

/** @throws DataError for ids outside [0, vocabSize), and for a mask or roles of another length or with other values. */
export function checkTokenDocument(document: TokenDocument, vocabSize: number, index: number): void {
  const { tokens, lossMask, roles } = document;
  for (let i = 0; i < tokens.length; i++) {
    const id = tokens[i]!;
    if (Number.isInteger(id) && id >= 0 && id < vocabSize) continue;
    throw new DataError(
      `Document ${index}, token ${i}: id ${id} is outside the vocabulary (0 to ${vocabSize - 1}). ` +
        'Tokenize the text with the tokenizer whose vocabulary size was given.',
    );
  }
  checkParallel('loss mask', lossMask, 2, tokens.length, index);
  checkParallel('list of roles', roles, CHAT_ROLES.length, tokens.length, index);
}

function checkParallel(
  name: string,
  values: ArrayLike<number> | undefined,
  numValues: number,
  length: number,
  index: number,
): void {
  if (values === undefined) return;
  if (values.length !== length) {
    throw new DataError(
      `Document ${index}: the ${name} has ${values.length} entries for ${length} tokens; give one for each.`,
    );
  }
  for (let i = 0; i < length; i++) {
    const value = values[i]!;
    if (Number.isInteger(value) && value >= 0 && value < numValues) continue;
    const expected = numValues === 2 ? '0 or 1' : `0 to ${numValues - 1}`;
    throw new DataError(`Document ${index}: ${name} entry ${i} is ${value}; expected ${expected}.`);
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
