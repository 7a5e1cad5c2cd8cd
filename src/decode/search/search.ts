/**
 * What all searches share: the scores of a row under the stages of the settings, the log-probabilities that were
 * asked for, and the answer that is given in the end.
 */
import {
  Candidates,
  KeyedDraws,
  type LogprobsMode,
  logprobs,
  Sampler,
  type SamplingPlace,
} from '../../sampling/index.ts';
import type { AnswerGroup } from '../answer.ts';
import { Answer } from '../answer.ts';
import type { Completion, CompletionChunk, PositionLogprobs } from '../language-model.ts';
import type { Branch, BranchingSequence, BranchRow } from '../sequence.ts';
import type { SearchSettings } from './search-settings.ts';

/** A token that may come next, with its log-probability (nats) under what the stages left. */
export interface ScoredToken {
  readonly token: number;
  readonly logprob: number;
}

/** Searches score one row after another, so one set of buffers serves them all. */
const shared = new Candidates();

export abstract class Search<Settings extends SearchSettings = SearchSettings> implements BranchingSequence {
  readonly prompt: Int32Array;
  readonly maxTokens: number;
  abstract readonly width: number;
  protected readonly settings: Settings;
  protected readonly answer: Answer;
  readonly #sampler: Sampler;
  readonly #draws: KeyedDraws;
  /** Ids that mean something: a vocabulary may be padded beyond the tokenizer's. */
  readonly #numIds: number;
  /** The prompt, and room for the tokens of the row that is being scored. */
  readonly #history: Int32Array;
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
    this.#sampler = new Sampler(chain);
    this.#draws = new KeyedDraws(seed, choice);
    this.#numIds = tokenizer?.vocabSize ?? Number.POSITIVE_INFINITY;
    this.#history = new Int32Array(prompt.length + maxTokens);
    this.#history.set(prompt);
    this.answer = new Answer(settings, group, onChunk);
  }

  get completion(): Promise<Completion> {
    return this.answer.completion;
  }

  get isCancelled(): boolean {
    return this.answer.isCancelled;
  }

  fail(error: unknown): void {
    this.answer.fail(error);
  }

  get readsPrompt(): boolean {
    return this.settings.promptLogprobs !== undefined;
  }

  readPlace({ logits }: BranchRow): void {
    const count = this.settings.promptLogprobs;
    if (count === undefined) return;
    const token = this.prompt[this.#promptLogprobs.length + 1]!;
    this.#promptLogprobs.push(logprobs(this.#usable(logits), token, count));
  }

  abstract advance(rows: readonly BranchRow[]): readonly Branch[] | undefined;
  abstract cancel(): void;

  /** The `count` best tokens to come after `tokens`, best first, lower ids first among equals. */
  protected best(logits: Float32Array, tokens: readonly number[], count: number): ScoredToken[] {
    this.#sampler.run(shared, this.#usable(logits), this.#place(tokens));
    const places = shared.bestPlaces(count);
    const { ids, scores, maximum } = shared;
    const logTotal = Math.log(shared.totalWeight());
    return places.map((i) => ({ token: ids[i]!, logprob: scores[i]! - maximum - logTotal }));
  }

  /** The log-probabilities that the settings ask for, of a token that comes after `tokens`. */
  protected logprobsOf(
    logits: Float32Array,
    tokens: readonly number[],
    token: number,
  ): PositionLogprobs | undefined {
    const { logprobs: count, logprobsMode } = this.settings;
    if (count === undefined) return undefined;
    const mode: LogprobsMode =
      logprobsMode === 'raw'
        ? { mode: 'raw' }
        : { mode: 'processed', sampler: this.#sampler, ...this.#place(tokens) };
    return logprobs(this.#usable(logits), token, count, mode);
  }

  protected finish(reason: Completion['finishReason'], stopToken?: number): void {
    const asked = this.settings.promptLogprobs !== undefined;
    this.answer.finish(reason, stopToken, asked ? this.#promptLogprobs : undefined);
  }

  #place(tokens: readonly number[]): SamplingPlace {
    const { length } = this.prompt;
    this.#history.set(tokens, length);
    return {
      draws: this.#draws.at(tokens.length),
      history: this.#history.subarray(0, length + tokens.length),
      promptLength: length,
    };
  }

  #usable(logits: Float32Array): Float32Array {
    return logits.length > this.#numIds ? logits.subarray(0, this.#numIds) : logits;
  }
}
