/**
 * A `LanguageModel` behind any endpoint that speaks OpenAI's protocol: OpenAI itself, vLLM, llama.cpp's server,
 * Ollama and others. The endpoint chooses the tokens; what it cannot honour is refused by name before anything is
 * sent. Browser-safe: `fetch` only.
 */
import { ConfigError } from '../../core/errors.ts';
import type { Tokenizer } from '../../tokenizer/index.ts';
import { completionStream } from '../completion-stream.ts';
import type {
  Completion,
  CompletionChunk,
  CompletionStream,
  GenerateOptions,
  LanguageModel,
  LanguageModelCapabilities,
  Prompt,
} from '../language-model.ts';
import { disposedError, freshSeed, optionsOfEach } from '../language-model-calls.ts';
import { parseAnswerChunk, parseEvent } from './answer-chunk.ts';
import { type CompletionRequest, completionRequest, type EndpointFacts } from './completion-request.ts';
import { Endpoint, type EndpointOptions, type RequestWatch, readJson, wholeNumber } from './endpoint.ts';
import { dialectRules, ENDPOINT_DIALECTS, type EndpointDialect, settingsOf } from './endpoint-dialects.ts';
import { serverEvents } from './event-stream.ts';
import { RemoteAnswer } from './remote-answer.ts';

export interface OpenAiModelOptions extends EndpointOptions {
  /** The model's name at the endpoint. */
  readonly model: string;
  /** Whose request fields the endpoint takes, besides OpenAI's own. Default `openai`. */
  readonly dialect?: EndpointDialect;
  /** The model's tokenizer: counts prompts, and gives log-probabilities their token ids. */
  readonly tokenizer?: Tokenizer;
  /** Tokens of prompt and answer. Default: not known, and the endpoint refuses what is too long. */
  readonly contextLength?: number;
  /**
   * The endpoint takes prompts of token ids; with dialect `vllm` it also gives the ids of the answer. Default
   * false.
   */
  readonly tokenIds?: boolean;
  /** The field for `maxTokens` in chats. Default: `max_completion_tokens` at api.openai.com, else `max_tokens`. */
  readonly maxTokensField?: 'max_tokens' | 'max_completion_tokens';
  /** Requests at a time. Default 8. */
  readonly maxConcurrency?: number;
}

class OpenAiLanguageModel implements LanguageModel {
  readonly contextLength: number;
  readonly tokenizer: Tokenizer | undefined;
  readonly chatFormat = undefined;
  readonly capabilities: LanguageModelCapabilities;
  readonly #facts: EndpointFacts;
  readonly #endpoint: Endpoint;
  readonly #maxConcurrency: number;
  readonly #disposal = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  readonly #waiting: (() => void)[] = [];
  #numBusy = 0;

  constructor(facts: EndpointFacts, endpoint: Endpoint, maxConcurrency: number) {
    this.contextLength = facts.contextLength;
    this.tokenizer = facts.tokenizer;
    this.#facts = facts;
    this.#endpoint = endpoint;
    this.#maxConcurrency = maxConcurrency;
    this.capabilities = {
      tokens: facts.tokenIds && facts.dialect === 'vllm',
      chat: true,
      logprobs: true,
      batching: true,
      constrained: false,
      seeded: dialectRules(facts.dialect).isSeeded,
      fullLogits: false,
      promptLogprobs: false,
      sampling: settingsOf(facts.dialect),
    };
  }

  async generate(prompt: Prompt, options: GenerateOptions = {}): Promise<Completion> {
    return this.#run(this.#request(prompt, options, freshSeed()), []);
  }

  stream(prompt: Prompt, options: GenerateOptions = {}): CompletionStream {
    const left = new AbortController();
    return completionStream(
      async (push) => this.#run(this.#request(prompt, options, freshSeed()), [left.signal], push),
      () => left.abort(),
    );
  }

  async generateMany(
    prompts: readonly Prompt[],
    options: GenerateOptions | readonly GenerateOptions[] = {},
  ): Promise<Completion[]> {
    const each = optionsOfEach(prompts, options);
    const seed = freshSeed();
    const requests = prompts.map((prompt, i) => this.#request(prompt, each[i]!, seed));
    const group = new AbortController();
    try {
      return await Promise.all(requests.map((request) => this.#run(request, [group.signal])));
    } catch (error) {
      // Nobody will see the others.
      group.abort();
      throw error;
    }
  }

  async dispose(): Promise<void> {
    this.#disposal.abort();
    await Promise.allSettled(this.#running);
  }

  #request(prompt: Prompt, options: GenerateOptions, seed: number): CompletionRequest {
    // 31 bits: some endpoints take no more.
    return completionRequest(prompt, options, this.#facts, seed >>> 1);
  }

  /** Sends a request when its turn comes; `others` end it like its own signal. */
  #run(
    request: CompletionRequest,
    others: readonly AbortSignal[],
    push?: (chunk: CompletionChunk) => void,
  ): Promise<Completion> {
    const run = this.#answer(request, others, push);
    this.#running.add(run);
    const forget = () => this.#running.delete(run);
    run.then(forget, forget);
    return run;
  }

  async #answer(
    request: CompletionRequest,
    others: readonly AbortSignal[],
    push?: (chunk: CompletionChunk) => void,
  ): Promise<Completion> {
    const own = request.signal ? [request.signal, ...others] : others;
    const answer = new RemoteAnswer(request, push);
    const watch = this.#endpoint.watch([...own, this.#disposal.signal]);
    let hasTurn = false;
    try {
      hasTurn = await this.#takeTurn(watch.signal);
      if (this.#disposal.signal.aborted) throw disposedError();
      if (watch.hasEnded) return answer.cancelled();
      await this.#read(request, watch, answer);
      return answer.complete();
    } catch (error) {
      if (this.#disposal.signal.aborted) throw disposedError();
      if (own.some((signal) => signal.aborted)) return answer.cancelled();
      throw error;
    } finally {
      watch.stop();
      if (hasTurn) this.#passTurn();
    }
  }

  async #read(request: CompletionRequest, watch: RequestWatch, answer: RemoteAnswer): Promise<void> {
    const { path, body, logprobs } = request;
    const response = await this.#endpoint.send(path, body, watch);
    const { tokenizer } = this.#facts;
    const type = response.headers.get('content-type') ?? '';
    if (!type.includes('text/event-stream')) {
      // Some endpoints do not stream: the whole answer is one piece.
      answer.push(parseAnswerChunk(await readJson(response), logprobs, tokenizer));
      return;
    }
    try {
      for await (const event of serverEvents(response.body!)) {
        watch.restart();
        if (event.data === '[DONE]') return;
        answer.push(parseAnswerChunk(parseEvent(event), logprobs, tokenizer));
        if (answer.isStopped) return;
      }
    } catch (error) {
      throw watch.failure(error, `The answer of ${this.#endpoint.baseUrl}`);
    }
  }

  /** Whether the turn came before the signal fired. */
  async #takeTurn(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    if (this.#numBusy < this.#maxConcurrency) {
      this.#numBusy++;
      return true;
    }
    return new Promise((resolve) => {
      const start = () => {
        signal.removeEventListener('abort', giveUp);
        resolve(true);
      };
      const giveUp = () => {
        this.#waiting.splice(this.#waiting.indexOf(start), 1);
        resolve(false);
      };
      this.#waiting.push(start);
      signal.addEventListener('abort', giveUp, { once: true });
    });
  }

  /** To the next that waits, if one does. */
  #passTurn(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#numBusy--;
  }
}

const OPTION_NAMES: readonly (keyof OpenAiModelOptions)[] = [
  'baseUrl',
  'model',
  'apiKey',
  'headers',
  'maxRetries',
  'retryDelayMs',
  'timeoutMs',
  'dialect',
  'tokenizer',
  'contextLength',
  'tokenIds',
  'maxTokensField',
  'maxConcurrency',
];

/**
 * A model at an endpoint. Nothing is sent before the first prompt. Throws ConfigError for options that are
 * unknown or out of range.
 */
export function createOpenAiLanguageModel(options: OpenAiModelOptions): LanguageModel {
  const names: readonly string[] = OPTION_NAMES;
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new ConfigError(`Unknown option "${unknown}" of the openai backend; expected ${names.join(', ')}.`);
  }
  const { model, dialect = 'openai', tokenizer, contextLength, tokenIds = false } = options;
  if (typeof model !== 'string' || model === '') {
    throw new ConfigError("model is missing; expected the model's name at the endpoint.");
  }
  if (!ENDPOINT_DIALECTS.includes(dialect)) {
    throw new ConfigError(
      `dialect is ${JSON.stringify(dialect)}; expected one of ${ENDPOINT_DIALECTS.join(', ')}.`,
    );
  }
  if (contextLength !== undefined) wholeNumber('contextLength', contextLength, 2, 2 ** 31);
  const endpoint = new Endpoint(options);
  const isOpenAi = new URL(endpoint.baseUrl).hostname === 'api.openai.com';
  const facts: EndpointFacts = {
    model,
    dialect,
    tokenizer,
    contextLength: contextLength ?? Number.POSITIVE_INFINITY,
    tokenIds,
    maxTokensField: options.maxTokensField ?? (isOpenAi ? 'max_completion_tokens' : 'max_tokens'),
  };
  return new OpenAiLanguageModel(
    facts,
    endpoint,
    wholeNumber('maxConcurrency', options.maxConcurrency ?? 8, 1, 1024),
  );
}
