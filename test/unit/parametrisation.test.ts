/** What each parametrisation puts on each parameter, and what it leaves as it was. */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import {
  checkParametrisation,
  initializeWeights,
  type Parametrisation,
  parameterScaling,
  parameterSpecs,
  scalingOf,
  type TransformerConfig,
} from '../../src/model/index.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import {
  DEFAULT_OPTIMIZER,
  initialState,
  languageModelObjective,
  type OptimizerSettings,
  readState,
  TrainingStep,
} from '../../src/train/index.ts';
import { ruleFor } from '../../src/train/optimizer.ts';
import { tinyConfig, tinyWindows } from '../fixtures/training/tiny-model.ts';

const wide: TransformerConfig = { ...tinyConfig, hiddenSize: 64, numHeads: 8, numLayers: 6 };
const biased: TransformerConfig = {
  ...tinyConfig,
  architecture: 'llama',
  tieWordEmbeddings: false,
  attentionBias: true,
  attentionOutputBias: true,
  mlpBias: true,
};

function digestOf(values: ReadonlyMap<string, { data: Float32Array }>): string {
  const hash = createHash('sha256');
  for (const [name, { data }] of values) {
    hash.update(name);
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest('hex').slice(0, 16);
}

async function trained(optimizer: OptimizerSettings, parametrisation?: Parametrisation) {
  const batches = tinyWindows();
  const scaling = scalingOf(tinyConfig, parametrisation);
  const step = await TrainingStep.compile(
    cpuDevice({ numThreads: 1 }),
    languageModelObjective(tinyConfig, { batchSize: 4, length: 16, segments: true }),
    parameterSpecs(tinyConfig),
    { optimizer, clipNorm: 1, accumulate: 1, ...(scaling && { scaling }) },
  );
  const state = initialState(initializeWeights(tinyConfig, 3, parametrisation), optimizer);
  for (let i = 1; i <= 5; i++) await step.run(state, [batches.batch(i)], i, 3e-3);
  await step.dispose();
  return digestOf(await readState(state, ''));
}

describe('the standard parametrisation', () => {
  // Digests of the weights that initializeWeights gave before it knew of parametrisations.
  test('starts from the same bits as ever', () => {
    expect(digestOf(initializeWeights(tinyConfig, 3))).toBe('21d43ed266d3ed73');
    expect(digestOf(initializeWeights(biased, 3, { kind: 'standard' }))).toBe('712f9e043cce01b7');
  });

  test.each(['adamw', 'muon'] as const)(
    '%s: at the base size, muP and CompleteP are it bit for bit',
    async (name) => {
      const optimizer = { ...DEFAULT_OPTIMIZER, name };
      const expected = await trained(optimizer);
      const { hiddenSize: baseWidth, numLayers: baseDepth, headDim: baseHeadDim } = tinyConfig;
      expect(await trained(optimizer, { kind: 'standard' })).toBe(expected);
      expect(await trained(optimizer, { kind: 'mup', baseWidth, baseHeadDim })).toBe(expected);
      expect(await trained(optimizer, { kind: 'completep', baseWidth, baseDepth })).toBe(expected);
      expect(await trained(optimizer, { kind: 'mup', baseWidth: baseWidth / 2 })).not.toBe(expected);
    },
  );

  test('needs no scaling of the step', () => {
    expect(scalingOf(tinyConfig)).toBeUndefined();
    expect(scalingOf(tinyConfig, { kind: 'standard' })).toBeUndefined();
  });
});

const layer = 'model.layers.0';
const of = (name: string, parametrisation: Parametrisation, config = wide) =>
  parameterScaling(name, config, parametrisation);

describe('muP', () => {
  const mup: Parametrisation = { kind: 'mup', baseWidth: 16 };

  test('hidden matrices: spread / sqrt(m), rate / m, decay * m, epsilon / m', () => {
    const { initial, adam, muon } = of(`${layer}.mlp.up_proj.weight`, mup);
    expect(initial).toEqual({ standardDeviation: 0.02 / 2 });
    expect(adam).toEqual({ learningRate: 1 / 4, weightDecay: 4, epsilon: 1 / 4 });
    expect(muon).toEqual({ learningRate: 1, weightDecay: 1, epsilon: 1 });
  });

  test('the embedding keeps spread and rate; logits / m is carried by the last norm, tied or not', () => {
    for (const config of [wide, { ...wide, tieWordEmbeddings: false }]) {
      const names = config.tieWordEmbeddings
        ? ['model.embed_tokens.weight']
        : ['model.embed_tokens.weight', 'lm_head.weight'];
      for (const name of names) {
        const { initial, adam } = of(name, mup, config);
        expect(initial).toEqual({ standardDeviation: 0.02 });
        expect(adam).toEqual({ learningRate: 1, weightDecay: 1, epsilon: 1 / 4 });
      }
      const last = of('model.norm.weight', mup, config);
      expect(last.initial).toEqual({ value: 1 / 4 });
      expect(last.adam.learningRate).toBe(1 / 4);
      expect(last.adam.epsilon).toBe(1);
    }
  });

  test('gains and biases in blocks keep value and rate', () => {
    expect(of(`${layer}.input_layernorm.weight`, mup).initial).toEqual({ value: 1 });
    expect(of(`${layer}.input_layernorm.weight`, mup).adam.learningRate).toBe(1);
    const bias = of(`${layer}.self_attn.q_proj.bias`, mup, { ...biased, hiddenSize: 64 });
    expect(bias.initial).toEqual({ value: 0 });
    expect(bias.adam.learningRate).toBe(1);
  });

  test('heads larger than the base ones: scores fall by sqrt(base / size) more', () => {
    const grown: Parametrisation = { kind: 'mup', baseWidth: 64, baseHeadDim: 2 };
    expect(of(`${layer}.self_attn.q_norm.weight`, grown).initial).toEqual({ value: 1 / 2 });
    expect(of(`${layer}.self_attn.k_norm.weight`, grown).initial).toEqual({ value: 1 });
    // Without QK-norm the projection carries it.
    const llama: TransformerConfig = { ...biased, hiddenSize: 64 };
    const query = of(`${layer}.self_attn.q_proj.weight`, grown, llama);
    expect(query.initial).toEqual({ standardDeviation: 0.01 });
    expect(query.adam).toEqual({ learningRate: 1 / 2, weightDecay: 2, epsilon: 2 });
    expect(query.muon).toEqual({ learningRate: 1 / 2, weightDecay: 2, epsilon: 1 });
    expect(of(`${layer}.self_attn.q_proj.bias`, grown, llama).adam.learningRate).toBe(1 / 2);
    expect(of(`${layer}.self_attn.k_proj.weight`, grown, llama).multiplier).toBe(1);
  });
});

describe('CompleteP', () => {
  const completep: Parametrisation = { kind: 'completep', baseWidth: 16, baseDepth: 2 };

  test('what writes into the residual stream carries 1 / m_L, and starts as in the base model', () => {
    const { initial, adam, muon } = of(`${layer}.mlp.down_proj.weight`, completep);
    expect(initial).toEqual({ standardDeviation: (0.02 / Math.sqrt(4) / 2) * (1 / 3) });
    expect(adam.learningRate).toBeCloseTo(1 / 12, 15);
    expect(adam.weightDecay).toBeCloseTo(12, 12);
    expect(adam.epsilon).toBeCloseTo(1 / 4, 15);
    expect(muon.learningRate).toBeCloseTo(1 / 3, 15);
    const bias = of(`${layer}.self_attn.o_proj.bias`, completep, { ...biased, hiddenSize: 64, numLayers: 6 });
    expect(bias.adam.learningRate).toBeCloseTo(1 / 3, 15);
  });

  test('epsilon / (m m_L) in blocks, / m outside; rates do not depend on the depth', () => {
    expect(of(`${layer}.mlp.up_proj.weight`, completep).adam.epsilon).toBeCloseTo(1 / 12, 15);
    expect(of(`${layer}.input_layernorm.weight`, completep).adam.epsilon).toBeCloseTo(1 / 12, 15);
    expect(of('model.embed_tokens.weight', completep).adam.epsilon).toBe(1 / 4);
    expect(of(`${layer}.mlp.up_proj.weight`, completep).adam.learningRate).toBe(1 / 4);
    expect(of(`${layer}.input_layernorm.weight`, completep).adam.learningRate).toBe(1);
  });
});

describe('every parametrisation', () => {
  test.each([
    { kind: 'mup', baseWidth: 10 },
    { kind: 'completep', baseWidth: 48, baseDepth: 5, baseHeadDim: 4 },
  ] satisfies Parametrisation[])('a step decays as much as under standard: %o', (parametrisation) => {
    for (const config of [wide, biased]) {
      for (const { name, shape } of parameterSpecs(config)) {
        for (const optimizer of ['adamw', 'muon'] as const) {
          const settings = { ...DEFAULT_OPTIMIZER, name: optimizer };
          const scaled = ruleFor(name, shape, settings, parameterScaling(name, config, parametrisation));
          expect(scaled.decay, name).toBeCloseTo(ruleFor(name, shape, settings).decay, 12);
        }
      }
    }
  });

  test.each([
    [{ kind: 'mup', baseWidth: 0 }, /parametrisation\.baseWidth must be a whole number of at least 1, got 0/],
    [{ kind: 'mup' }, /baseWidth/],
    [{ kind: 'completep', baseWidth: 64 }, /baseDepth/],
    [{ kind: 'completep', baseWidth: 64, baseDepth: 1.5 }, /baseDepth .* got 1\.5/],
    [{ kind: 'mup', baseWidth: 64, baseHeadDim: -1 }, /baseHeadDim/],
    [{ kind: 'ntk' }, /kind must be standard, mup or completep, got "ntk"/],
  ])('impossible ones are refused by name: %o', (parametrisation, message) => {
    const check = () => checkParametrisation(parametrisation as Parametrisation);
    expect(check).toThrow(ConfigError);
    expect(check).toThrow(message);
    expect(() => initializeWeights(tinyConfig, 1, parametrisation as Parametrisation)).toThrow(message);
  });

  test('a name that no transformer has is refused', () => {
    expect(() => parameterScaling('model.layers.0.mixer.weight', wide)).toThrow(/mixer/);
  });
});
