/**
 * Low-rank adapters (Hu et al. 2021, "LoRA"): beside a frozen matrix W [out, in] stand A [rank, in] and B [out, rank],
 * and the layer computes x W^T + factor (x A^T) B^T, as if its matrix were W + factor B A. Which matrices have one,
 * what the tensors are called, how they begin, and their sum with the model's weights. Pure functions.
 *
 * Names are PEFT's without its prefix: `model.layers.0.self_attn.q_proj.lora_A.weight`.
 */
import { ConfigError } from '../../core/errors.ts';
import { nearestName } from '../../core/nearest-name.ts';
import { KeyedRandom } from '../../core/random.ts';
import { type ParameterSpec, parameterSpecs, type TransformerConfig } from '../config.ts';
import type { WeightArray, Weights } from '../initialize.ts';

export const ALL_LINEAR = 'all-linear';

/**
 * Projections by the ends of their names, as PEFT's `target_modules`: `q_proj`, `mlp.down_proj` or
 * `layers.3.self_attn.v_proj`. `all-linear`: every one inside the layers.
 */
export type LowRankTargets = typeof ALL_LINEAR | readonly string[];

export interface LowRankSettings {
  readonly rank: number;
  /** The factor is alpha / rank, or alpha / sqrt(rank) where `rankStabilised`. */
  readonly alpha: number;
  readonly targets: LowRankTargets;
  /** rsLoRA (Kalajdzievski 2023): what the adapter adds keeps its size at larger ranks. Default false. */
  readonly rankStabilised?: boolean;
  /**
   * Tokens whose rows of the embedding (and of an output matrix of its own) are trained too, as PEFT's
   * `trainable_token_indices`: those that the base model was never shown. Default none.
   */
  readonly tokens?: readonly number[];
}

/** A matrix with an adapter: its module (its name without `.weight`), and the names of A and B. */
export interface AdaptedModule {
  readonly module: string;
  readonly weight: string;
  readonly shape: readonly [number, number];
  readonly a: string;
  readonly b: string;
}

const WEIGHT = '.weight';
const EMBEDDING_MODULE = 'model.embed_tokens';
const OUTPUT_MODULE = 'lm_head';
const PROJECTION = /_proj$/;

/** The trained rows of `model.embed_tokens` or `lm_head`; they stand for the model's, they are not added to them. */
export const tokenRowsName = (module: string) => `${module}.token_adapter.trainable_tokens_delta`;

const lowRankName = (module: string, letter: 'A' | 'B') => `${module}.lora_${letter}${WEIGHT}`;

/** Throws ConfigError that names the setting, its value and its range. */
export function checkLowRankSettings(
  { rank, alpha, targets, tokens = [] }: LowRankSettings,
  config: Pick<TransformerConfig, 'vocabSize'>,
): void {
  const isToken = (id: number) => Number.isSafeInteger(id) && id >= 0 && id < config.vocabSize;
  if (!tokens.every(isToken) || new Set(tokens).size < tokens.length) {
    throw new ConfigError(
      `tokens of an adapter must be different ids below ${config.vocabSize}, got ${tokens.join(', ')}.`,
    );
  }
  if (tokens.length > 0 && targets !== ALL_LINEAR && targets.includes(OUTPUT_MODULE)) {
    throw new ConfigError(`An adapter trains rows of ${OUTPUT_MODULE} or has it as a target, not both.`);
  }
  if (!(Number.isSafeInteger(rank) && rank >= 1)) {
    throw new ConfigError(`The rank of an adapter must be a whole number of at least 1, got ${rank}.`);
  }
  if (!(alpha > 0 && Number.isFinite(alpha))) {
    throw new ConfigError(`alpha of an adapter must be a number above 0, got ${alpha}.`);
  }
  if (targets.length === 0) {
    throw new ConfigError(`An adapter needs targets: names such as q_proj and v_proj, or ${ALL_LINEAR}.`);
  }
}

/** What A B is multiplied by. */
export function lowRankFactor({ rank, alpha, rankStabilised = false }: LowRankSettings): number {
  return alpha / (rankStabilised ? Math.sqrt(rank) : rank);
}

/**
 * The matrices that targets name, in the model's order.
 * @throws ConfigError for a target that is no linear layer of the model.
 */
export function adaptedModules(config: TransformerConfig, targets: LowRankTargets): AdaptedModule[] {
  const linear = linearModules(config);
  if (targets === ALL_LINEAR) return linear.filter(({ module }) => PROJECTION.test(module));
  for (const target of targets) {
    if (!linear.some(({ module }) => isNamed(module, target))) throw noSuchTarget(target, linear, config);
  }
  return linear.filter(({ module }) => targets.some((target) => isNamed(module, target)));
}

function linearModules(config: TransformerConfig): AdaptedModule[] {
  return parameterSpecs(config).flatMap(({ name, shape }) => {
    const module = name.slice(0, -WEIGHT.length);
    if (shape.length !== 2 || module === EMBEDDING_MODULE) return [];
    return {
      module,
      weight: name,
      shape: shape as [number, number],
      a: lowRankName(module, 'A'),
      b: lowRankName(module, 'B'),
    };
  });
}

const isNamed = (module: string, target: string) => module === target || module.endsWith(`.${target}`);

function noSuchTarget(target: string, linear: readonly AdaptedModule[], config: TransformerConfig) {
  if (isNamed(EMBEDDING_MODULE, target)) {
    return new ConfigError(
      `Adapters stand beside linear layers; "${target}" is a look-up. Leave it out, or train all of the model.`,
    );
  }
  if (target === OUTPUT_MODULE && config.tieWordEmbeddings) {
    return new ConfigError(
      `"${target}" is the embedding in this model (tied), which cannot have an adapter. Leave it out.`,
    );
  }
  const names = [...new Set(linear.map(({ module }) => module.split('.').at(-1)!))];
  const near = nearestName(target, names);
  return new ConfigError(
    `"${target}" is no linear layer of this model. ${near ? `Did you mean "${near}"? ` : ''}` +
      `There are ${names.join(', ')}, and ${ALL_LINEAR} for all in the layers.`,
  );
}

/** The matrices with a row for each token: module and name. Empty where no tokens are trained. */
export function tokenModules(
  config: TransformerConfig,
  { tokens = [] }: Pick<LowRankSettings, 'tokens'>,
): { module: string; weight: string; rows: string }[] {
  if (tokens.length === 0) return [];
  return [EMBEDDING_MODULE, ...(config.tieWordEmbeddings ? [] : [OUTPUT_MODULE])].map((module) => ({
    module,
    weight: `${module}${WEIGHT}`,
    rows: tokenRowsName(module),
  }));
}

/** Names and shapes of what is trained: A and B of each adapted matrix, and rows of tokens. */
export function lowRankSpecs(config: TransformerConfig, settings: LowRankSettings): ParameterSpec[] {
  const { rank, tokens = [] } = settings;
  return [
    ...adaptedModules(config, settings.targets).flatMap(({ a, b, shape: [rows, columns] }) => [
      { name: a, shape: [rank, columns] },
      { name: b, shape: [rows, rank] },
    ]),
    ...tokenModules(config, settings).map(({ rows }) => ({
      name: rows,
      shape: [tokens.length, config.hiddenSize],
    })),
  ];
}

/**
 * B zero, so that training begins with the model as it is; A uniform within 1 / sqrt(in), as PEFT and the paper's
 * code have it (Kaiming-uniform with a = sqrt(5)). A tensor's values depend on the seed and its name alone. Rows of
 * tokens begin as those of the model.
 */
export function initializeLowRank(
  config: TransformerConfig,
  weights: Weights,
  settings: LowRankSettings,
  seed: number,
): Map<string, WeightArray> {
  const random = new KeyedRandom(seed).fork('low-rank');
  const initial = new Map<string, WeightArray>();
  for (const { a, b, shape } of adaptedModules(config, settings.targets)) {
    const [rows, columns] = shape;
    const draws = random.fork(a);
    const bound = 1 / Math.sqrt(columns);
    const data = Float32Array.from(
      { length: settings.rank * columns },
      (_, i) => (2 * draws.uniform(i) - 1) * bound,
    );
    initial.set(a, { shape: [settings.rank, columns], data });
    initial.set(b, { shape: [rows, settings.rank], data: new Float32Array(rows * settings.rank) });
  }
  const { tokens = [] } = settings;
  const width = config.hiddenSize;
  for (const { weight, rows } of tokenModules(config, settings)) {
    const { data } = weights.get(weight)!;
    const own = new Float32Array(tokens.length * width);
    tokens.forEach((token, i) => {
      own.set(data.subarray(token * width, (token + 1) * width), i * width);
    });
    initial.set(rows, { shape: [tokens.length, width], data: own });
  }
  return initial;
}

/**
 * The model's weights with factor B A added, each sum rounded once; matrices without an adapter are the given arrays.
 * @param trained A and B of every adapted matrix and the rows of tokens, by name; other tensors are left aside.
 */
export function mergeLowRank(
  config: TransformerConfig,
  weights: Weights,
  settings: LowRankSettings,
  trained: Weights,
): Map<string, WeightArray> {
  const factor = lowRankFactor(settings);
  const merged = new Map(parameterSpecs(config).map(({ name }) => [name, weights.get(name)!]));
  for (const { weight, a, b } of adaptedModules(config, settings.targets)) {
    const base = weights.get(weight)!;
    merged.set(weight, addProduct(base, trained.get(a)!.data, trained.get(b)!.data, factor));
  }
  const width = config.hiddenSize;
  for (const { weight, rows } of tokenModules(config, settings)) {
    const { shape, data } = weights.get(weight)!;
    const replaced = Float32Array.from(data);
    const own = trained.get(rows)!.data;
    settings.tokens?.forEach((token, i) => {
      replaced.set(own.subarray(i * width, (i + 1) * width), token * width);
    });
    merged.set(weight, { shape, data: replaced });
  }
  return merged;
}

/** W + factor B A in float64: row by row, A's rows weighted by B's entries. */
function addProduct(
  { shape, data }: WeightArray,
  a: Float32Array,
  b: Float32Array,
  factor: number,
): WeightArray {
  const [rows, columns] = shape as [number, number];
  const rank = a.length / columns;
  const sums = new Float64Array(columns);
  const result = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) sums[column] = data[row * columns + column]!;
    for (let k = 0; k < rank; k++) {
      const weight = factor * b[row * rank + k]!;
      if (weight === 0) continue;
      for (let column = 0; column < columns; column++) {
        sums[column] = sums[column]! + weight * a[k * columns + column]!;
      }
    }
    result.set(sums, row * columns);
  }
  return { shape, data: result };
}
