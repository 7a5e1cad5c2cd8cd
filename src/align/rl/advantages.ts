/**
 * How much better than expected each action was: from rewards to what a policy's gradient is weighted with. Pure
 * functions on the actions of one answer, or on the answers of one group.
 */
import { ConfigError } from '../../core/errors.ts';

const WHITENING_EPSILON = 1e-8;
/** Shao et al. 2024 leave it out; TRL adds it, so that groups of nearly equal rewards stay small. */
const GROUP_EPSILON = 1e-4;

export interface AdvantageSettings {
  /** Discount of later rewards. */
  readonly gamma: number;
  /** 0: one-step differences (little variance, as biased as the values); 1: whole returns. */
  readonly lambda: number;
}

/**
 * Generalised advantage estimation (Schulman et al. 2016, eq. 16): delta_t = r_t + gamma V_{t+1} - V_t and
 * A_t = delta_t + gamma lambda A_{t+1}. Nothing follows the last action: its V_{t+1} is 0.
 */
export function generalizedAdvantages(
  rewards: ArrayLike<number>,
  values: ArrayLike<number>,
  { gamma, lambda }: AdvantageSettings,
): Float64Array {
  const advantages = new Float64Array(rewards.length);
  let next = 0;
  for (let t = rewards.length - 1; t >= 0; t--) {
    const valueAfter = t + 1 < rewards.length ? values[t + 1]! : 0;
    const delta = rewards[t]! + gamma * valueAfter - values[t]!;
    next = delta + gamma * lambda * next;
    advantages[t] = next;
  }
  return advantages;
}

/** Sample mean and unbiased variance (0 for fewer than two numbers). */
export function momentsOf(values: ArrayLike<number>): { readonly mean: number; readonly variance: number } {
  const { length } = values;
  let mean = 0;
  for (let i = 0; i < length; i++) mean += values[i]! / length;
  let squares = 0;
  for (let i = 0; i < length; i++) squares += (values[i]! - mean) ** 2;
  return { mean, variance: length > 1 ? squares / (length - 1) : 0 };
}

/** Mean 0 and variance 1 over all of them together: (x - mean) / sqrt(variance + 1e-8), the variance unbiased. */
export function whitened(lists: readonly ArrayLike<number>[]): Float64Array[] {
  const { mean, variance } = momentsOf(lists.flatMap((list) => Array.from(list)));
  const factor = 1 / Math.sqrt(variance + WHITENING_EPSILON);
  return lists.map((list) => Float64Array.from(list, (value) => (value - mean) * factor));
}

/**
 * Advantages within the answers to one prompt (GRPO, Shao et al. 2024): (r - mean) / (std + 1e-4), std unbiased. Without
 * `byDeviation` r - mean (Dr. GRPO, Liu et al. 2025): groups count by how far apart their rewards are.
 */
export function groupAdvantages(rewards: readonly number[], byDeviation: boolean): Float64Array {
  const { mean, variance } = momentsOf(rewards);
  const factor = byDeviation ? 1 / (Math.sqrt(variance) + GROUP_EPSILON) : 1;
  return Float64Array.from(rewards, (reward) => (reward - mean) * factor);
}

/** Whether the answers of a group differ in reward: otherwise all advantages are 0, and there is nothing to learn. */
export function hasSpread(rewards: readonly number[]): boolean {
  return rewards.some((reward) => reward !== rewards[0]);
}

/**
 * The reward of each action (Ouyang et al. 2022, eq. 2, by token): -klWeight (log pi - log pi_ref), and the answer's
 * reward on the last one. All lists are those of one answer's actions.
 */
export function tokenRewards(
  reward: number,
  logprobs: ArrayLike<number>,
  referenceLogprobs: ArrayLike<number>,
  klWeight: number,
): Float64Array {
  const rewards = Float64Array.from(
    logprobs,
    (logprob, t) => -klWeight * (logprob - referenceLogprobs[t]!) || 0,
  );
  if (rewards.length > 0) rewards[rewards.length - 1]! += reward;
  return rewards;
}

/**
 * What is added to the reward of long answers (DAPO, Yu et al. 2025, eq. 13): nothing up to `maxTokens - margin`, then
 * falling evenly to -1 at `maxTokens`.
 */
export function overlongPenalty(numTokens: number, maxTokens: number, margin: number): number {
  if (!(margin > 0 && margin <= maxTokens)) {
    throw new ConfigError(
      `The margin of overlong answers is ${margin} tokens; expected more than 0 and at most ${maxTokens} (maxTokens).`,
    );
  }
  return -Math.min(1, Math.max(0, (numTokens - (maxTokens - margin)) / margin));
}

/** 1 - variance(returns - values) / variance(returns): 1 for a critic that knows, 0 for one that guesses the mean. */
export function explainedVariance(values: ArrayLike<number>, returns: ArrayLike<number>): number {
  const { variance } = momentsOf(returns);
  if (variance === 0) return 0;
  const errors = Float64Array.from(returns, (value, i) => value - values[i]!);
  return 1 - momentsOf(errors).variance / variance;
}
