/**
 * The update of PPO and GRPO as an objective on batches of answers: the clipped surrogate by token, for PPO the
 * critic's loss, for GRPO the KL from the reference; for both the entropy and a share of pre-training if asked for.
 *
 * Shape suffixes: B rows, T inputs a row, N = B * T.
 */
import type { TokenBatch } from '../../data/tokens/token-batch.ts';
import type { TransformerConfig } from '../../model/config.ts';
import { logits, type ModelParameters, transformer } from '../../model/transformer.ts';
import {
  add,
  crossEntropy,
  input,
  mul,
  reshape,
  scalar,
  scale,
  square,
  sub,
  sum,
  type Tensor,
} from '../../tensor/index.ts';
import type { Objective } from '../../train/objective.ts';
import { type TokenInputs, type TokenShape, tokenFeeds, tokenInputs } from '../../train/token-inputs.ts';
import { rowTokenShape, sequenceForward } from '../sequence-logprobs.ts';
import type { RowShape } from '../sequence-row.ts';
import { criticValues } from './critic.ts';
import { clippedSurrogate, clippedValueLoss, entropyOf, referenceDivergence } from './policy-losses.ts';
import type { RlSettings } from './settings.ts';

/** One update. Lists are [B * T] by input place, 0 where the target is no action. */
export interface PolicyBatch {
  /** `lossMask` marks the actions. */
  readonly tokens: TokenBatch;
  readonly oldLogprobs: Float32Array;
  readonly advantages: Float32Array;
  /** What a token's loss counts; with `numItems` the normaliser. */
  readonly weights: Float32Array;
  /** Answers or tokens, as the normaliser asks. */
  readonly numItems: number;
  /** GRPO: of the reference. */
  readonly referenceLogprobs: Float32Array;
  readonly klWeight: number;
  /** PPO: values before the update, and what they are to become. */
  readonly oldValues: Float32Array;
  readonly returns: Float32Array;
  /** Of the iteration that the answers are of, told with the step. */
  readonly figures: Readonly<Record<string, number>>;
  readonly pretraining?: TokenBatch;
}

/** PPO-ptx (Ouyang et al. 2022, eq. 2): the mean negative log-likelihood of other texts, weighted, joins every update. */
export interface PretrainingMix {
  readonly weight: number;
  readonly shape: TokenShape;
}

const PRETRAINING = 'pretraining/';

export interface PolicyObjectiveOptions {
  readonly shape: RowShape;
  readonly settings: RlSettings;
  readonly pretraining?: PretrainingMix | undefined;
}

export function policyObjective(
  config: TransformerConfig,
  { shape, settings, pretraining }: PolicyObjectiveOptions,
): Objective<PolicyBatch> {
  const rows = [shape.batchSize, shape.length];
  const { clip, entropyWeight, temperature } = settings;
  const usesReference = settings.method === 'grpo' && (settings.klWeight > 0 || settings.klTarget);
  return {
    build: (parameters, lossScale) => {
      const tokens = tokenInputs(rowTokenShape(shape));
      const inputs: Tensor[] = [...tokens.inputs];
      const given = (name: string, own: readonly number[] = rows) => {
        const tensor = input(name, own);
        inputs.push(tensor);
        return tensor;
      };
      const forward = sequenceForward(parameters, config, tokens, shape, temperature);
      const weightBT = given('weights');
      const actionBT = given('actionWeights');
      const { loss, ratio, isClipped } = clippedSurrogate(
        forward.logprobBT,
        given('oldLogprobs'),
        given('advantages'),
        clip,
      );
      let totalBT = loss;
      const meanOf = (x: Tensor) => mul(sum(mul(x, actionBT)), lossScale);
      const metrics: Record<string, Tensor> = {
        clipShare: meanOf(isClipped),
        /** Mean (ratio - 1)^2: how far the update's policy is from the one that answered. */
        ratioSpread: meanOf(square(sub(ratio, scalar(1)))),
      };
      if (usesReference) {
        const divergence = referenceDivergence(forward.logprobBT, given('referenceLogprobs'));
        totalBT = add(totalBT, mul(divergence, given('klWeight', [])));
      }
      if (settings.method === 'ppo') {
        const valueBT = criticValues(parameters, config, settings.critic, forward.hiddenND, tokens, shape);
        const valueLoss = clippedValueLoss(valueBT, given('oldValues'), given('returns'), settings.valueClip);
        totalBT = add(totalBT, scale(valueLoss, settings.valueWeight));
        metrics.valueLoss = meanOf(valueLoss);
      }
      if (entropyWeight > 0) {
        totalBT = sub(totalBT, scale(reshape(entropyOf(forward.logitsNV), rows), entropyWeight));
      }
      let total = mul(sum(mul(totalBT, weightBT)), lossScale);
      if (pretraining) {
        const other = tokenInputs(pretraining.shape, PRETRAINING);
        inputs.push(...other.inputs);
        const likelihood = negativeLikelihood(parameters, config, other, pretraining.shape.length);
        const meanLoss = mul(likelihood, given(`${PRETRAINING}lossScale`, []));
        metrics.pretrainingLoss = meanLoss;
        total = add(total, scale(meanLoss, pretraining.weight));
      }
      return { loss: total, inputs, metrics };
    },
    feeds: (batch) => ({
      ...tokenFeeds(batch.tokens, { segments: false }),
      weights: batch.weights,
      actionWeights: actionWeights(batch),
      oldLogprobs: batch.oldLogprobs,
      advantages: batch.advantages,
      ...(usesReference && {
        referenceLogprobs: batch.referenceLogprobs,
        klWeight: Float32Array.of(batch.klWeight),
      }),
      ...(settings.method === 'ppo' && { oldValues: batch.oldValues, returns: batch.returns }),
      ...(pretraining && pretrainingFeeds(batch.pretraining!, pretraining)),
    }),
    numItems: (batch) => batch.numItems,
    numTokens: () =>
      shape.batchSize * shape.length +
      (pretraining ? pretraining.shape.batchSize * pretraining.shape.length : 0),
    figures: ([batch]) => batch!.figures,
  };
}

/** Sum of -log p over the counted targets, in nats. */
function negativeLikelihood(
  parameters: ModelParameters,
  config: TransformerConfig,
  { idsBT, positionsBT, maskTT, targetsN, lossMaskN }: TokenInputs,
  length: number,
): Tensor {
  const inputs = { idsBT, positionsBT, maskTT };
  const { hiddenND } = transformer(parameters, config, inputs, { maxPositions: length });
  return sum(mul(crossEntropy(logits(parameters, config, hiddenND), targetsN), lossMaskN));
}

/** Weights under which a sum times the step's scale is a mean over actions, whatever the loss is divided by. */
function actionWeights({ tokens, numItems }: PolicyBatch): Float32Array {
  const factor = tokens.numTargets > 0 ? numItems / tokens.numTargets : 0;
  return tokens.lossMask.map((one) => one * factor);
}

function pretrainingFeeds(batch: TokenBatch, { shape }: PretrainingMix) {
  return {
    ...tokenFeeds(batch, shape, PRETRAINING),
    [`${PRETRAINING}lossScale`]: Float32Array.of(batch.numTargets > 0 ? 1 / batch.numTargets : 0),
  };
}
