/** Messages to token ids, with a mask of what the assistant wrote: the input of finetuning and of inference. */
import { CHAT_ROLES, type ChatFormat, type ChatMessage, type ChatOptions } from './chat-format.ts';
import { type Tokenizer, TokenizerError } from './tokenizer.ts';

export interface EncodedChat {
  ids: number[];
  /** Index into CHAT_ROLES, per token. A token of text shared by two messages has the role of the first. */
  roles: Uint8Array;
  /** 1 exactly on the assistant's text and the token that ends its turn; not on headers or newlines between. */
  lossMask: Uint8Array;
}

/**
 * Encodes a chat. Names of special tokens inside a message's content stay ordinary text.
 *
 * The assistant's content is encoded apart from its header. The ids therefore begin with those of the same chat
 * cut before the answer with `addGenerationPrompt`, always; they differ from encoding the rendered string only
 * where merges would cross that point, such as content that begins with white space.
 *
 * Throws TokenizerError when the tokenizer lacks a special token of the format.
 */
export function encodeChat(
  tokenizer: Tokenizer,
  format: ChatFormat,
  messages: readonly ChatMessage[],
  options: ChatOptions = {},
): EncodedChat {
  const ids: number[] = [];
  const roles: number[] = [];
  const lossMask: number[] = [];
  let afterText = false;
  for (const segment of format.segments(messages, options)) {
    const segmentIds = segment.special
      ? [specialId(tokenizer, segment.text)]
      : tokenizer.encode(segment.text, { special: 'text', continues: afterText });
    const role = CHAT_ROLES.indexOf(segment.role);
    for (const id of segmentIds) {
      ids.push(id);
      roles.push(role);
      lossMask.push(segment.isTarget ? 1 : 0);
    }
    if (segment.special || segment.text !== '') afterText = !segment.special;
  }
  return { ids, roles: Uint8Array.from(roles), lossMask: Uint8Array.from(lossMask) };
}

function specialId(tokenizer: Tokenizer, name: string): number {
  const id = tokenizer.specialTokens.get(name);
  if (id !== undefined) return id;
  const known = [...tokenizer.specialTokens.keys()].slice(0, 8).join(' ') || 'none';
  throw new TokenizerError(
    `The chat format needs the special token ${name}, which this tokenizer does not have (it has ${known}). ` +
      'Train the tokenizer with that special token, or use the chat template that belongs to it.',
  );
}
