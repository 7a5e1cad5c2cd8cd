/**
 * One piece of an endpoint's answer, checked: what its JSON says about text, tokens, log-probabilities, the end
 * and the usage. Chats and continued texts, streamed or whole, come out alike.
 */
import { FormatError, LimitError, PlinthError } from '../../core/errors.ts';
import type { Tokenizer } from '../../tokenizer/index.ts';
import type { PositionLogprobs, TokenLogprob } from '../language-model.ts';
import { isContextError, messageOf } from './endpoint.ts';
import type { ServerEvent } from './event-stream.ts';

export interface AnswerChunk {
  readonly text: string;
  /** Ids since the chunk before, from endpoints that give them. */
  readonly tokens: readonly number[];
  readonly logprobs: readonly RemotePositionLogprobs[];
  /** As the endpoint names it; undefined while the answer goes on. */
  readonly finishReason: string | undefined;
  /** vLLM's: the stop string or stop token that ended the answer. */
  readonly stopReason: string | number | undefined;
  readonly usage: { readonly promptTokens: number; readonly completionTokens: number } | undefined;
}

/** With the text of the token, as the endpoint writes it; `token` is -1 when its id is not known. */
export interface RemoteTokenLogprob extends TokenLogprob {
  readonly text: string;
}

export interface RemotePositionLogprobs extends PositionLogprobs, RemoteTokenLogprob {
  readonly top: readonly RemoteTokenLogprob[];
}

type Json = Record<string, unknown>;

/**
 * Reads a chunk's JSON. Throws FormatError for what is no chunk, LimitError or PlinthError `runtime` for an error
 * of the endpoint.
 */
export function parseAnswerChunk(
  json: unknown,
  numTop: number | undefined,
  tokenizer: Tokenizer | undefined,
): AnswerChunk {
  const chunk = record(json, 'a piece of the answer');
  if (chunk.error !== undefined && chunk.error !== null) throw errorInStream(chunk);
  if (!Array.isArray(chunk.choices)) throw strange('choices', chunk.choices, 'a list');
  const choice = chunk.choices.length === 0 ? {} : record(chunk.choices[0], 'choices[0]');
  const message = choice.delta ?? choice.message;
  const inner = message === undefined || message === null ? {} : record(message, 'choices[0].delta');
  if (typeof inner.refusal === 'string' && inner.refusal !== '') {
    throw new PlinthError('runtime', `The endpoint refused to answer: ${inner.refusal.slice(0, 300)}`);
  }
  const text = choice.text ?? inner.content ?? '';
  if (typeof text !== 'string') throw strange('the text of choices[0]', text, 'a string');
  const finishReason = choice.finish_reason ?? undefined;
  if (finishReason !== undefined && typeof finishReason !== 'string') {
    throw strange('choices[0].finish_reason', finishReason, 'a string or null');
  }
  const stopReason = choice.stop_reason;
  return {
    text,
    tokens: tokenIds(choice.token_ids),
    logprobs: numTop === undefined ? [] : parseLogprobs(choice.logprobs, numTop, tokenizer),
    finishReason,
    stopReason: typeof stopReason === 'string' || typeof stopReason === 'number' ? stopReason : undefined,
    usage: parseUsage(chunk.usage),
  };
}

/** The JSON of a streamed event. Throws FormatError for what is none, PlinthError for an error of the endpoint. */
export function parseEvent({ event, data }: ServerEvent): unknown {
  let json: unknown;
  try {
    json = JSON.parse(data);
  } catch (error) {
    throw new FormatError(
      `The endpoint streamed ${JSON.stringify(data.slice(0, 100))}, which is not JSON. Is baseUrl right?`,
      { cause: error },
    );
  }
  if (event === 'error') throw errorInStream({ error: json });
  return json;
}

function errorInStream(chunk: Json): PlinthError {
  const message = messageOf(chunk) ?? JSON.stringify(chunk.error).slice(0, 300);
  return isContextError(message)
    ? new LimitError(`The prompt does not fit the model: ${message}. Shorten it.`)
    : new PlinthError('runtime', `The endpoint failed while it answered: ${message}`);
}

function record(value: unknown, what: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  throw strange(what, value, 'an object');
}

function strange(what: string, value: unknown, expected: string): FormatError {
  const got = JSON.stringify(value)?.slice(0, 100) ?? 'missing';
  return new FormatError(
    `The endpoint's answer is not of OpenAI's protocol: ${what} is ${got}; expected ${expected}. Is baseUrl right?`,
  );
}

function tokenIds(value: unknown): readonly number[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.every((id) => Number.isSafeInteger(id) && id >= 0)) return value;
  throw strange('choices[0].token_ids', value, 'token ids');
}

function parseUsage(value: unknown): AnswerChunk['usage'] {
  if (value === undefined || value === null) return undefined;
  const { prompt_tokens: promptTokens, completion_tokens: completionTokens } = record(value, 'usage');
  if (!Number.isSafeInteger(promptTokens) || !Number.isSafeInteger(completionTokens ?? 0)) {
    throw strange('usage', value, 'prompt_tokens and completion_tokens');
  }
  return { promptTokens: promptTokens as number, completionTokens: (completionTokens ?? 0) as number };
}

/** Of chats (`content`, also llama.cpp's for texts) and of texts (lists side by side). */
function parseLogprobs(
  value: unknown,
  numTop: number,
  tokenizer: Tokenizer | undefined,
): RemotePositionLogprobs[] {
  if (value === undefined || value === null) return [];
  const logprobs = record(value, 'choices[0].logprobs');
  if (Array.isArray(logprobs.content)) {
    return logprobs.content.map((entry) => {
      const { top_logprobs: top } = record(entry, 'choices[0].logprobs.content[i]');
      const listed = Array.isArray(top) ? top : [];
      return position(
        oneLogprob(entry, tokenizer),
        listed.map((one) => oneLogprob(one, tokenizer)),
        numTop,
      );
    });
  }
  const { tokens, token_logprobs: values, top_logprobs: tops } = logprobs;
  if (!Array.isArray(tokens) || !Array.isArray(values)) return [];
  return tokens.map((token, i) => {
    const top = Array.isArray(tops) ? tops[i] : undefined;
    const listed = Object.entries((top ?? {}) as Json);
    return position(
      oneLogprob({ token, logprob: values[i] }, tokenizer),
      listed.map(([text, logprob]) => oneLogprob({ token: text, logprob }, tokenizer)),
      numTop,
    );
  });
}

function position(
  chosen: RemoteTokenLogprob,
  listed: RemoteTokenLogprob[],
  numTop: number,
): RemotePositionLogprobs {
  // Some endpoints list the chosen token besides the best.
  listed.sort((a, b) => b.logprob - a.logprob);
  return { ...chosen, top: listed.slice(0, numTop) };
}

function oneLogprob(value: unknown, tokenizer: Tokenizer | undefined): RemoteTokenLogprob {
  const { token, logprob, bytes, id } = record(value, 'a log-probability');
  if (typeof token !== 'string' || typeof logprob !== 'number') {
    throw strange('a log-probability', value, 'token and logprob');
  }
  const named = /^token_id:(\d+)$/.exec(token);
  if (named) {
    const known = Number(named[1]);
    const isKnown = tokenizer !== undefined && known < tokenizer.vocabSize;
    return { token: known, logprob, text: isKnown ? tokenizer.decode([known], { special: 'keep' }) : token };
  }
  if (Number.isSafeInteger(id)) return { token: id as number, logprob, text: token };
  return { token: tokenizer ? idOf(token, bytes, tokenizer) : -1, logprob, text: token };
}

/** The id of the token with exactly these bytes; -1 when there is none, or when bytes are missing that decide. */
function idOf(text: string, bytes: unknown, tokenizer: Tokenizer): number {
  if (!Array.isArray(bytes)) return text.includes('\ufffd') ? -1 : (tokenizer.idOf(text) ?? -1);
  const wanted = Uint8Array.from(bytes as number[]);
  const whole = new TextDecoder('utf-8', { ignoreBOM: true }).decode(wanted);
  const id = tokenizer.idOf(whole);
  if (id !== undefined && isSame(tokenizer.tokenBytes(id), wanted)) return id;
  for (let other = 0; other < tokenizer.vocabSize; other++) {
    if (isSame(tokenizer.tokenBytes(other), wanted)) return other;
  }
  return -1;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
