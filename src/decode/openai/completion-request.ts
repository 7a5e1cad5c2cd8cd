/**
 * A prompt and options as the body of a request, or an error that names what the endpoint cannot honour. Nothing
 * is sent before all of it is checked.
 */
import { ConfigError, DataError, LimitError } from '../../core/errors.ts';
import { KeyedRandom } from '../../core/random.ts';
import { KeyedDraws, SAMPLING_SETTINGS, type SamplingSettings } from '../../sampling/index.ts';
import { checkedMessages } from '../../tokenizer/chat-format.ts';
import { checkTools } from '../../tokenizer/chat-tools.ts';
import { wireMessage, withCallIds } from '../../tokenizer/chat-wire.ts';
import type { Tokenizer } from '../../tokenizer/index.ts';
import { DEFAULT_MAX_TOKENS } from '../generation-settings.ts';
import type { ChatPrompt, GenerateOptions, Prompt } from '../language-model.ts';
import { StopStrings } from '../stop-strings.ts';
import { dialectRules, type EndpointDialect, writeSampling } from './endpoint-dialects.ts';

/** What of an endpoint decides what prompts and options become. */
export interface EndpointFacts {
  readonly model: string;
  readonly dialect: EndpointDialect;
  readonly tokenizer: Tokenizer | undefined;
  /** Infinity when it is not known. */
  readonly contextLength: number;
  /** Prompts of token ids are taken; with dialect vllm the answer's ids come back. */
  readonly tokenIds: boolean;
  readonly maxTokensField: string;
}

export interface CompletionRequest {
  readonly path: '/chat/completions' | '/completions';
  readonly body: Record<string, unknown>;
  readonly stop: readonly string[];
  readonly seed: number;
  readonly logprobs: number | undefined;
  readonly signal: AbortSignal | undefined;
  /** Tokens of the prompt, where they can be counted here. */
  readonly promptTokens: number | undefined;
}

const OPTIONS: Readonly<Record<Exclude<keyof GenerateOptions, keyof SamplingSettings>, true>> = {
  maxTokens: true,
  dialect: true,
  chain: true,
  seed: true,
  choice: true,
  stop: true,
  stopTokens: true,
  ignoreStopTokens: true,
  logprobs: true,
  logprobsMode: true,
  promptLogprobs: true,
  search: true,
  signal: true,
};

/**
 * The request for one completion; `seed` stands in where the options give none. Throws ConfigError for options
 * that are unknown, out of range or not honoured, DataError for a prompt that is none, LimitError for one that is
 * too long, if that can be told.
 */
export function completionRequest(
  prompt: Prompt,
  options: GenerateOptions,
  facts: EndpointFacts,
  seed: number,
): CompletionRequest {
  const known: readonly string[] = [...Object.keys(OPTIONS), ...SAMPLING_SETTINGS];
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new ConfigError(`Unknown option "${unknown}"; expected ${known.join(', ')}.`);
  }
  const { dialect, model } = facts;
  const rules = dialectRules(dialect);
  refuseForeign(options, dialect);
  const { maxTokens = DEFAULT_MAX_TOKENS, stop = [], stopTokens = [], logprobs, choice = 0 } = options;
  if (!(Number.isSafeInteger(maxTokens) && maxTokens >= 1)) {
    throw new ConfigError(`maxTokens is ${maxTokens}; expected a whole number of at least 1.`);
  }
  if (!Array.isArray(stop)) throw new ConfigError('stop is not a list; expected texts, such as ["\\n"].');
  new StopStrings(stop);
  const used = options.seed ?? seed;
  const part = promptPart(prompt, facts);
  const isChat = part.path === '/chat/completions';
  const body: Record<string, unknown> = { model, ...part.body, stream: true };
  body.stream_options = { include_usage: true, ...(dialect === 'vllm' && { continuous_usage_stats: true }) };
  body[isChat ? facts.maxTokensField : 'max_tokens'] = maxTokens;
  writeSampling(samplingOf(options), dialect, body);
  body.seed = requestSeed(used, choice, rules.maxSeed);
  if (stop.length > 0) body.stop = stop.slice(0, rules.maxStopStrings);
  if (stopTokens.length > 0) body.stop_token_ids = stopTokens;
  if (options.ignoreStopTokens) body.ignore_eos = true;
  if (dialect === 'vllm' && facts.tokenIds) body.return_token_ids = true;
  if (logprobs !== undefined) writeLogprobs(logprobs, isChat, facts, body);
  return {
    path: part.path,
    body,
    stop,
    seed: used,
    logprobs,
    signal: options.signal,
    promptTokens: part.promptTokens,
  };
}

function refuseForeign(options: GenerateOptions, dialect: EndpointDialect): void {
  const { order, takesStopTokens, takesIgnoreEos } = dialectRules(dialect);
  const refuse = (name: string, why: string) => {
    throw new ConfigError(
      `${name} is not honoured by an endpoint of dialect "${dialect}": ${why}. Leave it out.`,
    );
  };
  const { stopTokens = [], logprobsMode = 'raw', dialect: asked } = options;
  if (options.chain !== undefined) refuse('chain', 'the endpoint chooses tokens itself');
  if (options.search !== undefined) refuse('search', 'it needs scores that no endpoint gives');
  if (options.promptLogprobs !== undefined) refuse('promptLogprobs', 'endpoints score answers only');
  if (logprobsMode !== 'raw') refuse(`logprobsMode "${logprobsMode}"`, "endpoints give the model's own");
  if (!Array.isArray(stopTokens)) throw new ConfigError('stopTokens is not a list; expected token ids.');
  if (stopTokens.length > 0 && !takesStopTokens) refuse('stopTokens', 'it has no field for them');
  if (options.ignoreStopTokens && !takesIgnoreEos) refuse('ignoreStopTokens', 'it has no field for it');
  if (asked !== undefined && asked !== order) {
    refuse(`dialect "${asked}"`, `the order of settings is ${order ? `"${order}"` : 'not known'} there`);
  }
}

function samplingOf(options: GenerateOptions): SamplingSettings {
  const settings: Record<string, unknown> = {};
  for (const name of SAMPLING_SETTINGS) if (options[name] !== undefined) settings[name] = options[name];
  return settings;
}

/** A seed of its own for each choice. Throws ConfigError for seeds and choices out of range. */
function requestSeed(seed: number, choice: number, most: number): number {
  new KeyedDraws(seed, choice);
  if (seed > most) throw new ConfigError(`seed is ${seed}; the endpoint takes whole numbers up to ${most}.`);
  return choice === 0 ? seed : new KeyedRandom(seed).fork(`choice ${choice}`).integer(0, 2 ** 31);
}

function promptPart(
  prompt: Prompt,
  facts: EndpointFacts,
): { path: CompletionRequest['path']; body: object; promptTokens: number | undefined } {
  const { tokenizer } = facts;
  if (typeof prompt === 'string') {
    if (prompt === '') throw emptyPrompt();
    const promptTokens = tokenizer?.encode(prompt).length;
    checkLength(promptTokens, facts);
    return { path: '/completions', body: { prompt }, promptTokens };
  }
  if (Array.isArray(prompt) || prompt instanceof Int32Array) {
    const ids = Array.from(prompt as ArrayLike<unknown>);
    if (ids.length === 0) throw emptyPrompt();
    if (!facts.tokenIds) {
      throw new ConfigError(
        'This endpoint is not known to take prompts of token ids. Give a text, or say tokenIds: true if it does.',
      );
    }
    const strange = ids.findIndex((id) => !(Number.isSafeInteger(id) && (id as number) >= 0));
    if (strange >= 0) {
      throw new DataError(`The prompt's token ${strange} is ${String(ids[strange])}; expected a token id.`);
    }
    checkLength(ids.length, facts);
    return { path: '/completions', body: { prompt: ids }, promptTokens: ids.length };
  }
  const { messages, tools = [] } = (prompt ?? {}) as Partial<ChatPrompt>;
  if (!Array.isArray(messages) || messages.length === 0) {
    throw new DataError(
      'A prompt is a text, a list of token ids, or { messages: [{ role, content }, ...] } with at least one message.',
    );
  }
  checkTools(tools);
  const written = withCallIds(checkedMessages(messages)).map((message) => wireMessage(message, true));
  const body = { messages: written, ...(tools.length > 0 && { tools }) };
  return { path: '/chat/completions', body, promptTokens: undefined };
}

function emptyPrompt(): DataError {
  return new DataError('The prompt is empty; a model continues at least one token.');
}

function checkLength(length: number | undefined, { contextLength }: EndpointFacts): void {
  if (length === undefined || length < contextLength) return;
  throw new LimitError(
    `The prompt has ${length} tokens; the model's context is ${contextLength}, of which at least one must be ` +
      'left for the answer. Shorten the prompt.',
  );
}

function writeLogprobs(
  count: number,
  isChat: boolean,
  { dialect, tokenIds }: EndpointFacts,
  body: Record<string, unknown>,
): void {
  const most = dialectRules(dialect).maxLogprobs[isChat ? 'chat' : 'text'];
  if (!(Number.isInteger(count) && count >= 0 && count <= most)) {
    throw new ConfigError(
      `logprobs is ${count}; the endpoint takes whole numbers from 0 to ${most} for ${isChat ? 'chats' : 'texts'}.`,
    );
  }
  if (isChat) Object.assign(body, { logprobs: true, top_logprobs: count });
  else body.logprobs = count;
  if (dialect === 'vllm' && tokenIds) body.return_tokens_as_token_ids = true;
}
