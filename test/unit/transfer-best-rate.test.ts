/** Where a sweep of learning rates is lowest. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bestRate, logSlope, lossAt } from '../../src/recipe/transfer/best-rate.ts';

const curve = (rates: readonly number[], loss: (logRate: number) => number) =>
  rates.map((learningRate) => ({ learningRate, loss: loss(Math.log2(learningRate)) }));

describe('the best rate', () => {
  test('of any parabola in the logarithm of the rate is its lowest point, evenly spaced or not', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -9.9, max: -6.1, noNaN: true }),
        fc.double({ min: 0.01, max: 3, noNaN: true }),
        fc.constantFrom([-10, -9, -8, -7, -6], [-10, -8.5, -8, -7.25, -6], [-6, -10, -7.5]),
        (lowest, curvature, powers) => {
          const points = curve(
            powers.map((power) => 2 ** power),
            (x) => 3 + curvature * (x - lowest) ** 2,
          );
          const best = bestRate(points)!;
          // The lowest of the tried rates may be an end; then its end is the answer, and says so.
          if (!best.isBracketed) return;
          expect(Math.log2(best.learningRate)).toBeCloseTo(lowest, 6);
          expect(best.loss).toBeCloseTo(3, 6);
        },
      ),
    );
  });

  test('at an end of the sweep is not bracketed', () => {
    const points = curve([2 ** -9, 2 ** -8, 2 ** -7], (x) => x);
    expect(bestRate(points)).toEqual({ learningRate: 2 ** -9, loss: -9, isBracketed: false });
  });

  test('a rate that diverges encloses the lowest loss from above, and is no part of the parabola', () => {
    const points = [
      { learningRate: 1, loss: 3 },
      { learningRate: 2, loss: 2 },
      { learningRate: 4, loss: Number.NaN },
    ];
    expect(bestRate(points)).toEqual({ learningRate: 2, loss: 2, isBracketed: true });
    expect(bestRate(points.map((point) => ({ ...point, loss: Number.NaN })))).toBeUndefined();
  });

  test('losses between rates lie on lines in the logarithm, and nowhere beyond the sweep', () => {
    const points = curve([1, 4], (x) => x);
    expect(lossAt(points, 2)).toBeCloseTo(1, 12);
    expect(lossAt(points, 4)).toBe(2);
    expect(lossAt(points, 5)).toBeNaN();
    expect(lossAt(points, 0.5)).toBeNaN();
  });

  test('slopes are those of power laws', () => {
    expect(logSlope([16, 32, 64], [1, 4, 16])).toBeCloseTo(2, 12);
    expect(logSlope([16, 32], [1, 0])).toBeNaN();
  });
});
