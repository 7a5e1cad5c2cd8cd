/**
 * A preference loss as an objective on a model's parameters. An item is two rows: a chosen and a rejected answer, or a
 * labelled answer and a mismatched one. Log-probabilities under the reference are fed, so the reference itself is in
 * no graph.
 *
 * Shape suffixes: B items, R = 2 B rows (first all first rows, then all second ones), T inputs a row.
 */
import { ConfigError } from '../../core/errors.ts';
import type { TokenBatch } from '../../data/tokens/token-batch.ts';
import type { TransformerConfig } from '../../model/config.ts';
import type { ModelParameters } from '../../model/transformer.ts';
import type { Feed } from '../../runtime/device.ts';
import {
  add,
  cast,
  full,
  greater,
  input,
  less,
  mul,
  neg,
  reshape,
  scalar,
  scale,
  slice,
  split,
  stopGradient,
  sub,
  sum,
  type Tensor,
} from '../../tensor/index.ts';
import type { Objective } from '../../train/objective.ts';
import { type TokenInputs, tokenFeeds, tokenInputs } from '../../train/token-inputs.ts';
import { rowTokenShape, sequenceForward } from '../sequence-logprobs.ts';
import type { RowShape } from '../sequence-row.ts';
import { type LossTerms, meanLogprob, PREFERENCE_LOSSES, type ScoredAnswers } from './preference-loss.ts';
import type { PreferenceSettings, PreferenceValues } from './preference-settings.ts';

export interface PreferenceBatch {
  /** 2 B rows. */
  readonly tokens: TokenBatch;
  /** Of each row's actions together under the reference, in nats [2 B]; zeros for a loss that uses none. */
  readonly reference: Float32Array;
  /** 1 where the item's first row is a good answer: always, for pairs [B]. */
  readonly isGood: Float32Array;
  /** 1 where there is an item [B]. */
  readonly mask: Float32Array;
  /**
   * Of labelled answers 1 / (share of such answers in the data) [B]: so that means over good answers, and over bad
   * ones, come out right over all batches, however many of each a batch has.
   */
  readonly classWeight: Float32Array;
  readonly numItems: number;
}

export interface PreferenceShape {
  /** B: items of a batch, each of two rows. */
  readonly batchSize: number;
  /** T. */
  readonly length: number;
}

/** The loss is a mean per item. Throws ConfigError for a batch size or length below 1. */
export function preferenceObjective(
  config: TransformerConfig,
  shape: PreferenceShape,
  settings: PreferenceSettings,
): Objective<PreferenceBatch> {
  const { batchSize: B, length } = shape;
  for (const [name, value] of Object.entries({ batchSize: B, length })) {
    if (Number.isInteger(value) && value >= 1) continue;
    throw new ConfigError(`${name} must be a whole number of at least 1, got ${value}.`);
  }
  const rows = { batchSize: 2 * B, length };
  const loss = PREFERENCE_LOSSES[settings.loss];
  const values = settings.values as PreferenceValues;
  const hasLabels = loss.items === 'labels';
  return {
    build: (parameters, lossScale) => {
      const tokens = tokenInputs(rowTokenShape(rows));
      const maskB = input('itemMask', [B]);
      const referenceR = loss.usesReference ? input('reference', [2 * B]) : full([2 * B], 0);
      const isGoodB = hasLabels ? input('isGood', [B]) : full([B], 1);
      const classWeightB = hasLabels ? input('classWeight', [B]) : full([B], 1);
      const logprobs = hasLabels
        ? // Apart, so that nothing is computed backward through mismatched rows.
          [0, 1].map((k) => rowLogprobs(parameters, config, halfOf(tokens, k, shape), shape))
        : split(rowLogprobs(parameters, config, tokens, rows), [B, B], 0);
      const numTokensR = sum(reshape(tokens.lossMaskN, [2 * B, length]), 1);
      const half = (k: number): ScoredAnswers => ({
        policyB: logprobs[k]!,
        referenceB: slice(referenceR, 0, k * B, (k + 1) * B),
        numTokensB: slice(numTokensR, 0, k * B, (k + 1) * B),
      });
      const answers = half(0);
      const terms = loss.terms(answers, half(1), { isGoodB, maskB }, values);
      const sftB = values.sftWeight
        ? scale(mul(isGoodB, neg(meanLogprob(answers))), values.sftWeight)
        : undefined;
      const perItem = (valueB: Tensor) => mul(sum(mul(valueB, maskB)), lossScale);
      const told = hasLabels ? labelMetrics(terms, isGoodB, classWeightB) : pairMetrics(terms);
      return {
        loss: perItem(sftB ? add(terms.lossB, sftB) : terms.lossB),
        inputs: [
          ...tokens.inputs,
          maskB,
          ...(loss.usesReference ? [referenceR] : []),
          ...(hasLabels ? [isGoodB, classWeightB] : []),
        ],
        metrics: Object.fromEntries(
          Object.entries(told).map(([name, valueB]) => [name, perItem(stopGradient(valueB))]),
        ),
      };
    },
    feeds: ({ tokens, mask, reference, isGood, classWeight }): Record<string, Feed> => ({
      ...tokenFeeds(tokens, { segments: false }),
      itemMask: mask,
      ...(loss.usesReference && { reference }),
      ...(hasLabels && { isGood, classWeight }),
    }),
    numItems: ({ numItems }) => numItems,
    numTokens: () => 2 * B * length,
    ...(!hasLabels && { figures: meanLengths }),
  };
}

/** Log-probability of each row's actions together [rows]. */
function rowLogprobs(
  parameters: ModelParameters,
  config: TransformerConfig,
  tokens: TokenInputs,
  shape: RowShape,
): Tensor {
  return sum(sequenceForward(parameters, config, tokens, shape).logprobBT, 1);
}

/** The first or the second half of the rows. */
function halfOf(tokens: TokenInputs, k: number, { batchSize: B, length: T }: PreferenceShape): TokenInputs {
  return {
    idsBT: slice(tokens.idsBT, 0, k * B, (k + 1) * B),
    positionsBT: slice(tokens.positionsBT, 0, k * B, (k + 1) * B),
    maskTT: tokens.maskTT,
    targetsN: slice(tokens.targetsN, 0, k * B * T, (k + 1) * B * T),
    lossMaskN: slice(tokens.lossMaskN, 0, k * B * T, (k + 1) * B * T),
    inputs: tokens.inputs,
  };
}

function pairMetrics({ rewardB, againstB, kl }: LossTerms): Record<string, Tensor> {
  return {
    accuracy: cast(greater(rewardB, againstB), 'float32'),
    margin: sub(rewardB, againstB),
    rewardChosen: rewardB,
    rewardRejected: againstB,
    ...(kl && { kl }),
  };
}

/** A good answer is right above the threshold, a bad one below it. */
function labelMetrics(
  { rewardB, againstB, kl }: LossTerms,
  isGoodB: Tensor,
  classWeightB: Tensor,
): Record<string, Tensor> {
  const isBadB = sub(scalar(1), isGoodB);
  const above = cast(greater(rewardB, againstB), 'float32');
  const below = cast(less(rewardB, againstB), 'float32');
  const weightedB = mul(classWeightB, rewardB);
  const [rewardChosen, rewardRejected] = [mul(isGoodB, weightedB), mul(isBadB, weightedB)];
  return {
    accuracy: add(mul(isGoodB, above), mul(isBadB, below)),
    margin: sub(rewardChosen, rewardRejected),
    rewardChosen,
    rewardRejected,
    ...(kl && { kl }),
  };
}

/** Mean numbers of tokens of chosen and of rejected answers. */
function meanLengths(batches: readonly PreferenceBatch[]): Record<string, number> {
  let numItems = 0;
  const totals = [0, 0];
  for (const { tokens, numItems: num } of batches) {
    numItems += num;
    const half = tokens.lossMask.length / 2;
    for (const [i, counted] of tokens.lossMask.entries()) totals[i < half ? 0 : 1]! += counted;
  }
  return { lengthChosen: totals[0]! / numItems, lengthRejected: totals[1]! / numItems };
}
