/**
 * The dense transformer of the Llama and Qwen3 family as functions over symbolic tensors: RMSNorm, grouped
 * query attention with optional QK-norm, rotary positions, SwiGLU. One definition serves training (a whole
 * batch, causal) and decoding (new tokens against a cache of keys and values).
 *
 * Shape suffixes: B batch, T new positions, P cached positions, D hidden size, H heads, K key/value heads,
 * G heads per key/value head (H / K), C head size, F MLP size, V vocabulary, N = B * T.
 * Parameters carry their Hugging Face names; matrices are [out, in].
 */
import { PlinthError } from '../core/errors.ts';
import {
  add,
  concat,
  constant,
  type Dim,
  equal,
  isConstant,
  linear,
  matmul,
  mul,
  type QuantizedMatrix,
  quantizedMatmul,
  quantizedTake,
  remat,
  reshape,
  rmsNorm,
  rotary,
  scalar,
  scale,
  scatterRows,
  silu,
  slice,
  softmax,
  split,
  sub,
  Tensor,
  take,
  transpose,
  where,
} from '../tensor/index.ts';
import { linearPatched, type PatchedRows, takePatched } from './adapter/patched-rows.ts';
import type { TransformerConfig } from './config.ts';
import { ropeInverseFrequencies } from './config.ts';

/** Added to scores that must not be attended to; exp of it is exactly 0 in float32. */
export const MASKED = -1e30;

export interface TransformerInputs {
  /** Token ids [B, T], int32 or int64. */
  readonly idsBT: Tensor;
  /** Position of each token within its sequence [B, T], int64. */
  readonly positionsBT: Tensor;
  /** What each token may see: [T, T] or [B, 1, T, T] added to the scores of the new positions; or a cache. */
  readonly maskTT?: Tensor;
  readonly cache?: CacheInputs;
}

/**
 * Earlier keys and values, stored by position. A token attends to the places before its own, as they lie in the
 * cache, and to itself by a product of its own. So what it gets does not depend on which of those before it were
 * read in the same run and which in earlier ones: sums go over places in one order, and places that the mask
 * hides (a weight of exactly 0) change no bit.
 */
export interface CacheInputs {
  /** One pair a layer, [B, K, P, C]; P is a multiple of 64, so that kernels cut all lengths alike. */
  readonly layers: readonly KeyValue[];
  /** Added to the scores of the P places: [B, 1, T, P]. Hides a token's own place and everything after it. */
  readonly maskP: Tensor;
  /** For new tokens that see each other: where each key and value goes, [B, K, T, 3] int64 indices of (b, k, p). */
  readonly placesBKT?: Tensor;
  /** Keeps one query a head from kernels for single rows, which add in another order than those for more. */
  readonly rowsAlike?: boolean;
}

export interface KeyValue {
  readonly keyBKTC: Tensor;
  readonly valueBKTC: Tensor;
}

export interface TransformerOptions {
  /** Longest sequence that the rotary tables cover. */
  readonly maxPositions: number;
  /**
   * Rotary tables fed from outside, for long contexts and programs that share them. Without tables for queries the
   * others serve both, and the scores' factor is a product of its own. Default: constants.
   */
  readonly rotary?: { readonly queries?: RotaryTables; readonly keys: RotaryTables };
  /**
   * Gives the keys and values [B, K, S, C] that a layer's tokens see, from their own; `maskTT` is then [B, 1, T, S],
   * and `present` holds what was given. Default: their own. Not with a cache.
   */
  readonly extend?: (layer: number, own: KeyValue) => KeyValue;
  /** Recompute each layer's inner values in the backward pass instead of keeping them. */
  readonly remat?: boolean;
  /**
   * Told of the values between layers as they are traced: `embedding`, `layers.0.attention` and `layers.0.mlp`
   * (what a branch adds), `layers.0` (the stream after the block), all [N, D]. Not with `remat`.
   */
  readonly observe?: (name: string, valuesND: Tensor) => void;
}

export interface TransformerOutputs {
  /** Final hidden states after the last norm, [N, D]. */
  readonly hiddenND: Tensor;
  /** This call's keys and values by layer, to be appended to a cache. */
  readonly present: readonly KeyValue[];
}

/** Parameters by Hugging Face name; matrices may be quantised (for inference) or have a low-rank adapter. */
export type ModelParameters = Readonly<Record<string, ModelParameter>>;
export type ModelParameter = Tensor | QuantizedMatrix | AdaptedMatrix | PatchedRows;

/** Stands for W + factor B A, which is never formed (Hu et al. 2021, equation 3). */
export interface AdaptedMatrix {
  /** W [out, in] */
  readonly matrix: Tensor;
  /** A [rank, in] */
  readonly down: Tensor;
  /** B [out, rank] */
  readonly up: Tensor;
  readonly factor: number;
}

function parameter(parameters: ModelParameters, name: string): ModelParameter {
  const tensor = parameters[name];
  if (!tensor)
    throw new PlinthError(
      'graph',
      `The model's parameter "${name}" is missing; build parameters from parameterSpecs(config).`,
    );
  return tensor;
}

/** A vector (a norm's weight or a bias); these are never quantised. */
function vectorOf(parameters: ModelParameters, name: string): Tensor | undefined {
  const found = parameters[name];
  if (found === undefined || found instanceof Tensor) return found;
  throw new PlinthError(
    'graph',
    `The model's parameter "${name}" is quantised or adapted; only matrices can be.`,
  );
}

function requiredVector(parameters: ModelParameters, name: string): Tensor {
  parameter(parameters, name);
  return vectorOf(parameters, name)!;
}

/** x W^T + b for a matrix of any kind. */
function project(x: Tensor, weight: ModelParameter, bias?: Tensor): Tensor {
  if (weight instanceof Tensor) return linear(x, weight, bias);
  if ('matrix' in weight) {
    const { matrix, down, up, factor } = weight;
    return add(linear(x, matrix, bias), linear(scale(linear(x, down), factor), up));
  }
  if ('rows' in weight) return linearPatched(x, weight);
  const y = quantizedMatmul(x, weight, { compute: 'int8' });
  return bias ? add(y, bias) : y;
}

/** Constants of one kind, each below the one before: what one product does takes less than what several do. */
function joined(parts: readonly (ModelParameter | undefined)[]): ModelParameter | undefined {
  const isFixed = (one: ModelParameter | undefined) => one instanceof Tensor && isConstant(one);
  if (parts.every(isFixed)) return concat(parts as Tensor[], 0);
  const blocks = parts.filter((one) => one && 'bits' in one && isConstant(one.data)) as QuantizedMatrix[];
  const [first] = blocks;
  const isLike = ({ bits, blockSize }: QuantizedMatrix) =>
    bits === first!.bits && blockSize === first!.blockSize;
  if (!first || blocks.length < parts.length || !blocks.every(isLike)) return undefined;
  return {
    ...first,
    shape: [blocks.reduce((rows, { shape }) => rows + shape[0], 0), first.shape[1]],
    data: concat(
      blocks.map(({ data }) => data),
      0,
    ),
    scales: concat(
      blocks.map(({ scales }) => scales),
      0,
    ),
  };
}

function embed(weight: ModelParameter, ids: Tensor): Tensor {
  if (weight instanceof Tensor) return take(weight, ids);
  if ('rows' in weight) return takePatched(weight, ids);
  if ('matrix' in weight) throw new PlinthError('graph', 'The embedding is a look-up and takes no adapter.');
  return quantizedTake(weight, ids);
}

/** cos and sin of position * frequency, [maxPositions, C / 2]. */
export interface RotaryTables<Table = Tensor> {
  readonly cosine: Table;
  readonly sine: Table;
}

export interface RotaryTableData {
  /** [maxPositions, C / 2] */
  readonly shape: readonly [number, number];
  /** Times 1 / sqrt(C): the scores' factor rides on the queries' rotation, which saves a pass over the scores. */
  readonly queries: RotaryTables<Float32Array>;
  readonly keys: RotaryTables<Float32Array>;
}

/** The values of the rotary tables, which `transformer` has as constants or takes as `options.rotary`. */
export function rotaryTableData(config: TransformerConfig, maxPositions: number): RotaryTableData {
  const frequencies = ropeInverseFrequencies(config);
  const half = frequencies.length;
  const table = () => new Float32Array(maxPositions * half);
  const keys = { cosine: table(), sine: table() };
  const queries = { cosine: table(), sine: table() };
  const factor = 1 / Math.sqrt(config.headDim);
  for (let position = 0; position < maxPositions; position++) {
    for (let i = 0; i < half; i++) {
      const at = position * half + i;
      const angle = position * frequencies[i]!;
      keys.cosine[at] = Math.cos(angle);
      keys.sine[at] = Math.sin(angle);
      queries.cosine[at] = Math.cos(angle) * factor;
      queries.sine[at] = Math.sin(angle) * factor;
    }
  }
  return { shape: [maxPositions, half], queries, keys };
}

function constantTables(config: TransformerConfig, maxPositions: number) {
  const { shape, queries, keys } = rotaryTableData(config, maxPositions);
  const tables = ({ cosine, sine }: RotaryTables<Float32Array>): RotaryTables => ({
    cosine: constant(cosine, shape, 'float32'),
    sine: constant(sine, shape, 'float32'),
  });
  return { queries: tables(queries), keys: tables(keys) };
}

/** Hidden states of a batch of tokens. */
export function transformer(
  parameters: ModelParameters,
  config: TransformerConfig,
  inputs: TransformerInputs,
  options: TransformerOptions,
): TransformerOutputs {
  const [batch, length] = inputs.idsBT.shape as [Dim, Dim];
  const { queries: queryTables, keys: keyTables } =
    options.rotary ?? constantTables(config, options.maxPositions);
  const embedded = embed(parameter(parameters, 'model.embed_tokens.weight'), inputs.idsBT);
  let xND = reshape(embedded, [-1, config.hiddenSize]);
  options.observe?.('embedding', xND);
  const present: KeyValue[] = [];
  for (let layer = 0; layer < config.numLayers; layer++) {
    const scope = (name: string) => parameter(parameters, `model.layers.${layer}.${name}`);
    const optional = (name: string) => vectorOf(parameters, `model.layers.${layer}.${name}`);
    const vector = (name: string) => requiredVector(parameters, `model.layers.${layer}.${name}`);
    const block = (x: Tensor): Tensor => {
      const normalised = rmsNorm(x, vector('input_layernorm.weight'), config.rmsNormEps);
      const { outputND, keyValue } = attention(normalised, config, { scope, optional }, inputs, {
        batch,
        length,
        keyTables,
        queryTables,
        past: inputs.cache?.layers[layer],
        extend: (own) => options.extend?.(layer, own) ?? own,
      });
      present[layer] = keyValue;
      const attended = add(x, outputND);
      const branchND = mlp(rmsNorm(attended, vector('post_attention_layernorm.weight'), config.rmsNormEps), {
        scope,
        optional,
      });
      options.observe?.(`layers.${layer}.attention`, outputND);
      options.observe?.(`layers.${layer}.mlp`, branchND);
      return add(attended, branchND);
    };
    xND = options.remat ? remat(block, xND) : block(xND);
    options.observe?.(`layers.${layer}`, xND);
  }
  const hiddenND = rmsNorm(xND, requiredVector(parameters, 'model.norm.weight'), config.rmsNormEps);
  return { hiddenND, present };
}

interface LayerParameters {
  scope(name: string): ModelParameter;
  optional(name: string): Tensor | undefined;
}

const PROJECTIONS = ['q_proj', 'k_proj', 'v_proj'];

interface AttentionContext {
  batch: Dim;
  length: Dim;
  keyTables: RotaryTables;
  queryTables: RotaryTables | undefined;
  past: KeyValue | undefined;
  extend(own: KeyValue): KeyValue;
}

function attention(
  xND: Tensor,
  config: TransformerConfig,
  { scope, optional }: LayerParameters,
  inputs: TransformerInputs,
  { batch, length, keyTables, queryTables, past, extend }: AttentionContext,
): { outputND: Tensor; keyValue: KeyValue } {
  const { numHeads: H, numKvHeads: K, headDim: C } = config;
  const G = H / K;
  // With one new position the heads are rows already: no values move.
  const single = length === 1;
  const toHeads = (rowsND: Tensor, count: number) =>
    single
      ? reshape(rowsND, [batch, count, 1, C])
      : transpose(reshape(rowsND, [batch, length, count, C]), [0, 2, 1, 3]);
  const weights = PROJECTIONS.map((name) => scope(`self_attn.${name}.weight`));
  const biases = PROJECTIONS.map((name) => optional(`self_attn.${name}.bias`));
  const counts = [H, K, K];
  const joint = joined(weights);
  const jointBias = joined(biases) as Tensor | undefined;
  const [queries, keys, valueBKTC] = (
    joint && (jointBias || !biases.some((one) => one))
      ? split(toHeads(project(xND, joint, jointBias), H + 2 * K), counts, 1)
      : counts.map((count, i) => toHeads(project(xND, weights[i]!, biases[i]), count))
  ) as [Tensor, Tensor, Tensor];
  const normed = (x: Tensor, name: string) => {
    const weight = optional(`self_attn.${name}.weight`);
    return weight ? rmsNorm(x, weight, config.rmsNormEps) : x;
  };
  const turnedBHTC = rotary(
    normed(queries, 'q_norm'),
    inputs.positionsBT,
    (queryTables ?? keyTables).cosine,
    (queryTables ?? keyTables).sine,
  );
  const queryBHTC = queryTables ? turnedBHTC : mul(turnedBHTC, scalar(1 / Math.sqrt(C)));
  const keyBKTC = rotary(normed(keys, 'k_norm'), inputs.positionsBT, keyTables.cosine, keyTables.sine);
  const shape = { batch, length, K, G, C };
  const own = extend({ keyBKTC, valueBKTC });
  const attendedBHTC =
    past && inputs.cache
      ? attendCached(queryBHTC, own, past, inputs.cache, shape)
      : attend(queryBHTC, own, inputs, shape);
  const mergedND = reshape(single ? attendedBHTC : transpose(attendedBHTC, [0, 2, 1, 3]), [-1, H * C]);
  return {
    outputND: project(mergedND, scope('self_attn.o_proj.weight'), optional('self_attn.o_proj.bias')),
    keyValue: own,
  };
}

function productOf(factor: number, dim: Dim): Dim {
  return typeof dim === 'number' ? factor * dim : `${factor}*${dim}`;
}

interface AttentionShape {
  readonly batch: Dim;
  readonly length: Dim;
  readonly K: number;
  readonly G: number;
  readonly C: number;
}

/** Heads that share a key head become rows of one product: no key is repeated. Head h reads key head floor(h K / H). */
function grouped(xBHTC: Tensor, { batch, length, K, G }: AttentionShape): Tensor {
  return G === 1 ? xBHTC : reshape(xBHTC, [batch, K, productOf(G, length), xBHTC.shape.at(-1)!]);
}

/** Weighted values [B, H, T, C] where all keys are this call's own. */
function attend(
  queryBHTC: Tensor,
  { keyBKTC, valueBKTC }: KeyValue,
  { maskTT }: TransformerInputs,
  shape: AttentionShape,
): Tensor {
  const { batch, length, K, G, C } = shape;
  if (!maskTT) throw new PlinthError('graph', 'transformer: give maskTT or a cache.');
  const scores = matmul(grouped(queryBHTC, shape), keyBKTC, { transposeB: true });
  const masked =
    G === 1
      ? add(scores, maskTT)
      : reshape(add(reshape(scores, [batch, K * G, length, maskTT.shape.at(-1)!]), maskTT), scores.shape);
  const weighted = matmul(softmax(masked), valueBKTC);
  return G === 1 ? weighted : reshape(weighted, [batch, K * G, length, C]);
}

/** Weighted values [B, H, T, C] over the cache and each token itself; see `CacheInputs`. */
function attendCached(
  queryBHTC: Tensor,
  own: KeyValue,
  past: KeyValue,
  { maskP, placesBKT, rowsAlike }: CacheInputs,
  shape: AttentionShape,
): Tensor {
  const { batch, length, K, G, C } = shape;
  const places = maskP.shape.at(-1)!;
  const keyBKPC = placesBKT ? scatterRows(past.keyBKTC, placesBKT, own.keyBKTC) : past.keyBKTC;
  const valueBKPC = placesBKT ? scatterRows(past.valueBKTC, placesBKT, own.valueBKTC) : past.valueBKTC;
  const rows = G === 1 ? length : productOf(G, length);
  const queryBKRC = grouped(queryBHTC, shape);
  // The runtime's kernels for a single row know no factor. Products times -1, and these subtracted: no bit differs.
  const negated = rowsAlike && rows === 1;
  const product = (a: Tensor, b: Tensor, transposeB: boolean) =>
    matmul(a, b, { transposeB, factor: negated ? -1 : 1 });
  const plus = (x: Tensor, product: Tensor) => (negated ? sub(x, product) : add(product, x));
  const scores = product(queryBKRC, keyBKPC, true);
  const masked =
    G === 1 || length === 1
      ? plus(maskP, scores)
      : reshape(add(reshape(scores, [batch, K * G, length, places]), maskP), scores.shape);
  const ownScores = ownProducts(queryBKRC, own.keyBKTC, shape);
  // The own score first, so that the places behind it lie alike for every capacity.
  const weights = softmax(concat([ownScores, masked], -1));
  const weighted = plus(
    ownValues(slice(weights, 3, 0, 1), own.valueBKTC, shape),
    product(slice(weights, 3, 1), valueBKPC, false),
  );
  return reshape(weighted, [batch, K * G, length, C]);
}

/**
 * The product of each query with its own token's key, [B, K, R, 1]: for each token one product of the G queries with
 * one key, so that kernels compute it alike whether a run has one token or many.
 */
function ownProducts(queryBKRC: Tensor, keyBKTC: Tensor, shape: AttentionShape): Tensor {
  const { batch, length, K, G, C } = shape;
  if (length === 1) return matmul(queryBKRC, keyBKTC, { transposeB: true });
  const R = queryBKRC.shape[2]!;
  const byToken = (x: Tensor) => (G === 1 ? x : transpose(x, [0, 1, 3, 2, 4]));
  const query =
    G === 1
      ? reshape(queryBKRC, [batch, K, length, 1, C])
      : byToken(reshape(queryBKRC, [batch, K, G, length, C]));
  const key = reshape(keyBKTC, [batch, K, length, 1, C]);
  return reshape(byToken(matmul(query, key, { transposeB: true })), [batch, K, R, 1]);
}

/** Weights [B, K, R, 1] of the tokens themselves times their values, [B, K, R, C]. */
function ownValues(weights: Tensor, valueBKTC: Tensor, { batch, length, K, G, C }: AttentionShape): Tensor {
  if (G === 1 || length === 1) return mul(weights, valueBKTC);
  const each = mul(reshape(weights, [batch, K, G, length, 1]), reshape(valueBKTC, [batch, K, 1, length, C]));
  return reshape(each, [batch, K, productOf(G, length), C]);
}

function mlp(xND: Tensor, { scope, optional }: LayerParameters): Tensor {
  const layer = (x: Tensor, name: string) =>
    project(x, scope(`mlp.${name}.weight`), optional(`mlp.${name}.bias`));
  return layer(mul(silu(layer(xND, 'gate_proj')), layer(xND, 'up_proj')), 'down_proj');
}

/** Scores over the vocabulary, [N, V]. */
export function logits(parameters: ModelParameters, config: TransformerConfig, hiddenND: Tensor): Tensor {
  const name = config.tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight';
  return project(hiddenND, parameter(parameters, name));
}

/** A constant [T, T] mask: each position sees itself and what came before. */
export function causalMask(length: number): Tensor {
  const data = new Float32Array(length * length);
  for (let row = 0; row < length; row++) data.fill(MASKED, row * length + row + 1, (row + 1) * length);
  return constant(data, [length, length], 'float32');
}

/**
 * A [B, 1, T, T] mask: causal, and blind to tokens of other segments. segmentIds [B, T] float32, 0 for
 * padding (which sees only padding, so that no row is empty).
 */
export function segmentMask(segmentIdsBT: Tensor): Tensor {
  const [batch, length] = segmentIdsBT.shape as [number, number];
  const same = equal(
    reshape(segmentIdsBT, [batch, 1, length, 1]),
    reshape(segmentIdsBT, [batch, 1, 1, length]),
  );
  return where(same, causalMask(length), scalar(MASKED));
}
