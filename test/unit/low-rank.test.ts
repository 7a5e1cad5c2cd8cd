/** Low-rank adapters: their gradients, the slow form W + s B A they stand for, and what a step leaves alone. */
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { KeyedRandom } from '../../src/core/random.ts';
import {
  ALL_LINEAR,
  adaptedModules,
  initializeLowRank,
  type LowRankSettings,
  lowRankFactor,
  lowRankSpecs,
  mergeLowRank,
} from '../../src/model/adapter/low-rank.ts';
import { numParameters, parameterSpecs, type TransformerConfig } from '../../src/model/config.ts';
import { initializeWeights, type Weights } from '../../src/model/initialize.ts';
import type { ModelParameters } from '../../src/model/transformer.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import {
  add,
  constant,
  grad,
  input,
  matmul,
  mul,
  scale,
  type Tensor,
  type TensorRecord,
} from '../../src/tensor/index.ts';
import {
  DEFAULT_OPTIMIZER,
  fullModel,
  initialState,
  LossEvaluator,
  languageModelObjective,
  onTrainable,
  readState,
  TrainingStep,
} from '../../src/train/index.ts';
import { lowRankModel } from '../../src/train/low-rank.ts';
import { tinyConfig, tinyWindows } from '../fixtures/training/tiny-model.ts';

const device = cpuDevice({ numThreads: 1 });
const weights = initializeWeights(tinyConfig, 1);
const batch = tinyWindows(4).batch(0);
const objective = languageModelObjective(tinyConfig, { batchSize: 4, length: 16, segments: true });
const settings: LowRankSettings = { rank: 3, alpha: 6, targets: ALL_LINEAR };
const adapter = lowRankModel(tinyConfig, weights, { ...settings, seed: 7 });
const names = adapter.specs.map(({ name }) => name);
/** With B away from zero, as after some training. */
const trained: Weights = new Map(
  adapter.specs.map(({ name, shape }) => [
    name,
    { shape, data: new KeyedRandom(4).fork(name).normals(shape[0]! * shape[1]!, 0.2) },
  ]),
);
const settingsOfStep = { optimizer: DEFAULT_OPTIMIZER, clipNorm: 1, accumulate: 1 };

type Values = Record<string, Float32Array>;

/** Loss and the gradients of A and B; `parametersOf` says how they make the model. */
async function lossAndGradients(
  parametersOf: (trained: TensorRecord, frozen: TensorRecord) => ModelParameters,
  side = { trainable: adapter, values: trained, base: weights },
): Promise<{ loss: number; gradients: Values }> {
  const { config, specs } = side.trainable;
  const names = specs.map(({ name }) => name);
  const objective = languageModelObjective(config, { batchSize: 4, length: 16, segments: true });
  const inputs = (specs: readonly { name: string; shape: readonly number[] }[]): Record<string, Tensor> =>
    Object.fromEntries(specs.map(({ name, shape }) => [name, input(name, shape)]));
  const own = inputs(specs);
  const frozen = inputs(parameterSpecs(config));
  const lossScale = input('lossScale', []);
  const built = objective.build(parametersOf(own, frozen), lossScale);
  const gradients = grad(
    built.loss,
    names.map((name) => own[name]!),
  );
  const executable = await device.compile(
    { loss: built.loss, ...Object.fromEntries(names.map((name, i) => [`d/${name}`, gradients[i]!])) },
    { inputs: [...Object.values(own), ...Object.values(frozen), ...built.inputs, lossScale] },
  );
  const results = await executable.run({
    ...Object.fromEntries(side.values),
    ...Object.fromEntries(side.base),
    ...objective.feeds(batch),
    lossScale: Float32Array.of(1 / batch.numTargets),
  });
  const values: Values = {};
  for (const name of names) values[name] = (await results[`d/${name}`]!.read()) as Float32Array;
  const loss = Number((await results.loss!.read())[0]);
  await executable.dispose();
  return { loss, gradients: values };
}

/** The same by the definition: every matrix is formed. */
function formed(own: TensorRecord, frozen: TensorRecord): Record<string, Tensor> {
  const parameters: Record<string, Tensor> = { ...frozen };
  for (const { weight, a, b } of adaptedModules(tinyConfig, ALL_LINEAR)) {
    parameters[weight] = add(frozen[weight]!, scale(matmul(own[b]!, own[a]!), 6 / 3));
  }
  return parameters;
}

async function lossOf(values: Weights): Promise<number> {
  const evaluator = await LossEvaluator.compile(device, onTrainable(objective, adapter), adapter.specs);
  const { loss } = await evaluator.run(initialState(values, DEFAULT_OPTIMIZER), [batch]);
  await evaluator.dispose();
  return loss;
}

async function fullLossOf(values: Weights): Promise<number> {
  const { specs } = fullModel(tinyConfig, values);
  const evaluator = await LossEvaluator.compile(device, objective, specs);
  const { loss } = await evaluator.run(initialState(values, DEFAULT_OPTIMIZER), [batch]);
  await evaluator.dispose();
  return loss;
}

describe('the graph', () => {
  test('loss and gradients are those of W + s B A', async () => {
    const fast = await lossAndGradients((own, frozen) => adapter.parameters(own, frozen));
    const slow = await lossAndGradients(formed);
    expect(Math.abs(fast.loss - slow.loss)).toBeLessThan(1e-5);
    for (const name of names) {
      const expected = slow.gradients[name]!;
      expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(1e-4);
      fast.gradients[name]!.forEach((value, i) => {
        expect(Math.abs(value - expected[i]!), `${name} ${i}`).toBeLessThan(1e-5);
      });
    }
  });

  test('gradients of A and B agree with central differences along random directions', async () => {
    const { gradients } = await lossAndGradients((own, frozen) => adapter.parameters(own, frozen));
    const evaluator = await LossEvaluator.compile(device, onTrainable(objective, adapter), adapter.specs);
    const H = 0.01;
    for (const name of names) {
      const { shape, data } = trained.get(name)!;
      const direction = new KeyedRandom(9).fork(name).normals(data.length, 1 / Math.sqrt(data.length));
      const at = async (sign: number) => {
        const moved = { shape, data: data.map((value, i) => value + sign * H * direction[i]!) };
        const state = initialState(new Map([...trained, [name, moved]]), DEFAULT_OPTIMIZER);
        return (await evaluator.run(state, [batch])).loss;
      };
      // Of fourth order: norms of small keys bend the loss.
      const near = (await at(1)) - (await at(-1));
      const far = (await at(2)) - (await at(-2));
      const measured = (8 * near - far) / (12 * H);
      const expected = gradients[name]!.reduce((total, value, i) => total + value * direction[i]!, 0);
      // Losses are float32 near 4, so differences are right to about 1e-6 / H.
      expect(Math.abs(measured - expected), name).toBeLessThan(2e-4 + 0.01 * Math.abs(expected));
    }
    await evaluator.dispose();
  });

  test('an adapter that is new changes nothing', async () => {
    expect(await lossOf(adapter.initial)).toBe(await fullLossOf(weights));
  });

  test('the merged model gives the same loss, and weights without an adapter are untouched', async () => {
    const merged = adapter.merge(trained);
    expect(Math.abs((await fullLossOf(merged)) - (await lossOf(trained)))).toBeLessThan(1e-5);
    expect(merged.get('model.norm.weight')).toBe(weights.get('model.norm.weight'));
    expect(merged.get('model.layers.0.mlp.up_proj.weight')!.data).not.toEqual(
      weights.get('model.layers.0.mlp.up_proj.weight')!.data,
    );
  });

  test('an output matrix of its own takes an adapter when it is named', async () => {
    const config = { ...tinyConfig, tieWordEmbeddings: false };
    const own = initializeWeights(config, 1);
    const head = lowRankModel(config, own, { rank: 2, alpha: 2, targets: ['lm_head'], seed: 1 });
    expect(head.specs.map(({ name }) => name)).toEqual(['lm_head.lora_A.weight', 'lm_head.lora_B.weight']);
    const state = initialState(head.initial, DEFAULT_OPTIMIZER);
    const step = await TrainingStep.compile(
      device,
      onTrainable(languageModelObjective(config, { batchSize: 4, length: 16, segments: true }), head),
      head.specs,
      settingsOfStep,
    );
    const first = await step.run(state, [batch], 1, 0.05);
    const second = await step.run(state, [batch], 2, 0.05);
    await step.dispose();
    expect(second.loss).toBeLessThan(first.loss);
  });
});

describe('rows of tokens', () => {
  const tokens = [47, 3];

  test.each([true, false])('loss and gradients are those of replaced rows (tied: %s)', async (tied) => {
    const config = { ...tinyConfig, tieWordEmbeddings: tied };
    const own = initializeWeights(config, 1);
    const patched = lowRankModel(config, own, { ...settings, tokens, seed: 7 });
    const rowNames = patched.specs.map(({ name }) => name).filter((name) => name.includes('trainable'));
    expect(rowNames).toHaveLength(tied ? 1 : 2);
    const values: Weights = new Map(
      patched.specs.map(({ name, shape }) => [
        name,
        { shape, data: new KeyedRandom(6).fork(name).normals(shape[0]! * shape[1]!, 0.2) },
      ]),
    );
    const formedRows = (trained: TensorRecord, frozen: TensorRecord): ModelParameters => {
      const parameters: Record<string, Tensor> = { ...formed(trained, frozen) };
      for (const name of rowNames) {
        const matrix = `${name.slice(0, name.indexOf('.token_adapter'))}.weight`;
        const kept = constant(
          Float32Array.from({ length: 48 }, (_, i) => (tokens.includes(i) ? 0 : 1)),
          [48, 1],
          'float32',
        );
        const places = new Float32Array(48 * 2);
        tokens.forEach((token, i) => {
          places[token * 2 + i] = 1;
        });
        parameters[matrix] = add(
          mul(frozen[matrix]!, kept),
          matmul(constant(places, [48, 2], 'float32'), trained[name]!),
        );
      }
      return parameters;
    };
    const side = { trainable: patched, values, base: own };
    const fast = await lossAndGradients((a, b) => patched.parameters(a, b), side);
    const slow = await lossAndGradients(formedRows, side);
    expect(Math.abs(fast.loss - slow.loss)).toBeLessThan(1e-5);
    for (const name of patched.specs.map((spec) => spec.name)) {
      const expected = slow.gradients[name]!;
      expect(Math.max(...expected.map(Math.abs)), name).toBeGreaterThan(1e-4);
      fast.gradients[name]!.forEach((value, i) => {
        expect(Math.abs(value - expected[i]!), `${name} ${i}`).toBeLessThan(1e-5);
      });
    }
    const merged = patched.merge(values);
    const rows = merged.get('model.embed_tokens.weight')!.data;
    const trainedRows = values.get(rowNames[0]!)!.data;
    expect(rows.slice(3 * 16, 4 * 16)).toEqual(trainedRows.slice(16, 32));
    expect(rows.slice(0, 3 * 16)).toEqual(own.get('model.embed_tokens.weight')!.data.slice(0, 3 * 16));
  });

  test('begin as those of the model', () => {
    const { initial } = lowRankModel(tinyConfig, weights, { ...settings, tokens, seed: 7 });
    const rows = initial.get('model.embed_tokens.token_adapter.trainable_tokens_delta')!;
    const { data } = weights.get('model.embed_tokens.weight')!;
    expect(rows.shape).toEqual([2, 16]);
    expect([...rows.data]).toEqual([...data.slice(47 * 16), ...data.slice(3 * 16, 4 * 16)]);
  });
});

describe('a training step', () => {
  test('lowers the loss, costs less than one of the whole model, and keeps state for A and B alone', async () => {
    const step = await TrainingStep.compile(
      device,
      onTrainable(objective, adapter),
      adapter.specs,
      settingsOfStep,
    );
    const whole = await TrainingStep.compile(device, objective, parameterSpecs(tinyConfig), settingsOfStep);
    const state = initialState(adapter.initial, DEFAULT_OPTIMIZER);
    const losses: number[] = [];
    for (let i = 1; i <= 30; i++) losses.push((await step.run(state, [batch], i, 0.02)).loss);
    expect(losses.at(-1)!).toBeLessThan(losses[0]! - 0.15);
    expect([...(await readState(state, 'parameter/')).keys()].sort()).toEqual([...names].sort());
    expect(step.flops).toBeLessThan(whole.flops);
    await step.dispose();
    await whole.dispose();
  });
});

describe('beginning', () => {
  const { config, targets } = { config: tinyConfig, targets: ['q_proj'] };

  test('B is zero; A is uniform within 1 / sqrt(in), its variance a third of the square', () => {
    const wide: TransformerConfig = { ...config, hiddenSize: 256, headDim: 128 };
    const initial = initializeLowRank(wide, weights, { rank: 16, alpha: 16, targets }, 3);
    const a = initial.get('model.layers.0.self_attn.q_proj.lora_A.weight')!;
    expect(a.shape).toEqual([16, 256]);
    expect(Math.max(...a.data)).toBeLessThanOrEqual(1 / 16);
    expect(Math.min(...a.data)).toBeGreaterThanOrEqual(-1 / 16);
    const variance = a.data.reduce((total, value) => total + value * value, 0) / a.data.length;
    expect(variance * 3 * 256).toBeGreaterThan(0.95);
    expect(variance * 3 * 256).toBeLessThan(1.05);
    const b = initial.get('model.layers.1.self_attn.q_proj.lora_B.weight')!;
    expect(b.shape).toEqual([256, 16]);
    expect(b.data.every((value) => value === 0)).toBe(true);
  });

  test('a tensor depends on the seed and its name, not on the other targets', () => {
    const name = 'model.layers.1.self_attn.q_proj.lora_A.weight';
    const one = initializeLowRank(config, weights, { rank: 2, alpha: 2, targets }, 3).get(name)!;
    const all = initializeLowRank(config, weights, { rank: 2, alpha: 2, targets: ALL_LINEAR }, 3).get(name)!;
    const other = initializeLowRank(config, weights, { rank: 2, alpha: 2, targets }, 4).get(name)!;
    expect(all.data).toEqual(one.data);
    expect(other.data).not.toEqual(one.data);
  });
});

describe('settings', () => {
  test('factor: alpha / rank, or alpha / sqrt(rank)', () => {
    expect(lowRankFactor({ rank: 16, alpha: 8, targets: ALL_LINEAR })).toBe(0.5);
    expect(lowRankFactor({ rank: 16, alpha: 8, targets: ALL_LINEAR, rankStabilised: true })).toBe(2);
  });

  test('targets are ends of names', () => {
    const of = (targets: LowRankSettings['targets']) =>
      adaptedModules(tinyConfig, targets).map(({ module }) => module);
    expect(of(ALL_LINEAR)).toHaveLength(14);
    expect(of(['v_proj', 'q_proj'])).toEqual([
      'model.layers.0.self_attn.q_proj',
      'model.layers.0.self_attn.v_proj',
      'model.layers.1.self_attn.q_proj',
      'model.layers.1.self_attn.v_proj',
    ]);
    expect(of(['layers.1.mlp.down_proj'])).toEqual(['model.layers.1.mlp.down_proj']);
    expect(() => of(['proj'])).toThrow(ConfigError);
  });

  test('all-linear and rank r have r (in + out) numbers a matrix', () => {
    const specs = lowRankSpecs(tinyConfig, { rank: 4, alpha: 4, targets: ALL_LINEAR });
    const count = specs.reduce((total, { shape }) => total + shape[0]! * shape[1]!, 0);
    // Of a layer: q 16 -> 16, k and v 16 -> 8, o 16 -> 16, gate and up 16 -> 32, down 32 -> 16.
    expect(count).toBe(2 * 4 * (32 + 24 + 24 + 32 + 48 + 48 + 48));
    expect(count).toBeLessThan(numParameters(tinyConfig));
  });

  test.each([
    [{ rank: 0 }, /rank .* got 0/],
    [{ rank: 1.5 }, /rank .* got 1.5/],
    [{ alpha: 0 }, /alpha .* got 0/],
    [{ targets: [] }, /needs targets/],
    [{ targets: ['q_prj'] }, /"q_prj" is no linear layer.*Did you mean "q_proj"/],
    [{ targets: ['embed_tokens'] }, /look-up/],
    [{ targets: ['lm_head'] }, /tied/],
    [{ targets: ['q_norm'] }, /no linear layer/],
    [{ tokens: [3, 48] }, /ids below 48, got 3, 48/],
    [{ tokens: [3, 3] }, /different ids/],
  ])('%j is refused', (change, message) => {
    const make = () => lowRankModel(tinyConfig, weights, { ...settings, seed: 1, ...change });
    expect(make).toThrow(ConfigError);
    expect(make).toThrow(message);
  });

  test('merging adds the product with the factor: one matrix by hand', () => {
    const name = 'model.layers.0.self_attn.k_proj';
    const one = { rank: 1, alpha: 3, targets: ['layers.0.self_attn.k_proj'] };
    const values = new Map([
      [`${name}.lora_A.weight`, { shape: [1, 16], data: Float32Array.from({ length: 16 }, (_, i) => i) }],
      [`${name}.lora_B.weight`, { shape: [8, 1], data: Float32Array.from({ length: 8 }, (_, i) => i / 8) }],
    ]);
    const merged = mergeLowRank(tinyConfig, weights, one, values).get(`${name}.weight`)!;
    const before = weights.get(`${name}.weight`)!;
    merged.data.forEach((value, i) => {
      const [row, column] = [Math.floor(i / 16), i % 16];
      expect(value).toBe(Math.fround(before.data[i]! + 3 * (row / 8) * column));
    });
  });
});
