/** Tokenizers: the interface, byte-level BPE (train, encode, decode) and its files. Browser-safe. */
export type { AddedToken } from './added-tokens.ts';
export { type BpeModel, BpeTokenizer } from './bpe-tokenizer.ts';
export { DEFAULT_SPECIAL_TOKENS, type TrainBpeOptions, trainBpe } from './bpe-trainer.ts';
export { alphabetFromBytes, bytesFromAlphabet } from './byte-alphabet.ts';
export type { TieBreak } from './merge-learner.ts';
export {
  DEFAULT_PRE_TOKENIZER,
  PRE_TOKENIZER_NAMES,
  type PreTokenizer,
  type PreTokenizerName,
  preTokenizerOf,
} from './pre-tokenizer.ts';
export { TextStream } from './text-stream.ts';
export {
  type DecodeOptions,
  type EncodeOptions,
  type SpecialInText,
  type Tokenizer,
  TokenizerError,
} from './tokenizer.ts';
