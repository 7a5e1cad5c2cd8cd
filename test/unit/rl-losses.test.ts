/** The losses of PPO and GRPO as graphs: known answers, and gradients against central differences in float64. */
import { describe, expect, test } from 'vitest';
import {
  clippedSurrogate,
  clippedValueLoss,
  entropyOf,
  referenceDivergence,
} from '../../src/align/rl/policy-losses.ts';
import { grad, input, mul, sum, type Tensor } from '../../src/tensor/index.ts';
import { evaluate } from '../golden/reference-evaluator.ts';

type Feeds = Record<string, number[]>;

const asData = (feeds: Feeds) =>
  Object.fromEntries(Object.entries(feeds).map(([name, values]) => [name, Float64Array.from(values)]));
const valuesOf = (x: Tensor, feeds: Feeds) => Array.from(evaluate([x], asData(feeds))[0]!.data);
const vector = (name: string, feeds: Feeds) => input(name, [feeds[name]!.length]);

/** d sum(w x) / d name, by the graph and by central differences; every element counts differently. */
function expectGradient(x: Tensor, of: Tensor, name: string, feeds: Feeds) {
  const weight = input('countedBy', x.shape);
  const numValues = (x.shape as number[]).reduce((a, b) => a * b, 1);
  const all = { ...feeds, countedBy: Array.from({ length: numValues }, (_, i) => Math.cos(i + 0.5)) };
  const total = sum(mul(x, weight));
  const gradient = valuesOf(grad(total, [of])[0]!, all);
  const step = 1e-6;
  for (const [i, value] of feeds[name]!.entries()) {
    const at = (moved: number) => {
      const changed = [...feeds[name]!];
      changed[i] = moved;
      return valuesOf(total, { ...all, [name]: changed })[0]!;
    };
    const difference = (at(value + step) - at(value - step)) / (2 * step);
    expect(gradient[i], `${name}[${i}]`).toBeCloseTo(difference, 6);
  }
  return gradient;
}

describe('the clipped surrogate', () => {
  // Ratios 1.5, 1.5, .5, .5, 1.1, 1.25 with clip range .8 to 1.28.
  const feeds = {
    logprob: [1.5, 1.5, 0.5, 0.5, 1.1, 1.25].map(Math.log),
    old: [0, 0, 0, 0, 0, 0],
    advantage: [2, -2, 2, -2, 2, 2],
  };
  const [logprob, old, advantage] = [
    vector('logprob', feeds),
    vector('old', feeds),
    vector('advantage', feeds),
  ];
  const { loss, ratio, isClipped } = clippedSurrogate(logprob, old, advantage, { low: 0.2, high: 0.28 });

  test('is the larger of two losses: gains are cut off, losses are not', () => {
    const expected = [-2 * 1.28, 2 * 1.5, -2 * 0.5, 2 * 0.8, -2 * 1.1, -2 * 1.25];
    valuesOf(loss, feeds).forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 6);
    });
    expect(valuesOf(isClipped, feeds)).toEqual([1, 0, 0, 1, 0, 0]);
    expect(valuesOf(ratio, feeds)[0]).toBeCloseTo(1.5, 12);
  });

  test('has the gradient of central differences, and none where it is clipped', () => {
    const gradient = expectGradient(loss, logprob, 'logprob', feeds);
    expect(gradient.map((value) => value === 0)).toEqual([true, false, false, true, false, false]);
  });

  test('pulls with the whole advantage where the policy is still the one that answered', () => {
    const same = { ...feeds, logprob: feeds.old };
    const gradient = valuesOf(grad(sum(loss), [logprob])[0]!, same);
    gradient.forEach((value, i) => {
      expect(value).toBeCloseTo(-feeds.advantage[i]!, 12);
    });
  });
});

test("a value's loss is half the larger square, of the value and of the value held near the old one", () => {
  const feeds = { value: [1, 1, 0.1, 0.75], old: [0.5, 0.5, 0, 0.7], returns: [2, 0.9, 0, 1] };
  const [value, old, returns] = [vector('value', feeds), vector('old', feeds), vector('returns', feeds)];
  const loss = clippedValueLoss(value, old, returns, 0.2);
  // Held values: .7, .7, .1, .75.
  const expected = [0.5 * 1.3 ** 2, 0.5 * 0.2 ** 2, 0.5 * 0.1 ** 2, 0.5 * 0.25 ** 2];
  valuesOf(loss, feeds).forEach((one, i) => {
    expect(one).toBeCloseTo(expected[i]!, 6);
  });
  const gradient = expectGradient(loss, value, 'value', feeds);
  expect(gradient[0]).toBe(0);
  expect(gradient[1]).toBe(0);
});

test('the divergence from the reference is k3, and its gradient pulls towards it', () => {
  const feeds = { logprob: [Math.log(1.2), -1, -0.3], reference: [0, -1, -2] };
  const [logprob, reference] = [vector('logprob', feeds), vector('reference', feeds)];
  const divergence = referenceDivergence(logprob, reference);
  expect(valuesOf(divergence, feeds)[0]).toBeCloseTo(0.0156548901, 10);
  const gradient = expectGradient(divergence, logprob, 'logprob', feeds);
  // d k3 / d log pi = 1 - pi_ref / pi
  expect(gradient[1]).toBeCloseTo(0, 12);
});

test('the entropy of scores, with its gradient', () => {
  const feeds = { scores: [0, 0, 0, 0, 1, 2, 3, -50] };
  const scores = input('scores', [2, 4]);
  const entropy = entropyOf(scores);
  const [uniform, other] = valuesOf(entropy, feeds);
  expect(uniform).toBeCloseTo(Math.log(4), 12);
  const total = Math.exp(1) + Math.exp(2) + Math.exp(3);
  const expected = -[1, 2, 3].reduce((sum, x) => sum + (Math.exp(x) / total) * (x - Math.log(total)), 0);
  expect(other).toBeCloseTo(expected, 10);
  expectGradient(entropy, scores, 'scores', feeds);
});
