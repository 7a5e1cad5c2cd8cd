/** How a training that is not a recipe's run ends: the model is saved, and the figures are told. */
import { type SaveCheckpointInput, saveCheckpoint } from '../model/checkpoint.node.ts';
import { numParameters, type TransformerConfig } from '../model/config.ts';
import type { PredictedLoss } from './predicted-loss.ts';
import type { TrainStageResult } from './stages/train-stage.node.ts';
import type { TrainingFolder } from './training-folder.node.ts';

export interface TrainingOutcome {
  readonly folder: string;
  /** The trained model; the one that was trained on where only an adapter was saved. */
  readonly modelFolder: string;
  /** Of a low-rank training: belongs to the model that it was trained on. */
  readonly adapterFolder?: string;
  readonly numParameters: number;
  readonly steps: number;
  /** Of the last step; NaN when the training had been finished before. */
  readonly loss: number;
  readonly seconds: number;
  readonly tokensPerSecond: number;
  /** On the texts kept aside, after the last step; absent without such texts. */
  readonly validationLoss?: number;
  /** Of pre-training: what the plan said before. */
  readonly plannedSeconds?: number;
  readonly predictedLoss?: PredictedLoss;
}

/** Saves the result as `model/` in the training's folder. */
export async function saveOutcome(
  folder: TrainingFolder,
  config: TransformerConfig,
  files: NonNullable<SaveCheckpointInput['files']>,
  steps: number,
  { weights, loss, seconds, tokensPerSecond, validation }: TrainStageResult,
): Promise<TrainingOutcome> {
  const modelFolder = folder.file('model');
  await saveCheckpoint(modelFolder, { config, weights, files, overwrite: true });
  return {
    folder: folder.path,
    modelFolder,
    numParameters: numParameters(config),
    steps,
    loss,
    seconds,
    tokensPerSecond,
    ...(validation && { validationLoss: validation.loss }),
  };
}
