/**
 * One training stage of a run on next-token prediction (pre-training or finetuning): a resumable training whose
 * validation is told in bits per byte.
 */
import type { BatchSource, TokenBatch } from '../../data/tokens/token-batch.ts';
import { bitsPerByte, targetBytes } from '../../evaluate/index.ts';
import { parameterSpecs, type TransformerConfig } from '../../model/config.ts';
import type { Weights } from '../../model/initialize.ts';
import { type Parametrisation, scalingOf } from '../../model/parametrisation.ts';
import type { Tokenizer } from '../../tokenizer/index.ts';
import { LossEvaluator } from '../../train/evaluate-loss.ts';
import { languageModelObjective, type Objective } from '../../train/objective.ts';
import type { OptimizerSettings } from '../../train/optimizer.ts';
import {
  type ResumableTrainingOptions,
  type ResumableTrainingResult,
  trainResumably,
} from '../../train/resumable-training.node.ts';

const NUM_VALIDATION_BATCHES = 4;

export interface TrainStageOptions
  extends Omit<
    ResumableTrainingOptions<TokenBatch>,
    'objective' | 'parameters' | 'initial' | 'batch' | 'isBoundary' | 'validate' | 'settings'
  > {
  readonly config: TransformerConfig;
  /** Weights to start from when there is no checkpoint. */
  readonly weights: () => Promise<Weights> | Weights;
  readonly tokenizer?: Tokenizer;
  readonly batches: BatchSource;
  readonly validation?: BatchSource;
  readonly optimizer: OptimizerSettings;
  /** What `weights` were initialised under; standard when left out. Part of what a checkpoint must agree with. */
  readonly parametrisation?: Parametrisation | undefined;
  readonly clipNorm: number;
  readonly accumulate?: number;
  readonly profile?: boolean;
}

export type TrainStageResult = ResumableTrainingResult;

export async function trainStage(options: TrainStageOptions): Promise<TrainStageResult> {
  const { config, device, batches, optimizer, weights, ...common } = options;
  const specs = parameterSpecs(config);
  const scaling = scalingOf(config, options.parametrisation);
  let evaluator: LossEvaluator<TokenBatch> | undefined;
  const validation = options.validation && fixedBatches(options.validation);
  const validationBytes = validation && totalBytes(options.tokenizer, validation);
  try {
    return await trainResumably<TokenBatch>({
      ...common,
      config,
      device,
      fingerprint: scaling
        ? `${options.fingerprint} ${JSON.stringify(options.parametrisation)}`
        : options.fingerprint,
      objective: objectiveFor(config, batches),
      parameters: specs,
      initial: weights,
      batch: (index) => batches.batch(index),
      settings: {
        optimizer,
        clipNorm: options.clipNorm,
        accumulate: options.accumulate ?? 1,
        ...(scaling && { scaling }),
        ...(options.profile && { profile: true }),
      },
      ...(validation &&
        validationBytes !== undefined && {
          validate: async (state) => {
            evaluator ??= await LossEvaluator.compile(
              device,
              objectiveFor(config, options.validation!),
              specs,
            );
            const { loss, numItems } = await evaluator.run(state, validation);
            return { loss, bitsPerByte: bitsPerByte(loss, numItems, validationBytes) };
          },
        }),
    });
  } finally {
    await evaluator?.dispose();
  }
}

function objectiveFor(config: TransformerConfig, batches: BatchSource): Objective<TokenBatch> {
  return languageModelObjective(config, {
    batchSize: batches.batchSize,
    length: batches.sequenceLength,
    segments: true,
  });
}

function fixedBatches(source: BatchSource): TokenBatch[] {
  const numBatches = Math.min(
    NUM_VALIDATION_BATCHES,
    Math.max(1, Math.floor(source.rowsPerEpoch / source.batchSize)),
  );
  return Array.from({ length: numBatches }, (_, i) => source.batch(i));
}

function totalBytes(tokenizer: Tokenizer | undefined, batches: readonly TokenBatch[]): number {
  if (!tokenizer) return Number.NaN;
  return batches.reduce(
    (total, { targets, lossMask }) => total + targetBytes(tokenizer, targets, lossMask),
    0,
  );
}
