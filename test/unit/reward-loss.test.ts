/** The loss of reward models: known values, its slopes, and one training step against a slow reference. */
import { describe, expect, test } from 'vitest';
import {
  type ComparedAnswers,
  centringLoss,
  comparisonMasks,
  rankingLoss,
} from '../../src/align/reward/ranking-loss.ts';
import { rewardModelStart } from '../../src/align/reward/reward-model.ts';
import {
  type Comparison,
  rewardFeeds,
  rewardForward,
  rewardObjective,
} from '../../src/align/reward/reward-objective.ts';
import { DataError } from '../../src/core/errors.ts';
import { KeyedRandom } from '../../src/core/random.ts';
import { headedSpecs } from '../../src/model/config.ts';
import { initializeWeights } from '../../src/model/initialize.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import * as t from '../../src/tensor/index.ts';
import { LossEvaluator } from '../../src/train/evaluate-loss.ts';
import { DEFAULT_OPTIMIZER } from '../../src/train/optimizer.ts';
import { initialState, readState, TrainingStep } from '../../src/train/training-step.ts';
import { tinyConfig } from '../fixtures/training/tiny-model.ts';
import { evaluate } from '../golden/reference-evaluator.ts';

const device = cpuDevice({ numThreads: 1 });

/** Ranking and centring loss of rewards, in float64, and what they are made of. */
function lossesOf(
  rewards: readonly number[],
  comparisons: readonly ComparedAnswers[],
  numComparisons = comparisons.length,
) {
  const numRows = rewards.length;
  const masks = comparisonMasks(comparisons, numRows, numComparisons);
  const rewardB = t.input('reward', [numRows]);
  const competitors = t.input('competitors', [numRows, numRows]);
  const members = t.input('members', [numComparisons, numRows]);
  const ranking = rankingLoss(rewardB, competitors);
  const centring = centringLoss(rewardB, members);
  const feeds = {
    reward: Float64Array.from(rewards),
    competitors: Float64Array.from(masks.competitorsBB),
    members: Float64Array.from(masks.membersGB),
  };
  const computed = (x: t.Tensor, more = {}) => evaluate([x], { ...feeds, ...more })[0]!.data;
  return { rewardB, ranking, centring, computed };
}

const rankingOf = (rewards: readonly number[], ...comparisons: ComparedAnswers[]) => {
  const { ranking, computed } = lossesOf(rewards, comparisons);
  return computed(ranking)[0]!;
};

describe('the ranking loss', () => {
  // softplus(-1.5) and softplus(-1), worked out with 50 digits.
  test('of a pair is -log sigma of the difference, less the margin', () => {
    expect(rankingOf([1, -0.5], { ranks: [1, 2] })).toBeCloseTo(0.201413277982752, 12);
    expect(rankingOf([1, -0.5], { ranks: [1, 2], margin: 0.5 })).toBeCloseTo(0.313261687518223, 7);
    expect(rankingOf([-0.5, 1], { ranks: [2, 1] })).toBeCloseTo(0.201413277982752, 12);
    expect(rankingOf([7, 7], { ranks: [0, 1] })).toBeCloseTo(Math.LN2, 12);
  });

  test('of an order is Plackett and Luce: the best of all, then the best of the rest', () => {
    const wanted = Math.log(1 + Math.exp(-1) + Math.exp(-2)) + Math.log(1 + Math.exp(-1));
    expect(rankingOf([3, 2, 1], { ranks: [1, 2, 3] })).toBeCloseTo(wanted, 12);
    expect(rankingOf([2, 1, 3], { ranks: [5, 9, 1] })).toBeCloseTo(wanted, 12);
  });

  test('says nothing about answers of equal rank', () => {
    const against = (better: number) => Math.log(1 + Math.exp(0.5 - better));
    expect(rankingOf([3, -1, 0.5], { ranks: [1, 1, 2] })).toBeCloseTo(against(3) + against(-1), 12);
  });

  test('adds up over comparisons that share a batch; rows and comparisons that are missing count nothing', () => {
    const both = rankingOf([1, -0.5, 3, 2, 1, 99], { ranks: [1, 2] }, { ranks: [1, 2, 3] });
    const apart = rankingOf([1, -0.5], { ranks: [1, 2] }) + rankingOf([3, 2, 1], { ranks: [1, 2, 3] });
    expect(both).toBeCloseTo(apart, 12);
    const { centring, computed } = lossesOf([1, -0.5, 99, 99], [{ ranks: [1, 2] }], 2);
    expect(computed(centring)[0]).toBeCloseTo(0.25, 12);
  });

  test('its slopes are those that central differences measure', () => {
    const rewards = [0.3, -0.7, 1.1, 0.2, -0.4];
    const comparisons = [{ ranks: [1, 2], margin: 0.3 }, { ranks: [2, 1, 2] }];
    const { rewardB, ranking, centring, computed } = lossesOf(rewards, comparisons);
    const total = t.add(ranking, t.scale(centring, 0.7));
    const [gradient] = t.grad(total, [rewardB]);
    const slopes = computed(gradient!);
    const step = 1e-5;
    rewards.forEach((reward, i) => {
      const moved = (by: number) =>
        computed(total, { reward: Float64Array.from(rewards.with(i, reward + by)) })[0]!;
      expect(slopes[i]).toBeCloseTo((moved(step) - moved(-step)) / (2 * step), 8);
    });
  });
});

const LENGTH = 12;
const random = new KeyedRandom(3).fork('reward-test');
const base = { ...tinyConfig, tieWordEmbeddings: false };
const { config, layers, head } = rewardModelStart(base, initializeWeights(base, 1));
const specs = headedSpecs(config, 'score');
const weights = new Map([
  ...layers,
  ...head,
  ['score.weight', { shape: [1, 16], data: random.normals(16, 0.3) }],
]);

const rowOf = (seed: number, length: number) =>
  Int32Array.from({ length }, (_, i) => 1 + random.integer(100 * seed + i, config.vocabSize - 1));
const COMPARISONS: readonly Comparison[] = [
  { rows: [rowOf(1, 12), rowOf(2, 4)], ranks: [1, 2] },
  { rows: [rowOf(3, 7), rowOf(4, 9), rowOf(5, 5)], ranks: [2, 1, 3] },
];
const CENTRE = 0.1;
const OPTIONS = { config, length: LENGTH, numComparisons: 3, maxAnswers: 3, centre: CENTRE };

/** Reward of one text by itself, without padding, in a graph of its own. */
function rewardAlone(parameters: t.TensorRecord, row: Int32Array) {
  const shape = { config, length: row.length };
  const { rewardB } = rewardForward(parameters, shape, 1);
  return { reward: t.reshape(rewardB, []), feeds: rewardFeeds([row], { batchSize: 1, length: row.length }) };
}

const asFloat64 = (feeds: Record<string, unknown>) =>
  Object.fromEntries(
    Object.entries(feeds).map(([name, data]) => [name, Float64Array.from(data as ArrayLike<number>, Number)]),
  );

/** Loss and gradients of the comparisons: text by text in float64, the formula written out. */
function slowly() {
  const parameters = Object.fromEntries(specs.map(({ name, shape }) => [name, t.input(name, shape)]));
  const fixed = asFloat64(Object.fromEntries([...weights].map(([name, { data }]) => [name, data])));
  const gradients = new Map(specs.map(({ name, shape }) => [name, new Float64Array(t.sizeOf(shape))]));
  let loss = 0;
  for (const { rows, ranks } of COMPARISONS) {
    const texts = rows.map((row) => rewardAlone(parameters, row as Int32Array));
    const rewards = texts.map(
      ({ reward, feeds }) => evaluate([reward], { ...fixed, ...asFloat64(feeds) })[0]!.data[0]!,
    );
    const order = ranks.map((_, i) => i).sort((a, b) => ranks[a]! - ranks[b]!);
    const mean = rewards.reduce((a, b) => a + b) / rewards.length;
    const slopes = rewards.map(() => (CENTRE * 2 * (2 * mean) * 2) / rewards.length);
    loss += CENTRE * (2 * mean) ** 2;
    for (const [k, i] of order.slice(0, -1).entries()) {
      const total = order.slice(k).reduce((sum, j) => sum + Math.exp(rewards[j]!), 0);
      loss += Math.log(total) - rewards[i]!;
      slopes[i]! -= 1;
      for (const j of order.slice(k)) slopes[j]! += Math.exp(rewards[j]!) / total;
    }
    for (const [i, { reward, feeds }] of texts.entries()) {
      const own = t.grad(
        reward,
        specs.map(({ name }) => parameters[name]!),
      );
      for (const [p, { data }] of evaluate(own, { ...fixed, ...asFloat64(feeds) }).entries()) {
        const sum = gradients.get(specs[p]!.name)!;
        data.forEach((value, at) => {
          sum[at]! += (slopes[i]! * value) / COMPARISONS.length;
        });
      }
    }
  }
  return { loss: loss / COMPARISONS.length, gradients };
}

describe('the objective', () => {
  test('one training step is that of a slow reference: each text by itself, in float64', async () => {
    const optimizer = { ...DEFAULT_OPTIMIZER, epsilon: 1e-3, weightDecay: 0 };
    const step = await TrainingStep.compile(device, rewardObjective(OPTIONS), specs, {
      optimizer,
      clipNorm: Number.POSITIVE_INFINITY,
      accumulate: 1,
    });
    const state = initialState(weights, optimizer);
    const rate = 1e-2;
    const { loss, gradientNorm } = await step.run(state, [COMPARISONS], 1, rate);
    const reference = slowly();
    expect(loss).toBeCloseTo(reference.loss, 5);
    let squares = 0;
    const trained = await readState(state, 'parameter/');
    for (const [name, gradient] of reference.gradients) {
      const before = weights.get(name)!.data;
      const after = trained.get(name)!.data;
      gradient.forEach((slope, i) => {
        squares += slope ** 2;
        // AdamW's first step: both moments are unbiased to the gradient itself.
        const wanted = before[i]! - (rate * slope) / (Math.abs(slope) + optimizer.epsilon);
        expect(Math.abs(after[i]! - wanted), `${name}[${i}]`).toBeLessThan(1e-5);
      });
    }
    expect(gradientNorm).toBeCloseTo(Math.sqrt(squares), 4);
    await step.dispose();
  });

  test('a head of zeros begins at log 2 a pair, and metrics are means over comparisons', async () => {
    const evaluator = await LossEvaluator.compile(device, rewardObjective({ ...OPTIONS, centre: 0 }), specs);
    const zeros = initialState(new Map([...layers, ...head]), DEFAULT_OPTIMIZER);
    const fresh = await evaluator.run(zeros, [[COMPARISONS[0]!]]);
    expect(fresh.loss).toBeCloseTo(Math.LN2, 6);
    expect(fresh.metrics).toEqual({ accuracy: 0, margin: 0, reward: 0 });

    const state = initialState(weights, DEFAULT_OPTIMIZER);
    const { metrics } = await evaluator.run(state, [COMPARISONS]);
    const parameters = Object.fromEntries(specs.map(({ name, shape }) => [name, t.input(name, shape)]));
    const fixed = asFloat64(Object.fromEntries([...weights].map(([name, { data }]) => [name, data])));
    const rewards = COMPARISONS.map(({ rows }) =>
      rows.map((row) => {
        const { reward, feeds } = rewardAlone(parameters, row as Int32Array);
        return evaluate([reward], { ...fixed, ...asFloat64(feeds) })[0]!.data[0]!;
      }),
    );
    const leads = COMPARISONS.map(({ ranks }, g) =>
      ranks.flatMap((a, i) => ranks.flatMap((b, j) => (a < b ? [rewards[g]![i]! - rewards[g]![j]!] : []))),
    );
    const mean = (values: readonly number[]) => values.reduce((a, b) => a + b) / values.length;
    expect(metrics.margin).toBeCloseTo(mean(leads.map(mean)), 5);
    expect(metrics.accuracy).toBeCloseTo(
      mean(leads.map((one) => mean(one.map((lead) => Number(lead > 0))))),
      6,
    );
    expect(metrics.reward).toBeCloseTo(mean(rewards.map(mean)), 5);
    await evaluator.dispose();
  });

  test('a text that does not fit a row is an error that says so', () => {
    expect(() => rewardFeeds([rowOf(9, 13)], { batchSize: 1, length: 12 })).toThrow(DataError);
    expect(() => rewardFeeds([rowOf(9, 13)], { batchSize: 1, length: 12 })).toThrow(/13 tokens.*1 to 12/);
    expect(() => rewardFeeds([[]], { batchSize: 1, length: 12 })).toThrow(/0 tokens/);
  });
});
