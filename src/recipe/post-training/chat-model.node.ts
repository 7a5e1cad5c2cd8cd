/**
 * A model's folder, opened to be trained on chats: weights, tokenizer, and its chat format. A base model without a
 * chat format gets ChatML, if its tokenizer has the tokens for it.
 */
import { ConfigError } from '../../core/errors.ts';
import { loadCheckpoint, openFolder } from '../../model/checkpoint.node.ts';
import { CONFIG_NAME, readJsonObject } from '../../model/checkpoint-files.ts';
import { parseHuggingFaceConfig, type TransformerConfig } from '../../model/config.ts';
import type { Weights } from '../../model/initialize.ts';
import { loadTokenizer } from '../../tokenizer/index.node.ts';
import {
  type ChatFormat,
  chatFormatOf,
  chatMl,
  formatTokenizerConfig,
  formatTokenizerJson,
  type Tokenizer,
  type TokenizerConfig,
} from '../../tokenizer/index.ts';

export interface ChatModel {
  /** As the trained model is to be saved: the end of a turn is among the tokens that end an answer. */
  readonly config: TransformerConfig;
  readonly weights: Weights;
  readonly tokenizer: Tokenizer;
  readonly chatFormat: ChatFormat;
  /** Written where no token is. */
  readonly padId: number;
  /** Tokens of ChatML where the model had no chat format: its training has not shown them to it. */
  readonly newTokens?: readonly number[];
  /** tokenizer.json and tokenizer_config.json, to be put beside the weights. */
  readonly files: ReadonlyMap<string, string>;
}

const CHATML_TOKENS = ['<|im_start|>', '<|im_end|>'] as const;

/** Throws ConfigError for a model without a chat format and without ChatML's tokens; what `loadCheckpoint` throws. */
export async function openChatModel(folder: string): Promise<ChatModel> {
  const { config, weights } = await loadCheckpoint(folder);
  const loaded = await loadTokenizer(folder);
  const { tokenizer } = loaded;
  const { chatFormat, tokenizerConfig, isNew } = chatOf(tokenizer, loaded.config);
  const endOfTurn =
    tokenizerConfig.eosToken === null ? undefined : tokenizer.specialTokens.get(tokenizerConfig.eosToken);
  const eosTokenIds = [...new Set([...(endOfTurn === undefined ? [] : [endOfTurn]), ...config.eosTokenIds])];
  return {
    config: { ...config, eosTokenIds },
    weights,
    tokenizer,
    chatFormat,
    padId: config.padTokenId ?? config.eosTokenIds[0] ?? 0,
    ...(isNew && { newTokens: CHATML_TOKENS.map((name) => tokenizer.specialTokens.get(name)!) }),
    files: new Map([
      ['tokenizer.json', formatTokenizerJson(tokenizer)],
      ['tokenizer_config.json', formatTokenizerConfig(tokenizer, tokenizerConfig)],
    ]),
  };
}

export interface ChatReader {
  readonly tokenizer: Tokenizer;
  readonly chatFormat: ChatFormat;
  /** Tokens of the model's context. */
  readonly contextLength: number;
}

/** A model's tokenizer and chat format without its weights: what data is looked at with. Throws as `openChatModel`. */
export async function openChatReader(folder: string): Promise<ChatReader> {
  const files = await openFolder(folder);
  const config = await readJsonObject(files, CONFIG_NAME);
  if (config === undefined) throw files.missing([CONFIG_NAME]);
  const { tokenizer, config: tokenizerConfig } = await loadTokenizer(folder);
  return {
    tokenizer,
    chatFormat: chatOf(tokenizer, tokenizerConfig).chatFormat,
    contextLength: parseHuggingFaceConfig(config).maxPositionEmbeddings,
  };
}

/** The model's own format, or ChatML where the tokenizer has its two tokens. */
function chatOf(
  tokenizer: Tokenizer,
  config: TokenizerConfig,
): { chatFormat: ChatFormat; tokenizerConfig: TokenizerConfig; isNew: boolean } {
  const own = chatFormatOf(tokenizer, config);
  // Older ChatML without tools is taken for the one with tools.
  if (own)
    return { chatFormat: own, tokenizerConfig: { ...config, chatTemplate: own.template }, isNew: false };
  const hasChatMl = CHATML_TOKENS.every((name) => tokenizer.specialTokens.has(name));
  if (!hasChatMl) {
    throw new ConfigError(
      'The model has no chat format, and its tokenizer lacks <|im_start|> and <|im_end|>, which ChatML needs. ' +
        'Pre-train with a tokenizer that has them ("plinth tokenizer train" adds them).',
    );
  }
  return {
    chatFormat: chatMl,
    tokenizerConfig: { ...config, chatTemplate: chatMl.template, eosToken: '<|im_end|>' },
    isNew: true,
  };
}
