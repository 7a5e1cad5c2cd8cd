/**
 * What answers by draws and by search share: the prompt and its history, the scores that mean something, the prompt's
 * log-probabilities, and the answer that is given in the end.
 */
import { KeyedDraws, logprobs, Sampler, type SamplingPlace } from '../sampling/index.ts';
import { Answer, type AnswerGroup } from './answer.ts';
import type { GenerationSettings } from './generation-settings.ts';
import type { Completion, CompletionChunk, FinishReason, PositionLogprobs } from './language-model.ts';

export abstract class ScoredAnswer<Settings extends GenerationSettings = GenerationSettings> {
  readonly prompt: Int32Array;
  readonly maxTokens: number;
  protected readonly settings: Settings;
  protected readonly answer: Answer;
  protected readonly sampler: Sampler;
  /** The prompt, and room for the tokens after it. */
  protected readonly history: Int32Array;
  readonly #draws: KeyedDraws;
  /** Ids that mean something: a vocabulary may be padded beyond the tokenizer's. */
  readonly #numIds: number;
  readonly #promptLogprobs: PositionLogprobs[] = [];

  /** Throws ConfigError for a seed, stop strings or stages out of range. */
  constructor(
    settings: Settings,
    group: AnswerGroup = { isAbandoned: false },
    onChunk?: (chunk: CompletionChunk) => void,
  ) {
    const { prompt, maxTokens, chain, seed, choice, tokenizer } = settings;
    this.settings = settings;
    this.prompt = prompt;
    this.maxTokens = maxTokens;
    this.sampler = new Sampler(chain);
    this.#draws = new KeyedDraws(seed, choice);
    this.#numIds = tokenizer?.vocabSize ?? Number.POSITIVE_INFINITY;
    this.history = new Int32Array(prompt.length + maxTokens);
    this.history.set(prompt);
    this.answer = new Answer(settings, group, onChunk);
  }

  get completion(): Promise<Completion> {
    return this.answer.completion;
  }

  get isCancelled(): boolean {
    return this.answer.isCancelled;
  }

  get readsPrompt(): boolean {
    return this.settings.promptLogprobs !== undefined;
  }

  fail(error: unknown): void {
    this.answer.fail(error);
  }

  /** Keeps the log-probabilities of the prompt's next token, if they are asked for. */
  protected readScores(logits: Float32Array): void {
    const { promptLogprobs: count } = this.settings;
    if (count === undefined) return;
    const token = this.prompt[this.#promptLogprobs.length + 1]!;
    this.#promptLogprobs.push(logprobs(this.usable(logits), token, count));
  }

  /** Where the token after `count` others is drawn; the history holds those. */
  protected placeAfter(count: number): SamplingPlace & { readonly history: Int32Array } {
    const { length } = this.prompt;
    return {
      draws: this.#draws.at(count),
      history: this.history.subarray(0, length + count),
      promptLength: length,
    };
  }

  protected usable(logits: Float32Array): Float32Array {
    return logits.length > this.#numIds ? logits.subarray(0, this.#numIds) : logits;
  }

  protected finish(reason: FinishReason, stopToken?: number): void {
    // Not `readsPrompt`: a search may read the prompt for its states.
    const isAsked = this.settings.promptLogprobs !== undefined;
    this.answer.finish(reason, stopToken, isAsked ? this.#promptLogprobs : undefined);
  }
}
