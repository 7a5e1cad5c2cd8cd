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
  constant,
  type Dim,
  div,
  equal,
  exp,
  linear,
  matmul,
  max,
  maximum,
  mul,
  remat,
  reshape,
  rmsNorm,
  rotary,
  scalar,
  silu,
  softmax,
  sub,
  sum,
  type Tensor,
  type TensorRecord,
  take,
  transpose,
  where,
} from '../tensor/index.ts';
import type { TransformerConfig } from './config.ts';
import { ropeInverseFrequencies } from './config.ts';

/** Added to scores that must not be attended to; exp of it is exactly 0 in float32. */
export const MASKED = -1e30;

export interface TransformerInputs {
  /** Token ids [B, T], int32 or int64. */
  readonly idsBT: Tensor;
  /** Position of each token within its sequence [B, T], int64. */
  readonly positionsBT: Tensor;
  /** What each token may see: [T, T] or [B, 1, T, T] added to the scores of the new positions. */
  readonly maskTT: Tensor;
  /** Earlier keys and values, one pair a layer: [B, K, P, C], and [B, 1, 1, P] added to their scores. */
  readonly past?: { readonly layers: readonly KeyValue[]; readonly maskP: Tensor };
}

export interface KeyValue {
  readonly keyBKTC: Tensor;
  readonly valueBKTC: Tensor;
}

export interface TransformerOptions {
  /** Longest sequence that the rotary tables cover. */
  readonly maxPositions: number;
  /** Rotary tables fed from outside, for long contexts and programs that share them. Default: constants. */
  readonly rotary?: { readonly queries: RotaryTables; readonly keys: RotaryTables };
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

function parameter(parameters: TensorRecord, name: string): Tensor {
  const tensor = parameters[name];
  if (!tensor)
    throw new PlinthError(
      'graph',
      `The model's parameter "${name}" is missing; build parameters from parameterSpecs(config).`,
    );
  return tensor;
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
  parameters: TensorRecord,
  config: TransformerConfig,
  inputs: TransformerInputs,
  options: TransformerOptions,
): TransformerOutputs {
  const [batch, length] = inputs.idsBT.shape as [Dim, Dim];
  const { queries: queryTables, keys: keyTables } =
    options.rotary ?? constantTables(config, options.maxPositions);
  const embedded = take(parameter(parameters, 'model.embed_tokens.weight'), inputs.idsBT);
  let xND = reshape(embedded, [-1, config.hiddenSize]);
  options.observe?.('embedding', xND);
  const present: KeyValue[] = [];
  for (let layer = 0; layer < config.numLayers; layer++) {
    const scope = (name: string) => parameter(parameters, `model.layers.${layer}.${name}`);
    const optional = (name: string) => parameters[`model.layers.${layer}.${name}`];
    const block = (x: Tensor): Tensor => {
      const normalised = rmsNorm(x, scope('input_layernorm.weight'), config.rmsNormEps);
      const { outputND, keyValue } = attention(normalised, config, { scope, optional }, inputs, {
        batch,
        length,
        keyTables,
        queryTables,
        past: inputs.past?.layers[layer],
      });
      present[layer] = keyValue;
      const attended = add(x, outputND);
      const branchND = mlp(rmsNorm(attended, scope('post_attention_layernorm.weight'), config.rmsNormEps), {
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
  const hiddenND = rmsNorm(xND, parameter(parameters, 'model.norm.weight'), config.rmsNormEps);
  return { hiddenND, present };
}

interface LayerParameters {
  scope(name: string): Tensor;
  optional(name: string): Tensor | undefined;
}

interface AttentionContext {
  batch: Dim;
  length: Dim;
  keyTables: RotaryTables;
  queryTables: RotaryTables;
  past: KeyValue | undefined;
}

function attention(
  xND: Tensor,
  config: TransformerConfig,
  { scope, optional }: LayerParameters,
  inputs: TransformerInputs,
  { batch, length, keyTables, queryTables, past }: AttentionContext,
): { outputND: Tensor; keyValue: KeyValue } {
  const { numHeads: H, numKvHeads: K, headDim: C } = config;
  const G = H / K;
  const project = (name: string, heads: number) =>
    reshape(linear(xND, scope(`self_attn.${name}.weight`), optional(`self_attn.${name}.bias`)), [
      batch,
      length,
      heads,
      C,
    ]);
  const normed = (x: Tensor, name: string) => {
    const weight = optional(`self_attn.${name}.weight`);
    return weight ? rmsNorm(x, weight, config.rmsNormEps) : x;
  };
  const toHeads = (x: Tensor) => transpose(x, [0, 2, 1, 3]);
  const queryBHTC = rotary(
    toHeads(normed(project('q_proj', H), 'q_norm')),
    inputs.positionsBT,
    queryTables.cosine,
    queryTables.sine,
  );
  const keyBKTC = rotary(
    toHeads(normed(project('k_proj', K), 'k_norm')),
    inputs.positionsBT,
    keyTables.cosine,
    keyTables.sine,
  );
  const valueBKTC = toHeads(project('v_proj', K));
  // Heads that share a key head become rows of one product: no key is repeated. Head h reads key head floor(h K / H).
  const grouped = G === 1 ? queryBHTC : reshape(queryBHTC, [batch, K, productOf(G, length), C]);
  const own = attend(grouped, { keyBKTC, valueBKTC }, inputs, past, { batch, length, K, G });
  const mergedND = reshape(transpose(G === 1 ? own : reshape(own, [batch, H, length, C]), [0, 2, 1, 3]), [
    -1,
    H * C,
  ]);
  return {
    outputND: linear(mergedND, scope('self_attn.o_proj.weight'), optional('self_attn.o_proj.bias')),
    keyValue: { keyBKTC, valueBKTC },
  };
}

function productOf(factor: number, dim: Dim): Dim {
  return typeof dim === 'number' ? factor * dim : `${factor}*${dim}`;
}

/** Weighted values [B, K, G*T, C] for queries of the same shape. */
function attend(
  queryBKRC: Tensor,
  { keyBKTC, valueBKTC }: KeyValue,
  inputs: TransformerInputs,
  past: KeyValue | undefined,
  { batch, length, K, G }: { batch: Dim; length: Dim; K: number; G: number },
): Tensor {
  const scores = matmul(queryBKRC, keyBKTC, { transposeB: true });
  const masked =
    G === 1
      ? add(scores, inputs.maskTT)
      : reshape(add(reshape(scores, [batch, K * G, length, length]), inputs.maskTT), scores.shape);
  if (!past || !inputs.past) return matmul(softmax(masked), valueBKTC);
  // Two products instead of one over [cache, new]: the cache is read where it lies and never copied.
  const pastScores = add(matmul(queryBKRC, past.keyBKTC, { transposeB: true }), inputs.past.maskP);
  const top = maximum(max(masked, -1, true), max(pastScores, -1, true));
  const weights = exp(sub(masked, top));
  const pastWeights = exp(sub(pastScores, top));
  const total = add(sum(weights, -1, true), sum(pastWeights, -1, true));
  return div(add(matmul(weights, valueBKTC), matmul(pastWeights, past.valueBKTC)), total);
}

function mlp(xND: Tensor, { scope, optional }: LayerParameters): Tensor {
  const layer = (x: Tensor, name: string) =>
    linear(x, scope(`mlp.${name}.weight`), optional(`mlp.${name}.bias`));
  return layer(mul(silu(layer(xND, 'gate_proj')), layer(xND, 'up_proj')), 'down_proj');
}

/** Scores over the vocabulary, [N, V]. */
export function logits(parameters: TensorRecord, config: TransformerConfig, hiddenND: Tensor): Tensor {
  const name = config.tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight';
  return linear(hiddenND, parameter(parameters, name));
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
