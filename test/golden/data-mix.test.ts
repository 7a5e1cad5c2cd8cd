/** Known answers of a mixture's arithmetic: exponents of published models, water-filling worked by hand. */
import { describe, expect, test } from 'vitest';
import { alphaOfTemperature, fillToCaps, planMixture, sharesBySize } from '../../src/data/mix/index.ts';

describe('shares by size', () => {
  test('T = 1 keeps the proportions', () => {
    const shares = sharesBySize([6, 3, 1], alphaOfTemperature(1));
    for (const [i, share] of [0.6, 0.3, 0.1].entries()) expect(shares[i]).toBeCloseTo(share, 15);
  });

  test('T without bound makes all non-empty sources equal', () => {
    const shares = sharesBySize([1e9, 1e3, 0, 1], alphaOfTemperature(Number.POSITIVE_INFINITY));
    expect(shares).toEqual([1 / 3, 1 / 3, 0, 1 / 3]);
    for (const share of sharesBySize([1e9, 1e3, 1], alphaOfTemperature(1e6)))
      expect(share).toBeCloseTo(1 / 3, 4);
  });

  test("XLM-R's and mT5's alpha .3: a language with a thousandth of the text gets a share of 11.2 %", () => {
    // 1000^.3 = 10^.9 = 7.943282347...; 1 / (1 + 7.943282347) = .111815..., worked by hand.
    const shares = sharesBySize([1000, 1], 0.3);
    expect(shares[1]).toBeCloseTo(1 / (1 + 10 ** 0.9), 12);
    expect(shares[1]).toBeCloseTo(0.1118157, 6);
  });

  test('T = 5, as in massively multilingual translation, is alpha .2', () => {
    expect(alphaOfTemperature(5)).toBe(0.2);
  });
});

describe('water-filling', () => {
  test('what a capped source leaves goes to the others in proportion', () => {
    // 100 at 50:30:20. A stops at 20; the 80 left at 30:20 are 48 and 32.
    expect(fillToCaps(100, [0.5, 0.3, 0.2], [20, 1000, 1000])).toEqual([20, 48, 32]);
  });

  test('a cap that only binds after the first round is honoured too', () => {
    // A stops at 10. B would have 54 of the 90 left and stops at 50; C takes the remaining 40.
    expect(fillToCaps(100, [0.5, 0.3, 0.2], [10, 50, 1000])).toEqual([10, 50, 40]);
  });

  test('all capped: the sum of the caps, however large the budget', () => {
    expect(fillToCaps(100, [0.5, 0.3, 0.2], [10, 10, 10])).toEqual([10, 10, 10]);
  });

  test('without caps: in proportion', () => {
    const none = Number.POSITIVE_INFINITY;
    expect(fillToCaps(100, [0.5, 0.25, 0.25], [none, none, none])).toEqual([50, 25, 25]);
  });

  test('a share of 0 gets nothing, not even what others leave', () => {
    expect(fillToCaps(100, [1, 0], [30, 1000])).toEqual([30, 0]);
  });

  test('uniform shares with a cap on epochs: UniMax', () => {
    // Budget 120 over three languages, at most twice each: 10 -> 20, then 100 / 2 = 50 each; 30 may give 60.
    const plan = planMixture(
      [
        { name: 'small', sizeBytes: new Array(10).fill(1) },
        { name: 'middle', sizeBytes: new Array(30).fill(1) },
        { name: 'large', sizeBytes: new Array(1000).fill(1) },
      ],
      { alpha: 0, maxEpochs: 2, budget: 120 },
    );
    expect(plan.phases[0]!.takes.map(({ size }) => size)).toEqual([20, 50, 50]);
  });
});
