/** What holds for every law of the form E + A / N^alpha + B / D^beta. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  dataConstrainedOptimum,
  dataConstrainedPoint,
  effectiveTokens,
  isoFlopCurve,
  isoLossCurve,
  type LossLaw,
  lossOf,
  optimalFor,
  servingOptimum,
  servingOptimumForTotal,
  tokensForLoss,
} from '../../src/scaling/laws/index.ts';

const law: fc.Arbitrary<LossLaw> = fc
  .record({
    E: fc.double({ min: 0.2, max: 3, noNaN: true }),
    A: fc.double({ min: 1, max: 3000, noNaN: true }),
    B: fc.double({ min: 1, max: 3000, noNaN: true }),
    alpha: fc.double({ min: 0.1, max: 0.9, noNaN: true }),
    beta: fc.double({ min: 0.1, max: 0.9, noNaN: true }),
  })
  .map((constants) => ({ ...constants, name: 'any', source: 'drawn' }));
const logFlops = fc.double({ min: 14, max: 27, noNaN: true }).map((power) => 10 ** power);

/** Least value over log x by ternary search: slow and independent of the closed form. */
function leastAt(value: (logX: number) => number, from: number, to: number): number {
  let [low, high] = [from, to];
  for (let i = 0; i < 200; i++) {
    const [left, right] = [low + (high - low) / 3, high - (high - low) / 3];
    if (value(left) < value(right)) high = right;
    else low = left;
  }
  return Math.exp((low + high) / 2);
}

describe('the optimum', () => {
  it('is where a numeric search finds the least loss', () => {
    fc.assert(
      fc.property(law, logFlops, (one, flops) => {
        const optimum = optimalFor(one, { flops });
        // Near E the losses have too few digits left for a search.
        fc.pre(optimum.loss - one.E > 1e-6 * one.E);
        const middle = Math.log(optimum.params);
        const found = leastAt(
          (logN) => lossOf(one, { params: Math.exp(logN), tokens: flops / 6 / Math.exp(logN) }) - one.E,
          middle - 10,
          middle + 7,
        );
        expect(Math.abs(Math.log(found / optimum.params))).toBeLessThan(0.01);
        expect(Math.abs((6 * optimum.params * optimum.tokens) / flops - 1)).toBeLessThan(1e-9);
      }),
    );
  });

  it('is the same whichever of its figures is given', () => {
    fc.assert(
      fc.property(law, logFlops, (one, flops) => {
        const { params, tokens, loss } = optimalFor(one, { flops });
        for (const budget of [{ params }, { tokens }]) {
          expect(Math.abs(optimalFor(one, budget).flops / flops - 1)).toBeLessThan(1e-6);
        }
        // Near E a loss has lost the digits that say how much compute it took.
        if (loss - one.E > 1e-4 * one.E) {
          expect(Math.abs(optimalFor(one, { loss }).params / params - 1)).toBeLessThan(1e-5);
        }
      }),
    );
  });

  it('gets larger, sees more and loses less with more compute', () => {
    fc.assert(
      fc.property(law, logFlops, (one, flops) => {
        const less = optimalFor(one, { flops });
        const more = optimalFor(one, { flops: 3 * flops });
        expect(more.params).toBeGreaterThan(less.params);
        expect(more.tokens).toBeGreaterThan(less.tokens);
        expect(more.loss).toBeLessThan(less.loss);
      }),
    );
  });

  it('lies on its iso-FLOP curve as the lowest point and on its iso-loss curve as the cheapest', () => {
    fc.assert(
      fc.property(law, logFlops, (one, flops) => {
        const optimum = optimalFor(one, { flops });
        for (const { loss } of isoFlopCurve(one, flops))
          expect(loss).toBeGreaterThanOrEqual(optimum.loss * (1 - 1e-12));
        fc.pre(optimum.loss - one.E > 1e-3 * one.E);
        for (const point of isoLossCurve(one, optimum.loss)) {
          expect(point.flops).toBeGreaterThanOrEqual(flops * (1 - 1e-6));
          expect(point.loss).toBeCloseTo(optimum.loss, 9);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('brackets itself in intervals when the law has resamples', () => {
    const resamples = [0.9, 0.95, 1, 1.05, 1.1].map((factor) => ({
      E: 1.8,
      A: 400 * factor,
      B: 2000 / factor,
      alpha: 0.35,
      beta: 0.36,
    }));
    const chosen = { law: { ...resamples[2]!, name: 'own', source: '' }, resamples };
    const { intervals, params, flops } = optimalFor(chosen, { flops: 1e21 });
    expect(intervals!.params[0]).toBeLessThan(params);
    expect(intervals!.params[1]).toBeGreaterThan(params);
    expect(intervals!.flops).toEqual([flops, flops]);
  });
});

describe('the serving optimum', () => {
  const served = fc.double({ min: 6, max: 15, noNaN: true }).map((power) => 10 ** power);

  it('has the same loss and the least training and serving of all sizes', () => {
    fc.assert(
      fc.property(law, logFlops, served, (one, flops, servedTokens) => {
        const target = optimalFor(one, { flops });
        fc.pre(target.loss - one.E > 1e-3 * one.E);
        const { best, trainingOptimum, savedShare } = servingOptimum(one, { flops }, { servedTokens });
        expect(best.params).toBeLessThanOrEqual(trainingOptimum.params * (1 + 1e-9));
        expect(lossOf(one, best)).toBeCloseTo(target.loss, 6);
        expect(savedShare).toBeGreaterThanOrEqual(-1e-9);
        for (const factor of [0.8, 0.9, 0.97, 1.03, 1.1, 1.3]) {
          const params = best.params * factor;
          const tokens = tokensForLoss(one, { params, loss: target.loss });
          if (tokens === undefined) continue;
          const total = 6 * params * tokens + 2 * params * servedTokens;
          expect(total).toBeGreaterThanOrEqual(best.totalFlops * (1 - 1e-6));
        }
      }),
    );
  });

  it('is the training optimum when nothing is served, and shrinks the more is', () => {
    fc.assert(
      fc.property(law, logFlops, (one, flops) => {
        fc.pre(optimalFor(one, { flops }).loss - one.E > 1e-3 * one.E);
        const sizes = [0, 1e9, 1e11, 1e13].map(
          (servedTokens) => servingOptimum(one, { flops }, { servedTokens }).best.params,
        );
        expect(sizes[0]).toBe(optimalFor(one, { flops }).params);
        for (let i = 1; i < sizes.length; i++)
          expect(sizes[i]!).toBeLessThanOrEqual(sizes[i - 1]! * (1 + 1e-9));
      }),
    );
  });

  it('counts dearer serving as more tokens', () => {
    const one: LossLaw = { name: '', source: '', E: 1.8, A: 482, B: 2085, alpha: 0.35, beta: 0.366 };
    const twice = servingOptimum(one, { loss: 2.2 }, { servedTokens: 1e11, relativeCost: 2 });
    const more = servingOptimum(one, { loss: 2.2 }, { servedTokens: 2e11 });
    expect(twice.best.params).toBeCloseTo(more.best.params, 0);
  });

  it('for a total is the size of the least loss', () => {
    fc.assert(
      fc.property(law, logFlops, served, (one, totalFlops, servedTokens) => {
        const best = servingOptimumForTotal(one, totalFlops, { servedTokens });
        for (const factor of [0.7, 0.95, 1.05, 1.4]) {
          const params = best.params * factor;
          const tokens = (totalFlops / params - 2 * servedTokens) / 6;
          if (tokens > 0)
            expect(lossOf(one, { params, tokens })).toBeGreaterThanOrEqual(best.loss * (1 - 1e-9));
        }
      }),
    );
  });
});

describe('repeated data', () => {
  const unique = fc.double({ min: 6, max: 13, noNaN: true }).map((power) => 10 ** power);

  it('never count for more than as many new tokens, and more never counts for less', () => {
    fc.assert(
      fc.property(unique, fc.double({ min: 0.1, max: 500, noNaN: true }), (uniqueTokens, epochs) => {
        const tokens = epochs * uniqueTokens;
        const counted = effectiveTokens({ tokens, uniqueTokens });
        expect(counted).toBeLessThanOrEqual(tokens * (1 + 1e-9));
        expect(effectiveTokens({ tokens: 1.1 * tokens, uniqueTokens })).toBeGreaterThanOrEqual(counted);
      }),
    );
  });

  it('are best split as found: no other size does better at the same compute', () => {
    fc.assert(
      fc.property(logFlops, unique, (flops, uniqueTokens) => {
        const best = dataConstrainedOptimum({ flops, uniqueTokens });
        for (const factor of [0.3, 0.8, 0.95, 1.05, 1.3, 4]) {
          const params = best.params * factor;
          const other = dataConstrainedPoint({ params, tokens: flops / 6 / params, uniqueTokens });
          expect(other.loss).toBeGreaterThanOrEqual(best.loss - 1e-7);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('change nothing when there are enough unique tokens', () => {
    fc.assert(
      fc.property(law, logFlops, (one, flops) => {
        const free = optimalFor(one, { flops });
        const same = dataConstrainedOptimum({ flops, uniqueTokens: free.tokens * 1.01 }, { law: one });
        expect(Math.abs(same.params / free.params - 1)).toBeLessThan(1e-6);
        expect(same.loss).toBeCloseTo(free.loss, 9);
      }),
    );
  });
});
