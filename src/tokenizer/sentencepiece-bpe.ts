/**
 * BPE in the style of SentencePiece (Llama 2, Mistral, Gemma), read from a `tokenizer.json`: symbols begin as
 * characters, a space is written U+2581, and a character without a token falls back to the tokens of its UTF-8
 * bytes. A text may begin with a space that decoding takes away again. U+2581 in a text decodes as a space:
 * that is the format's, not a choice made here.
 */
import { type AddedToken, AddedTokenSplitter } from './added-tokens.ts';
import { mergeChunk } from './bpe-merge.ts';
import { growInt32 } from './growing-arrays.ts';
import type { JsonObject } from './json-fields.ts';
import { MergeTable } from './merge-table.ts';
import { joinTokenBytes } from './token-bytes.ts';
import {
  checkTokenId,
  type DecodeOptions,
  type EncodeOptions,
  type Tokenizer,
  textFromUtf8,
} from './tokenizer.ts';

export const SPACE_MARK = '\u2581';

export interface SentencePieceModel {
  /** Name of each token by id, spaces as U+2581; undefined where an id is unused. */
  names: readonly (string | undefined)[];
  merges: Int32Array;
  addedTokens: readonly AddedToken[];
  /** Where a space is put in front: of every piece of text, of the text's beginning, or nowhere. */
  prefix: 'always' | 'first' | 'never';
  /** The space is not doubled when the piece begins with one already. */
  skipsExistingSpace: boolean;
  /** Every word is merged apart from the others. */
  splitsWords: boolean;
  stripsLeadingSpace: boolean;
  /** The file's content, for writing it again. */
  source: JsonObject;
}

export class SentencePieceBpe implements Tokenizer {
  readonly vocabSize: number;
  readonly specialTokens: ReadonlyMap<string, number>;
  readonly addedTokens: readonly AddedToken[];
  readonly source: JsonObject;
  readonly #model: SentencePieceModel;
  readonly #merges: MergeTable;
  readonly #idOfName = new Map<string, number>();
  readonly #bytes: Uint8Array[];
  readonly #idOfByte = new Int32Array(256);
  readonly #specialIds: ReadonlySet<number>;
  readonly #parseAll: AddedTokenSplitter;
  readonly #parsePlain: AddedTokenSplitter;
  #symbols = new Int32Array(1024);

  /** The model must have a token `<0xXX>` for every byte. */
  constructor(model: SentencePieceModel) {
    this.#model = model;
    this.addedTokens = model.addedTokens;
    this.source = model.source;
    this.#merges = new MergeTable(model.merges);
    this.vocabSize = model.addedTokens.reduce(
      (size, token) => Math.max(size, token.id + 1),
      model.names.length,
    );
    const special = model.addedTokens.filter((token) => token.special);
    this.specialTokens = new Map(special.map((token) => [token.content, token.id]));
    this.#specialIds = new Set(this.specialTokens.values());
    this.#parseAll = new AddedTokenSplitter(model.addedTokens);
    this.#parsePlain = new AddedTokenSplitter(model.addedTokens.filter((token) => !token.special));
    const encoder = new TextEncoder();
    this.#bytes = Array.from({ length: this.vocabSize }, (_, id) => {
      const name = model.names[id];
      if (name === undefined) return new Uint8Array(0);
      this.#idOfName.set(name, id);
      const byte = byteOfName(name);
      if (byte < 0) return encoder.encode(name.replaceAll(SPACE_MARK, ' '));
      this.#idOfByte[byte] = id;
      return Uint8Array.of(byte);
    });
    for (const { content, id } of model.addedTokens) {
      this.#bytes[id] = encoder.encode(content);
      this.#idOfName.set(content, id);
    }
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    const ids: number[] = [];
    const splitter = options.special === 'parse' ? this.#parseAll : this.#parsePlain;
    let isFirst = options.continues !== true;
    let isContinuation = !isFirst;
    splitter.split(text, (piece, id) => {
      if (id >= 0) ids.push(id);
      else this.#encodePiece(piece, isFirst, isContinuation, ids);
      isFirst = false;
      isContinuation = false;
    });
    return ids;
  }

  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    return textFromUtf8(this.decodeBytes(ids, options));
  }

  decodeBytes(ids: ArrayLike<number>, options: DecodeOptions = {}): Uint8Array {
    const bytes = joinTokenBytes(ids, this.#bytes, options.special === 'keep' ? undefined : this.#specialIds);
    return this.#model.stripsLeadingSpace && bytes[0] === 0x20 ? bytes.subarray(1) : bytes;
  }

  tokenBytes(id: number): Uint8Array {
    checkTokenId(id, this.vocabSize);
    return this.#bytes[id]!;
  }

  idOf(token: string): number | undefined {
    return this.#idOfName.get(token) ?? this.#idOfName.get(token.replaceAll(' ', SPACE_MARK));
  }

  #encodePiece(piece: string, isFirst: boolean, isContinuation: boolean, ids: number[]): void {
    const { prefix, skipsExistingSpace, splitsWords } = this.#model;
    let text = piece.replaceAll(' ', SPACE_MARK).replace(/\p{Surrogate}/gu, '\ufffd');
    const wantsSpace = !isContinuation && (prefix === 'always' || (prefix === 'first' && isFirst));
    if (wantsSpace && !(skipsExistingSpace && text.startsWith(SPACE_MARK))) text = SPACE_MARK + text;
    for (let start = 0; start < text.length; ) {
      const next = splitsWords ? text.indexOf(SPACE_MARK, start + 1) : -1;
      const end = next < 0 ? text.length : next;
      this.#encodeWord(text.slice(start, end), ids);
      start = end;
    }
  }

  #encodeWord(text: string, ids: number[]): void {
    this.#symbols = growInt32(this.#symbols, 3 * text.length);
    const symbols = this.#symbols;
    const utf8 = new Uint8Array(4);
    const encoder = new TextEncoder();
    let count = 0;
    for (const character of text) {
      const id = this.#idOfName.get(character);
      if (id !== undefined) {
        symbols[count++] = id;
        continue;
      }
      const numBytes = encoder.encodeInto(character, utf8).written;
      for (let i = 0; i < numBytes; i++) symbols[count++] = this.#idOfByte[utf8[i]!]!;
    }
    const merged = mergeChunk(symbols, count, this.#merges);
    for (let i = 0; i < merged; i++) ids.push(symbols[i]!);
  }
}

/** The byte of a name such as `<0x0A>`, or -1. */
export function byteOfName(name: string): number {
  return /^<0x[0-9A-Fa-f]{2}>$/.test(name) ? Number.parseInt(name.slice(3, 5), 16) : -1;
}
