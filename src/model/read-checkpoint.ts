/**
 * A model's files to its config and weights. Every tensor's name and shape is checked against the config before any
 * data is read. Weights are float32 in memory, or stay in blocks of 8 or 4 bits where the files hold them so and the
 * caller asks for it (quantize/compressed-tensors.ts). Browser-safe; where the files are is for others to know.
 */
import { ConfigError, FormatError } from '../core/errors.ts';
import type { LoadedTokenizer } from '../tokenizer/tokenizer-files.ts';
import {
  type CheckpointFiles,
  CONFIG_NAME,
  GENERATION_CONFIG_NAME,
  readJsonObject,
} from './checkpoint-files.ts';
import {
  headedSpecs,
  type ModelHead,
  type ParameterSpec,
  parseHuggingFaceConfig,
  SCORE_SUFFIX,
  type TransformerConfig,
} from './config.ts';
import {
  checkPacked,
  isPacked,
  type PackedScheme,
  packedNames,
  parseQuantizationConfig,
  QUANTIZATION_KEY,
  readPacked,
} from './quantize/compressed-tensors.ts';
import { dequantize } from './quantize/quantize-matrix.ts';
import type { QuantizedWeight } from './quantized.ts';
import type { TensorSource } from './safetensors.ts';
import { isFloatDtype } from './safetensors-float.ts';
import { quoteName } from './safetensors-header.ts';
import { openTensorFiles } from './safetensors-sharded.ts';

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
export const TIED_OUTPUT = 'lm_head.weight';
export const EMBEDDING = 'model.embed_tokens.weight';

export const shapeText = (shape: readonly number[]): string => `[${shape.join(', ')}]`;

export function isSameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}

/** The first few names and how many there are. */
export function someNames(names: readonly string[]): string {
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
  specs: readonly ParameterSpec[],
  scheme: PackedScheme | undefined,
): string[] {
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

export interface LoadCheckpointOptions {
  /**
   * What to do with a folder whose weights are quantised: `refuse` it (default), give float32 (`dequantize`), or
   * `keep` its matrices as they are.
   */
  quantized?: 'refuse' | 'dequantize' | 'keep';
  /** What the model must have on top; a folder of another kind is refused. Default: a language model's. */
  head?: ModelHead;
}

/** A model with a score has no output matrix, whatever its config says of tying it. */
function configWithHead(
  place: string,
  rawConfig: Record<string, unknown>,
  head: ModelHead,
): TransformerConfig {
  const config = parseHuggingFaceConfig({ ...rawConfig, [QUANTIZATION_KEY]: null });
  const { architectures, id2label } = rawConfig;
  const name = Array.isArray(architectures) ? String(architectures[0]) : '';
  const isClassifier = name.endsWith(SCORE_SUFFIX);
  if (head === 'language-model') {
    if (!isClassifier) return config;
    throw new ConfigError(
      `${place} holds a ${name}, which scores texts and writes none; a language model is needed here. ` +
        'Reward models are opened with loadRewardModel or "plinth reward score".',
    );
  }
  if (!isClassifier) {
    throw new ConfigError(
      `${place} holds ${name === '' ? 'a model without a score' : `a ${name}`}; a reward model is needed here ` +
        `(architectures: ["...${SCORE_SUFFIX}"]). Train one with "plinth reward".`,
    );
  }
  // transformers' default is two labels.
  const numLabels = typeof id2label === 'object' && id2label !== null ? Object.keys(id2label).length : 2;
  if (numLabels !== 1) {
    throw new ConfigError(
      `${place}: its model has ${numLabels} labels (${CONFIG_NAME}, "id2label"); a reward model has one.`,
    );
  }
  return { ...config, tieWordEmbeddings: true };
}

/**
 * Reads a config and all its weights, as float32 unless quantised ones are kept.
 * @throws ConfigError for models that are not supported, FormatError for files that contradict the format or
 *   the config, LimitError when memory does not suffice, and what the files throw when they cannot be read.
 */
export async function readCheckpoint(
  files: CheckpointFiles,
  { quantized = 'refuse', head = 'language-model' }: LoadCheckpointOptions = {},
): Promise<MixedCheckpoint> {
  const { place } = files;
  const rawConfig = await readJsonObject(files, CONFIG_NAME);
  if (rawConfig === undefined) throw files.missing([CONFIG_NAME]);
  const scheme = packedScheme(files.pathOf(CONFIG_NAME), rawConfig);
  const config = configWithHead(place, rawConfig, head);
  const specs = headedSpecs(config, head);
  const rawGenerationConfig = (await readJsonObject(files, GENERATION_CONFIG_NAME)) ?? null;
  if (scheme !== undefined && quantized === 'refuse') {
    throw new ConfigError(
      `${place}: its weights are quantised to ${scheme.bits} bits; float32 weights are needed here. Take the model that it was made from.`,
    );
  }
  const source = await openTensorFiles(files);
  try {
    const ignoredTensors = checkTensors(place, source, config, specs, scheme);
    const weights = new Map<string, Weight | QuantizedWeight>();
    for (const spec of specs) {
      const { name, shape } = spec;
      if (scheme === undefined || source.tensors.has(name)) {
        weights.set(name, { shape, data: await source.readFloat32(name) });
        continue;
      }
      const form = {
        bits: scheme.bits,
        blockSize: checkPacked(place, source, spec, scheme),
        isChannel: scheme.blockSize === null,
      };
      const packed = await readPacked(place, source, spec, form, quantized === 'keep');
      weights.set(name, quantized === 'keep' ? packed : dequantize(packed));
    }
    if (ignoredTensors.includes(TIED_OUTPUT)) {
      await checkTiedOutput(place, source, weights.get(EMBEDDING) as Weight);
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
 * generation_config.json lists (chat models keep their end-of-turn token there), then the one that
 * tokenizer_config.json names.
 * @throws ConfigError when the file's `eos_token_id` is not a token id or a list of them.
 */
export function stopTokenIds(
  config: TransformerConfig,
  rawGenerationConfig: Record<string, unknown> | null,
  loaded?: LoadedTokenizer,
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
  const named = loaded && specialTokenId(loaded, loaded.config.eosToken, config);
  return [...new Set([...config.eosTokenIds, ...(ids as number[]), ...(named === undefined ? [] : [named])])];
}

/** The id of a control token that tokenizer_config.json names, if the model has it. */
export function specialTokenId(
  { tokenizer }: LoadedTokenizer,
  name: string | null,
  { vocabSize }: TransformerConfig,
): number | undefined {
  const id = name === null ? undefined : tokenizer.specialTokens.get(name);
  return id !== undefined && id < vocabSize ? id : undefined;
}
