/** A model's folder, as Hugging Face lays it out, to a model that answers. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { loadCheckpoint, stopTokenIds } from '../model/checkpoint.node.ts';
import type { Device } from '../runtime/device.ts';
import { cpuDevice } from '../runtime/index.node.ts';
import { loadTokenizer } from '../tokenizer/index.node.ts';
import { chatFormatOf } from '../tokenizer/index.ts';
import type { EngineLimits } from './engine.ts';
import type { LanguageModel } from './language-model.ts';
import { createLanguageModel } from './onnx-language-model.ts';

export interface LoadLanguageModelOptions extends Partial<EngineLimits> {
  /** Default: the machine's CPU. */
  readonly device?: Device;
  /** Fail when the folder has no tokenizer.json. Default false: the model then takes and gives token ids. */
  readonly requireTokenizer?: boolean;
}

/**
 * Loads config.json, the weights (F32, F16 or BF16, sharded or not), generation_config.json's stop tokens and,
 * if they are there, tokenizer.json and the chat template.
 * @throws ConfigError, FormatError or DataError for what is missing, broken or not supported.
 */
export async function loadLanguageModel(
  dir: string,
  { device = cpuDevice(), requireTokenizer = false, ...limits }: LoadLanguageModelOptions = {},
): Promise<LanguageModel> {
  const { config, weights, rawGenerationConfig } = await loadCheckpoint(dir);
  const loaded =
    requireTokenizer || (await isPresent(join(dir, 'tokenizer.json'))) ? await loadTokenizer(dir) : undefined;
  const stopTokens = stopTokenIds(config, rawGenerationConfig);
  const eosToken = loaded?.config.eosToken ?? null;
  const eosId = eosToken === null ? undefined : loaded?.tokenizer.specialTokens.get(eosToken);
  // A chat model's own end token stands in tokenizer_config.json when no other file names it.
  if (eosId !== undefined && eosId < config.vocabSize && !stopTokens.includes(eosId)) stopTokens.push(eosId);
  return createLanguageModel({
    config,
    weights,
    ...(loaded && {
      tokenizer: loaded.tokenizer,
      chatFormat: chatFormatOf(loaded.tokenizer, loaded.config),
    }),
    stopTokens,
    device,
    ...limits,
  });
}

async function isPresent(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
