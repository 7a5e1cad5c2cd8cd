/**
 * muP and CompleteP without multipliers in the graph against a second implementation that has them as the papers
 * print them: x + branch / m_L, attention scores / d, logits / m, and the learning rates, decays and epsilons of
 * table 1 of Dey et al. (2025). Both train on the same batches; folded weights must stay multiplier * theirs.
 */
import { describe, expect, test } from 'vitest';
import type { TokenBatch } from '../../src/data/index.ts';
import {
  causalMask,
  initializeWeights,
  type ParameterScaling,
  type Parametrisation,
  parameterScaling,
  parameterSpecs,
  scalingOf,
  type TransformerConfig,
} from '../../src/model/index.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import {
  add,
  constant,
  crossEntropy,
  input,
  linear,
  matmul,
  mul,
  reshape,
  rmsNorm,
  rotary,
  scale,
  silu,
  softmax,
  sum,
  type Tensor,
  type TensorRecord,
  take,
  transpose,
} from '../../src/tensor/index.ts';
import {
  DEFAULT_OPTIMIZER,
  initialState,
  languageModelObjective,
  type Objective,
  type OptimizerSettings,
  readState,
  TrainingStep,
} from '../../src/train/index.ts';
import { tinyConfig, tinyWindows } from '../fixtures/training/tiny-model.ts';

const [B, T] = [4, 16];
const device = cpuDevice({ numThreads: 1 });
type Family = Exclude<Parametrisation, { kind: 'standard' }>;

function sizes(config: TransformerConfig, family: Family) {
  return {
    m: config.hiddenSize / family.baseWidth,
    mL: family.kind === 'completep' ? config.numLayers / family.baseDepth : 1,
    // 1 / d, normed to be 1 / sqrt(d) at the base head size.
    attention: Math.sqrt(family.baseHeadDim ?? config.headDim) / config.headDim,
  };
}

function tables(config: TransformerConfig): [Tensor, Tensor] {
  const half = config.headDim / 2;
  const angles = Array.from({ length: T * half }, (_, i) => {
    const frequency = config.ropeTheta ** (-(i % half) / half);
    return Math.floor(i / half) * frequency;
  });
  const of = (f: (x: number) => number) => constant(Float32Array.from(angles, f), [T, half], 'float32');
  return [of(Math.cos), of(Math.sin)];
}

/** The forward pass with the papers' multipliers, for one key head a query head. */
function explicitObjective(config: TransformerConfig, family: Family): Objective<TokenBatch> {
  const plain = languageModelObjective(config, { batchSize: B, length: T, segments: false });
  const { m, mL, attention } = sizes(config, family);
  const { numHeads: H, headDim: C, hiddenSize: D, rmsNormEps: eps } = config;
  return {
    ...plain,
    build: (p: TensorRecord, lossScale) => {
      const idsBT = input('inputIds', [B, T], 'int32');
      const positionsBT = input('positions', [B, T], 'int64');
      const targetsN = input('targets', [B * T], 'int32');
      const maskN = input('lossMask', [B * T]);
      const [cosine, sine] = tables(config);
      let x = reshape(take(p['model.embed_tokens.weight']!, idsBT), [B * T, D]);
      for (let i = 0; i < config.numLayers; i++) {
        const w = (name: string) => p[`model.layers.${i}.${name}.weight`]!;
        const project = (z: Tensor, name: string) => linear(z, w(name), p[`model.layers.${i}.${name}.bias`]);
        const heads = (z: Tensor) => transpose(reshape(z, [B, T, H, C]), [0, 2, 1, 3]);
        const normed = (z: Tensor, name: string) =>
          config.architecture === 'qwen3' ? rmsNorm(z, w(name), eps) : z;
        const a = rmsNorm(x, w('input_layernorm'), eps);
        const turned = (name: string) =>
          rotary(
            normed(heads(project(a, `self_attn.${name}_proj`)), `self_attn.${name}_norm`),
            positionsBT,
            cosine,
            sine,
          );
        const scores = scale(matmul(turned('q'), turned('k'), { transposeB: true }), attention);
        const mixed = matmul(softmax(add(scores, causalMask(T))), heads(project(a, 'self_attn.v_proj')));
        const merged = reshape(transpose(mixed, [0, 2, 1, 3]), [B * T, H * C]);
        x = add(x, scale(project(merged, 'self_attn.o_proj'), 1 / mL));
        const b = rmsNorm(x, w('post_attention_layernorm'), eps);
        const inner = mul(silu(project(b, 'mlp.gate_proj')), project(b, 'mlp.up_proj'));
        x = add(x, scale(project(inner, 'mlp.down_proj'), 1 / mL));
      }
      const hidden = rmsNorm(x, p['model.norm.weight']!, eps);
      const head = p[config.tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight']!;
      const logits = scale(linear(hidden, head), 1 / m);
      return {
        loss: mul(sum(mul(crossEntropy(logits, targetsN), maskN)), lossScale),
        inputs: [idsBT, positionsBT, targetsN, maskN],
      };
    },
  };
}

/** Table 1 as printed, by what a name and a shape say. */
function printedRules(config: TransformerConfig, family: Family): (name: string) => ParameterScaling {
  const { m, mL } = sizes(config, family);
  return (name) => {
    const isHidden = name.includes('_proj.weight');
    const epsilon = name.includes('.layers.') ? 1 / (m * mL) : 1 / m;
    return {
      ...parameterScaling(name, config),
      adam: { learningRate: isHidden ? 1 / m : 1, weightDecay: isHidden ? m : 1, epsilon },
    };
  };
}

async function train(
  config: TransformerConfig,
  objective: Objective<TokenBatch>,
  start: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>,
  scaling: (name: string) => ParameterScaling,
  optimizer: OptimizerSettings,
) {
  const settings = { optimizer, clipNorm: 0.5, accumulate: 1, scaling };
  const step = await TrainingStep.compile(device, objective, parameterSpecs(config), settings);
  const state = initialState(start, optimizer);
  const batches = tinyWindows(B);
  const results: { loss: number; gradientNorm: number }[] = [];
  for (let i = 1; i <= 6; i++) results.push(await step.run(state, [batches.batch(i)], i, 0.01));
  await step.dispose();
  return { results, weights: await readState(state, 'parameter/') };
}

const qwen: TransformerConfig = { ...tinyConfig, numKvHeads: 2, numLayers: 2, initializerRange: 0.2 };
const llama: TransformerConfig = {
  ...qwen,
  architecture: 'llama',
  tieWordEmbeddings: false,
  attentionBias: true,
  attentionOutputBias: true,
  mlpBias: true,
};
const mup: Family = { kind: 'mup', baseWidth: 4 };
const completep: Family = { kind: 'completep', baseWidth: 6, baseDepth: 1, baseHeadDim: 2 };

describe('folded multipliers train as explicit ones', () => {
  test.each([
    ['muP, AdamW, qwen3, tied', qwen, mup, 'adamw'],
    ['CompleteP, AdamW, llama, untied, with biases', llama, completep, 'adamw'],
    ['CompleteP, Muon, qwen3, tied', qwen, completep, 'muon'],
    ['muP with grown heads, Muon, llama, untied, with biases', llama, { ...mup, baseHeadDim: 2 }, 'muon'],
  ] satisfies [string, TransformerConfig, Family, OptimizerSettings['name']][])(
    '%s',
    async (_, config, family, name) => {
      // Large enough for epsilon and decay to matter.
      const optimizer = { ...DEFAULT_OPTIMIZER, name, epsilon: 1e-3, weightDecay: 2 };
      const scaling = scalingOf(config, family)!;
      const folded = initializeWeights(config, 5, family);
      const multiplier = (one: string) => scaling(one).multiplier;
      const explicit = new Map(
        [...folded].map(([one, { shape, data }]) => [
          one,
          { shape, data: data.map((value) => value / multiplier(one)) },
        ]),
      );
      const plain = languageModelObjective(config, { batchSize: B, length: T, segments: false });
      const ours = await train(config, plain, folded, scaling, optimizer);
      const theirs = await train(
        config,
        explicitObjective(config, family),
        explicit,
        printedRules(config, family),
        optimizer,
      );
      expect([...folded.keys()].filter((one) => multiplier(one) !== 1).length).toBeGreaterThan(0);
      ours.results.forEach(({ loss, gradientNorm }, i) => {
        expect(loss).toBeCloseTo(theirs.results[i]!.loss, 4);
        expect(gradientNorm / theirs.results[i]!.gradientNorm).toBeCloseTo(1, 3);
      });
      for (const [one, { data }] of ours.weights) {
        const expected = theirs.weights.get(one)!.data;
        let [distance, size, moved] = [0, 0, 0];
        data.forEach((value, i) => {
          distance += (value - multiplier(one) * expected[i]!) ** 2;
          size += value ** 2;
          moved += (value - folded.get(one)!.data[i]!) ** 2;
        });
        expect(Math.sqrt(distance / size), one).toBeLessThan(2e-3);
        expect(Math.sqrt(moved / size), one).toBeGreaterThan(2e-2);
      }
    },
  );
});
