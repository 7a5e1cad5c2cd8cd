/**
 * Byte-level BPE: text is cut into chunks, each chunk's UTF-8 bytes are merged by rank, and every byte has a
 * token, so there is no unknown text and `decodeBytes(encodeBytes(x))` is `x` for any bytes. Chunks seen
 * before come from a bounded cache. It knows nothing of files (`tokenizer-json.ts`) or training.
 */
import { FormatError } from '../core/errors.ts';
import { type AddedToken, AddedTokenSplitter } from './added-tokens.ts';
import { mergeChunk } from './bpe-merge.ts';
import { alphabetFromBytes } from './byte-alphabet.ts';
import { ChunkTable } from './chunk-table.ts';
import { growInt32 } from './growing-arrays.ts';
import { MergeTable } from './merge-table.ts';
import type { PreTokenizer } from './pre-tokenizer.ts';
import { TextUnits } from './text-units.ts';
import { joinTokenBytes } from './token-bytes.ts';
import {
  checkTokenId,
  type DecodeOptions,
  type EncodeOptions,
  type Tokenizer,
  textFromUtf8,
} from './tokenizer.ts';
import { splitUtf8, writeUtf8 } from './utf8.ts';

export interface BpeModel {
  /** Bytes of each ordinary token by id; undefined where an id is an added token or unused. */
  tokens: readonly (Uint8Array | undefined)[];
  /** (left id, right id, merged id) per merge, in rank order. */
  merges: Int32Array;
  addedTokens: readonly AddedToken[];
  preTokenizer: PreTokenizer;
  /** Unicode normalization of ordinary text before it is cut; null (ours) keeps text as it is. */
  normalizer?: 'NFC' | 'NFKC' | null;
  /** A chunk that is a token as a whole is that token, whether or not merges lead to it. */
  ignoreMerges?: boolean;
  /** `post_processor` of the file this came from, kept so that it can be written again; never applied. */
  postProcessor?: unknown;
}

const MAX_CACHED_CHUNKS = 1 << 17;
/** Longer chunks are rare and seldom repeat. In UTF-16 code units. */
const MAX_CACHED_UNITS = 64;

export class BpeTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly specialTokens: ReadonlyMap<string, number>;
  readonly addedTokens: readonly AddedToken[];
  readonly merges: MergeTable;
  readonly preTokenizer: PreTokenizer;
  readonly normalizer: 'NFC' | 'NFKC' | null;
  readonly ignoreMerges: boolean;
  readonly postProcessor: unknown;
  readonly #bytes: Uint8Array[];
  readonly #isOrdinary: Uint8Array;
  readonly #specialIds: ReadonlySet<number>;
  /** Token bytes in the byte alphabet -> id. */
  readonly #idOfBytes = new Map<string, number>();
  readonly #idOfAdded: ReadonlyMap<string, number>;
  readonly #idOfByte = new Int32Array(256);
  readonly #parseAll: AddedTokenSplitter;
  readonly #parsePlain: AddedTokenSplitter;
  readonly #cache = new ChunkTable();
  /** Where the ids of cached chunk i begin in `#cachedIds`; they end where those of i + 1 begin. */
  #cachedStarts = new Int32Array(1024);
  #cachedIds = new Int32Array(4096);
  #symbols = new Int32Array(1024);
  readonly #source = new TextUnits();

  /** Throws FormatError when a byte has no token or two entries claim one id. */
  constructor(model: BpeModel) {
    this.addedTokens = model.addedTokens;
    this.preTokenizer = model.preTokenizer;
    this.normalizer = model.normalizer ?? null;
    this.ignoreMerges = model.ignoreMerges ?? false;
    this.postProcessor = model.postProcessor;
    this.merges = new MergeTable(model.merges);
    this.vocabSize = model.addedTokens.reduce(
      (size, token) => Math.max(size, token.id + 1),
      model.tokens.length,
    );
    const special = model.addedTokens.filter((token) => token.special);
    this.specialTokens = new Map(special.map((token) => [token.content, token.id]));
    this.#specialIds = new Set(this.specialTokens.values());
    this.#idOfAdded = new Map(model.addedTokens.map((token) => [token.content, token.id]));
    this.#parseAll = new AddedTokenSplitter(model.addedTokens);
    this.#parsePlain = new AddedTokenSplitter(model.addedTokens.filter((token) => !token.special));

    this.#bytes = Array.from({ length: this.vocabSize }, () => new Uint8Array(0));
    this.#isOrdinary = new Uint8Array(this.vocabSize);
    this.#idOfByte.fill(-1);
    model.tokens.forEach((bytes, id) => {
      if (bytes === undefined) return;
      this.#bytes[id] = bytes;
      this.#isOrdinary[id] = 1;
      this.#idOfBytes.set(alphabetFromBytes(bytes), id);
      if (bytes.length === 1) this.#idOfByte[bytes[0]!] = id;
    });
    const missing = this.#idOfByte.indexOf(-1);
    if (missing >= 0) {
      throw new FormatError(
        `The vocabulary has no token for byte 0x${missing.toString(16).padStart(2, '0')}: ` +
          'a byte-level vocabulary needs all 256, so that any text can be encoded.',
      );
    }
    for (const token of model.addedTokens) {
      // A file may list an added token in its vocabulary as well, under the same id.
      this.#bytes[token.id] = new TextEncoder().encode(token.content);
      this.#isOrdinary[token.id] = 0;
    }
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    const ids: number[] = [];
    const splitter = options.special === 'parse' ? this.#parseAll : this.#parsePlain;
    splitter.split(text, (piece, id) => {
      if (id >= 0) ids.push(id);
      else this.#encodePlain(this.normalizer === null ? piece : piece.normalize(this.normalizer), ids);
    });
    return ids;
  }

  /**
   * Ids of arbitrary bytes. Well-formed UTF-8 is encoded as its text is; a run of other bytes is one chunk.
   * Added tokens are not looked for and nothing is normalized, so the bytes always come back unchanged.
   */
  encodeBytes(bytes: Uint8Array): number[] {
    const ids: number[] = [];
    splitUtf8(bytes, (part, wellFormed) => {
      if (wellFormed) return this.#encodePlain(textFromUtf8(part), ids);
      this.#symbols = growInt32(this.#symbols, part.length);
      for (let i = 0; i < part.length; i++) this.#symbols[i] = this.#idOfByte[part[i]!]!;
      const count = mergeChunk(this.#symbols, part.length, this.merges);
      for (let i = 0; i < count; i++) ids.push(this.#symbols[i]!);
    });
    return ids;
  }

  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    return textFromUtf8(this.decodeBytes(ids, options));
  }

  decodeBytes(ids: ArrayLike<number>, options: DecodeOptions = {}): Uint8Array {
    return joinTokenBytes(ids, this.#bytes, options.special === 'keep' ? undefined : this.#specialIds);
  }

  tokenBytes(id: number): Uint8Array {
    checkTokenId(id, this.vocabSize);
    return this.#bytes[id]!;
  }

  idOf(token: string): number | undefined {
    return (
      this.#idOfAdded.get(token) ?? this.#idOfBytes.get(alphabetFromBytes(new TextEncoder().encode(token)))
    );
  }

  /** Whether the id is an ordinary token: not an added one, not unused. */
  isOrdinary(id: number): boolean {
    checkTokenId(id, this.vocabSize);
    return this.#isOrdinary[id] === 1;
  }

  /** Empties the cache of chunks; results do not change. For measurements. */
  clearCache(): void {
    this.#cache.clear();
  }

  #encodePlain(text: string, ids: number[]): void {
    const nextEnd = this.preTokenizer.scanner();
    const cache = this.#cache;
    const source = this.#source.set(text);
    const { units, length } = source;
    for (let start = 0; start < length; ) {
      const end = nextEnd(source, start);
      if (end - start > MAX_CACHED_UNITS) {
        const count = this.#mergeUnits(units, start, end);
        for (let i = 0; i < count; i++) ids.push(this.#symbols[i]!);
      } else {
        const size = cache.size;
        const index = cache.intern(units, start, end);
        if (index === size) this.#fillCache(units, start, end, index);
        const last = this.#cachedStarts[index + 1]!;
        for (let i = this.#cachedStarts[index]!; i < last; i++) ids.push(this.#cachedIds[i]!);
        if (cache.size >= MAX_CACHED_CHUNKS) cache.clear();
      }
      start = end;
    }
    source.release();
  }

  #fillCache(units: Uint16Array, start: number, end: number, index: number): void {
    const count = this.#mergeUnits(units, start, end);
    this.#cachedStarts = growInt32(this.#cachedStarts, index + 2);
    const first = this.#cachedStarts[index]!;
    this.#cachedIds = growInt32(this.#cachedIds, first + count);
    for (let i = 0; i < count; i++) this.#cachedIds[first + i] = this.#symbols[i]!;
    this.#cachedStarts[index + 1] = first + count;
  }

  /** Leaves the ids of `units[start, end)` in `#symbols` and returns their number. */
  #mergeUnits(units: Uint16Array, start: number, end: number): number {
    this.#symbols = growInt32(this.#symbols, 3 * (end - start));
    const symbols = this.#symbols;
    const numBytes = writeUtf8(units, start, end, symbols);
    if (this.ignoreMerges) {
      const key = alphabetFromBytes(Uint8Array.from(symbols.subarray(0, numBytes)));
      const whole = this.#idOfBytes.get(key);
      if (whole !== undefined && this.#isOrdinary[whole] === 1) {
        symbols[0] = whole;
        return 1;
      }
    }
    for (let i = 0; i < numBytes; i++) symbols[i] = this.#idOfByte[symbols[i]!]!;
    return mergeChunk(symbols, numBytes, this.merges);
  }
}
