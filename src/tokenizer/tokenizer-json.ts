/**
 * `tokenizer.json` of Hugging Face tokenizers for byte-level BPE: writing ours, and reading those made elsewhere
 * in the style of GPT-2, Llama 3 and Qwen. Files of the SentencePiece style go to `sentencepiece-json.ts`.
 * Whatever a file asks for that is not supported is a FormatError with the field's name. `post_processor`,
 * `truncation` and `padding` are kept or dropped but never applied: `encode` adds no tokens and cuts nothing.
 */
import { FormatError } from '../core/errors.ts';
import type { AddedToken } from './added-tokens.ts';
import { BpeTokenizer } from './bpe-tokenizer.ts';
import { alphabetFromBytes, bytesFromAlphabet } from './byte-alphabet.ts';
import {
  arrayAt,
  idAt,
  type JsonObject,
  objectAt,
  parseJsonObject,
  stringAt,
  typeAt,
  unsupported,
} from './json-fields.ts';
import { GPT2_PATTERN, type PreTokenizer, preTokenizerOfPatterns } from './pre-tokenizer.ts';
import { SentencePieceBpe } from './sentencepiece-bpe.ts';
import { isSentencePieceJson, sentencePieceFromJson } from './sentencepiece-json.ts';
import type { Tokenizer } from './tokenizer.ts';
import { addedTokensOf, MAX_VOCAB_SIZE, mergesOf } from './vocabulary-json.ts';

const BYTE_LEVEL_POST_PROCESSOR = {
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: false,
  use_regex: false,
};

/** The file's content for a byte-level tokenizer. */
export function tokenizerJsonOf(tokenizer: BpeTokenizer): JsonObject {
  const names: (string | undefined)[] = [];
  const vocab: [string, number][] = [];
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    if (!tokenizer.isOrdinary(id)) continue;
    const name = alphabetFromBytes(tokenizer.tokenBytes(id));
    names[id] = name;
    vocab.push([name, id]);
  }
  const merges: [string, string][] = [];
  const { triples } = tokenizer.merges;
  for (let i = 0; i < triples.length; i += 3) merges.push([names[triples[i]!]!, names[triples[i + 1]!]!]);
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [...tokenizer.addedTokens]
      .sort((a, b) => a.id - b.id)
      .map(({ id, content, special, lstrip = false, rstrip = false }) => ({
        id,
        content,
        single_word: false,
        lstrip,
        rstrip,
        normalized: false,
        special,
      })),
    normalizer: tokenizer.normalizer === null ? null : { type: tokenizer.normalizer },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        ...tokenizer.preTokenizer.patterns.map((pattern) => ({
          type: 'Split',
          pattern: { Regex: pattern },
          behavior: 'Isolated',
          invert: false,
        })),
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
      ],
    },
    post_processor: tokenizer.postProcessor ?? BYTE_LEVEL_POST_PROCESSOR,
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: tokenizer.ignoreMerges,
      // fromEntries makes own properties also of names such as "__proto__".
      vocab: Object.fromEntries(vocab),
      merges,
    },
  };
}

/** The file's text for any tokenizer that was trained here or read from such a file. */
export function formatTokenizerJson(tokenizer: Tokenizer): string {
  if (tokenizer instanceof BpeTokenizer) return `${JSON.stringify(tokenizerJsonOf(tokenizer))}\n`;
  if (tokenizer instanceof SentencePieceBpe) return `${JSON.stringify(tokenizer.source)}\n`;
  throw new FormatError(
    'Only tokenizers trained by trainBpe or read from a tokenizer.json can be written as tokenizer.json.',
  );
}

/** Reads a file's text or its parsed value. Throws FormatError naming the field that is not supported. */
export function parseTokenizerJson(json: string | JsonObject): Tokenizer {
  const file = parseJsonObject(json, 'tokenizer.json');
  const model = objectAt(file.model, 'model');
  // Files of the first years have no type.
  if (model.type !== undefined || !Array.isArray(model.merges)) typeAt(model, 'model', ['BPE']);
  if (model.dropout)
    throw unsupported('model.dropout', model.dropout, 'null (encoding is deterministic here)');
  for (const field of ['continuing_subword_prefix', 'end_of_word_suffix']) {
    if (model[field]) throw unsupported(`model.${field}`, model[field], 'null or an empty string');
  }
  const addedTokens = addedTokensOf(file.added_tokens);
  if (isSentencePieceJson(file, model)) return sentencePieceFromJson(file, model, addedTokens);
  return byteLevelFromJson(file, model, addedTokens);
}

function byteLevelFromJson(file: JsonObject, model: JsonObject, addedTokens: AddedToken[]): BpeTokenizer {
  const decoder = objectAt(file.decoder, 'decoder');
  typeAt(decoder, 'decoder', ['ByteLevel']);
  const added = new Map(addedTokens.map((token) => [token.content, token.id]));
  const vocab = new Map(Object.entries(objectAt(model.vocab, 'model.vocab')));
  const tokens: (Uint8Array | undefined)[] = [];
  for (const [name, value] of vocab) {
    const id = idAt(value, `model.vocab[${JSON.stringify(name)}]`, MAX_VOCAB_SIZE);
    if (added.get(name) === id) continue;
    const bytes = bytesFromAlphabet(name);
    if (bytes === undefined || bytes.length === 0) {
      throw unsupported(
        `model.vocab: token ${id}`,
        name,
        "names in GPT-2's byte alphabet, or listed in added_tokens",
      );
    }
    if (tokens[id] !== undefined)
      throw unsupported(`model.vocab[${JSON.stringify(name)}]`, id, 'each id once');
    tokens[id] = bytes;
  }
  const ids = (name: string) => vocab.get(name) as number | undefined;
  return new BpeTokenizer({
    tokens: Array.from(tokens),
    merges: mergesOf(model.merges, ids),
    addedTokens,
    preTokenizer: preTokenizerFromJson(file.pre_tokenizer),
    normalizer: normalizerFromJson(file.normalizer),
    ignoreMerges: model.ignore_merges === true,
    postProcessor: file.post_processor ?? undefined,
  });
}

function normalizerFromJson(value: unknown): 'NFC' | 'NFKC' | null {
  if (value === null || value === undefined) return null;
  const normalizer = objectAt(value, 'normalizer');
  const type = typeAt(normalizer, 'normalizer', ['NFC', 'NFKC', 'Sequence']);
  if (type !== 'Sequence') return type;
  const members = arrayAt(normalizer.normalizers, 'normalizer.normalizers');
  if (members.length > 1) throw unsupported('normalizer.normalizers', members, 'at most one: NFC or NFKC');
  return members.length === 0 ? null : normalizerFromJson(members[0]);
}

function preTokenizerFromJson(value: unknown): PreTokenizer {
  const root = objectAt(value, 'pre_tokenizer');
  const isSequence = typeAt(root, 'pre_tokenizer', ['ByteLevel', 'Sequence']) === 'Sequence';
  const members = isSequence ? arrayAt(root.pretokenizers, 'pre_tokenizer.pretokenizers') : [root];
  const patterns: string[] = [];
  members.forEach((entry, i) => {
    const field = isSequence ? `pre_tokenizer.pretokenizers[${i}]` : 'pre_tokenizer';
    const member = objectAt(entry, field);
    const type = typeAt(member, field, ['Split', 'Digits', 'ByteLevel']);
    const isLast = i + 1 === members.length;
    if ((type === 'ByteLevel') !== isLast)
      throw unsupported(field, member.type, 'ByteLevel as the last, only there');
    if (type === 'Split') patterns.push(splitPattern(member, field));
    else if (type === 'Digits') patterns.push(member.individual_digits ? '\\p{N}' : '\\p{N}+');
    else {
      if (member.add_prefix_space) throw unsupported(`${field}.add_prefix_space`, true, 'false');
      if (member.use_regex ?? true) patterns.push(GPT2_PATTERN);
    }
  });
  return preTokenizerOfPatterns(patterns);
}

function splitPattern(split: JsonObject, field: string): string {
  const pattern = objectAt(split.pattern, `${field}.pattern`);
  const expression =
    typeof pattern.String === 'string'
      ? pattern.String.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
      : stringAt(pattern.Regex, `${field}.pattern.Regex`);
  // "Removed" with invert keeps the matches and drops the rest; the known patterns leave no rest.
  const keepsMatches = split.behavior === 'Removed' && split.invert === true;
  if (keepsMatches && preTokenizerOfPatterns([expression]).name !== 'custom') return expression;
  if (split.behavior !== 'Isolated') throw unsupported(`${field}.behavior`, split.behavior, 'Isolated');
  return expression;
}
