/**
 * Signs that reinforcement destroys the policy instead of improving it. A pure function of the figures of all
 * iterations so far, so that a training that goes on after a kill judges as if it had never stopped.
 */
import { ConfigError, PlinthError } from '../../core/errors.ts';

/** What one iteration's answers looked like, before they were learned from. */
export interface IterationFigures {
  /** Mean reward of an answer, penalties for length included. */
  readonly reward: number;
  /** Least and greatest. */
  readonly rewardMin: number;
  readonly rewardMax: number;
  /** Nats that an answer's log-probability moved from the reference, mean over answers. */
  readonly kl: number;
  /** The same by token. */
  readonly klPerToken: number;
  /** Of the policy's distributions, nats by token. */
  readonly entropy: number;
  /** Tokens of an answer. */
  readonly length: number;
  /** Share of answers that were cut at the greatest length. */
  readonly cutShare: number;
  /** Share of 4-grams in an answer that stood in it before, mean over answers. */
  readonly repetition: number;
}

export interface CollapseLimits {
  /** Iterations in a row that must show the sign. */
  readonly patience: number;
  /** Nats by token; less, while the reward is not near the best seen, is a policy that tries nothing any more. */
  readonly minEntropy: number;
  /** Nats by token from the reference. */
  readonly maxKlPerToken: number;
  /** Answers so many times longer than at first, most of them cut. */
  readonly maxLengthFactor: number;
  /** Answers shorter than this share of the first ones, while the reward is not near the best seen. */
  readonly minLengthFactor: number;
  readonly maxRepetition: number;
}

export const COLLAPSE_LIMITS: CollapseLimits = {
  patience: 5,
  minEntropy: 0.002,
  maxKlPerToken: 3,
  maxLengthFactor: 2,
  minLengthFactor: 0.25,
  maxRepetition: 0.5,
};

/** The first iterations, which the later ones are compared with. */
const BASELINE_ITERATIONS = 5;
/** A mean reward from here on, of the way from the worst to the best answer seen, is a task that is mastered. */
const MASTERED = 0.9;
const MANY_CUT = 0.5;
/** Repetition must also have grown by so much: some tasks repeat by nature. */
const REPETITION_GROWTH = 0.2;
const GRAM = 4;

/** Training stopped because the policy degenerates; `lastGood` is the newest policy that showed no sign. */
export class CollapseError extends PlinthError {
  readonly lastGood: string | undefined;

  constructor(sign: string, iteration: number, lastGood: string | undefined) {
    const from = lastGood
      ? `The last policy without a sign of it is kept in ${lastGood}; start from there with --model`
      : 'No policy without a sign of it was kept; start again';
    super(
      'limit',
      `Stopped at iteration ${iteration}: ${sign}. ${from}, with a lower learning rate, a higher KL weight or another ` +
        'reward. Limits can be moved where this is wanted.',
    );
    this.lastGood = lastGood;
  }
}

type Sign = (figures: IterationFigures, base: Baseline, limits: CollapseLimits) => string | undefined;

interface Baseline {
  readonly length: number;
  readonly cutShare: number;
  readonly repetition: number;
  readonly rewardMin: number;
  readonly rewardMax: number;
}

const SIGNS: Readonly<Record<string, Sign>> = {
  entropy: (now, base, { minEntropy }) =>
    now.entropy < minEntropy && !isMastered(now, base)
      ? `the entropy fell to ${shown(now.entropy)} nats by token (limit ${minEntropy}) with a mean reward of ${shown(now.reward)}`
      : undefined,
  divergence: (now, _base, { maxKlPerToken }) =>
    now.klPerToken > maxKlPerToken
      ? `the KL from the reference rose to ${shown(now.klPerToken)} nats by token (limit ${maxKlPerToken})`
      : undefined,
  long: (now, base, { maxLengthFactor }) =>
    now.length > maxLengthFactor * base.length && now.cutShare > MANY_CUT
      ? `answers grew from ${shown(base.length)} to ${shown(now.length)} tokens, and ${percent(now.cutShare)} are cut`
      : undefined,
  short: (now, base, { minLengthFactor }) =>
    now.length < minLengthFactor * base.length && !isMastered(now, base)
      ? `answers shrank from ${shown(base.length)} to ${shown(now.length)} tokens with a mean reward of ${shown(now.reward)}`
      : undefined,
  repetition: (now, base, { maxRepetition }) =>
    now.repetition > maxRepetition && now.repetition > base.repetition + REPETITION_GROWTH
      ? `${percent(now.repetition)} of the 4-grams of answers repeat earlier ones (limit ${percent(maxRepetition)})`
      : undefined,
};

function isMastered({ reward }: IterationFigures, { rewardMin, rewardMax }: Baseline): boolean {
  return rewardMax > rewardMin && reward - rewardMin >= MASTERED * (rewardMax - rewardMin);
}

/** What the newest iteration shows, whether for long or not; empty for a healthy one. */
export function signsOfCollapse(
  history: readonly IterationFigures[],
  limits: CollapseLimits = COLLAPSE_LIMITS,
): string[] {
  const now = history.at(-1);
  if (!now) return [];
  const base = baselineOf(history);
  return Object.values(SIGNS).flatMap((sign) => sign(now, base, limits) ?? []);
}

/** The sign that each of the last `patience` iterations shows; undefined while there is none. */
export function collapseOf(
  history: readonly IterationFigures[],
  limits: CollapseLimits = COLLAPSE_LIMITS,
): string | undefined {
  if (history.length < limits.patience) return undefined;
  const base = baselineOf(history);
  const last = history.slice(-limits.patience);
  for (const sign of Object.values(SIGNS)) {
    const found = last.map((figures) => sign(figures, base, limits));
    if (found.every((one) => one !== undefined)) return found.at(-1);
  }
  return undefined;
}

function baselineOf(history: readonly IterationFigures[]): Baseline {
  const first = history.slice(0, BASELINE_ITERATIONS);
  const mean = (name: 'length' | 'cutShare' | 'repetition') =>
    first.reduce((total, figures) => total + figures[name], 0) / first.length;
  return {
    length: mean('length'),
    cutShare: mean('cutShare'),
    repetition: mean('repetition'),
    rewardMin: Math.min(...history.map(({ rewardMin }) => rewardMin)),
    rewardMax: Math.max(...history.map(({ rewardMax }) => rewardMax)),
  };
}

/** Throws ConfigError that names the limit, its value and its range. */
export function checkCollapseLimits(limits: CollapseLimits): void {
  for (const [name, value] of Object.entries(limits)) {
    if (name === 'patience' ? Number.isSafeInteger(value) && value >= 1 : value >= 0) continue;
    throw new ConfigError(
      `The guard's ${name} must be ${name === 'patience' ? 'a whole number of at least 1' : 'at least 0 (Infinity for no upper limit)'}, got ${value}.`,
    );
  }
}

/** The share of an answer's 4-grams that stood in it before; 0 for answers too short to have two. */
export function repetitionOf(tokens: ArrayLike<number>): number {
  const numGrams = tokens.length - GRAM + 1;
  if (numGrams < 2) return 0;
  const seen = new Set<string>();
  for (let at = 0; at < numGrams; at++) {
    seen.add(Array.from({ length: GRAM }, (_, i) => tokens[at + i]!).join());
  }
  return 1 - seen.size / numGrams;
}

const shown = (value: number) => String(Number(value.toPrecision(3)));
const percent = (share: number) => `${Math.round(100 * share)} %`;
