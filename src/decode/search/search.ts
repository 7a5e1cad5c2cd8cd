/**
 * What all searches share: the scores of a row under the stages of the settings, and the log-probabilities that were
 * asked for.
 */
import { Candidates, type LogprobsMode, logprobs, type SamplingPlace } from '../../sampling/index.ts';
import type { PositionLogprobs } from '../language-model.ts';
import { ScoredAnswer } from '../scored-answer.ts';
import type { Branch, BranchingSequence, BranchRow } from '../sequence.ts';
import type { SearchSettings } from './search-settings.ts';

/** A token that may come next, with its log-probability (nats) under what the stages left. */
export interface ScoredToken {
  readonly token: number;
  readonly logprob: number;
}

/** Searches score one row after another, so one set of buffers serves them all. */
const shared = new Candidates();

export abstract class Search<Settings extends SearchSettings = SearchSettings>
  extends ScoredAnswer<Settings>
  implements BranchingSequence
{
  abstract readonly width: number;

  readPlace({ logits }: BranchRow): void {
    this.readScores(logits);
  }

  abstract advance(rows: readonly BranchRow[]): readonly Branch[] | undefined;
  abstract cancel(): void;

  /** The `count` best tokens to come after `tokens`, best first, lower ids first among equals. */
  protected best(logits: Float32Array, tokens: readonly number[], count: number): ScoredToken[] {
    this.sampler.run(shared, this.usable(logits), this.#place(tokens));
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
        : { mode: 'processed', sampler: this.sampler, ...this.#place(tokens) };
    return logprobs(this.usable(logits), token, count, mode);
  }

  #place(tokens: readonly number[]): SamplingPlace {
    this.history.set(tokens, this.prompt.length);
    return this.placeAfter(tokens.length);
  }
}
