/**
 * Beam search: of all continuations of the running beams the best go on, and those that end are collected, until no
 * running one can be better. The rules are those of transformers (4.50 and later): candidates, what counts as
 * finished, length penalty and the three ways to stop. Numbers are sums of log-probabilities in nats.
 */
import type { AnswerGroup } from '../answer.ts';
import type { CompletionChunk, FinishReason, PositionLogprobs } from '../language-model.ts';
import type { Branch, BranchRow } from '../sequence.ts';
import { Search } from './search.ts';
import type { BeamMethod, SearchSettings } from './search-settings.ts';
import { TextTail } from './text-tail.ts';

/** A beam: its last token, and the beam that it continues. */
interface Beam {
  readonly before: Beam | undefined;
  readonly token: number;
  readonly length: number;
  readonly logprobSum: number;
  /** Only when stop strings are looked for. */
  readonly tail: TextTail | undefined;
  readonly logprobs: PositionLogprobs | undefined;
}

interface Finished {
  readonly beam: Beam;
  readonly score: number;
  readonly reason: FinishReason;
}

/** What a search found, for tests and monitors. */
export interface Hypothesis {
  /** With the stop token, if one ended it. */
  readonly tokens: readonly number[];
  readonly logprobSum: number;
  /** logprobSum / tokens.length^lengthPenalty */
  readonly score: number;
  readonly isFinished: boolean;
}

export class BeamSearch extends Search<SearchSettings<BeamMethod>> {
  readonly width: number;
  /** Continuations looked at in each step: enough to go on when every beam's best ones are stop tokens. */
  readonly #numCandidates: number;
  /** In the order of the rows. */
  #running: readonly Beam[];
  /** The best so far, at most `numBeams`, best first. */
  #finished: readonly Finished[] = [];

  constructor(
    settings: SearchSettings<BeamMethod>,
    group?: AnswerGroup,
    onChunk?: (chunk: CompletionChunk) => void,
  ) {
    super(settings, group, onChunk);
    const { search, stopTokens, stop, tokenizer } = settings;
    this.width = search.numBeams;
    this.#numCandidates = Math.max(2, 1 + stopTokens.size) * search.numBeams;
    const tail = stop.length > 0 && tokenizer ? new TextTail(stop, tokenizer) : undefined;
    this.#running = [{ before: undefined, token: -1, length: 0, logprobSum: 0, tail, logprobs: undefined }];
  }

  /** Finished beams and running ones, best first. */
  get hypotheses(): Hypothesis[] {
    return this.#ranked().map(({ beam, score, reason }) => ({
      tokens: tokensOf(beam),
      logprobSum: beam.logprobSum,
      score,
      isFinished: reason !== 'cancelled',
    }));
  }

  advance(rows: readonly BranchRow[]): readonly Branch[] | undefined {
    const { numBeams } = this.settings.search;
    const next: Beam[] = [];
    const branches: Branch[] = [];
    const ended: Finished[] = [];
    for (const [rank, { parent, token, logprobSum }] of this.#candidates(rows).entries()) {
      const before = this.#running[parent]!;
      const tail = before.tail?.after(token);
      const reason = this.#endOf(token, before.length + 1, tail);
      // What is not among the best only stands in for those that end.
      if (reason === undefined ? next.length === numBeams : rank >= numBeams) continue;
      const beam: Beam = {
        before,
        token,
        length: before.length + 1,
        logprobSum,
        tail,
        logprobs: this.#logprobsAfter(before, rows[parent]!, token),
      };
      if (reason === undefined) {
        next.push(beam);
        branches.push({ parent, token });
      } else ended.push({ beam, score: this.#scoreOf(beam), reason });
    }
    this.#running = next;
    this.#finished = [...this.#finished, ...ended].sort((a, b) => b.score - a.score).slice(0, numBeams);
    if (!this.#isDone()) return branches;
    this.#give(this.#finished[0]!);
    return undefined;
  }

  /** The best beam so far, finished or not. */
  cancel(): void {
    const best = this.#ranked()[0]!;
    this.#give({ ...best, reason: 'cancelled' });
  }

  /** The best continuations of all rows, best first; among equals those of earlier rows and lower ids. */
  #candidates(rows: readonly BranchRow[]) {
    return rows
      .flatMap(({ logits }, parent) => {
        const beam = this.#running[parent]!;
        return this.best(logits, tokensOf(beam), this.#numCandidates).map(({ token, logprob }) => ({
          parent,
          token,
          logprobSum: beam.logprobSum + logprob,
        }));
      })
      .sort((a, b) => b.logprobSum - a.logprobSum)
      .slice(0, this.#numCandidates);
  }

  #endOf(token: number, length: number, tail: TextTail | undefined): FinishReason | undefined {
    if (this.settings.stopTokens.has(token) || tail?.hasStop) return 'stop';
    return length >= this.maxTokens ? 'length' : undefined;
  }

  #logprobsAfter(before: Beam, { logits }: BranchRow, token: number): PositionLogprobs | undefined {
    if (this.settings.logprobs === undefined) return undefined;
    return this.logprobsOf(logits, tokensOf(before), token);
  }

  #scoreOf({ logprobSum, length }: Beam, atLength = length): number {
    return logprobSum === 0 ? 0 : logprobSum / atLength ** this.settings.search.lengthPenalty;
  }

  /** No running beam can, or need, get into the finished ones. */
  #isDone(): boolean {
    const { numBeams, lengthPenalty, earlyStopping } = this.settings.search;
    const [best] = this.#running;
    if (!best) return true;
    if (this.#finished.length < numBeams) return false;
    if (earlyStopping === true) return true;
    // Where length is rewarded, the bound is the score at the greatest length; by default the present one has to do.
    const atLength = earlyStopping === 'never' && lengthPenalty > 0 ? this.maxTokens : best.length;
    return this.#scoreOf(best, atLength) <= this.#finished.at(-1)!.score;
  }

  #ranked(): Finished[] {
    const running = this.#running.map(
      (beam): Finished => ({ beam, score: this.#scoreOf(beam), reason: 'cancelled' }),
    );
    return [...this.#finished, ...running].sort((a, b) => b.score - a.score);
  }

  #give({ beam, reason }: Finished): void {
    const chain = beamsOf(beam);
    const last = chain.at(-1);
    const stopToken = last && this.settings.stopTokens.has(last.token) ? last.token : undefined;
    if (stopToken !== undefined) chain.pop();
    for (const { token, logprobs } of chain) this.answer.add(token, logprobs);
    this.finish(reason, stopToken);
  }
}

/** From the first token's beam to this one. */
function beamsOf(beam: Beam): Beam[] {
  const beams = new Array<Beam>(beam.length);
  for (let at: Beam | undefined = beam; at?.before; at = at.before) beams[at.length - 1] = at;
  return beams;
}

function tokensOf(beam: Beam): number[] {
  return beamsOf(beam).map(({ token }) => token);
}
