/** Advantages, divergences and penalties: pure functions with known answers. */
import { describe, expect, test } from 'vitest';
import {
  explainedVariance,
  generalizedAdvantages,
  groupAdvantages,
  hasSpread,
  momentsOf,
  overlongPenalty,
  tokenRewards,
  whitened,
} from '../../src/align/rl/advantages.ts';
import { k1, k2, k3, nextKlWeight } from '../../src/align/rl/divergence.ts';
import { KeyedRandom } from '../../src/core/random.ts';

describe('generalised advantage estimation', () => {
  test('with V = .5, .4, .3, rewards 0, 0, 1, lambda .95, gamma 1', () => {
    const advantages = generalizedAdvantages([0, 0, 1], [0.5, 0.4, 0.3], { gamma: 1, lambda: 0.95 });
    // By hand: .7; .3 - .4 + .95 * .7; .4 - .5 + .95 * .565.
    expect(advantages[2]).toBeCloseTo(0.7, 12);
    expect(advantages[1]).toBeCloseTo(0.565, 12);
    expect(advantages[0]).toBeCloseTo(0.43675, 12);
  });

  test('is the return less the value for lambda 1, and the one-step difference for lambda 0', () => {
    const [rewards, values] = [
      [1, -2, 0.5, 4],
      [0.3, 0.1, -0.7, 2],
    ];
    const gamma = 0.9;
    const whole = generalizedAdvantages(rewards, values, { gamma, lambda: 1 });
    const single = generalizedAdvantages(rewards, values, { gamma, lambda: 0 });
    for (let t = 0; t < 4; t++) {
      let discounted = 0;
      for (let s = t; s < 4; s++) discounted += gamma ** (s - t) * rewards[s]!;
      expect(whole[t]).toBeCloseTo(discounted - values[t]!, 12);
      expect(single[t]).toBeCloseTo(rewards[t]! + gamma * (values[t + 1] ?? 0) - values[t]!, 12);
    }
  });
});

test('whitening gives mean 0 and unbiased variance 1 over all lists together', () => {
  const random = new KeyedRandom(3);
  const lists = [Array.from(random.normals(5, 7)), [], Array.from(random.fork('more').normals(8, 2))];
  const white = whitened(lists);
  expect(white.map(({ length }) => length)).toEqual([5, 0, 8]);
  const { mean, variance } = momentsOf(white.flatMap((list) => Array.from(list)));
  expect(mean).toBeCloseTo(0, 12);
  expect(variance).toBeCloseTo(1, 8);
  // (1 - 2) / sqrt(1 + 1e-8): the variance of 1, 2, 3 is 1 with n - 1.
  expect(whitened([[1, 2, 3]])[0]![0]).toBeCloseTo(-1 / Math.sqrt(1 + 1e-8), 14);
  expect(Array.from(whitened([[4, 4]])[0]!)).toEqual([0, 0]);
});

describe('advantages within a group', () => {
  const rewards = [1, 0, 0, 1, 0, 1, 0, 0];

  test('3 of 8 correct', () => {
    const advantages = groupAdvantages(rewards, true);
    expect(advantages[0]).toBeCloseTo(1.2073814, 7);
    expect(advantages[1]).toBeCloseTo(-0.7244289, 7);
  });

  test('without the deviation they are distances from the mean', () => {
    expect(Array.from(groupAdvantages(rewards, false))).toEqual(rewards.map((reward) => reward - 0.375));
  });

  test('vanish where all rewards are the same', () => {
    expect(hasSpread([0.5, 0.5])).toBe(false);
    expect(hasSpread([0.5, 0.5, 0.4])).toBe(true);
    expect(Array.from(groupAdvantages([2, 2, 2], true))).toEqual([0, 0, 0]);
  });
});

describe('divergence', () => {
  test('k3 of a ratio of 1.2', () => {
    expect(k3(Math.log(1.2), 0)).toBeCloseTo(0.0156548901, 10);
    expect(k1(Math.log(1.2), 0)).toBeCloseTo(0.1823215568, 10);
    expect(k2(Math.log(1.2), 0)).toBeCloseTo(0.5 * 0.1823215568 ** 2, 10);
  });

  test('k1 and k3 are unbiased: their means over a policy are its KL', () => {
    const [policy, reference] = [
      [0.5, 0.3, 0.2],
      [0.2, 0.3, 0.5],
    ];
    const meanOf = (estimate: (a: number, b: number) => number) =>
      policy.reduce((total, p, i) => total + p * estimate(Math.log(p), Math.log(reference[i]!)), 0);
    const exact = policy.reduce((total, p, i) => total + p * Math.log(p / reference[i]!), 0);
    expect(meanOf(k1)).toBeCloseTo(exact, 14);
    expect(meanOf(k3)).toBeCloseTo(exact, 14);
    expect(meanOf(k2)).not.toBeCloseTo(exact, 2);
  });

  test('the weight follows the target, by at most 2 % an iteration', () => {
    expect(nextKlWeight(0.1, 6, { target: 6 })).toBe(0.1);
    expect(nextKlWeight(0.1, 60, { target: 6 })).toBeCloseTo(0.102, 12);
    expect(nextKlWeight(0.1, 0, { target: 6 })).toBeCloseTo(0.098, 12);
    expect(nextKlWeight(0.1, 6.6, { target: 6 })).toBeCloseTo(0.101, 12);
  });
});

test("the reward by token is -klWeight times the log-ratio, with the answer's on the last one", () => {
  const rewards = tokenRewards(2, [-1, -2, -0.5], [-1.5, -1, -0.5], 0.1);
  expect(rewards[0]).toBeCloseTo(-0.05, 14);
  expect(rewards[1]).toBeCloseTo(0.1, 14);
  expect(rewards[2]).toBeCloseTo(2, 14);
});

test('answers near the limit lose up to 1', () => {
  expect([80, 90, 95, 100].map((length) => overlongPenalty(length, 100, 10) + 0)).toEqual([0, 0, -0.5, -1]);
  expect(() => overlongPenalty(5, 10, 11)).toThrow(/expected more than 0 and at most 10/);
});

test('explained variance', () => {
  expect(explainedVariance([1, 2, 3], [1, 2, 3])).toBe(1);
  expect(explainedVariance([2, 2, 2], [1, 2, 3])).toBe(0);
  expect(explainedVariance([0, 1], [5, 5])).toBe(0);
});
