/**
 * An answer being given: tokens that are chosen for good become text and pieces of it, until a stop token, a stop
 * string, the length or the caller ends it. It knows nothing of scores.
 */
import { TextStream } from '../tokenizer/index.ts';
import type { GenerationSettings } from './generation-settings.ts';
import type { Completion, CompletionChunk, FinishReason, PositionLogprobs } from './language-model.ts';
import { StopStrings } from './stop-strings.ts';

/** What a caller holds to give up several answers at once. */
export interface AnswerGroup {
  isAbandoned: boolean;
}

export class Answer {
  readonly completion: Promise<Completion>;
  readonly #settings: GenerationSettings;
  readonly #group: AnswerGroup;
  readonly #stop: StopStrings;
  readonly #stream: TextStream | undefined;
  readonly #tokens: number[] = [];
  readonly #logprobs: PositionLogprobs[] = [];
  readonly #onChunk: ((chunk: CompletionChunk) => void) | undefined;
  #text = '';
  /** What the chunks so far held. */
  #textGiven = 0;
  #tokensGiven = 0;
  #resolve!: (completion: Completion) => void;
  #reject!: (error: unknown) => void;

  constructor(
    settings: GenerationSettings,
    group: AnswerGroup,
    onChunk: ((chunk: CompletionChunk) => void) | undefined,
  ) {
    this.#settings = settings;
    this.#group = group;
    this.#stop = new StopStrings(settings.stop);
    this.#stream = settings.tokenizer && new TextStream(settings.tokenizer);
    this.#onChunk = onChunk;
    this.completion = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get isCancelled(): boolean {
    return this.#group.isAbandoned || this.#settings.signal?.aborted === true;
  }

  get numTokens(): number {
    return this.#tokens.length;
  }

  /** The text has a stop string in it: the answer ends with this token. */
  get isStopped(): boolean {
    return this.#stop.isFound;
  }

  add(token: number, logprobs: PositionLogprobs | undefined): void {
    this.#tokens.push(token);
    if (logprobs) this.#logprobs.push(logprobs);
    if (this.#stream) this.#text += this.#stop.push(this.#stream.push(token));
  }

  /** Gives out the text that is certain, with its tokens. */
  give(): void {
    if (this.#stream && this.#textGiven === this.#text.length) return;
    this.#emit();
  }

  finish(finishReason: FinishReason, stopToken?: number, promptLogprobs?: PositionLogprobs[]): void {
    let reason = finishReason;
    if (!this.#stop.isFound && this.#stream) {
      this.#text += this.#stop.push(this.#stream.flush());
      // The replacement of an incomplete character may complete a stop string.
      if (this.#stop.isFound && reason === 'length') reason = 'stop';
      this.#text += this.#stop.flush();
    }
    this.#emit();
    const { prompt, seed, logprobs } = this.#settings;
    this.#resolve({
      text: this.#text,
      tokens: this.#tokens,
      ...(stopToken !== undefined && { stopToken }),
      finishReason: reason,
      usage: {
        promptTokens: prompt.length,
        completionTokens: this.#tokens.length + (stopToken === undefined ? 0 : 1),
      },
      seed,
      ...(logprobs !== undefined && { logprobs: this.#logprobs }),
      ...(promptLogprobs && { promptLogprobs }),
    });
  }

  fail(error: unknown): void {
    this.#reject(error);
  }

  #emit(): void {
    if (!this.#onChunk) return;
    const text = this.#text.slice(this.#textGiven);
    const tokens = this.#tokens.slice(this.#tokensGiven);
    if (text === '' && tokens.length === 0) return;
    this.#textGiven = this.#text.length;
    this.#tokensGiven = this.#tokens.length;
    this.#onChunk({ text, tokens });
  }
}
