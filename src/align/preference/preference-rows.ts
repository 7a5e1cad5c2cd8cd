/**
 * Answers as rows of tokens. The prompt's tokens are those that the model is given when it is to answer, the same for
 * every answer to it; actions are what the assistant wrote after them, with the token that ends its turn.
 */
import { messageOf } from '../../core/errors.ts';
import type { ToolDefinition } from '../../tokenizer/chat-tools.ts';
import { type ChatFormat, type ChatMessage, encodeChat, type Tokenizer } from '../../tokenizer/index.ts';
import type { SequenceRow } from '../sequence-row.ts';
import type { Answer, PreferencePair } from './preference-data.ts';

export interface PairRows {
  readonly chosen: SequenceRow;
  readonly rejected: SequenceRow;
}

export interface AnswerEncoding {
  readonly tokenizer: Tokenizer;
  readonly chatFormat: ChatFormat;
  /** T: a row has at most T + 1 tokens. */
  readonly length: number;
}

/**
 * The row of an answer, or why there is none: too long, or refused by the chat format.
 *
 * @param tools functions that the assistant may call.
 */
export function answerRow(
  messages: readonly ChatMessage[],
  answer: Answer,
  { tokenizer, chatFormat, length }: AnswerEncoding,
  tools?: readonly ToolDefinition[],
): SequenceRow | string {
  let prompt: readonly number[];
  let whole: ReturnType<typeof encodeChat>;
  try {
    prompt = encodeChat(tokenizer, chatFormat, messages, { tools, addGenerationPrompt: true }).ids;
    whole = encodeChat(tokenizer, chatFormat, [...messages, ...answer], { tools });
  } catch (error) {
    // A model's own template may refuse a chat, such as one that does not alternate.
    return messageOf(error);
  }
  const { ids, lossMask } = whole;
  if (prompt.some((id, t) => ids[t] !== id)) {
    return "the chat format does not begin the chat with the prompt's own tokens";
  }
  // What follows the last action is neither given nor chosen.
  const end = lossMask.lastIndexOf(1) + 1;
  if (end <= prompt.length) return 'the answer has no token of the assistant';
  if (end > length + 1) return `${end} tokens, more than the ${length + 1} of a row`;
  return { tokens: ids.slice(0, end), actions: lossMask.slice(0, end).fill(0, 0, prompt.length) };
}

/** The rows of a pair, or why there are none. */
export function pairRows(pair: PreferencePair, encoding: AnswerEncoding): PairRows | string {
  const chosen = answerRow(pair.messages, pair.chosen, encoding, pair.tools);
  if (typeof chosen === 'string') return chosen;
  const rejected = answerRow(pair.messages, pair.rejected, encoding, pair.tools);
  return typeof rejected === 'string' ? rejected : { chosen, rejected };
}
