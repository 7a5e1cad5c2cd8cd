/**
 * What a training step minimises. An objective builds its loss from the model's parameters once and turns
 * each batch into feeds; the trainer knows nothing of language models, pairs or rewards.
 */

import type { TokenBatch } from '../data/tokens/token-batch.ts';
import type { TransformerConfig } from '../model/config.ts';
import { causalMask, logits, segmentMask, transformer } from '../model/transformer.ts';
import type { Feed } from '../runtime/device.ts';
import { crossEntropy, input, mul, reshape, sum, type Tensor, type TensorRecord } from '../tensor/index.ts';

export interface BuiltObjective {
  /**
   * Sum of the losses of one batch's items times the input `lossScale`; the trainer sets that to
   * 1 / (items of the whole step), so that accumulated batches weigh items equally.
   */
  readonly loss: Tensor;
  readonly inputs: readonly Tensor[];
}

export interface Objective<Batch> {
  build(parameters: TensorRecord, lossScale: Tensor): BuiltObjective;
  feeds(batch: Batch): Record<string, Feed>;
  /** Number of items (tokens, pairs) that the batch's loss sums over. */
  numItems(batch: Batch): number;
  /** Tokens that the model reads in the batch, padding included: what speed is counted by. */
  numTokens(batch: Batch): number;
}

export interface LanguageModelShape {
  readonly batchSize: number;
  readonly length: number;
  /** Keep attention within each segment of a row. Without it a row is one causal sequence. */
  readonly segments: boolean;
  readonly remat?: boolean;
}

/** Next-token prediction: the mean negative log-likelihood of the counted targets, in nats. */
export function languageModelObjective(
  config: TransformerConfig,
  shape: LanguageModelShape,
): Objective<TokenBatch> {
  const { batchSize: B, length: T } = shape;
  return {
    build: (parameters, lossScale) => {
      const idsBT = input('inputIds', [B, T], 'int32');
      const positionsBT = input('positions', [B, T], 'int64');
      const targetsN = input('targets', [B * T], 'int32');
      const maskN = input('lossMask', [B * T]);
      const segmentIdsBT = shape.segments ? input('segmentIds', [B, T]) : undefined;
      const maskTT = segmentIdsBT ? segmentMask(segmentIdsBT) : causalMask(T);
      const { hiddenND } = transformer(
        parameters,
        config,
        { idsBT, positionsBT, maskTT },
        { maxPositions: T, ...(shape.remat && { remat: true }) },
      );
      const lossN = crossEntropy(logits(parameters, config, hiddenND), reshape(targetsN, [B * T]));
      return {
        loss: mul(sum(mul(lossN, maskN)), lossScale),
        inputs: [idsBT, positionsBT, targetsN, maskN, ...(segmentIdsBT ? [segmentIdsBT] : [])],
      };
    },
    feeds: (batch) => ({
      inputIds: batch.inputIds,
      positions: BigInt64Array.from(batch.positions, BigInt),
      targets: batch.targets,
      lossMask: batch.lossMask,
      ...(shape.segments && { segmentIds: Float32Array.from(batch.segmentIds) }),
    }),
    numItems: (batch) => batch.numTargets,
    numTokens: () => B * T,
  };
}
