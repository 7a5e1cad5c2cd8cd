/** A model's folder, as Hugging Face lays it out, to a model that answers. */
import { openFolder } from '../model/checkpoint.node.ts';
import type { Device } from '../runtime/device.ts';
import { cpuDevice } from '../runtime/index.node.ts';
import type { OnnxLanguageModel } from './onnx-language-model.ts';
import { type ReadModelOptions, readLanguageModel } from './read-model.ts';

export interface LoadLanguageModelOptions extends ReadModelOptions {
  /** Default: the machine's CPU. */
  readonly device?: Device;
  /** Folder of a small model with the same vocabulary that guesses ahead; answers stay the same. */
  readonly draft?: string;
  /** Folder of a low-rank adapter of this model (PEFT's layout), merged into its weights. */
  readonly adapter?: string;
  /** Tokens that the draft model guesses ahead at most. */
  readonly draftTokens?: number;
}

/**
 * Loads a folder: what is read stands at `readLanguageModel`.
 * @throws ConfigError, FormatError or DataError for what is missing, broken or not supported; PlinthError `disk`.
 */
export async function loadLanguageModel(
  dir: string,
  options: LoadLanguageModelOptions = {},
): Promise<OnnxLanguageModel> {
  const { device = cpuDevice(), draft, draftTokens, adapter, ...more } = options;
  return readLanguageModel(await openFolder(dir), {
    ...more,
    device,
    ...(adapter !== undefined && { adapter: await openFolder(adapter) }),
    ...(draft !== undefined && { draft: { files: await openFolder(draft), maxTokens: draftTokens } }),
  });
}
