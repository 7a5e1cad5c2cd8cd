/**
 * Logits to a token by a chain of stages. A chain is data, an ordered list, because the order changes what is
 * sampled and engines differ in it. The same chain, logits, history and draws always give the same token. Logits
 * may hold -Infinity for tokens that must not be chosen; nothing here knows why.
 */
import { ConfigError } from '../core/errors.ts';
import { Candidates, refuseEmpty, refuseLogit } from './candidates.ts';
import { type Draws, NUM_LANES } from './draws.ts';
import type { SamplingPlace, Stage, StageContext } from './stage.ts';
import { createStage, type SamplerChain } from './stages.ts';

const NO_HISTORY: readonly number[] = [];
/** Sampling is synchronous, so one set of buffers serves every sampler. */
const shared = new Candidates();

/** Sees what a token was drawn from. The candidates are valid until it returns, and must not be changed. */
export type DrawObserver = (left: Candidates, token: number) => void;

/** A chain made ready for one sequence: stages with state keep it from token to token. */
export class Sampler {
  readonly #stages: readonly Stage[];
  readonly #hasState: boolean;
  /** The chain it was made from. */
  readonly chain: SamplerChain;
  /** The chain always gives the first maximum of the logits, so the stages need not run. */
  readonly isGreedy: boolean;

  /** Throws ConfigError for unknown stages and settings, and for settings out of range. */
  constructor(chain: SamplerChain) {
    this.chain = chain;
    let lane = 0;
    const nextLane = () => {
      if (++lane < NUM_LANES) return lane;
      throw new ConfigError(
        `Sampling: the chain has more than ${NUM_LANES - 1} stages that draw chance of their own; use fewer.`,
      );
    };
    this.#stages = chain.map((settings) => createStage(settings, nextLane));
    this.#hasState = this.#stages.some((stage) => stage.accept);
    const picks = this.#stages.findIndex((stage) => stage.picksMaximum);
    this.isGreedy =
      picks >= 0 &&
      this.#stages.slice(0, picks).every((stage) => stage.keepsFirstMaximum) &&
      !this.#stages.some((stage) => stage.mayRefuse);
  }

  /**
   * One token. `history` is the prompt and what was generated so far, its first `promptLength` tokens the
   * prompt. `observe` sees the candidates that were left. Throws PlinthError `not-finite` for NaN, +Infinity, or
   * when every logit is -Infinity; ConfigError when a stage rules the rest out, names a token that does not
   * exist, or needs the prompt's length and was not told.
   */
  sample(
    logits: ArrayLike<number>,
    draws: Draws,
    history: ArrayLike<number> = NO_HISTORY,
    promptLength?: number,
    observe?: DrawObserver,
  ): number {
    return this.#sample(
      logits,
      { draws, history, ...(promptLength !== undefined && { promptLength }) },
      true,
      observe,
    );
  }

  /** The token that `sample` would give now. Changes no state, so that it may be asked for guesses ahead. */
  peek(logits: ArrayLike<number>, place: SamplingPlace): number {
    return this.#sample(logits, place, false);
  }

  #sample(logits: ArrayLike<number>, place: SamplingPlace, moves: boolean, observe?: DrawObserver): number {
    // Where the first maximum is certain, no stage ever leaves anything else and no state matters.
    if (this.isGreedy && !observe) return firstMaximum(logits);
    this.run(shared, logits, place);
    const total = shared.totalWeight();
    const at = shared.placeAt(place.draws.uniform(0), total);
    const token = shared.ids[at]!;
    const probability = shared.weights[at]! / total;
    observe?.(shared, token);
    if (moves && this.#hasState) for (const stage of this.#stages) stage.accept?.(token, probability);
    return token;
  }

  /** The candidates that the chain leaves, with their scores: what the token is drawn from. Changes no state. */
  run(candidates: Candidates, logits: ArrayLike<number>, place: SamplingPlace): void {
    candidates.load(logits);
    const context = contextOf(logits, place);
    for (const stage of this.#stages) stage.apply(candidates, context);
  }

  /** The same, with a call before the first stage (-1) and after each one. */
  runStepwise(
    candidates: Candidates,
    logits: ArrayLike<number>,
    place: SamplingPlace,
    after: (stage: number) => void,
  ): void {
    candidates.load(logits);
    const context = contextOf(logits, place);
    after(-1);
    for (const [i, stage] of this.#stages.entries()) {
      stage.apply(candidates, context);
      after(i);
    }
  }
}

function contextOf(logits: ArrayLike<number>, place: SamplingPlace): StageContext {
  const { draws, history = NO_HISTORY, promptLength } = place;
  if (promptLength !== undefined && !(promptLength >= 0 && promptLength <= history.length)) {
    throw new ConfigError(
      `Sampling: promptLength is ${promptLength}; expected at most the length of the history, ${history.length}.`,
    );
  }
  return { draws, history, promptLength, vocabSize: logits.length };
}

/** One token by a chain; for a whole sequence make a `Sampler` once. */
export function sampleToken(
  logits: ArrayLike<number>,
  chain: SamplerChain,
  draws: Draws,
  history?: ArrayLike<number>,
  promptLength?: number,
): number {
  return new Sampler(chain).sample(logits, draws, history, promptLength);
}

/** The lowest id among the largest logits. Throws PlinthError `not-finite` as `Sampler.sample` does. */
export function firstMaximum(logits: ArrayLike<number>): number {
  let best = -1;
  let top = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id++) {
    const value = logits[id]!;
    if (value > top) {
      top = value;
      best = id;
    } else if (Number.isNaN(value)) refuseLogit(id, value);
  }
  if (best < 0) refuseEmpty(logits.length);
  if (top === Number.POSITIVE_INFINITY) refuseLogit(best, top);
  return best;
}
