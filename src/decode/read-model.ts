/**
 * A model's files to a model that answers, wherever the files are: what loading from a folder and fetching over HTTP
 * have in common. Browser-safe.
 */
import { mergeAdapter, readAdapter } from '../model/adapter/read-adapter.ts';
import { type CheckpointFiles, CONFIG_NAME, readJsonObject } from '../model/checkpoint-files.ts';
import { dequantizeWeights, quantizeWeights } from '../model/quantize/quantize-weights.ts';
import type { MixedWeights } from '../model/quantized.ts';
import { readCheckpoint, stopTokenIds } from '../model/read-checkpoint.ts';
import type { Device } from '../runtime/device.ts';
import type { QuantizedBits } from '../tensor/index.ts';
import { chatFormatOf } from '../tokenizer/index.ts';
import { MAX_TOKENIZER_FILE_BYTES, noTokenizer, readTokenizer } from '../tokenizer/tokenizer-files.ts';
import {
  type CreateLanguageModelOptions,
  createLanguageModel,
  type OnnxLanguageModel,
} from './onnx-language-model.ts';

/** What the caller says and the files do not. */
export interface ReadModelOptions
  extends Omit<
    CreateLanguageModelOptions,
    'config' | 'weights' | 'tokenizer' | 'chatFormat' | 'stopTokens' | 'device' | 'draft'
  > {
  /** Round the matrices to 8 or 4 bits after loading. Default: as the files have them. */
  readonly quantize?: QuantizedBits;
  /** Fail when there is no tokenizer.json. Default false: the model then takes and gives token ids. */
  readonly requireTokenizer?: boolean;
}

export interface ReadModelFiles {
  readonly draft?: DraftFiles | undefined;
  /** A low-rank adapter of the model, merged into its weights (quantised ones are widened first). */
  readonly adapter?: CheckpointFiles | undefined;
}

export interface DraftFiles {
  readonly files: CheckpointFiles;
  readonly maxTokens?: number | undefined;
}

/**
 * Reads config.json, the tokenizer and the chat template if they are there, generation_config.json's stop tokens and
 * the weights (F32, F16, BF16 or packed in 8 or 4 bits, sharded or not).
 * @throws ConfigError, FormatError or DataError for what is missing, broken or not supported.
 */
export async function readLanguageModel(
  files: CheckpointFiles,
  options: ReadModelOptions & ReadModelFiles & { readonly device: Device },
): Promise<OnnxLanguageModel> {
  const { quantize, requireTokenizer = false, draft, adapter, ...more } = options;
  // A chat format that came with the adapter's training goes before the model's.
  const loaded = await readTokenizer(
    async (name) =>
      (await adapter?.readText(name, MAX_TOKENIZER_FILE_BYTES)) ??
      (await files.readText(name, MAX_TOKENIZER_FILE_BYTES)),
  );
  if (loaded === undefined && requireTokenizer) {
    // Where not even a config is, the place is wrong, not the tokenizer.
    if ((await readJsonObject(files, CONFIG_NAME)) === undefined) throw files.missing([CONFIG_NAME]);
    throw noTokenizer(files.place);
  }
  const { config, weights, rawGenerationConfig } = await readWeights(files, quantize, adapter);
  return createLanguageModel({
    config,
    weights,
    ...(loaded && {
      tokenizer: loaded.tokenizer,
      chatFormat: chatFormatOf(loaded.tokenizer, loaded.config),
    }),
    stopTokens: stopTokenIds(config, rawGenerationConfig, loaded),
    ...(draft && { draft: { ...(await readWeights(draft.files, quantize)), ...maxTokensOf(draft) } }),
    ...more,
  });
}

const maxTokensOf = ({ maxTokens }: DraftFiles) => (maxTokens === undefined ? {} : { maxTokens });

async function readWeights(
  files: CheckpointFiles,
  quantize: QuantizedBits | undefined,
  adapter?: CheckpointFiles,
) {
  const { rawGenerationConfig, ...base } = await readCheckpoint(files, { quantized: 'keep' });
  const { config, weights } = adapter
    ? mergeAdapter(base.config, dequantizeWeights(base.weights), await readAdapter(adapter))
    : base;
  const mixed: MixedWeights =
    quantize === undefined ? weights : quantizeWeights(config, weights, { bits: quantize }).weights;
  return { config, weights: mixed, rawGenerationConfig };
}
