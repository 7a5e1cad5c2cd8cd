/**
 * A byte-level BPE tokenizer as llama.cpp reads it from a GGUF file. llama.cpp knows pre-tokenizers by name only
 * (`tokenizer.ggml.pre`), so a tokenizer whose pattern has no such name is refused rather than written with a
 * wrong one. Where llama.cpp will do something else than Plinth, a note says so.
 *
 * Source: src/llama-vocab.cpp of llama.cpp.
 */
import { ConfigError } from '../../core/errors.ts';
import {
  alphabetFromBytes,
  BpeTokenizer,
  SentencePieceBpe,
  type Tokenizer,
  type TokenizerConfig,
} from '../../tokenizer/index.ts';
import type { GgufValue } from './gguf-file.ts';

/** LLAMA_TOKEN_TYPE_... */
const TOKEN_TYPES = { normal: 1, control: 3, userDefined: 4, unused: 5 } as const;

/** Names that llama.cpp takes for ends of a text wherever they stand in a vocabulary. */
const LLAMA_CPP_ENDS = [
  '<|eot_id|>',
  '<|im_end|>',
  '<|end|>',
  '<|return|>',
  '<|call|>',
  '<end_of_turn>',
  '<|endoftext|>',
  '<|eom_id|>',
  '<EOT>',
  '_<EOT>',
  '<|end_of_text|>',
];

/** Names of pre-tokenizers with which llama.cpp decodes " ." as "."; no other name has the same pattern without that. */
const CLEANS_SPACES = new Set(['llama-bpe']);

export interface GgufTokenizerInput {
  readonly tokenizer: Tokenizer;
  readonly tokenizerConfig: TokenizerConfig;
  /** Rows of the embedding matrix; at least the tokenizer's ids. */
  readonly vocabSize: number;
  /** All tokens that end a text, the most important one first. */
  readonly stopTokens: readonly number[];
  readonly bosTokenId: number | null;
  readonly padTokenId: number | null;
}

export interface GgufTokenizer {
  readonly metadata: Map<string, GgufValue>;
  readonly notes: string[];
}

/**
 * Keys `tokenizer.ggml.*` and `tokenizer.chat_template`.
 * @throws ConfigError for tokenizers that llama.cpp would read differently.
 */
export function ggufTokenizer(input: GgufTokenizerInput): GgufTokenizer {
  const tokenizer = requireByteLevel(input.tokenizer);
  const { vocabSize, tokenizerConfig, bosTokenId, padTokenId } = input;
  if (tokenizer.vocabSize > vocabSize) {
    throw new ConfigError(
      `The tokenizer has ${tokenizer.vocabSize} ids, the model ${vocabSize} rows of embeddings. Use the tokenizer that the model was trained with.`,
    );
  }
  const notes: string[] = [];
  const pre = preOf(tokenizer, notes);
  const { tokens, types } = vocabularyOf(tokenizer, vocabSize);
  const metadata = new Map<string, GgufValue>([
    ['tokenizer.ggml.model', { type: 'string', value: 'gpt2' }],
    ['tokenizer.ggml.pre', { type: 'string', value: pre }],
    ['tokenizer.ggml.tokens', { type: 'strings', value: tokens }],
    ['tokenizer.ggml.token_type', { type: 'int32s', value: types }],
    ['tokenizer.ggml.merges', { type: 'strings', value: mergesOf(tokenizer, tokens) }],
  ]);
  for (const [key, value] of endTokens(input, tokens, notes)) metadata.set(key, value);
  // Named in the template, perhaps; Plinth itself never puts it in front.
  if (tokenizerConfig.bosToken !== null && bosTokenId !== null) {
    metadata.set('tokenizer.ggml.bos_token_id', { type: 'uint32', value: bosTokenId });
  }
  if (padTokenId !== null)
    metadata.set('tokenizer.ggml.padding_token_id', { type: 'uint32', value: padTokenId });
  metadata.set('tokenizer.ggml.add_bos_token', { type: 'bool', value: false });
  metadata.set('tokenizer.ggml.add_eos_token', { type: 'bool', value: false });
  metadata.set('tokenizer.ggml.add_space_prefix', { type: 'bool', value: false });
  if (tokenizerConfig.chatTemplate !== null) {
    metadata.set('tokenizer.chat_template', { type: 'string', value: tokenizerConfig.chatTemplate });
  }
  return { metadata, notes };
}

function requireByteLevel(tokenizer: Tokenizer): BpeTokenizer {
  if (tokenizer instanceof BpeTokenizer) return tokenizer;
  const isSentencePiece = tokenizer instanceof SentencePieceBpe;
  throw new ConfigError(
    isSentencePiece
      ? 'This tokenizer is of the SentencePiece style. A GGUF file orders its merges by scores, which tokenizer.json does not hold, so its tokens could come out different. Convert the original tokenizer.model with llama.cpp, or train a byte-level tokenizer (plinth tokenizer train).'
      : 'Only byte-level BPE tokenizers (trained by plinth, or of the GPT-2, Llama 3 and Qwen kind) go into a GGUF file.',
  );
}

function preOf(tokenizer: BpeTokenizer, notes: string[]): string {
  const { preTokenizer, normalizer } = tokenizer;
  if (preTokenizer.llamaCppPre === null) {
    throw new ConfigError(
      `llama.cpp has no name for this tokenizer's pre-tokenizer (${preTokenizer.patterns.map((pattern) => JSON.stringify(pattern)).join(', ') || 'no pattern'}), so it would cut texts elsewhere. Train with one of the named pre-tokenizers: plinth tokenizer train --pre-tokenizer qwen2, gpt2, gpt2-digits or llama3.`,
    );
  }
  if (normalizer === 'NFKC') {
    throw new ConfigError(
      'This tokenizer normalizes texts by NFKC, which llama.cpp does not do: full-width letters, ligatures and the like would give other tokens.',
    );
  }
  if (normalizer === 'NFC') {
    notes.push(
      'This tokenizer normalizes texts by NFC, llama.cpp does not: give it texts in NFC (nearly all are).',
    );
  }
  const stray = tokenizer.addedTokens.find(({ lstrip, rstrip }) => lstrip || rstrip);
  if (stray) {
    throw new ConfigError(
      `The token ${JSON.stringify(stray.content)} swallows white space beside it (lstrip, rstrip), which a GGUF file cannot say.`,
    );
  }
  if (CLEANS_SPACES.has(preTokenizer.llamaCppPre)) {
    notes.push(
      `With this pre-tokenizer ("${preTokenizer.llamaCppPre}") llama.cpp takes the space before punctuation away when it writes tokens as text; the tokens are the same.`,
    );
  }
  if (tokenizer.ignoreMerges !== preTokenizer.ignoreMerges) requireReachableTokens(tokenizer);
  return preTokenizer.llamaCppPre;
}

/** Whether whole chunks are looked up first makes no difference if merging them leads to the same token. */
function requireReachableTokens(tokenizer: BpeTokenizer): void {
  const other = new BpeTokenizer({
    tokens: Array.from({ length: tokenizer.vocabSize }, (_, id) =>
      tokenizer.isOrdinary(id) ? tokenizer.tokenBytes(id) : undefined,
    ),
    merges: tokenizer.merges.triples,
    addedTokens: [],
    preTokenizer: tokenizer.preTokenizer,
    ignoreMerges: !tokenizer.ignoreMerges,
  });
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    if (!tokenizer.isOrdinary(id)) continue;
    const bytes = tokenizer.tokenBytes(id);
    const [ours, theirs] = [tokenizer.encodeBytes(bytes), other.encodeBytes(bytes)];
    if (ours.join() !== theirs.join()) {
      throw new ConfigError(
        `llama.cpp's pre-tokenizer "${tokenizer.preTokenizer.llamaCppPre}" ${tokenizer.preTokenizer.ignoreMerges ? 'looks whole words up' : 'does not look whole words up'} before merging (ignore_merges), this tokenizer is the other way, and its token ${id} would be written differently.`,
      );
    }
  }
}

function vocabularyOf(tokenizer: BpeTokenizer, vocabSize: number): { tokens: string[]; types: number[] } {
  const added = new Map(tokenizer.addedTokens.map((token) => [token.id, token]));
  const tokens: string[] = [];
  const types: number[] = [];
  for (let id = 0; id < vocabSize; id++) {
    const token = added.get(id);
    if (token) {
      tokens.push(token.content);
      types.push(token.special ? TOKEN_TYPES.control : TOKEN_TYPES.userDefined);
    } else if (id < tokenizer.vocabSize && tokenizer.isOrdinary(id)) {
      tokens.push(alphabetFromBytes(tokenizer.tokenBytes(id)));
      types.push(TOKEN_TYPES.normal);
    } else {
      tokens.push(`[PAD${id}]`);
      types.push(TOKEN_TYPES.unused);
    }
  }
  const first = new Map<string, number>();
  tokens.forEach((token, id) => {
    const twin = first.get(token);
    if (twin !== undefined) {
      throw new ConfigError(
        `The tokens ${twin} and ${id} are both written ${JSON.stringify(token)}; llama.cpp ends the process on such a file. Rename one of them.`,
      );
    }
    first.set(token, id);
  });
  return { tokens, types };
}

function mergesOf({ merges }: BpeTokenizer, tokens: readonly string[]): string[] {
  const { triples } = merges;
  const texts: string[] = [];
  for (let i = 0; i < triples.length; i += 3) texts.push(`${tokens[triples[i]!]} ${tokens[triples[i + 1]!]}`);
  return texts;
}

/** A file has room for three tokens that end a text: end of sequence, of turn and of message. */
function endTokens(
  { stopTokens, tokenizerConfig, tokenizer }: GgufTokenizerInput,
  tokens: readonly string[],
  notes: string[],
): [string, GgufValue][] {
  const named =
    tokenizerConfig.eosToken === null ? undefined : tokenizer.specialTokens.get(tokenizerConfig.eosToken);
  const ids = [...new Set([...(named === undefined ? [] : [named]), ...stopTokens])];
  if (ids.length === 0) {
    throw new ConfigError(
      'The model names no token that ends a text, and llama.cpp would take token 11 for it. Set eos_token_id in config.json, or eos_token in tokenizer_config.json.',
    );
  }
  const unknown = ids.filter((id, i) => i > 0 && !LLAMA_CPP_ENDS.includes(tokens[id]!));
  if (unknown.length > 2) {
    throw new ConfigError(
      `${ids.length} tokens end a text (${ids.map((id) => JSON.stringify(tokens[id])).join(', ')}); a GGUF file has room for three beside the names that llama.cpp knows. Take some out of eos_token_id.`,
    );
  }
  const further = LLAMA_CPP_ENDS.filter(
    (name) => tokens.includes(name) && !ids.includes(tokens.indexOf(name)),
  );
  if (further.length > 0) {
    notes.push(
      `llama.cpp also ends a text at ${further.join(' and ')}, which stands in the vocabulary; Plinth does not.`,
    );
  }
  const keys = ['eos_token_id', 'eot_token_id', 'eom_token_id'];
  return [ids[0]!, ...unknown].map((id, i) => [`tokenizer.ggml.${keys[i]}`, { type: 'uint32', value: id }]);
}
