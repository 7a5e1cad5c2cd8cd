/**
 * One answer being generated: chooses tokens from scores and turns them into text, until a stop token, a stop
 * string, the length or the caller ends it.
 */
import {
  type Candidates,
  KeyedDraws,
  type Logprobs,
  logprobs,
  logprobsOf,
  Sampler,
  type SamplerChain,
} from '../sampling/index.ts';
import { TextStream, type Tokenizer } from '../tokenizer/index.ts';
import type { Completion, CompletionChunk, FinishReason, PositionLogprobs } from './language-model.ts';
import type { Sequence } from './sequence.ts';
import { StopStrings } from './stop-strings.ts';

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

/** What a caller holds to give up several answers at once. */
export interface AnswerGroup {
  isAbandoned: boolean;
}

export class Generation implements Sequence {
  readonly prompt: Int32Array;
  readonly maxTokens: number;
  readonly completion: Promise<Completion>;
  readonly #settings: GenerationSettings;
  readonly #group: AnswerGroup;
  readonly #sampler: Sampler;
  readonly #draws: KeyedDraws;
  readonly #stop: StopStrings;
  readonly #text: TextStream | undefined;
  /** Ids that mean something: a vocabulary may be padded beyond the tokenizer's. */
  readonly #numIds: number;
  /** Prompt and tokens so far. */
  readonly #history: Int32Array;
  readonly #logprobs: PositionLogprobs[] = [];
  readonly #promptLogprobs: PositionLogprobs[] = [];
  #numTokens = 0;
  #textSoFar = '';
  #numInChunks = 0;
  #onChunk: ((chunk: CompletionChunk) => void) | undefined;
  #resolve!: (completion: Completion) => void;
  #reject!: (error: unknown) => void;

  constructor(
    settings: GenerationSettings,
    group: AnswerGroup = { isAbandoned: false },
    onChunk?: (chunk: CompletionChunk) => void,
  ) {
    const { prompt, maxTokens, tokenizer } = settings;
    this.#settings = settings;
    this.#group = group;
    this.prompt = prompt;
    this.maxTokens = maxTokens;
    this.#sampler = new Sampler(settings.chain);
    this.#draws = new KeyedDraws(settings.seed, settings.choice);
    this.#stop = new StopStrings(settings.stop);
    this.#text = tokenizer && new TextStream(tokenizer);
    this.#numIds = tokenizer?.vocabSize ?? Number.POSITIVE_INFINITY;
    this.#history = new Int32Array(prompt.length + maxTokens);
    this.#history.set(prompt);
    this.#onChunk = onChunk;
    this.completion = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get isCancelled(): boolean {
    return this.#group.isAbandoned || this.#settings.signal?.aborted === true;
  }

  next(logits: Float32Array): number | undefined {
    const usable = this.#usable(logits);
    const length = this.prompt.length + this.#numTokens;
    const history = this.#history.subarray(0, length);
    const { logprobs: count, logprobsMode } = this.#settings;
    let scored: Logprobs | undefined;
    const observe =
      count === undefined || logprobsMode === 'raw'
        ? undefined
        : (left: Candidates, drawn: number) => {
            scored = logprobsOf(left, drawn, count);
          };
    const draws = this.#draws.at(this.#numTokens);
    const token = this.#sampler.sample(usable, draws, history, this.prompt.length, observe);
    if (this.#settings.stopTokens.has(token)) {
      this.#finish('stop', token);
      return undefined;
    }
    if (count !== undefined) this.#logprobs.push(scored ?? logprobs(usable, token, count));
    this.#history[length] = token;
    this.#numTokens++;
    if (this.#text) this.#give(this.#stop.push(this.#text.push(token)));
    else if (this.#onChunk) this.#emit('');
    if (this.#stop.isFound) this.#finish('stop');
    else if (this.#numTokens >= this.maxTokens) this.#finish('length');
    else return token;
    return undefined;
  }

  get readsPrompt(): boolean {
    return this.#settings.promptLogprobs !== undefined;
  }

  readPlace(logits: Float32Array): void {
    const token = this.prompt[this.#promptLogprobs.length + 1]!;
    this.#promptLogprobs.push(logprobs(this.#usable(logits), token, this.#settings.promptLogprobs ?? 0));
  }

  /** Guesses with the draws and settings that the real choice will have. */
  propose(logits: Float32Array, proposed: readonly number[]): number {
    const length = this.prompt.length + this.#numTokens;
    // Room beyond the tokens so far is overwritten when they are really chosen.
    this.#history.set(proposed, length);
    const history = this.#history.subarray(0, length + proposed.length);
    const draws = this.#draws.at(this.#numTokens + proposed.length);
    return this.#sampler.peek(this.#usable(logits), { draws, history, promptLength: this.prompt.length });
  }

  #usable(logits: Float32Array): Float32Array {
    return logits.length > this.#numIds ? logits.subarray(0, this.#numIds) : logits;
  }

  cancel(): void {
    this.#finish('cancelled');
  }

  fail(error: unknown): void {
    this.#onChunk = undefined;
    this.#reject(error);
  }

  #give(text: string): void {
    if (text === '') return;
    this.#textSoFar += text;
    this.#emit(text);
  }

  #emit(text: string): void {
    if (!this.#onChunk) return;
    const first = this.prompt.length + this.#numInChunks;
    const tokens = Array.from(this.#history.subarray(first, this.prompt.length + this.#numTokens));
    this.#numInChunks = this.#numTokens;
    this.#onChunk({ text, tokens });
  }

  #finish(finishReason: FinishReason, stopToken?: number): void {
    let reason = finishReason;
    if (!this.#stop.isFound && this.#text) {
      this.#give(this.#stop.push(this.#text.flush()));
      // The replacement of an incomplete character may complete a stop string.
      if (this.#stop.isFound && reason === 'length') reason = 'stop';
      this.#give(this.#stop.flush());
    }
    if (this.#numInChunks < this.#numTokens) this.#emit('');
    const { prompt } = this;
    this.#resolve({
      text: this.#textSoFar,
      tokens: Array.from(this.#history.subarray(prompt.length, prompt.length + this.#numTokens)),
      ...(stopToken !== undefined && { stopToken }),
      finishReason: reason,
      usage: {
        promptTokens: prompt.length,
        completionTokens: this.#numTokens + (stopToken === undefined ? 0 : 1),
      },
      seed: this.#settings.seed,
      ...(this.#settings.logprobs !== undefined && { logprobs: this.#logprobs }),
      ...(this.#settings.promptLogprobs !== undefined && { promptLogprobs: this.#promptLogprobs }),
    });
  }
}
