/**
 * What a training step minimises. An objective builds its loss from the model's parameters once and turns
 * each batch into feeds; the trainer knows nothing of language models, pairs or rewards.
 */

import type { TokenBatch } from '../data/tokens/token-batch.ts';
import type { TransformerConfig } from '../model/config.ts';
import { logits, type ModelParameters, transformer } from '../model/transformer.ts';
import type { Feed } from '../runtime/device.ts';
import { crossEntropy, mul, sum, type Tensor } from '../tensor/index.ts';
import { type TokenShape, tokenFeeds, tokenInputs } from './token-inputs.ts';

export interface BuiltObjective {
  /**
   * Sum of the losses of one batch's items times the input `lossScale`; the trainer sets that to
   * 1 / (items of the whole step), so that accumulated batches weigh items equally.
   */
  readonly loss: Tensor;
  readonly inputs: readonly Tensor[];
  /** Scalars to be told beside the loss, each a sum over the items times `lossScale`: a mean per item. */
  readonly metrics?: Readonly<Record<string, Tensor>>;
}

export interface Objective<Batch> {
  build(parameters: ModelParameters, lossScale: Tensor): BuiltObjective;
  feeds(batch: Batch): Record<string, Feed>;
  /** Number of items (tokens, pairs) that the batch's loss sums over. */
  numItems(batch: Batch): number;
  /** Tokens that the model reads in the batch, padding included: what speed is counted by. */
  numTokens(batch: Batch): number;
  /** Figures of a step's batches that need no graph, told beside the metrics. */
  figures?(batches: readonly Batch[]): Readonly<Record<string, number>>;
}

export interface LanguageModelShape extends TokenShape {
  readonly remat?: boolean;
}

/** Next-token prediction: the mean negative log-likelihood of the counted targets, in nats. */
export function languageModelObjective(
  config: TransformerConfig,
  shape: LanguageModelShape,
): Objective<TokenBatch> {
  return {
    build: (parameters, lossScale) => {
      const { idsBT, positionsBT, maskTT, targetsN, lossMaskN, inputs } = tokenInputs(shape);
      const { hiddenND } = transformer(
        parameters,
        config,
        { idsBT, positionsBT, maskTT },
        { maxPositions: shape.length, ...(shape.remat && { remat: true }) },
      );
      const lossN = crossEntropy(logits(parameters, config, hiddenND), targetsN);
      return { loss: mul(sum(mul(lossN, lossMaskN)), lossScale), inputs };
    },
    feeds: (batch) => tokenFeeds(batch, shape),
    numItems: (batch) => batch.numTargets,
    numTokens: () => shape.batchSize * shape.length,
  };
}
