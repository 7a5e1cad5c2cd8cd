/**
 * What a post-training trains of a model, and how its result is saved: the whole model, or a low-rank adapter as a
 * folder of its own (and, where it is asked for, the model with the adapter in it).
 */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { saveAdapter } from '../../model/adapter/adapter.node.ts';
import type { LowRankSettings } from '../../model/adapter/low-rank.ts';
import { numParameters } from '../../model/config.ts';
import { lowRankModel } from '../../train/low-rank.ts';
import type { ResumableTrainingResult } from '../../train/resumable-training.node.ts';
import { fullModel, type Trainable } from '../../train/trainable.ts';
import type { TrainingFolder, TrainingRequest } from '../training-folder.node.ts';
import { saveOutcome, type TrainingOutcome } from '../training-outcome.node.ts';
import type { ChatModel } from './chat-model.node.ts';

export interface LowRankOptions extends LowRankSettings {
  /** Save the model with the adapter in it beside the adapter. */
  readonly merge: boolean;
}

/** An adapter also trains the rows of tokens that the model was never shown. */
function withNewTokens(
  lowRank: LowRankSettings,
  { newTokens }: Pick<ChatModel, 'newTokens'>,
): LowRankSettings {
  return newTokens && lowRank.tokens === undefined ? { ...lowRank, tokens: newTokens } : lowRank;
}

/** The model itself, or an adapter on it. Throws ConfigError for settings that do not fit the model. */
export function trainableOf(
  model: Pick<ChatModel, 'config' | 'weights' | 'newTokens'>,
  lowRank: LowRankSettings | undefined,
  seed: number,
): Trainable {
  const { config, weights } = model;
  if (!lowRank) return fullModel(config, weights);
  return lowRankModel(config, weights, { ...withNewTokens(lowRank, model), seed });
}

/** To be spread into the request of a `TrainingFolder`. Whether to merge is no part of it: that can be asked later. */
export function lowRankRequest(lowRank: LowRankSettings | undefined): TrainingRequest {
  if (!lowRank) return {};
  const { rank, alpha, targets, rankStabilised = false } = lowRank;
  return {
    loraRank: rank,
    loraAlpha: alpha,
    loraTargets: targets,
    ...(rankStabilised && { loraRankStabilised: true }),
  };
}

export interface SaveTrainedInput {
  readonly folder: TrainingFolder;
  /** As it was opened from `modelFolder`. */
  readonly model: ChatModel;
  readonly modelFolder: string;
  readonly trainable: Trainable;
  readonly lowRank: LowRankOptions | undefined;
  readonly steps: number;
  /** Of `trainModel` with this trainable. */
  readonly result: ResumableTrainingResult;
}

/**
 * Saves `model/` for a whole model; for an adapter `adapter/`, and `model/` too where `merge` asks for it. Tensors that
 * are neither (a head) are the caller's to save.
 */
export async function saveTrained(input: SaveTrainedInput): Promise<TrainingOutcome> {
  const { folder, model, modelFolder, trainable, lowRank, steps, result } = input;
  const { config, files } = model;
  const merged = () => ({ ...result, weights: trainable.merge(result.weights) });
  if (!lowRank) return saveOutcome(folder, config, files, steps, merged());
  const adapterFolder = folder.file('adapter');
  await saveAdapter(adapterFolder, {
    config,
    settings: withNewTokens(lowRank, model),
    weights: result.weights,
    baseModel: resolve(modelFolder),
    files: await filesUnlike(modelFolder, files),
  });
  if (lowRank.merge) {
    return { ...(await saveOutcome(folder, config, files, steps, merged())), adapterFolder };
  }
  const { loss, seconds, tokensPerSecond, validation } = result;
  return {
    folder: folder.path,
    modelFolder: resolve(modelFolder),
    adapterFolder,
    numParameters: numParameters(config),
    steps,
    loss,
    seconds,
    tokensPerSecond,
    ...(validation && { validationLoss: validation.loss }),
  };
}

/** Those that the base model does not have in this form: a chat format that came with the training. */
async function filesUnlike(modelFolder: string, files: ChatModel['files']): Promise<Map<string, string>> {
  const own = new Map<string, string>();
  for (const [name, content] of files) {
    const before = await readFile(join(modelFolder, name), 'utf8').catch(() => undefined);
    if (before !== content) own.set(name, content);
  }
  return own;
}
