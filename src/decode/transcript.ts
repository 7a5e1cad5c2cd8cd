/**
 * A conversation as the model saw it: every token, who wrote it, and whether the model chose it. What it chose are
 * actions; what it was given (prompts, results of tools, also answers that others wrote) is evidence. Tokens of
 * answers are those that were drawn, never encoded anew from their text, so that log-probabilities fit them.
 */
import { ConfigError, DataError } from '../core/errors.ts';
import { CHAT_ROLES, type EncodedChat, encodeChat } from '../tokenizer/index.ts';
import type { ChatPrompt, Completion, LanguageModel } from './language-model.ts';

export interface Transcript {
  readonly tokens: Int32Array;
  /** Index into CHAT_ROLES. */
  readonly roles: Uint8Array;
  /** 1 where the model chose the token. */
  readonly actions: Uint8Array;
}

type ChatReader = Pick<LanguageModel, 'tokenizer' | 'chatFormat'>;

const ASSISTANT = CHAT_ROLES.indexOf('assistant');

/** Number of tokens that were given. */
export function numEvidence({ actions }: Transcript): number {
  return actions.reduce((count, action) => count - action, actions.length);
}

/**
 * What was asked and what was answered. Only the completion's tokens, the one that ended it included, are actions:
 * earlier answers in a prompt of messages were given. In a prompt that is a transcript, earlier actions stay actions.
 */
export function transcriptOf(
  model: ChatReader,
  prompt: ChatPrompt | Transcript,
  { tokens, stopToken }: Pick<Completion, 'tokens' | 'stopToken'>,
): Transcript {
  const given = 'messages' in prompt ? promptTranscript(model, prompt) : prompt;
  const answer = stopToken === undefined ? tokens : [...tokens, stopToken];
  return joined(given, {
    tokens: Int32Array.from(answer),
    roles: new Uint8Array(answer.length).fill(ASSISTANT),
    actions: new Uint8Array(answer.length).fill(1),
  });
}

/**
 * A transcript that ends with an answer, and what follows it: results of tools or the user's next words, up to where
 * the model answers again. Its tokens are the prompt of that answer.
 *
 * @param chat the whole conversation, with the answer as a message (`parseToolCalls` reads its calls).
 * @throws DataError when nothing follows the last answer.
 */
export function continueTranscript(model: ChatReader, transcript: Transcript, chat: ChatPrompt): Transcript {
  const messages = chat.messages.map((message) => ({ ...message, weight: 1 as const }));
  if (!messages.some(({ role }) => role === 'assistant') || messages.at(-1)?.role === 'assistant') {
    throw new DataError('Nothing follows the answer: give the whole chat, ending with what was said to it.');
  }
  const { ids, roles, lossMask } = encoded(model, { ...chat, messages });
  const end = lossMask.lastIndexOf(1);
  // An answer that was cut off lacks the token that ends its turn; it is given.
  const from = transcript.tokens.at(-1) === ids[end] ? end + 1 : end;
  return joined(transcript, {
    tokens: Int32Array.from(ids.slice(from)),
    roles: roles.slice(from),
    actions: new Uint8Array(ids.length - from),
  });
}

function promptTranscript(model: ChatReader, prompt: ChatPrompt): Transcript {
  const { ids, roles } = encoded(model, prompt);
  return { tokens: Int32Array.from(ids), roles, actions: new Uint8Array(ids.length) };
}

function encoded({ tokenizer, chatFormat }: ChatReader, { messages, tools }: ChatPrompt): EncodedChat {
  if (!tokenizer || !chatFormat) {
    throw new ConfigError('A transcript needs a tokenizer and a chat format; this model has none.');
  }
  return encodeChat(tokenizer, chatFormat, messages, { tools, addGenerationPrompt: true });
}

function joined(first: Transcript, second: Transcript): Transcript {
  const length = first.tokens.length + second.tokens.length;
  const tokens = new Int32Array(length);
  const roles = new Uint8Array(length);
  const actions = new Uint8Array(length);
  for (const [part, at] of [[first, 0] as const, [second, first.tokens.length] as const]) {
    tokens.set(part.tokens, at);
    roles.set(part.roles, at);
    actions.set(part.actions, at);
  }
  return { tokens, roles, actions };
}
