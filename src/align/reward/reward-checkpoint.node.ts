/**
 * Reward models as folders, in the layout of transformers' `...ForSequenceClassification` with one label: config.json,
 * model.safetensors with `score.weight`, and the tokenizer with its chat template.
 */
import { ConfigError } from '../../core/errors.ts';
import { loadCheckpoint, type SaveCheckpointInput, saveCheckpoint } from '../../model/checkpoint.node.ts';
import type { Device } from '../../runtime/device.ts';
import { cpuDevice } from '../../runtime/index.node.ts';
import { loadTokenizer } from '../../tokenizer/index.node.ts';
import { chatFormatOf, encodeChat } from '../../tokenizer/index.ts';
import { RewardModel, type RewardModelOptions, type RewardModelParts } from './reward-model.ts';

/** What a folder of a reward model holds. Throws as `loadCheckpoint` does, ConfigError where no chat format is. */
export async function readRewardModel(folder: string): Promise<RewardModelParts> {
  const { config, weights } = await loadCheckpoint(folder, { head: 'score' });
  const loaded = await loadTokenizer(folder);
  const chatFormat = chatFormatOf(loaded.tokenizer, loaded.config);
  if (!chatFormat) {
    throw new ConfigError(
      `${folder} has no chat format, so prompts and answers cannot be put together. Give its ` +
        'tokenizer_config.json the chat_template that it was trained with.',
    );
  }
  return { config, weights, tokenizer: loaded.tokenizer, chatFormat };
}

export interface LoadRewardModelOptions extends RewardModelOptions {
  /** Default: the machine's CPU. */
  readonly device?: Device;
}

/** A reward model that scores. Throws as `readRewardModel` does. */
export async function loadRewardModel(
  folder: string,
  { device = cpuDevice(), ...options }: LoadRewardModelOptions = {},
): Promise<RewardModel> {
  return RewardModel.create(device, await readRewardModel(folder), { name: `model:${folder}`, ...options });
}

/**
 * Replaces what the folder held. transformers reads a batch's rewards at the last token that is no padding; where
 * padding is the token that ends an answer, that would be the one before, so no padding is named then and a batch of
 * several is refused there.
 */
export async function saveRewardModel(
  folder: string,
  { config, weights, tokenizer, chatFormat }: RewardModelParts,
  files: NonNullable<SaveCheckpointInput['files']>,
): Promise<void> {
  const { ids, lossMask } = encodeChat(tokenizer, chatFormat, [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'b' },
  ]);
  const isPadding = ids[lossMask.lastIndexOf(1)] === config.padTokenId;
  await saveCheckpoint(folder, {
    config: isPadding ? { ...config, padTokenId: null } : config,
    weights,
    head: 'score',
    files,
    overwrite: true,
  });
}
