/**
 * A checkpoint is a Hugging Face folder: config.json, generation_config.json, model.safetensors (or shards)
 * and whatever else is put beside them. What is read stands in `read-checkpoint.ts`; saving is atomic, so a folder is
 * complete or not there at all.
 */
import { dirname, join, resolve } from 'node:path';
import { removeStaleTemporaries, writeFileAtomic, writeFolderAtomic } from '../core/atomic-file.node.ts';
import { ConfigError, FormatError } from '../core/errors.ts';
import {
  type CheckpointFiles,
  CONFIG_NAME,
  GENERATION_CONFIG_NAME,
  WEIGHTS_NAME,
} from './checkpoint-files.ts';
import { folderFiles, isPresent } from './checkpoint-folder.node.ts';
import {
  formatHuggingFaceJson,
  type GenerationDefaults,
  type HuggingFaceDtype,
  headedSpecs,
  type ModelHead,
  type TransformerConfig,
  toHuggingFaceConfig,
  toHuggingFaceGenerationConfig,
} from './config.ts';
import { packedTensors, QUANTIZATION_KEY, toQuantizationConfig } from './quantize/compressed-tensors.ts';
import { isQuantized, type QuantizedWeight } from './quantized.ts';
import {
  type Checkpoint,
  EMBEDDING,
  isSameShape,
  type LoadCheckpointOptions,
  type MixedCheckpoint,
  readCheckpoint,
  shapeText,
  someNames,
  TIED_OUTPUT,
} from './read-checkpoint.ts';
import { writeSafetensors } from './safetensors.node.ts';
import type { TensorInput } from './safetensors.ts';
import { quoteName } from './safetensors-header.ts';

export { CONFIG_NAME, GENERATION_CONFIG_NAME } from './checkpoint-files.ts';
export {
  type Checkpoint,
  type LoadCheckpointOptions,
  type MixedCheckpoint,
  stopTokenIds,
  type Weight,
} from './read-checkpoint.ts';

/**
 * A checkpoint's folder for reading. One whose replacement was cut short by a kill is first put back in its place.
 */
export async function openFolder(dir: string): Promise<CheckpointFiles> {
  const folder = resolve(dir);
  if (!(await isPresent(folder)) && (await isPresent(dirname(folder)))) {
    // If the folder cannot be put back, reading it says so.
    await removeStaleTemporaries(dirname(folder)).catch(() => {});
  }
  return folderFiles(folder);
}

/**
 * Loads a folder's config and all its weights, as float32 unless quantised ones are kept. What is read and refused
 * stands at `readCheckpoint`.
 * @throws ConfigError, FormatError, LimitError, PlinthError `disk` when files cannot be read.
 */
export function loadCheckpoint(
  dir: string,
  options: LoadCheckpointOptions & { quantized: 'keep' },
): Promise<MixedCheckpoint>;
export function loadCheckpoint(
  dir: string,
  options?: LoadCheckpointOptions & { quantized?: 'refuse' | 'dequantize' },
): Promise<Checkpoint>;
export async function loadCheckpoint(
  dir: string,
  options: LoadCheckpointOptions = {},
): Promise<MixedCheckpoint> {
  return readCheckpoint(await openFolder(dir), options);
}

export interface SaveCheckpointInput {
  config: TransformerConfig;
  /**
   * Exactly the tensors of `headedSpecs(config, head)`. Projections may be quantised, all in one form; embeddings and
   * the output matrix may not, because the format of the folder has no place for them.
   */
  weights: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array } | QuantizedWeight>;
  /** Default: that of a language model. */
  head?: ModelHead;
  /** Type of the stored float weights; BF16 and F16 round to nearest. Default F32, which is exact. */
  dtype?: 'F32' | 'BF16' | 'F16';
  generation?: GenerationDefaults;
  /** Further files by plain name, such as tokenizer.json and tokenizer_config.json. */
  files?: ReadonlyMap<string, string | Uint8Array>;
  /** Puts further, larger files into the folder before it gets its name, such as optimizer state. */
  addFiles?: (temporaryFolder: string) => Promise<void>;
  /** Replace a folder that is already there, with everything in it. Default false: that is an error. */
  overwrite?: boolean;
}

const DTYPE_WORDS: Record<'F32' | 'BF16' | 'F16', HuggingFaceDtype> = {
  F32: 'float32',
  BF16: 'bfloat16',
  F16: 'float16',
};
/** A name, not a path, and none of those written here. */
const FILE_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;
const OWN_NAMES: readonly string[] = [CONFIG_NAME, GENERATION_CONFIG_NAME, WEIGHTS_NAME];

function collectTensors(input: SaveCheckpointInput): TensorInput[] {
  const { config, weights, head = 'language-model', dtype = 'F32' } = input;
  if (head === 'score' && !config.tieWordEmbeddings) {
    throw new ConfigError(
      'Not saved: a model with a score has no output matrix; set tieWordEmbeddings, which asks for none.',
    );
  }
  const specs = headedSpecs(config, head);
  const expected = new Set(specs.map(({ name }) => name));
  const unknown = [...weights.keys()].filter((name) => !expected.has(name));
  if (unknown.length > 0) {
    throw new FormatError(
      `Not saved: ${unknown.length} tensors are not in the config: ${someNames(unknown)}.`,
    );
  }
  return specs.flatMap(({ name, shape }): TensorInput[] => {
    const weight = weights.get(name);
    if (weight === undefined) throw new FormatError(`Not saved: tensor ${quoteName(name)} is missing.`);
    if (!isSameShape(weight.shape, shape)) {
      throw new FormatError(
        `Not saved: tensor ${quoteName(name)} has shape ${shapeText(weight.shape)}, but the config asks for ${shapeText(shape)}.`,
      );
    }
    return isQuantized(weight) ? packedTensors(name, weight) : [{ name, dtype, shape, data: weight.data }];
  });
}

/** Matrices that files hold as floats only: the embedding and, where it is not tied to it, the output matrix. */
export function embeddingNames(config: TransformerConfig): string[] {
  return config.tieWordEmbeddings ? [EMBEDDING] : [EMBEDDING, TIED_OUTPUT];
}

/** `quantization_config` for weights of which some are quantised; undefined when none is. */
function quantizationConfig({ config, weights }: SaveCheckpointInput): Record<string, unknown> | undefined {
  const quantized = [...weights].filter((entry): entry is [string, QuantizedWeight] => isQuantized(entry[1]));
  const first = quantized[0]?.[1];
  if (first === undefined) return undefined;
  const floatOnly = new Set(embeddingNames(config));
  for (const [name, { bits, blockSize }] of quantized) {
    if (floatOnly.has(name)) {
      throw new ConfigError(
        `Not saved: ${name} is quantised, but folders hold embeddings and output matrices as floats. Quantise with keep: embeddingNames(config).`,
      );
    }
    if (bits !== first.bits || blockSize !== first.blockSize) {
      throw new ConfigError(
        `Not saved: ${name} has ${bits} bits in blocks of ${blockSize}, ${quantized[0]![0]} ${first.bits} bits in blocks of ${first.blockSize}; a folder holds one form.`,
      );
    }
  }
  const floats = [...weights].filter(
    ([name, weight]) => weight.shape.length === 2 && !isQuantized(weight) && name !== EMBEDDING,
  );
  const modules = floats.map(([name]) => name.replace(/\.weight$/, ''));
  // A tied output matrix is a module too, though no tensor of its own.
  return toQuantizationConfig(first, [...new Set(['lm_head', ...modules])]);
}

/**
 * Writes a folder that Plinth, transformers, vLLM and converters load, in one piece: until everything is on
 * the device the folder does not exist (or is the old one). Weights stream out; no second copy is made.
 * @throws ConfigError for an impossible config, file name, or a folder already there; FormatError for weights
 *   that do not fit the config (nothing is written then); PlinthError `disk`, with nothing lost.
 */
export async function saveCheckpoint(dir: string, input: SaveCheckpointInput): Promise<void> {
  const { config, dtype = 'F32', files = new Map(), overwrite = false } = input;
  const quantization = quantizationConfig(input);
  const configText = formatHuggingFaceJson({
    ...toHuggingFaceConfig(config, { dtype: DTYPE_WORDS[dtype], ...(input.head && { head: input.head }) }),
    ...(quantization && { [QUANTIZATION_KEY]: quantization }),
  });
  const generationText = formatHuggingFaceJson(toHuggingFaceGenerationConfig(config, input.generation));
  const tensors = collectTensors(input);
  for (const name of files.keys()) {
    if (!FILE_NAME.test(name) || OWN_NAMES.includes(name)) {
      throw new ConfigError(
        `Not saved: ${quoteName(name)} cannot be a further file of a checkpoint; expected a plain file name other than ${OWN_NAMES.join(', ')}.`,
      );
    }
  }
  if (!overwrite && (await isPresent(dir))) {
    throw new ConfigError(
      `Not saved: ${dir} is already there. Choose another folder, or pass overwrite: true.`,
    );
  }
  await writeFolderAtomic(dir, async (temporary) => {
    await writeFileAtomic(join(temporary, CONFIG_NAME), configText);
    await writeFileAtomic(join(temporary, GENERATION_CONFIG_NAME), generationText);
    for (const [name, content] of files) await writeFileAtomic(join(temporary, name), content);
    await writeSafetensors(join(temporary, WEIGHTS_NAME), tensors);
    await input.addFiles?.(temporary);
  });
}
