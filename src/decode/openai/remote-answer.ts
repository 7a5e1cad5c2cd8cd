/**
 * An endpoint's answer put together from its pieces: text is given on as soon as it is certain, whole characters
 * only, and ends before a stop string even where the endpoint overlooks it.
 */
import { FormatError, PlinthError } from '../../core/errors.ts';
import type { Completion, CompletionChunk, FinishReason } from '../language-model.ts';
import { StopStrings } from '../stop-strings.ts';
import type { AnswerChunk, RemotePositionLogprobs } from './answer-chunk.ts';
import type { CompletionRequest } from './completion-request.ts';

export class RemoteAnswer {
  readonly #request: CompletionRequest;
  readonly #stop: StopStrings;
  readonly #onChunk: ((chunk: CompletionChunk) => void) | undefined;
  readonly #tokens: number[] = [];
  readonly #logprobs: RemotePositionLogprobs[] = [];
  #numGiven = 0;
  #text = '';
  /** The first half of a character that the endpoint cut in two. */
  #half = '';
  #usage: AnswerChunk['usage'];
  #finishReason: string | undefined;
  #stopReason: string | number | undefined;

  constructor(request: CompletionRequest, onChunk?: (chunk: CompletionChunk) => void) {
    this.#request = request;
    this.#stop = new StopStrings(request.stop);
    this.#onChunk = onChunk;
  }

  /** The text is complete: what may still come is the usage. */
  get isFinished(): boolean {
    return this.#finishReason !== undefined;
  }

  /** A stop string was found here, which the endpoint did not notice. */
  get isStopped(): boolean {
    return this.#stop.isFound;
  }

  push(chunk: AnswerChunk): void {
    this.#usage = chunk.usage ?? this.#usage;
    this.#stopReason = chunk.stopReason ?? this.#stopReason;
    this.#finishReason = chunk.finishReason ?? this.#finishReason;
    this.#tokens.push(...chunk.tokens);
    this.#logprobs.push(...chunk.logprobs);
    this.#give(this.#stop.push(this.#wholeCharacters(chunk.text)));
  }

  /** Throws PlinthError `runtime` for an end that is none of ours, FormatError when there was no end. */
  complete(): Completion {
    if (this.isStopped) return this.#completion('stop');
    const reason = this.#finishReason;
    if (reason === 'stop' || reason === 'length') {
      this.#checkComplete();
      return this.#completion(reason);
    }
    if (reason === undefined) {
      throw new FormatError(
        `The endpoint's answer broke off without a finish reason, after ${this.#text.length} characters. Ask again.`,
      );
    }
    throw new PlinthError(
      'runtime',
      `The endpoint ended the answer with ${JSON.stringify(reason.slice(0, 100))}, after ${this.#text.length} ` +
        'characters; expected "stop" or "length".',
    );
  }

  /** Endpoints drop fields that they do not know: what was asked for and did not come is an error. */
  #checkComplete(): void {
    const { logprobs, body } = this.#request;
    if (this.#text === '' && this.#half === '') return;
    if (logprobs !== undefined && this.#logprobs.length === 0) {
      throw new FormatError('The endpoint gave no log-probabilities (logprobs). Ask without them.');
    }
    if (body.return_token_ids && this.#tokens.length === 0) {
      throw new FormatError('The endpoint gave no token ids. Open it without tokenIds, or use a newer vLLM.');
    }
  }

  cancelled(): Completion {
    return this.#completion('cancelled');
  }

  #wholeCharacters(piece: string): string {
    const text = this.#half + piece;
    const last = text.charCodeAt(text.length - 1);
    this.#half = last >= 0xd800 && last < 0xdc00 ? text.slice(-1) : '';
    return this.#half === '' ? text : text.slice(0, -1);
  }

  #give(text: string): void {
    if (text === '') return;
    this.#text += text;
    this.#emit(text);
  }

  #emit(text: string): void {
    if (!this.#onChunk) return;
    const tokens = this.#tokens.slice(this.#numGiven);
    this.#numGiven = this.#tokens.length;
    this.#onChunk({ text, tokens });
  }

  #completion(finishReason: FinishReason): Completion {
    const { promptTokens, seed, logprobs } = this.#request;
    const stopToken = this.#takeStopToken(finishReason);
    if (!this.#stop.isFound) {
      this.#give(this.#stop.push(this.#half === '' ? '' : '\ufffd'));
      this.#give(this.#stop.flush());
    }
    if (this.#numGiven < this.#tokens.length) this.#emit('');
    const counted = this.#tokens.length + (stopToken === undefined ? 0 : 1);
    return {
      text: this.#text,
      tokens: this.#tokens,
      ...(stopToken !== undefined && { stopToken }),
      finishReason,
      usage: {
        promptTokens: this.#usage?.promptTokens ?? promptTokens ?? Number.NaN,
        completionTokens: this.#usage?.completionTokens ?? (counted > 0 ? counted : Number.NaN),
      },
      seed,
      ...(logprobs !== undefined && { logprobs: this.#logprobs }),
    };
  }

  /** vLLM lists the token that ended an answer with the others, unless a stop string did. */
  #takeStopToken(finishReason: FinishReason): number | undefined {
    const isToken = finishReason === 'stop' && this.#finishReason === 'stop' && !this.#stop.isFound;
    if (!isToken || typeof this.#stopReason === 'string' || this.#tokens.length === 0) return undefined;
    const stopToken = this.#tokens.pop();
    this.#logprobs.length = Math.min(this.#logprobs.length, this.#tokens.length);
    return stopToken;
  }
}
