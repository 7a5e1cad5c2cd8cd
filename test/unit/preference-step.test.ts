/** One training step of every preference loss against plain arithmetic on a transformer in plain loops. */
import { describe, expect, test } from 'vitest';
import { PreferenceBatches, referenceLogprobs } from '../../src/align/preference/preference-batches.ts';
import type { PreferenceItem } from '../../src/align/preference/preference-items.ts';
import { preferenceSettings } from '../../src/align/preference/preference-loss.ts';
import { preferenceObjective } from '../../src/align/preference/preference-objective.ts';
import {
  PREFERENCE_LOSS_NAMES,
  type PreferenceLossName,
  type PreferenceSettings,
  type PreferenceValues,
} from '../../src/align/preference/preference-settings.ts';
import { SequenceScorer } from '../../src/align/sequence-logprobs.ts';
import { answeredRow, type SequenceRow } from '../../src/align/sequence-row.ts';
import { parameterSpecs, type TransformerConfig } from '../../src/model/config.ts';
import { initializeWeights, type Weights } from '../../src/model/initialize.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { DEFAULT_OPTIMIZER, initialState, readState, TrainingStep } from '../../src/train/index.ts';
import { adamStep, slopes, slowLogprobs, type Weights64 } from '../fixtures/models/slow-transformer.ts';
import { tinyConfig } from '../fixtures/training/tiny-model.ts';

const device = cpuDevice({ numThreads: 1 });
const config: TransformerConfig = {
  ...tinyConfig,
  vocabSize: 11,
  hiddenSize: 8,
  numLayers: 1,
  headDim: 4,
  intermediateSize: 8,
  // Large enough that the answers differ.
  initializerRange: 0.3,
};
const SHAPE = { batchSize: 3, length: 7 };
const EPSILON = 1e-3;
const RATE = 0.01;

const item = (prompt: number[], first: number[], second: number[], isGood = true): PreferenceItem => ({
  first: answeredRow(prompt, first),
  second: answeredRow(prompt, second),
  isGood,
});
const PAIRS = [
  item([1, 2, 3], [4, 5, 0], [6, 0]),
  item([7, 8], [9, 0], [10, 1, 2, 3, 4, 0]),
  item([5], [5, 5, 5, 0], [3, 0]),
];
const LABELS = PAIRS.map((pair, i) => ({ ...pair, isGood: i !== 1 }));

/** An answer's log-probability and number of tokens. */
interface Answer {
  readonly total: number;
  readonly reference: number;
  readonly mean: number;
  readonly count: number;
}

const logSigmoid = (x: number) => -Math.log1p(Math.exp(-x));
const ratio = ({ total, reference }: Answer) => total - reference;
const logOdds = ({ mean }: Answer) => mean - Math.log(1 - Math.exp(mean));

/** The losses of items once more, in plain arithmetic. */
const SLOW: Record<
  PreferenceLossName,
  (a: Answer, b: Answer, isGood: boolean, z: number, v: PreferenceValues) => number
> = {
  dpo: (a, b, _good, _z, { beta, labelSmoothing: e }) => {
    const x = beta * (ratio(a) - ratio(b));
    return -(1 - e) * logSigmoid(x) - e * logSigmoid(-x);
  },
  hinge: (a, b, _good, _z, { beta }) => Math.max(0, 1 - beta * (ratio(a) - ratio(b))),
  ipo: (a, b, _good, _z, { beta, perToken }) => {
    const margin = perToken ? ratio(a) / a.count - ratio(b) / b.count : ratio(a) - ratio(b);
    return (margin - 1 / (2 * beta)) ** 2;
  },
  kto: (a, _b, isGood, z, { beta, desirableWeight, undesirableWeight }) =>
    isGood
      ? desirableWeight * (1 - Math.exp(logSigmoid(beta * (ratio(a) - z))))
      : undesirableWeight * (1 - Math.exp(logSigmoid(beta * (z - ratio(a))))),
  orpo: (a, b, _good, _z, { lambda }) => -a.mean - lambda * logSigmoid(logOdds(a) - logOdds(b)),
  simpo: (a, b, _good, _z, { beta, gamma, labelSmoothing: e }) => {
    const x = beta * (a.mean - b.mean) - gamma;
    return -(1 - e) * logSigmoid(x) - e * logSigmoid(-x);
  },
};

const in64 = (weights: Weights): Weights64 =>
  new Map([...weights].map(([name, { data }]) => [name, Float64Array.from(data as Float32Array)]));

const totalOf = (weights: Weights64, { tokens, actions }: SequenceRow) =>
  slowLogprobs(weights, config, tokens).reduce((sum, value, t) => sum + value * actions[t + 1]!, 0);

type Totals = ReadonlyMap<SequenceRow, number>;

function answerOf(policy: Weights64, reference: Totals, row: SequenceRow): Answer {
  const total = totalOf(policy, row);
  const count = Array.from(row.actions).reduce((a, b) => a + b);
  return { total, reference: reference.get(row)!, mean: total / count, count };
}

/** KTO's z of given weights: a number to the slopes. */
function slowZ(policy: Weights64, reference: Totals, items: readonly PreferenceItem[]): number {
  const ratios = items.map(({ second }) => ratio(answerOf(policy, reference, second)));
  return Math.max(0, ratios.reduce((a, b) => a + b) / items.length);
}

function slowLoss(
  policy: Weights64,
  reference: Totals,
  items: readonly PreferenceItem[],
  { loss, values }: PreferenceSettings,
  z: number,
): number {
  const total = items.reduce((sum, { first, second, isGood }) => {
    const [a, b] = [answerOf(policy, reference, first), answerOf(policy, reference, second)];
    const sft = isGood ? (values.sftWeight ?? 0) * -a.mean : 0;
    return sum + SLOW[loss](a, b, isGood, z, values as PreferenceValues) + sft;
  }, 0);
  return total / items.length;
}

const CASES: [PreferenceLossName, Partial<PreferenceValues>][] = [
  ...PREFERENCE_LOSS_NAMES.map((name): [PreferenceLossName, Partial<PreferenceValues>] => [name, {}]),
  ['dpo', { beta: 0.5, labelSmoothing: 0.1, sftWeight: 0.2 }],
  ['ipo', { beta: 0.3, perToken: false }],
  ['kto', { beta: 0.4, desirableWeight: 1.3, undesirableWeight: 0.8, sftWeight: 0.1 }],
  ['orpo', { lambda: 1 }],
  ['simpo', { beta: 1, gamma: 0.2, labelSmoothing: 0.05, sftWeight: 0.3 }],
];

describe('one step equals the slow reference', () => {
  // The policy has moved away from its reference, so that ratios are not 0.
  const reference = initializeWeights(config, 1);
  const policy = initializeWeights(config, 2);

  test.each(CASES)('%s %j', async (name, given) => {
    const settings = preferenceSettings(name, given);
    const items = name === 'kto' ? LABELS : PAIRS;
    const scorer = await SequenceScorer.compile(device, config, SHAPE);
    const batches = new PreferenceBatches(items, {
      ...SHAPE,
      seed: 1,
      reference: await referenceLogprobs(scorer, reference, items),
    });
    await scorer.dispose();
    const optimizer = { ...DEFAULT_OPTIMIZER, epsilon: EPSILON, weightDecay: 0 };
    const step = await TrainingStep.compile(
      device,
      preferenceObjective(config, SHAPE, settings),
      parameterSpecs(config),
      { optimizer, clipNorm: Number.POSITIVE_INFINITY, accumulate: 1 },
    );
    const state = initialState(policy, optimizer);
    const result = await step.run(state, [batches.batch(0)], 1, RATE);
    const trained = await readState(state, 'parameter/');
    await step.dispose();

    const policy64 = in64(policy);
    const rows = items.flatMap(({ first, second }) => [first, second]);
    const totals = new Map(rows.map((row) => [row, totalOf(in64(reference), row)]));
    const z = slowZ(policy64, totals, items);
    if (name === 'kto') expect(z).toBeGreaterThan(0.1);
    const lossOf = (weights: Weights64) => slowLoss(weights, totals, items, settings, z);
    expect(Math.abs(result.loss - lossOf(policy64))).toBeLessThan(1e-5);
    const gradient = slopes(policy64, lossOf);
    const norm = Math.sqrt([...gradient.values()].flatMap((g) => [...g]).reduce((sum, g) => sum + g * g, 0));
    expect(norm).toBeGreaterThan(0.01);
    expect(Math.abs(result.gradientNorm - norm) / (1 + norm)).toBeLessThan(1e-5);
    let largest = 0;
    for (const [parameter, values] of adamStep(policy64, gradient, RATE, EPSILON)) {
      const got = trained.get(parameter)!.data as Float32Array;
      values.forEach((value, i) => {
        largest = Math.max(largest, Math.abs(value - got[i]!));
      });
    }
    expect(largest).toBeLessThan(1e-5);
  });
});
