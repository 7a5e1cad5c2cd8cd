/**
 * The tokenizer inside a GGUF file. Texts are cut by llama.cpp itself, so its ids are what the model was
 * converted for; the bytes of a token come from the file's own list, so that a token that ends inside a
 * character keeps its bytes. Byte-level BPE (`tokenizer.ggml.model` "gpt2") only.
 */
import { ConfigError, FormatError } from '../../core/errors.ts';
import {
  alphabetFromBytes,
  bytesFromAlphabet,
  type DecodeOptions,
  type EncodeOptions,
  type Tokenizer,
} from '../../tokenizer/index.ts';
import { joinTokenBytes } from '../../tokenizer/token-bytes.ts';
import { checkTokenId, textFromUtf8 } from '../../tokenizer/tokenizer.ts';

/** The part of a GGUF file's metadata that a tokenizer is made of, as `readGgufFileInfo` gives it. */
export interface GgufVocabulary {
  readonly model?: unknown;
  readonly tokens?: unknown;
  readonly token_type?: unknown;
}

/** ggml's token types. */
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;

/** Token names of a file, checked: llama.cpp ends the process when one stands there twice. */
export function vocabularyNames({ model, tokens }: GgufVocabulary): readonly string[] {
  if (model === undefined) {
    throw new FormatError(
      'The file names no tokenizer (tokenizer.ggml.model): its header is cut or incomplete. Was it downloaded in full?',
    );
  }
  if (model !== 'gpt2') {
    throw new ConfigError(
      `The file's tokenizer is ${JSON.stringify(model)} (tokenizer.ggml.model); expected "gpt2", which is ` +
        'byte-level BPE. Use a model with such a tokenizer.',
    );
  }
  if (!Array.isArray(tokens) || tokens.length === 0 || !tokens.every((name) => typeof name === 'string')) {
    throw new FormatError('The file has no list of token names (tokenizer.ggml.tokens).');
  }
  const ids = new Map<string, number>();
  tokens.forEach((name: string, id) => {
    const other = ids.get(name);
    if (other !== undefined) {
      throw new FormatError(
        `Tokens ${other} and ${id} of the file have the same name, ${JSON.stringify(name)}. Convert the model ` +
          'again: every token needs a name of its own.',
      );
    }
    ids.set(name, id);
  });
  return tokens;
}

export class GgufTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly specialTokens: ReadonlyMap<string, number>;
  readonly #encodeText: (text: string, parseSpecial: boolean) => number[];
  readonly #bytes: Uint8Array[];
  readonly #specialIds: ReadonlySet<number>;
  readonly #idOfName: ReadonlyMap<string, number>;
  readonly #types: readonly number[];

  /**
   * `encodeText` is llama.cpp's own, without a token for the beginning of a text. Throws FormatError for names
   * that are not of the byte alphabet.
   */
  constructor(vocabulary: GgufVocabulary, encodeText: (text: string, parseSpecial: boolean) => number[]) {
    const names = vocabularyNames(vocabulary);
    const types = Array.isArray(vocabulary.token_type) ? (vocabulary.token_type as number[]) : [];
    this.#encodeText = encodeText;
    this.#types = types;
    // A vocabulary padded for the model's sake ends with names that no text gives.
    this.vocabSize = 1 + names.findLastIndex((_, id) => types[id] !== UNUSED);
    this.#idOfName = new Map(names.map((name, id) => [name, id]));
    const isSpecial = (id: number) => types[id] === CONTROL || types[id] === UNKNOWN;
    this.specialTokens = new Map(names.flatMap((name, id) => (isSpecial(id) ? [[name, id]] : [])));
    this.#specialIds = new Set(this.specialTokens.values());
    const encoder = new TextEncoder();
    this.#bytes = names.slice(0, this.vocabSize).map((name, id) => {
      if (types[id] === UNUSED) return new Uint8Array(0);
      if (isSpecial(id) || types[id] === USER_DEFINED) return encoder.encode(name);
      const bytes = bytesFromAlphabet(name);
      if (bytes) return bytes;
      throw new FormatError(
        `Token ${id} of the file, ${JSON.stringify(name)}, is not written in GPT-2's byte alphabet. Convert the ` +
          'model again, or mark the token as control or user-defined (tokenizer.ggml.token_type 3 or 4).',
      );
    });
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    return this.#encodeText(text, options.special === 'parse');
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
    const named = this.#idOfName.get(token);
    if (named !== undefined && (this.#specialIds.has(named) || this.#types[named] === USER_DEFINED))
      return named;
    const id = this.#idOfName.get(alphabetFromBytes(new TextEncoder().encode(token)));
    return id !== undefined && !this.#specialIds.has(id) && this.#types[id] !== UNUSED ? id : undefined;
  }
}
