/**
 * A checkpoint is a Hugging Face folder: config.json, generation_config.json, model.safetensors (or shards)
 * and whatever else is put beside them. Loading checks every tensor's name and shape against the config;
 * saving is atomic, so a folder is complete or not there at all. Weights are float32 in memory, or stay in blocks of
 * 8 or 4 bits where the folder holds them so and the caller asks for it (quantize/compressed-tensors.ts).
 */
import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { removeStaleTemporaries, writeFileAtomic, writeFolderAtomic } from '../core/atomic-file.node.ts';
import { ConfigError, FormatError } from '../core/errors.ts';
import {
  formatHuggingFaceJson,
  type GenerationDefaults,
  type HuggingFaceDtype,
  parameterSpecs,
  parseHuggingFaceConfig,
  type TransformerConfig,
  toHuggingFaceConfig,
  toHuggingFaceGenerationConfig,
} from './config.ts';
import {
  checkPacked,
  isPacked,
  type PackedScheme,
  packedNames,
  packedTensors,
  parseQuantizationConfig,
  QUANTIZATION_KEY,
  readPacked,
  toQuantizationConfig,
} from './quantize/compressed-tensors.ts';
import { dequantize } from './quantize/quantize-matrix.ts';
import { isQuantized, type QuantizedWeight } from './quantized.ts';
import { type TensorSource, writeSafetensors } from './safetensors.node.ts';
import type { TensorInput } from './safetensors.ts';
import { isFloatDtype } from './safetensors-float.ts';
import { quoteName } from './safetensors-header.ts';
import { openWeights, readJsonObject, WEIGHTS_NAME } from './safetensors-sharded.node.ts';

export const CONFIG_NAME = 'config.json';
export const GENERATION_CONFIG_NAME = 'generation_config.json';

/** A parameter: row-major float32 values. */
export interface Weight {
  shape: number[];
  data: Float32Array;
}

export interface Checkpoint {
  config: TransformerConfig;
  /** By Hugging Face name, in the order of `parameterSpecs`. */
  weights: Map<string, Weight>;
  /** config.json as it stands in the file. */
  rawConfig: Record<string, unknown>;
  /** generation_config.json as it stands in the file; null when there is none. */
  rawGenerationConfig: Record<string, unknown> | null;
  /** Tensors of the file that are not parameters and were left out, such as RoPE tables of old conversions. */
  ignoredTensors: string[];
}

/** A checkpoint whose matrices may be quantised. */
export interface MixedCheckpoint extends Omit<Checkpoint, 'weights'> {
  weights: Map<string, Weight | QuantizedWeight>;
}

/** Tables that old versions of transformers stored; they follow from the config. */
const HARMLESS_TENSOR = /^model\.(layers\.\d+\.self_attn\.)?rotary_emb\.(inv_freq|cos_cached|sin_cached)$/;
const TIED_OUTPUT = 'lm_head.weight';
const EMBEDDING = 'model.embed_tokens.weight';

const shapeText = (shape: readonly number[]): string => `[${shape.join(', ')}]`;

function isSameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}

/** The first few names and how many there are. */
function someNames(names: readonly string[]): string {
  const shown = names.slice(0, 5).map(quoteName).join(', ');
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}

/**
 * Compares names, shapes and types with the config; reads no data.
 * @returns the extra tensors that may be left out.
 * @throws FormatError naming missing, extra and misshapen tensors.
 */
function checkTensors(
  folder: string,
  source: TensorSource,
  config: TransformerConfig,
  scheme: PackedScheme | undefined,
): string[] {
  const specs = parameterSpecs(config);
  const missing: string[] = [];
  const expected = new Set(specs.map(({ name }) => name));
  for (const { name, shape } of specs) {
    const info = source.tensors.get(name);
    if (scheme !== undefined && info === undefined && shape.length === 2 && isPacked(source, name)) {
      checkPacked(folder, source, { name, shape }, scheme);
      for (const part of Object.values(packedNames(name))) expected.add(part);
      continue;
    }
    if (info === undefined) {
      missing.push(name);
      continue;
    }
    if (!isSameShape(info.shape, shape)) {
      throw new FormatError(
        `${folder}: tensor ${quoteName(name)} has shape ${shapeText(info.shape)}, but ${CONFIG_NAME} asks for ${shapeText(shape)}. The weights and the config are of different models.`,
      );
    }
    if (!isFloatDtype(info.dtype)) {
      throw new FormatError(
        `${folder}: tensor ${quoteName(name)} is ${info.dtype}; expected F32, F16, BF16 or F64, or the packed form that "${QUANTIZATION_KEY}" describes.`,
      );
    }
  }
  if (missing.length > 0) {
    throw new FormatError(
      `${folder}: ${missing.length} of ${specs.length} tensors are missing: ${someNames(missing)}. Is the download complete, and is ${CONFIG_NAME} of this model?`,
    );
  }
  const extras = [...source.tensors.keys()].filter((name) => !expected.has(name));
  const unknown = extras.filter(
    (name) => !HARMLESS_TENSOR.test(name) && !(name === TIED_OUTPUT && config.tieWordEmbeddings),
  );
  if (unknown.length > 0) {
    throw new FormatError(
      `${folder}: ${unknown.length} tensors have no place in a ${config.architecture} model: ${someNames(unknown)}. Leaving them out would change the model.`,
    );
  }
  return extras;
}

/** A tied model may carry its output matrix; it must then be the embedding matrix. */
async function checkTiedOutput(folder: string, source: TensorSource, embedding: Weight): Promise<void> {
  const info = source.tensors.get(TIED_OUTPUT)!;
  const output = isSameShape(info.shape, embedding.shape) ? await source.readFloat32(TIED_OUTPUT) : undefined;
  const isEqual = output?.every((value, i) => Object.is(value, embedding.data[i]));
  if (!isEqual) {
    throw new FormatError(
      `${folder}: "tie_word_embeddings" is true, but ${TIED_OUTPUT} differs from ${EMBEDDING}. If the model was trained untied, set it to false in ${CONFIG_NAME}.`,
    );
  }
}

async function isPresent(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

export interface LoadCheckpointOptions {
  /**
   * What to do with a folder whose weights are quantised: `refuse` it (default), give float32 (`dequantize`), or
   * `keep` its matrices as they are.
   */
  quantized?: 'refuse' | 'dequantize' | 'keep';
}

/**
 * Loads a folder's config and all its weights, as float32 unless quantised ones are kept. A folder whose replacement
 * was cut short by a kill is first put back in its place.
 * @throws ConfigError for models that are not supported, FormatError for files that contradict the format or
 *   the config, LimitError when memory does not suffice, PlinthError `disk` when files cannot be read.
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
  { quantized = 'refuse' }: LoadCheckpointOptions = {},
): Promise<MixedCheckpoint> {
  const folder = resolve(dir);
  if (!(await isPresent(folder)) && (await isPresent(dirname(folder)))) {
    // If the folder cannot be put back, reading it just below says so.
    await removeStaleTemporaries(dirname(folder)).catch(() => {});
  }
  const rawConfig = await readJsonObject(join(folder, CONFIG_NAME));
  const scheme = packedScheme(join(folder, CONFIG_NAME), rawConfig);
  const config = parseHuggingFaceConfig({ ...rawConfig, [QUANTIZATION_KEY]: null });
  const generationPath = join(folder, GENERATION_CONFIG_NAME);
  const rawGenerationConfig = (await isPresent(generationPath)) ? await readJsonObject(generationPath) : null;
  if (scheme !== undefined && quantized === 'refuse') {
    throw new ConfigError(
      `${folder}: its weights are quantised to ${scheme.bits} bits; float32 weights are needed here. Take the model that it was made from.`,
    );
  }
  const source = await openWeights(folder);
  try {
    const ignoredTensors = checkTensors(folder, source, config, scheme);
    const weights = new Map<string, Weight | QuantizedWeight>();
    for (const spec of parameterSpecs(config)) {
      const { name, shape } = spec;
      if (scheme === undefined || source.tensors.has(name)) {
        weights.set(name, { shape, data: await source.readFloat32(name) });
        continue;
      }
      const form = {
        bits: scheme.bits,
        blockSize: checkPacked(folder, source, spec, scheme),
        isChannel: scheme.blockSize === null,
      };
      const packed = await readPacked(folder, source, spec, form, quantized === 'keep');
      weights.set(name, quantized === 'keep' ? packed : dequantize(packed));
    }
    if (ignoredTensors.includes(TIED_OUTPUT)) {
      await checkTiedOutput(folder, source, weights.get(EMBEDDING) as Weight);
    }
    return { config, weights, rawConfig, rawGenerationConfig, ignoredTensors };
  } finally {
    await source.close();
  }
}

function packedScheme(file: string, rawConfig: Record<string, unknown>): PackedScheme | undefined {
  const value = rawConfig[QUANTIZATION_KEY];
  return value === undefined || value === null ? undefined : parseQuantizationConfig(file, value);
}

/**
 * All token ids at which generation should stop: those of the config, then those that only
 * generation_config.json lists (chat models keep their end-of-turn token there).
 * @throws ConfigError when the file's `eos_token_id` is not a token id or a list of them.
 */
export function stopTokenIds(
  config: TransformerConfig,
  rawGenerationConfig: Record<string, unknown> | null,
): number[] {
  const listed = rawGenerationConfig?.eos_token_id ?? [];
  const ids: unknown[] = Array.isArray(listed) ? listed : [listed];
  for (const id of ids) {
    if (!(Number.isSafeInteger(id) && (id as number) >= 0 && (id as number) < config.vocabSize)) {
      throw new ConfigError(
        `${GENERATION_CONFIG_NAME}: "eos_token_id" holds ${JSON.stringify(id)}; expected token ids below vocab_size (${config.vocabSize}).`,
      );
    }
  }
  return [...new Set([...config.eosTokenIds, ...(ids as number[])])];
}

export interface SaveCheckpointInput {
  config: TransformerConfig;
  /**
   * Exactly the tensors of `parameterSpecs(config)`. Projections may be quantised, all in one form; embeddings and
   * the output matrix may not, because the format of the folder has no place for them.
   */
  weights: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array } | QuantizedWeight>;
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

function collectTensors({ config, weights, dtype = 'F32' }: SaveCheckpointInput): TensorInput[] {
  const specs = parameterSpecs(config);
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
    ...toHuggingFaceConfig(config, { dtype: DTYPE_WORDS[dtype] }),
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
