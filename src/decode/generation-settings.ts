/**
 * Prompts and options, checked before anything runs: what a caller wrote becomes token ids and settings, or an
 * error that names the field.
 */
import { ConfigError, DataError, LimitError } from '../core/errors.ts';
import { chainOf, SAMPLING_SETTINGS, type SamplerChain, type SamplingSettings } from '../sampling/index.ts';
import { type ChatFormat, encodeChat, type Tokenizer } from '../tokenizer/index.ts';
import type { ChatPrompt, GenerateOptions, Prompt } from './language-model.ts';

export const DEFAULT_MAX_TOKENS = 256;
const MAX_LOGPROBS = 1000;

/** What one answer is generated with. */
export interface GenerationSettings {
  readonly prompt: Int32Array;
  readonly maxTokens: number;
  readonly chain: SamplerChain;
  readonly seed: number;
  readonly choice: number;
  readonly stopTokens: ReadonlySet<number>;
  readonly stop: readonly string[];
  readonly logprobs: number | undefined;
  readonly logprobsMode: 'raw' | 'processed';
  readonly promptLogprobs: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly tokenizer: Tokenizer | undefined;
}

/** What of a model decides what prompts and options mean. */
export interface ModelFacts {
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly tokenizer: Tokenizer | undefined;
  readonly chatFormat: ChatFormat | undefined;
  readonly stopTokens: readonly number[];
}

const OPTION_NAMES: ReadonlySet<string> = new Set<keyof GenerateOptions>([
  'maxTokens',
  ...SAMPLING_SETTINGS,
  'dialect',
  'chain',
  'seed',
  'choice',
  'stop',
  'stopTokens',
  'ignoreStopTokens',
  'logprobs',
  'logprobsMode',
  'promptLogprobs',
  'search',
  'signal',
]);

/** Token ids of a prompt, all in [0, vocabSize), at least one. */
export function promptTokens(prompt: Prompt, model: ModelFacts): Int32Array {
  const ids = tokenIds(prompt, model);
  if (ids.length === 0) {
    throw new DataError('The prompt is empty; a model continues at least one token.');
  }
  if (ids.length >= model.contextLength) {
    throw new LimitError(
      `The prompt has ${ids.length} tokens; the model's context is ${model.contextLength}, of which at least one ` +
        'must be left for the answer. Shorten the prompt.',
    );
  }
  const checked = new Int32Array(ids.length);
  for (let i = 0; i < ids.length; i++) {
    checked[i] = checkId(ids[i], model.vocabSize, `The prompt's token ${i}`);
  }
  return checked;
}

function tokenIds(prompt: Prompt, { tokenizer, chatFormat }: ModelFacts): ArrayLike<number> {
  if (typeof prompt === 'string') {
    if (!tokenizer) throw noTokenizer('a text');
    return tokenizer.encode(prompt);
  }
  if (Array.isArray(prompt) || prompt instanceof Int32Array) return prompt;
  const { messages, tools } = (prompt ?? {}) as Partial<ChatPrompt>;
  if (!Array.isArray(messages) || messages.length === 0) {
    throw new DataError(
      'A prompt is a text, a list of token ids, or { messages: [{ role, content }, ...] } with at least one message.',
    );
  }
  if (!tokenizer) throw noTokenizer('a chat');
  if (!chatFormat) {
    throw new ConfigError(
      'This model has no chat format. Give its tokenizer_config.json a chat_template, or prompt it with a text.',
    );
  }
  return encodeChat(tokenizer, chatFormat, messages, { tools, addGenerationPrompt: true }).ids;
}

function noTokenizer(what: string): ConfigError {
  return new ConfigError(
    `This model has no tokenizer, so it cannot read ${what}. Give a list of token ids, or put tokenizer.json into ` +
      'its folder.',
  );
}

function checkId(id: unknown, vocabSize: number, what: string): number {
  if (Number.isInteger(id) && (id as number) >= 0 && (id as number) < vocabSize) return id as number;
  throw new DataError(`${what} is ${String(id)}; expected a whole number from 0 to ${vocabSize - 1}.`);
}

/** Settings of one answer. `seed` stands in where the options give none. */
export function generationSettings(
  prompt: Int32Array,
  options: GenerateOptions,
  model: ModelFacts,
  seed: number,
): GenerationSettings {
  const unknown = Object.keys(options).find((name) => !OPTION_NAMES.has(name));
  if (unknown !== undefined) {
    throw new ConfigError(`Unknown option "${unknown}"; expected ${[...OPTION_NAMES].join(', ')}.`);
  }
  const { tokenizer } = model;
  const {
    maxTokens = DEFAULT_MAX_TOKENS,
    stop = [],
    stopTokens = [],
    choice = 0,
    logprobs,
    promptLogprobs,
  } = options;
  const { logprobsMode = 'raw' } = options;
  if (!(Number.isSafeInteger(maxTokens) && maxTokens >= 1)) {
    throw new ConfigError(`maxTokens is ${maxTokens}; expected a whole number of at least 1.`);
  }
  if (!Array.isArray(stop)) throw new ConfigError('stop is not a list; expected texts, such as ["\\n"].');
  if (!Array.isArray(stopTokens)) throw new ConfigError('stopTokens is not a list; expected token ids.');
  if (stop.length > 0 && !tokenizer) throw noTokenizer('stop strings');
  for (const name of ['logprobs', 'promptLogprobs'] as const) {
    const count = options[name];
    if (count === undefined || (Number.isInteger(count) && count >= 0 && count <= MAX_LOGPROBS)) continue;
    throw new ConfigError(`${name} is ${count}; expected a whole number from 0 to ${MAX_LOGPROBS}.`);
  }
  if (!['raw', 'processed'].includes(logprobsMode)) {
    throw new ConfigError(`logprobsMode is ${JSON.stringify(logprobsMode)}; expected "raw" or "processed".`);
  }
  const ends = new Set(options.ignoreStopTokens ? [] : model.stopTokens);
  for (const id of stopTokens) ends.add(checkId(id, model.vocabSize, 'A stop token'));
  return {
    prompt,
    maxTokens: Math.min(maxTokens, model.contextLength - prompt.length),
    chain: chainFor(options, ends),
    seed: options.seed ?? seed,
    choice,
    stopTokens: ends,
    stop,
    logprobs,
    logprobsMode,
    promptLogprobs,
    signal: options.signal,
    tokenizer,
  };
}

function chainFor(options: GenerateOptions, stopTokens: ReadonlySet<number>) {
  const { chain, dialect } = options;
  const settings: Record<string, unknown> = {};
  for (const name of SAMPLING_SETTINGS) if (options[name] !== undefined) settings[name] = options[name];
  if (!chain) return chainOf(settings as SamplingSettings, dialect, { stopTokens });
  const beside = dialect === undefined ? Object.keys(settings)[0] : 'dialect';
  if (beside !== undefined) {
    throw new ConfigError(
      `Both chain and ${beside} are given; put the setting into the chain, or leave it out.`,
    );
  }
  if (!Array.isArray(chain)) throw new ConfigError('chain is not a list of stages.');
  return chain;
}
