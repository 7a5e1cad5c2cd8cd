/** One update of PPO and of GRPO against a slow reference: coefficients by hand, AdamW by hand. */
import { describe, expect, test } from 'vitest';
import { criticSpecs, criticValues, initialCritic } from '../../src/align/rl/critic.ts';
import { type ExperienceRow, minibatchOf } from '../../src/align/rl/experience.ts';
import { type PolicyBatch, policyObjective } from '../../src/align/rl/policy-objective.ts';
import { LOSS_NORMALISERS, type RlSettings, rlSettings } from '../../src/align/rl/settings.ts';
import { rowTokenShape, sequenceForward } from '../../src/align/sequence-logprobs.ts';
import { answeredRow, rowBatch } from '../../src/align/sequence-row.ts';
import { KeyedRandom } from '../../src/core/random.ts';
import { parameterSpecs } from '../../src/model/config.ts';
import { initializeWeights, type Weights } from '../../src/model/initialize.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { add, grad, input, mul, sum } from '../../src/tensor/index.ts';
import {
  DEFAULT_OPTIMIZER,
  initialState,
  readState,
  TrainingStep,
  tokenFeeds,
  tokenInputs,
} from '../../src/train/index.ts';
import { tinyConfig } from '../fixtures/training/tiny-model.ts';

const device = cpuDevice({ numThreads: 1 });
const config = { ...tinyConfig, initializerRange: 0.2 };
const shape = { batchSize: 3, length: 9 };
const LENGTHS = [3, 5, 2] as const;
const random = new KeyedRandom(4);
const policy = initializeWeights(config, 1);
// A larger epsilon keeps Adam from turning rounding of near-zero gradients into whole steps.
const optimizer = { ...DEFAULT_OPTIMIZER, learningRate: 0.01, weightDecay: 0, epsilon: 1e-3 };

/** Answers with numbers drawn at will: ratios on both sides of the clip range, advantages of both signs. */
function experience(): ExperienceRow[] {
  return LENGTHS.map((numActions, r) => {
    const draws = (label: string, deviation: number) =>
      random.fork(`${label} ${r}`).normals(numActions, deviation);
    const ids = Array.from({ length: 4 + numActions }, (_, t) => random.integer(100 * r + t, 48));
    return {
      row: answeredRow(ids.slice(0, 4), ids.slice(4)),
      start: 3,
      oldLogprobs: draws('old', 0.4).map((x) => x - Math.log(48)),
      referenceLogprobs: draws('reference', 0.3).map((x) => x - Math.log(48)),
      advantages: draws('advantages', 1),
      oldValues: draws('values', 0.3),
      returns: draws('returns', 1),
    };
  });
}
const rows = experience();

/** Gradients of sum(logprobCounts * log pi) + sum(valueCounts * V), by name. */
async function gradientsOf(
  weights: Weights,
  settings: RlSettings,
  logprobCounts: Float32Array,
  valueCounts: Float32Array,
) {
  const parameters = Object.fromEntries(
    [...weights].map(([name, value]) => [name, input(name, value.shape)]),
  );
  const tokens = tokenInputs(rowTokenShape(shape));
  const [l, v] = ['l', 'v'].map((name) => input(name, [shape.batchSize, shape.length]));
  const { logprobBT, hiddenND } = sequenceForward(parameters, config, tokens, shape, settings.temperature);
  let total = sum(mul(logprobBT, l!));
  if (settings.method === 'ppo') {
    total = add(
      total,
      sum(mul(criticValues(parameters, config, settings.critic, hiddenND, tokens, shape), v!)),
    );
  }
  const names = Object.keys(parameters);
  const gradients = grad(
    total,
    names.map((name) => parameters[name]!),
  );
  const outputs = Object.fromEntries(names.map((name, i) => [`gradient/${name}`, gradients[i]!]));
  const executable = await device.compile(outputs, {
    inputs: [...Object.values(parameters), ...tokens.inputs, l!, v!],
  });
  const batch = rowBatch(
    rows.map(({ row }) => row),
    shape,
  );
  const results = await executable.run({
    ...Object.fromEntries(weights),
    ...tokenFeeds(batch, { segments: false }),
    l: logprobCounts,
    v: valueCounts,
  });
  return new Map(
    await Promise.all(
      names.map(async (name) => [name, (await results[`gradient/${name}`]!.read()) as Float32Array] as const),
    ),
  );
}

/** log pi and V of each place. */
async function forwardOf(weights: Weights, settings: RlSettings) {
  const parameters = Object.fromEntries(
    [...weights].map(([name, value]) => [name, input(name, value.shape)]),
  );
  const tokens = tokenInputs(rowTokenShape(shape));
  const { logprobBT, hiddenND } = sequenceForward(parameters, config, tokens, shape, settings.temperature);
  const valueBT =
    settings.method === 'ppo'
      ? criticValues(parameters, config, settings.critic, hiddenND, tokens, shape)
      : logprobBT;
  const executable = await device.compile(
    { logprobBT, valueBT },
    { inputs: [...Object.values(parameters), ...tokens.inputs] },
  );
  const batch = rowBatch(
    rows.map(({ row }) => row),
    shape,
  );
  const results = await executable.run({
    ...Object.fromEntries(weights),
    ...tokenFeeds(batch, { segments: false }),
  });
  return {
    logprobs: (await results.logprobBT!.read()) as Float32Array,
    values: (await results.valueBT!.read()) as Float32Array,
  };
}

/** The slow reference: what each log-probability and value counts, then one step of Adam. */
async function slowUpdate(
  weights: Weights,
  settings: RlSettings,
  klWeight: number,
): Promise<Map<string, number[]>> {
  const { logprobs, values } = await forwardOf(weights, settings);
  const counts = { l: new Float32Array(27), v: new Float32Array(27) };
  const numTokens = LENGTHS.reduce((a, b) => a + b, 0);
  for (const [r, row] of rows.entries()) {
    for (let t = 0; t < LENGTHS[r]!; t++) {
      const at = r * shape.length + row.start + t;
      const share = {
        dapo: 1 / numTokens,
        grpo: 1 / (3 * LENGTHS[r]!),
        dr_grpo: 1 / (3 * settings.maxTokens),
      }[settings.lossNormaliser];
      const ratio = Math.exp(logprobs[at]! - row.oldLogprobs[t]!);
      const advantage = row.advantages[t]!;
      const stopped = advantage > 0 ? ratio > 1 + settings.clip.high : ratio < 1 - settings.clip.low;
      counts.l[at] = share * (stopped ? 0 : -ratio * advantage);
      if (settings.method === 'grpo') {
        counts.l[at]! += share * klWeight * (1 - Math.exp(row.referenceLogprobs[t]! - logprobs[at]!));
      } else {
        const [value, old, wanted] = [values[at]!, row.oldValues[t]!, row.returns[t]!];
        const held = Math.min(Math.max(value, old - settings.valueClip), old + settings.valueClip);
        const isHeld = held !== value && (held - wanted) ** 2 > (value - wanted) ** 2;
        counts.v[at] = isHeld ? 0 : share * settings.valueWeight * (value - wanted);
      }
    }
  }
  const gradients = await gradientsOf(weights, settings, counts.l, counts.v);
  const next = new Map<string, number[]>();
  for (const [name, { data }] of weights) {
    const { learningRate, epsilon } = optimizer;
    // The first step of Adam: m / (1 - beta1) = g, and v / (1 - beta2) = g^2.
    next.set(
      name,
      Array.from(
        data,
        (p, i) =>
          p - (learningRate * gradients.get(name)![i]!) / (Math.abs(gradients.get(name)![i]!) + epsilon),
      ),
    );
  }
  return next;
}

async function update(weights: Weights, settings: RlSettings, klWeight: number) {
  const batch: PolicyBatch = minibatchOf(rows, {
    shape,
    padId: 0,
    normaliser: settings.lossNormaliser,
    maxTokens: settings.maxTokens,
    klWeight,
    figures: {},
  });
  const specs = [
    ...parameterSpecs(config),
    ...(settings.method === 'ppo' ? criticSpecs(config, settings.critic) : []),
  ];
  const step = await TrainingStep.compile(device, policyObjective(config, { shape, settings }), specs, {
    optimizer,
    clipNorm: Number.POSITIVE_INFINITY,
    accumulate: 1,
  });
  const state = initialState(weights, optimizer);
  const result = await step.run(state, [batch], 1, optimizer.learningRate);
  await step.dispose();
  return { trained: await readState(state, 'parameter/'), result };
}

async function expectSame(weights: Weights, settings: RlSettings, klWeight: number) {
  const expected = await slowUpdate(weights, settings, klWeight);
  const { trained, result } = await update(weights, settings, klWeight);
  let furthest = 0;
  let moved = 0;
  for (const [name, { data }] of trained) {
    for (const [i, value] of expected.get(name)!.entries()) {
      furthest = Math.max(furthest, Math.abs(value - data[i]!));
      moved = Math.max(moved, Math.abs(value - weights.get(name)!.data[i]!));
    }
  }
  expect(furthest).toBeLessThan(1e-5);
  expect(moved).toBeGreaterThan(1e-3);
  return result;
}

describe('an update of GRPO is that of the slow reference', () => {
  test.each(LOSS_NORMALISERS)(
    'with the normaliser %s, a temperature and a KL weight',
    async (lossNormaliser) => {
      const settings = rlSettings({
        method: 'grpo',
        lossNormaliser,
        klWeight: 0.3,
        maxTokens: 6,
        temperature: 1.3,
      });
      const { metrics } = await expectSame(policy, settings, 0.3);
      expect(metrics.clipShare).toBeGreaterThan(0);
      expect(metrics.clipShare).toBeLessThan(1);
    },
  );
});

describe('an update of PPO is that of the slow reference', () => {
  test.each(['head', 'separate'] as const)('with a critic of the kind %s', async (critic) => {
    const settings = rlSettings({ method: 'ppo', critic, maxTokens: 6 });
    const weights = new Map([...policy, ...initialCritic(config, critic, policy)]);
    // A head that says something, so that the trunk under it learns.
    const head = weights.get('critic.value_head.weight')!;
    weights.set('critic.value_head.weight', {
      ...head,
      data: random.fork('head').normals(head.data.length, 0.2),
    });
    const { metrics } = await expectSame(weights, settings, 0);
    expect(metrics.valueLoss).toBeGreaterThan(0);
  });
});

test('metrics are means over actions whatever the loss is divided by', async () => {
  const shares = await Promise.all(
    LOSS_NORMALISERS.map(async (lossNormaliser) => {
      const settings = rlSettings({ method: 'grpo', lossNormaliser, maxTokens: 6 });
      return (await update(policy, settings, 0)).result.metrics.clipShare!;
    }),
  );
  expect(shares[1]).toBeCloseTo(shares[0]!, 6);
  expect(shares[2]).toBeCloseTo(shares[0]!, 6);
  expect(shares[0]! * 10).toBeCloseTo(Math.round(shares[0]! * 10), 5);
});

test('a batch without answers changes nothing', async () => {
  const settings = rlSettings({ method: 'grpo', maxTokens: 6 });
  const step = await TrainingStep.compile(
    device,
    policyObjective(config, { shape, settings }),
    parameterSpecs(config),
    { optimizer, clipNorm: 1, accumulate: 1 },
  );
  const state = initialState(policy, optimizer);
  const empty = minibatchOf([], {
    shape,
    padId: 0,
    normaliser: 'dapo',
    maxTokens: 6,
    klWeight: 0,
    figures: { reward: 1 },
  });
  const { loss } = await step.run(state, [empty], 1, 0.1);
  expect(loss + 0).toBe(0);
  for (const [name, { data }] of await readState(state, 'parameter/')) {
    expect(Array.from(data)).toEqual(Array.from(policy.get(name)!.data));
  }
  await step.dispose();
});
