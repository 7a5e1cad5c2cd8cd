/** Settings of reinforcement: what PPO and GRPO take, their defaults, and the ranges that are checked. */
import { ConfigError } from '../../core/errors.ts';
import type { CriticKind } from './critic.ts';
import type { KlTarget } from './divergence.ts';
import type { ClipRange } from './policy-losses.ts';

/**
 * What the losses of an update's tokens are divided by. `grpo`: each answer's mean, then the mean over answers (long
 * answers count no more than short ones, token by token less); `dapo`: the number of all tokens; `dr_grpo`: the number
 * of answers times the greatest length, so that no token counts more in a short answer than in a long one.
 */
export const LOSS_NORMALISERS = ['grpo', 'dapo', 'dr_grpo'] as const;
export type LossNormaliser = (typeof LOSS_NORMALISERS)[number];

interface SharedSettings {
  /** Prompts drawn in an iteration. */
  readonly promptsPerStep: number;
  /** Answers sampled for each prompt. */
  readonly groupSize: number;
  /** Passes over the answers of an iteration. */
  readonly epochs: number;
  /** Updates in each pass. */
  readonly minibatches: number;
  /** Of sampling; log-probabilities are those of the same distributions. */
  readonly temperature: number;
  /** Greatest length of an answer; longer ones are cut and counted. */
  readonly maxTokens: number;
  readonly clip: ClipRange;
  /** Weight of the KL from the reference; 0: none. PPO takes it off the reward, GRPO adds it to the loss. */
  readonly klWeight: number;
  /** Steers the weight to a KL instead of leaving it fixed. */
  readonly klTarget?: KlTarget;
  /** Weight of the entropy, which is then sought. 0: none. */
  readonly entropyWeight: number;
  /** Answers longer than `maxTokens` less so many tokens lose up to 1 reward. 0: none. */
  readonly overlongMargin: number;
  readonly lossNormaliser: LossNormaliser;
  readonly seed: number;
}

export interface PpoSettings extends SharedSettings {
  readonly method: 'ppo';
  readonly gamma: number;
  readonly lambda: number;
  readonly critic: CriticKind;
  readonly valueWeight: number;
  /** How far a value may move in the updates of one iteration. */
  readonly valueClip: number;
}

export interface GrpoSettings extends SharedSettings {
  readonly method: 'grpo';
  /** Advantages are divided by the deviation of the group's rewards. Default: unless the normaliser is dr_grpo. */
  readonly byDeviation: boolean;
  /**
   * Draws further prompts, so many times at most, in place of groups whose answers all got the same reward (DAPO's
   * dynamic sampling). 0: such groups are left out and counted.
   */
  readonly resampleRounds: number;
}

export type RlSettings = PpoSettings | GrpoSettings;

const SHARED_DEFAULTS = {
  promptsPerStep: 32,
  groupSize: 8,
  temperature: 1,
  maxTokens: 64,
  entropyWeight: 0,
  overlongMargin: 0,
  lossNormaliser: 'dapo',
  seed: 1,
} as const;

export const PPO_DEFAULTS: PpoSettings = {
  ...SHARED_DEFAULTS,
  method: 'ppo',
  epochs: 2,
  minibatches: 2,
  clip: { low: 0.2, high: 0.2 },
  klWeight: 0.02,
  gamma: 1,
  lambda: 0.95,
  critic: 'head',
  valueWeight: 0.5,
  valueClip: 0.2,
};

export const GRPO_DEFAULTS: GrpoSettings = {
  ...SHARED_DEFAULTS,
  method: 'grpo',
  epochs: 1,
  minibatches: 1,
  clip: { low: 0.2, high: 0.28 },
  klWeight: 0,
  byDeviation: true,
  resampleRounds: 0,
};

/** What is given, over the method's defaults. Throws ConfigError that names the field, its value and its range. */
export function rlSettings(
  given: (Partial<PpoSettings> & { method: 'ppo' }) | (Partial<GrpoSettings> & { method: 'grpo' }),
): RlSettings {
  const settings: RlSettings =
    given.method === 'ppo'
      ? { ...PPO_DEFAULTS, ...given }
      : { ...GRPO_DEFAULTS, byDeviation: given.lossNormaliser !== 'dr_grpo', ...given };
  checkRlSettings(settings);
  return settings;
}

export function checkRlSettings(settings: RlSettings): void {
  const check = (name: string, value: unknown, isRight: (value: number) => boolean, range: string) => {
    if (typeof value === 'number' && isRight(value)) return;
    throw new ConfigError(`${name} must be ${range}, got ${JSON.stringify(value)}.`);
  };
  const whole = (least: number) => (value: number) => Number.isSafeInteger(value) && value >= least;
  const { method, groupSize, promptsPerStep, minibatches, lossNormaliser } = settings;
  for (const name of ['promptsPerStep', 'groupSize', 'epochs', 'minibatches', 'maxTokens'] as const)
    check(name, settings[name], whole(1), 'a whole number of at least 1');
  for (const name of ['klWeight', 'entropyWeight', 'overlongMargin'] as const)
    check(name, settings[name], (value) => value >= 0 && Number.isFinite(value), 'a number of at least 0');
  check('seed', settings.seed, whole(0), 'a whole number of at least 0');
  check('temperature', settings.temperature, (value) => value > 0 && value <= 10, 'above 0 and at most 10');
  check('clip.low', settings.clip.low, (value) => value > 0 && value < 1, 'above 0 and below 1');
  check('clip.high', settings.clip.high, (value) => value > 0 && Number.isFinite(value), 'above 0');
  if (settings.klTarget)
    check('klTarget', settings.klTarget.target, (value) => value > 0 && Number.isFinite(value), 'above 0');
  if (!LOSS_NORMALISERS.includes(lossNormaliser)) {
    throw new ConfigError(
      `lossNormaliser must be one of ${LOSS_NORMALISERS.join(', ')}, got ${JSON.stringify(lossNormaliser)}.`,
    );
  }
  const numAnswers = promptsPerStep * groupSize;
  if (numAnswers % minibatches !== 0) {
    throw new ConfigError(
      `${promptsPerStep} prompts of ${groupSize} answers are ${numAnswers}, which ${minibatches} minibatches do not divide evenly.`,
    );
  }
  if (method === 'ppo') {
    for (const name of ['gamma', 'lambda'] as const)
      check(name, settings[name], (value) => value >= 0 && value <= 1, 'within 0..1');
    for (const name of ['valueWeight', 'valueClip'] as const)
      check(name, settings[name], (value) => value > 0 && Number.isFinite(value), 'above 0');
    if (settings.critic !== 'head' && settings.critic !== 'separate') {
      throw new ConfigError(`critic must be head or separate, got ${JSON.stringify(settings.critic)}.`);
    }
  } else {
    check('resampleRounds', settings.resampleRounds, whole(0), 'a whole number of at least 0');
    if (groupSize < 2) {
      throw new ConfigError(
        'groupSize must be at least 2 for GRPO: an answer is compared with the others to its prompt.',
      );
    }
  }
}
