/** Tokenizers: the interface, byte-level BPE (train, encode, decode) and its files. Browser-safe. */
export type { AddedToken } from './added-tokens.ts';
export { type BpeModel, BpeTokenizer } from './bpe-tokenizer.ts';
export { DEFAULT_SPECIAL_TOKENS, type TrainBpeOptions, trainBpe } from './bpe-trainer.ts';
export { alphabetFromBytes, bytesFromAlphabet } from './byte-alphabet.ts';
export { type EncodedChat, encodeChat } from './chat-encode.ts';
export {
  CHAT_ROLES,
  CHATML_TEMPLATE,
  type ChatFormat,
  type ChatMessage,
  type ChatOptions,
  type ChatRole,
  type ChatSegment,
  chatMl,
  renderChat,
} from './chat-format.ts';
export {
  type ParsedAnswer,
  parseToolCalls,
  type ToolCall,
  type ToolCallFault,
  type ToolDefinition,
} from './chat-tools.ts';
export { type JinjaChatOptions, jinjaChatFormat, MAX_TEMPLATE_MESSAGES } from './jinja-chat-format.ts';
export { JINJA_LIMITS, JinjaTemplate } from './jinja-template.ts';
export type { TieBreak } from './merge-learner.ts';
export {
  DEFAULT_PRE_TOKENIZER,
  PRE_TOKENIZER_NAMES,
  type PreTokenizer,
  type PreTokenizerName,
  preTokenizerOf,
} from './pre-tokenizer.ts';
export {
  byteCounter,
  characterCounter,
  counterOf,
  type LanguagePremium,
  type LanguageText,
  type PremiumOptions,
  type PremiumReport,
  type TokenCounter,
  type TokenizerPremium,
  tokenPremium,
} from './premium.ts';
export { SentencePieceBpe } from './sentencepiece-bpe.ts';
export { TextStream } from './text-stream.ts';
export {
  type DecodeOptions,
  type EncodeOptions,
  type SpecialInText,
  type Tokenizer,
  TokenizerError,
} from './tokenizer.ts';
export {
  chatFormatOf,
  DEFAULT_TOKENIZER_CONFIG,
  formatTokenizerConfig,
  parseTokenizerConfig,
  type TokenizerConfig,
} from './tokenizer-config.ts';
export { formatTokenizerJson, parseTokenizerJson, tokenizerJsonOf } from './tokenizer-json.ts';
