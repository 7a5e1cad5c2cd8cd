/**
 * An adapter's files to its settings and tensors, checked by themselves and against the model that they belong to.
 * Browser-safe; where the files are is for others to know.
 */
import { FormatError } from '../../core/errors.ts';
import { type CheckpointFiles, readJsonObject } from '../checkpoint-files.ts';
import { parseHuggingFaceConfig, type TransformerConfig } from '../config.ts';
import type { WeightArray, Weights } from '../initialize.ts';
import { isSameShape, shapeText, someNames } from '../read-checkpoint.ts';
import type { TensorSource } from '../safetensors.ts';
import { isFloatDtype } from '../safetensors-float.ts';
import { quoteName } from '../safetensors-header.ts';
import {
  ADAPTER_CONFIG_NAME,
  ADAPTER_WEIGHTS_NAME,
  type AdapterConfig,
  BASE_CONFIG_NAME,
  parseAdapterConfig,
} from './adapter-config.ts';
import {
  adaptedModules,
  checkLowRankSettings,
  type LowRankSettings,
  lowRankSpecs,
  mergeLowRank,
} from './low-rank.ts';

export interface Adapter {
  readonly settings: LowRankSettings;
  /** A, B and rows of tokens by name, without PEFT's prefix, float32. */
  readonly weights: Weights;
  /** The names of the adapted modules. */
  readonly modules: readonly string[];
  /** What the adapter was trained on: a path or a name. */
  readonly baseModel: string | null;
  /** Its config then; null where the files do not say, as those of PEFT do not. */
  readonly baseConfig: TransformerConfig | null;
  /** Where it was read from, for errors. */
  readonly place: string;
}

/** Before every name in the file: PEFT's wrapper around a wrapper. */
export const PEFT_PREFIX = 'base_model.model.';
const TENSOR_NAME = /^base_model\.model\.(.+)\.lora_([AB])\.weight$/;

const ROWS_NAME = /^base_model\.model\.(model\.embed_tokens|lm_head)\.token_adapter\.trainable_tokens_delta$/;

/** Of a config, what makes a model's numbers; the rest (tokens that end a text, the context) may differ. */
const SAME_FIELDS = [
  'architecture',
  'vocabSize',
  'hiddenSize',
  'numLayers',
  'numHeads',
  'numKvHeads',
  'headDim',
  'intermediateSize',
  'ropeTheta',
  'rmsNormEps',
  'tieWordEmbeddings',
  'attentionBias',
  'attentionOutputBias',
  'mlpBias',
] as const satisfies readonly (keyof TransformerConfig)[];

/**
 * Reads a folder of PEFT's layout with the tensors as float32 (stored as F32, F16, BF16 or F64).
 * @throws FormatError for files that contradict the format or each other; what the files throw when they are missing.
 */
export async function readAdapter(files: CheckpointFiles): Promise<Adapter> {
  const raw = await readJsonObject(files, ADAPTER_CONFIG_NAME);
  if (raw === undefined) throw files.missing([ADAPTER_CONFIG_NAME], 'Is this the folder of an adapter?');
  const config = parseAdapterConfig(files.pathOf(ADAPTER_CONFIG_NAME), raw);
  const source = await files.openTensors(ADAPTER_WEIGHTS_NAME);
  if (source === undefined) throw files.missing([ADAPTER_WEIGHTS_NAME]);
  try {
    const modules = modulesOf(files.pathOf(ADAPTER_WEIGHTS_NAME), source, config);
    const weights = new Map<string, WeightArray>();
    for (const [name, { shape }] of source.tensors) {
      weights.set(name.slice(PEFT_PREFIX.length), { shape, data: await source.readFloat32(name) });
    }
    const { rank, alpha, rankStabilised, targets = modules, tokens, baseModel } = config;
    const baseConfig = await readJsonObject(files, BASE_CONFIG_NAME);
    return {
      settings: { rank, alpha, rankStabilised, targets, ...(tokens.length > 0 && { tokens }) },
      weights,
      modules,
      baseModel,
      baseConfig: baseConfig === undefined ? null : parseHuggingFaceConfig(baseConfig),
      place: files.place,
    };
  } finally {
    await source.close();
  }
}

/** Checks names, types and ranks; gives the modules in the file's order. */
function modulesOf(path: string, source: TensorSource, { rank, tokens }: AdapterConfig): string[] {
  const halves = new Map<string, Set<string>>();
  for (const [name, { shape, dtype }] of source.tensors) {
    if (ROWS_NAME.test(name) && isFloatDtype(dtype) && shape.length === 2 && shape[0] === tokens.length)
      continue;
    const [, module, half] = TENSOR_NAME.exec(name) ?? [];
    if (module === undefined || half === undefined) {
      throw new FormatError(
        `${path}: tensor ${quoteName(name)} is no part of a LoRA adapter; expected ${PEFT_PREFIX}MODULE.lora_A.weight or lora_B.`,
      );
    }
    if (!isFloatDtype(dtype)) {
      throw new FormatError(
        `${path}: tensor ${quoteName(name)} is ${dtype}; expected F32, F16, BF16 or F64.`,
      );
    }
    const own = half === 'A' ? shape[0] : shape[1];
    if (shape.length !== 2 || own !== rank) {
      throw new FormatError(
        `${path}: tensor ${quoteName(name)} has shape ${shapeText(shape)}, but "r" in ${ADAPTER_CONFIG_NAME} is ${rank}; expected ${half === 'A' ? `[${rank}, in]` : `[out, ${rank}]`}.`,
      );
    }
    halves.set(module, (halves.get(module) ?? new Set()).add(half));
  }
  if (halves.size === 0) throw new FormatError(`${path} holds no tensors.`);
  const single = [...halves].filter(([, found]) => found.size < 2).map(([module]) => module);
  if (single.length > 0) {
    throw new FormatError(`${path}: lora_A or lora_B is missing of ${someNames(single)}.`);
  }
  return [...halves.keys()];
}

/**
 * Whether an adapter is one of this model.
 * @throws FormatError that says which setting, module or shape differs; ConfigError for targets it does not have.
 */
export function checkAdapter(adapter: Adapter, config: TransformerConfig): void {
  const { place, baseConfig, settings, weights } = adapter;
  const said = adapter.baseModel === null ? '' : ` (${adapter.baseModel})`;
  if (baseConfig) {
    const different = SAME_FIELDS.find((field) => (baseConfig[field] ?? false) !== (config[field] ?? false));
    if (different !== undefined) {
      throw new FormatError(
        `${place} belongs to another model${said}: its ${different} is ${baseConfig[different]}, this model's ${config[different]}. Give the model that it was trained on.`,
      );
    }
  }
  checkLowRankSettings(settings, config);
  const modules = adaptedModules(config, settings.targets);
  const missing = modules.filter(({ a }) => !weights.has(a)).map(({ module }) => module);
  const known = new Set(modules.map(({ module }) => module));
  const unknown = adapter.modules.filter((module) => !known.has(module));
  if (missing.length + unknown.length > 0) {
    const what = [
      ...(missing.length > 0 ? [`lacks ${someNames(missing)}`] : []),
      ...(unknown.length > 0
        ? [`has ${someNames(unknown)}, which this model or "target_modules" does not`]
        : []),
    ];
    throw new FormatError(`${place} ${what.join(' and ')}. Give the model that it was trained on${said}.`);
  }
  for (const { name, shape } of lowRankSpecs(config, settings)) {
    const got = weights.get(name)?.shape;
    if (got !== undefined && isSameShape(got, shape)) continue;
    const what = got === undefined ? 'is missing' : `has shape ${shapeText(got)}`;
    throw new FormatError(
      `${place}: ${quoteName(name)} ${what}; this model asks for ${shapeText(shape)}. Give the model that it was trained on${said}.`,
    );
  }
}

/**
 * The model with the adapter in its weights. The tokens that end an answer are those of the training and the model's.
 * @throws as `checkAdapter`.
 */
export function mergeAdapter(
  config: TransformerConfig,
  weights: Weights,
  adapter: Adapter,
): { config: TransformerConfig; weights: Map<string, WeightArray> } {
  checkAdapter(adapter, config);
  const eosTokenIds = [...new Set([...(adapter.baseConfig?.eosTokenIds ?? []), ...config.eosTokenIds])];
  return {
    config: { ...config, eosTokenIds },
    weights: mergeLowRank(config, weights, adapter.settings, adapter.weights),
  };
}
