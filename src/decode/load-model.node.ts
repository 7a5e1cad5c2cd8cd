/** A model's folder, as Hugging Face lays it out, to a model that answers. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { loadCheckpoint, stopTokenIds } from '../model/checkpoint.node.ts';
import { quantizeWeights } from '../model/quantize/quantize-weights.ts';
import type { MixedWeights } from '../model/quantized.ts';
import type { Device } from '../runtime/device.ts';
import { cpuDevice } from '../runtime/index.node.ts';
import type { QuantizedBits } from '../tensor/index.ts';
import { loadTokenizer } from '../tokenizer/index.node.ts';
import { chatFormatOf } from '../tokenizer/index.ts';
import {
  type CreateLanguageModelOptions,
  createLanguageModel,
  type DraftModel,
  type OnnxLanguageModel,
} from './onnx-language-model.ts';

type Passed = Omit<
  CreateLanguageModelOptions,
  'config' | 'weights' | 'tokenizer' | 'chatFormat' | 'stopTokens' | 'device' | 'draft'
>;

export interface LoadLanguageModelOptions extends Passed {
  /** Default: the machine's CPU. */
  readonly device?: Device;
  /** Round the matrices to 8 or 4 bits after loading. Default: as the folder has them. */
  readonly quantize?: QuantizedBits;
  /** Folder of a small model with the same vocabulary that guesses ahead; answers stay the same. */
  readonly draft?: string;
  /** Tokens that the draft model guesses ahead at most. */
  readonly draftTokens?: number;
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
  options: LoadLanguageModelOptions = {},
): Promise<OnnxLanguageModel> {
  const { device = cpuDevice(), requireTokenizer = false, quantize, draft, draftTokens, ...more } = options;
  const { config, weights, rawGenerationConfig } = await loadWeights(dir, quantize);
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
    ...(draft !== undefined && { draft: await loadDraft(draft, quantize, draftTokens) }),
    ...more,
  });
}

async function loadWeights(dir: string, quantize: QuantizedBits | undefined) {
  const { config, weights, rawGenerationConfig } = await loadCheckpoint(dir, { quantized: 'keep' });
  const mixed: MixedWeights =
    quantize === undefined ? weights : quantizeWeights(config, weights, { bits: quantize }).weights;
  return { config, weights: mixed, rawGenerationConfig };
}

async function loadDraft(
  dir: string,
  quantize: QuantizedBits | undefined,
  maxTokens: number | undefined,
): Promise<DraftModel> {
  const { config, weights } = await loadWeights(dir, quantize);
  return { config, weights, ...(maxTokens !== undefined && { maxTokens }) };
}

async function isPresent(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
