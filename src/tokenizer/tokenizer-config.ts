/**
 * `tokenizer_config.json`: the chat template and the roles of special tokens, without which other loaders take
 * no tokenizer. `clean_up_tokenization_spaces` is always written as false: with it on, " ." decodes as ".".
 */

import { ConfigError } from '../core/errors.ts';
import type { AddedToken } from './added-tokens.ts';
import { CHATML_TEMPLATE, type ChatFormat, chatMl, PLAIN_CHATML_TEMPLATE } from './chat-format.ts';
import { jinjaChatFormat } from './jinja-chat-format.ts';
import { arrayAt, type JsonObject, objectAt, parseJsonObject, stringAt, unsupported } from './json-fields.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface TokenizerConfig {
  /** Jinja source; null when the model has no chat format. */
  chatTemplate: string | null;
  bosToken: string | null;
  /** Ends a completion: `<|im_end|>` for a chat model, `<|endoftext|>` for a base model. */
  eosToken: string | null;
  padToken: string | null;
  unkToken: string | null;
  /** Longest sequence of the model, in tokens; null when the file gives none. */
  modelMaxLength: number | null;
}

/** For a chat model with the default special tokens. A base model: `{ ...this, chatTemplate: null, eosToken: '<|endoftext|>' }`. */
export const DEFAULT_TOKENIZER_CONFIG: Readonly<TokenizerConfig> = {
  chatTemplate: CHATML_TEMPLATE,
  bosToken: null,
  eosToken: '<|im_end|>',
  padToken: '<|endoftext|>',
  unkToken: null,
  modelMaxLength: null,
};

export function formatTokenizerConfig(
  tokenizer: Tokenizer & { addedTokens?: readonly AddedToken[] },
  config: TokenizerConfig,
): string {
  const special = [...tokenizer.specialTokens].map(
    ([content, id]): AddedToken => ({ content, id, special: true }),
  );
  const added = [...(tokenizer.addedTokens ?? special)].sort((a, b) => a.id - b.id);
  for (const name of [config.bosToken, config.eosToken, config.padToken]) {
    if (name !== null && !tokenizer.specialTokens.has(name)) {
      throw new ConfigError(
        `tokenizer_config: ${name} is not a special token of this tokenizer (${[...tokenizer.specialTokens.keys()].join(' ')}). ` +
          'Name one of them, or null.',
      );
    }
  }
  const file = {
    add_bos_token: false,
    add_prefix_space: false,
    added_tokens_decoder: Object.fromEntries(
      added.map(({ id, content, special: isSpecial, lstrip = false, rstrip = false }) => [
        String(id),
        { content, lstrip, normalized: false, rstrip, single_word: false, special: isSpecial },
      ]),
    ),
    additional_special_tokens: special.map((token) => token.content),
    bos_token: config.bosToken,
    ...(config.chatTemplate === null ? {} : { chat_template: config.chatTemplate }),
    clean_up_tokenization_spaces: false,
    eos_token: config.eosToken,
    errors: 'replace',
    ...(config.modelMaxLength === null ? {} : { model_max_length: config.modelMaxLength }),
    pad_token: config.padToken,
    split_special_tokens: false,
    tokenizer_class: 'PreTrainedTokenizerFast',
    unk_token: config.unkToken,
  };
  return `${JSON.stringify(file, null, 2)}\n`;
}

/** Reads the file's text or parsed value; of several chat templates, the one named `default`. */
export function parseTokenizerConfig(json: string | JsonObject): TokenizerConfig {
  const file = parseJsonObject(json, 'tokenizer_config.json');
  const length = file.model_max_length;
  return {
    chatTemplate: chatTemplateOf(file.chat_template),
    bosToken: tokenNameOf(file.bos_token, 'bos_token'),
    eosToken: tokenNameOf(file.eos_token, 'eos_token'),
    padToken: tokenNameOf(file.pad_token, 'pad_token'),
    unkToken: tokenNameOf(file.unk_token, 'unk_token'),
    // Files write 1e30 for "no limit".
    modelMaxLength: typeof length === 'number' && length > 0 && length < 2 ** 31 ? length : null,
  };
}

/** The chat format of a loaded tokenizer, or null when it has none. ChatML needs no template engine. */
export function chatFormatOf(
  tokenizer: Tokenizer,
  config: TokenizerConfig,
  variables: Readonly<Record<string, unknown>> = {},
): ChatFormat | null {
  if (config.chatTemplate === null) return null;
  if ([CHATML_TEMPLATE, PLAIN_CHATML_TEMPLATE].includes(config.chatTemplate)) return chatMl;
  return jinjaChatFormat(config.chatTemplate, {
    specialTokens: tokenizer.specialTokens.keys(),
    variables: {
      bos_token: config.bosToken ?? '',
      eos_token: config.eosToken ?? '',
      pad_token: config.padToken ?? '',
      unk_token: config.unkToken ?? '',
      ...variables,
    },
  });
}

function chatTemplateOf(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return value;
  const entries = arrayAt(value, 'chat_template').map((entry, i) => objectAt(entry, `chat_template[${i}]`));
  const found = entries.find((entry) => entry.name === 'default');
  if (found === undefined)
    throw unsupported(
      'chat_template',
      entries.map((entry) => entry.name),
      'one named "default"',
    );
  return stringAt(found.template, 'chat_template.template');
}

function tokenNameOf(value: unknown, field: string): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return value;
  return stringAt(objectAt(value, field).content, `${field}.content`);
}
