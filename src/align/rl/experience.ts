/**
 * From answers to what an update learns from: advantages, returns and weights by token, and the figures that tell how
 * the iteration's answers looked. Pure functions.
 */
import { emptyBatch } from '../../data/tokens/token-batch.ts';
import { type RowShape, rowBatch, type SequenceRow } from '../sequence-row.ts';
import {
  explainedVariance,
  generalizedAdvantages,
  groupAdvantages,
  hasSpread,
  overlongPenalty,
  tokenRewards,
  whitened,
} from './advantages.ts';
import { type IterationFigures, repetitionOf } from './collapse-guard.ts';
import { k1 } from './divergence.ts';
import type { PolicyBatch } from './policy-objective.ts';
import type { ScoredRow } from './policy-scorer.ts';
import type { Rollout, RolloutGroup } from './rollouts.ts';
import type { GrpoSettings, LossNormaliser, PpoSettings, RlSettings } from './settings.ts';

/** An answer with what the policy, its critic and the reference said of it. */
export interface JudgedRollout extends Rollout {
  readonly scored: ScoredRow;
  /** As `scored.logprobs`. */
  readonly referenceLogprobs: Float32Array;
}

/** One answer as an update sees it; lists are by action. */
export interface ExperienceRow {
  readonly row: SequenceRow;
  /** Input place of the first action: the prompt's last token. */
  readonly start: number;
  readonly oldLogprobs: ArrayLike<number>;
  readonly referenceLogprobs: ArrayLike<number>;
  readonly advantages: ArrayLike<number>;
  readonly oldValues: ArrayLike<number>;
  readonly returns: ArrayLike<number>;
}

export interface Experience {
  readonly rows: readonly ExperienceRow[];
  /** PPO: how much of the returns' variance the critic had expected. */
  readonly explainedVariance?: number;
}

/** The reward that is learned from: the function's, less the penalty of answers near the greatest length. */
export function shapedReward(
  { reward, row, prompt }: Rollout,
  { overlongMargin, maxTokens }: Pick<RlSettings, 'overlongMargin' | 'maxTokens'>,
): number {
  if (overlongMargin === 0) return reward;
  return reward + overlongPenalty(row.tokens.length - prompt.ids.length, maxTokens, overlongMargin);
}

/** What GRPO and PPO make of the groups of an iteration. @param klWeight of PPO's reward. */
export function experienceOf(
  groups: readonly (readonly JudgedRollout[])[],
  settings: RlSettings,
  klWeight: number,
): Experience {
  return settings.method === 'grpo'
    ? groupExperience(groups, settings)
    : criticExperience(groups.flat(), settings, klWeight);
}

/** Groups without spread are left out. */
function groupExperience(groups: readonly (readonly JudgedRollout[])[], settings: GrpoSettings): Experience {
  const rows = groups.flatMap((group) => {
    const rewards = group.map((one) => shapedReward(one, settings));
    if (!hasSpread(rewards)) return [];
    const advantages = groupAdvantages(rewards, settings.byDeviation);
    return group.map((one, i) => {
      const actions = actionsOf(one);
      return {
        ...actions,
        advantages: new Float64Array(actions.oldLogprobs.length).fill(advantages[i]!),
        oldValues: [],
        returns: [],
      };
    });
  });
  return { rows };
}

function criticExperience(
  rollouts: readonly JudgedRollout[],
  settings: PpoSettings,
  klWeight: number,
): Experience {
  const judged = rollouts.map((one) => {
    const actions = actionsOf(one);
    const values = one.scored.values.subarray(actions.start);
    const rewards = tokenRewards(
      shapedReward(one, settings),
      actions.oldLogprobs,
      actions.referenceLogprobs,
      klWeight,
    );
    const advantages = generalizedAdvantages(rewards, values, settings);
    return { actions, values, advantages, returns: advantages.map((advantage, t) => advantage + values[t]!) };
  });
  const white = whitened(judged.map(({ advantages }) => advantages));
  return {
    rows: judged.map(({ actions, values, returns }, i) => ({
      ...actions,
      advantages: white[i]!,
      oldValues: values,
      returns,
    })),
    explainedVariance: explainedVariance(
      judged.flatMap(({ values }) => Array.from(values)),
      judged.flatMap(({ returns }) => Array.from(returns)),
    ),
  };
}

function actionsOf({ row, prompt, scored, referenceLogprobs }: JudgedRollout) {
  const start = prompt.ids.length - 1;
  return {
    row,
    start,
    oldLogprobs: scored.logprobs.subarray(start),
    referenceLogprobs: referenceLogprobs.subarray(start),
  };
}

/** Figures of all groups of an iteration, those that are not learned from among them. */
export function figuresOf(
  groups: readonly (readonly JudgedRollout[])[],
  settings: RlSettings,
): IterationFigures & {
  readonly rewardDeviation: number;
  readonly flatGroups: number;
  readonly promptLength: number;
} {
  const rollouts = groups.flat();
  const rewards = rollouts.map((one) => shapedReward(one, settings));
  const lengths = rollouts.map(({ row, prompt }) => row.tokens.length - prompt.ids.length);
  const numTokens = sumOf(lengths);
  const divergence = sumOf(
    rollouts.map(({ scored, referenceLogprobs }) =>
      sumOf(Array.from(scored.logprobs, (logprob, t) => k1(logprob, referenceLogprobs[t]!))),
    ),
  );
  const reward = sumOf(rewards) / rewards.length;
  return {
    reward,
    rewardDeviation: Math.sqrt(sumOf(rewards.map((one) => (one - reward) ** 2)) / rewards.length),
    rewardMin: Math.min(...rewards),
    rewardMax: Math.max(...rewards),
    kl: divergence / rollouts.length,
    klPerToken: divergence / numTokens,
    entropy: sumOf(rollouts.map(({ scored }) => sumOf(scored.entropies))) / numTokens,
    length: numTokens / rollouts.length,
    promptLength: sumOf(rollouts.map(({ prompt }) => prompt.ids.length)) / rollouts.length,
    cutShare: rollouts.filter(({ isCut }) => isCut).length / rollouts.length,
    repetition: sumOf(rollouts.map(({ completion }) => repetitionOf(completion.tokens))) / rollouts.length,
    flatGroups: groups.filter((group) => isFlat(group, settings)).length / groups.length,
  };
}

/** All answers of a group earn the same. */
export function isFlat(group: RolloutGroup, settings: RlSettings): boolean {
  return !hasSpread(group.map((one) => shapedReward(one, settings)));
}

function sumOf(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i]!;
  return total;
}

export interface MinibatchOptions {
  readonly shape: RowShape;
  readonly padId: number;
  readonly normaliser: LossNormaliser;
  readonly maxTokens: number;
  readonly klWeight: number;
  readonly figures: Readonly<Record<string, number>>;
}

/** Some rows as the batch of one update. Places that hold no row are padding. */
export function minibatchOf(rows: readonly ExperienceRow[], options: MinibatchOptions): PolicyBatch {
  const { shape, padId, normaliser, maxTokens, klWeight, figures } = options;
  const tokens =
    rows.length === 0
      ? emptyBatch(shape.batchSize, shape.length, padId)
      : rowBatch(
          rows.map(({ row }) => row),
          shape,
          padId,
        );
  const list = () => new Float32Array(shape.batchSize * shape.length);
  const batch = {
    tokens,
    oldLogprobs: list(),
    advantages: list(),
    weights: list(),
    referenceLogprobs: list(),
    oldValues: list(),
    returns: list(),
    numItems: normaliser === 'dapo' ? tokens.numTargets : rows.length,
    klWeight,
    figures,
  };
  for (const [r, one] of rows.entries()) {
    const at = r * shape.length + one.start;
    const numActions = one.oldLogprobs.length;
    batch.oldLogprobs.set(one.oldLogprobs, at);
    batch.advantages.set(one.advantages, at);
    batch.referenceLogprobs.set(one.referenceLogprobs, at);
    batch.oldValues.set(one.oldValues, at);
    batch.returns.set(one.returns, at);
    batch.weights.fill(weightOf(normaliser, numActions, maxTokens), at, at + numActions);
  }
  return batch;
}

/** What each token of an answer counts. */
function weightOf(normaliser: LossNormaliser, numActions: number, maxTokens: number): number {
  if (normaliser === 'dapo') return 1;
  return 1 / (normaliser === 'grpo' ? numActions : maxTokens);
}
