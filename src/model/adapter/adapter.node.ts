/** Folders of adapters on disk, in PEFT's layout. Saving is atomic: a folder is complete or not there at all. */
import { join } from 'node:path';
import { writeFileAtomic, writeFolderAtomic } from '../../core/atomic-file.node.ts';
import { FormatError } from '../../core/errors.ts';
import { openFolder, type SaveCheckpointInput } from '../checkpoint.node.ts';
import { formatHuggingFaceJson, type TransformerConfig, toHuggingFaceConfig } from '../config.ts';
import type { Weights } from '../initialize.ts';
import { isSameShape, shapeText } from '../read-checkpoint.ts';
import { writeSafetensors } from '../safetensors.node.ts';
import type { TensorInput } from '../safetensors.ts';
import { quoteName } from '../safetensors-header.ts';
import {
  ADAPTER_CONFIG_NAME,
  ADAPTER_WEIGHTS_NAME,
  BASE_CONFIG_NAME,
  formatAdapterConfig,
} from './adapter-config.ts';
import { adaptedModules, type LowRankSettings, lowRankSpecs } from './low-rank.ts';
import { type Adapter, PEFT_PREFIX, readAdapter } from './read-adapter.ts';

export interface SaveAdapterInput {
  /** Of the model that it is trained on. */
  readonly config: TransformerConfig;
  readonly settings: LowRankSettings;
  /** A, B and rows of tokens by name; others are left aside. */
  readonly weights: Weights;
  /** A path or a name, told to whoever loads the adapter. */
  readonly baseModel: string | null;
  /** Type of the stored numbers; BF16 rounds to nearest. Default F32, which is exact. */
  readonly dtype?: 'F32' | 'BF16';
  /** Further files, such as a tokenizer with a chat format that the base model does not have. */
  readonly files?: SaveCheckpointInput['files'];
}

/**
 * Writes (or replaces) a folder that PEFT, vLLM and `loadAdapter` read.
 * @throws ConfigError and FormatError for what does not fit together; PlinthError `disk`, with nothing lost.
 */
export async function saveAdapter(dir: string, input: SaveAdapterInput): Promise<void> {
  const { config, settings, weights, baseModel, dtype = 'F32', files = new Map() } = input;
  const modules = adaptedModules(config, settings.targets).map(({ module }) => module);
  const configText = formatAdapterConfig(config, settings, modules, baseModel);
  const tensors = lowRankSpecs(config, settings).map(({ name, shape }): TensorInput => {
    const weight = weights.get(name);
    if (weight === undefined || !isSameShape(weight.shape, shape)) {
      const got = weight === undefined ? 'is missing' : `has shape ${shapeText(weight.shape)}`;
      throw new FormatError(`Not saved: tensor ${quoteName(name)} ${got}; expected ${shapeText(shape)}.`);
    }
    return { name: `${PEFT_PREFIX}${name}`, dtype, shape, data: weight.data };
  });
  await writeFolderAtomic(dir, async (temporary) => {
    for (const [name, content] of [
      ...files,
      [ADAPTER_CONFIG_NAME, configText],
      [BASE_CONFIG_NAME, formatHuggingFaceJson(toHuggingFaceConfig(config))],
    ] as const) {
      await writeFileAtomic(join(temporary, name), content);
    }
    await writeSafetensors(join(temporary, ADAPTER_WEIGHTS_NAME), tensors);
  });
}

/** What is read and refused stands at `readAdapter`. */
export async function loadAdapter(dir: string): Promise<Adapter> {
  return readAdapter(await openFolder(dir));
}
