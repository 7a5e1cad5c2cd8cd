/**
 * Logits to a token by a chain of stages. A chain is data, an ordered list, because the order changes what is
 * sampled and engines differ in it. The same chain, logits and draws always give the same token. Logits may
 * hold -Infinity for tokens that must not be chosen; nothing here knows why.
 */
import { ConfigError } from '../core/errors.ts';
import { Candidates, refuseEmpty, refuseLogit } from './candidates.ts';
import type { Draws } from './draws.ts';
import { type MinPSettings, minPStage } from './min-p.ts';
import type { Stage, StageContext, StageKind } from './stage.ts';
import { type TemperatureSettings, temperatureStage } from './temperature.ts';
import { type TopKSettings, topKStage } from './top-k.ts';
import { type TopPSettings, topPStage } from './top-p.ts';

export type StageSettings = TemperatureSettings | TopKSettings | TopPSettings | MinPSettings;
export type SamplerChain = readonly StageSettings[];

/** Every kind of stage by its name. */
export const STAGE_KINDS: { readonly [Name in StageSettings['stage']]: StageKind<never> } = {
  temperature: temperatureStage,
  'top-k': topKStage,
  'top-p': topPStage,
  'min-p': minPStage,
};

const NO_HISTORY: readonly number[] = [];
/** Sampling is synchronous, so one set of buffers serves every sampler. */
const shared = new Candidates();

/** A chain made ready for one sequence: stages with state keep it from token to token. */
export class Sampler {
  readonly #stages: readonly Stage[];
  /** The chain always gives the first maximum of the logits, so the stages need not run. */
  readonly isGreedy: boolean;

  /** Throws ConfigError for unknown stages and settings out of range. */
  constructor(chain: SamplerChain) {
    this.#stages = chain.map((settings) => {
      if (!Object.hasOwn(STAGE_KINDS, settings?.stage)) {
        throw new ConfigError(
          `Sampling: unknown stage ${JSON.stringify(settings?.stage ?? settings)}; expected one of ` +
            `${Object.keys(STAGE_KINDS).join(', ')}.`,
        );
      }
      return STAGE_KINDS[settings.stage].create(settings as never);
    });
    const picks = this.#stages.findIndex((stage) => stage.picksMaximum);
    this.isGreedy = picks >= 0 && this.#stages.slice(0, picks).every((stage) => stage.keepsFirstMaximum);
  }

  /**
   * One token. `history` is the prompt and what was generated so far. Throws PlinthError `not-finite` for
   * NaN, +Infinity, or when every token is ruled out.
   */
  sample(logits: ArrayLike<number>, draws: Draws, history: ArrayLike<number> = NO_HISTORY): number {
    const token = this.isGreedy ? firstMaximum(logits) : this.#sample(logits, { draws, history });
    for (const stage of this.#stages) stage.accept?.(token);
    return token;
  }

  #sample(logits: ArrayLike<number>, context: StageContext): number {
    this.run(shared, logits, context);
    return pick(shared, context.draws.uniform(0));
  }

  /** The candidates that the chain leaves, with their scores: what the token is drawn from. */
  run(candidates: Candidates, logits: ArrayLike<number>, context: StageContext): void {
    candidates.load(logits);
    for (const stage of this.#stages) stage.apply(candidates, context);
  }
}

/** One token by a chain; for a whole sequence make a `Sampler` once. */
export function sampleToken(
  logits: ArrayLike<number>,
  chain: SamplerChain,
  draws: Draws,
  history?: ArrayLike<number>,
): number {
  return new Sampler(chain).sample(logits, draws, history);
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

/** Inverts the distribution function of softmax(scores) at u. */
function pick(candidates: Candidates, u: number): number {
  const { ids, scores, size, maximum } = candidates;
  let rest = u * candidates.totalWeight();
  for (let i = 0; i < size; i++) {
    rest -= Math.exp(scores[i]! - maximum);
    if (rest < 0) return ids[i]!;
  }
  // Rounding may leave a crumb after the last candidate; the best one has weight 1 for sure.
  return ids[candidates.argmax()]!;
}
