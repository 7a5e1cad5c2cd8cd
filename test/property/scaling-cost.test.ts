/** Laws of the cost: linear in FLOPs, inverse in utilization, units, ranges in order, inverses that undo. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ACCELERATORS,
  acceleratorsForDays,
  flopsForDays,
  flopsForDollars,
  machine,
  mfu,
  type Range,
  type RunTerms,
  servingCost,
  trainingCost,
} from '../../src/scaling/cost/index.ts';

const between = (min: number, max: number) => fc.double({ min, max, noNaN: true });
const flops = between(10, 30).map((power) => 10 ** power);
const terms: fc.Arbitrary<RunTerms> = fc.record({
  accelerator: fc.constantFrom(...ACCELERATORS.map(({ id }) => id)),
  utilization: between(0.01, 1),
  pricePerHour: between(0.01, 50),
  powerWatts: between(1, 2000),
  hostFactor: between(1, 3),
  pue: between(1, 3),
  carbonGramsPerKWh: between(1, 1000),
});
const close = (actual: number, expected: number) =>
  expect(Math.abs(actual / expected - 1), `${actual} against ${expected}`).toBeLessThan(1e-9);
const inOrder = (range: Range | null) => {
  if (range === null) return;
  expect(range.low).toBeLessThanOrEqual(range.typical * (1 + 1e-12));
  expect(range.typical).toBeLessThanOrEqual(range.high * (1 + 1e-12));
};

describe('trainingCost', () => {
  test('is linear in FLOPs and inverse in utilization; a larger fleet changes days and power only', () => {
    fc.assert(
      fc.property(
        terms,
        flops,
        between(1, 100),
        fc.integer({ min: 2, max: 10_000 }),
        (given, work, factor, count) => {
          const once = trainingCost({ ...given, flops: work });
          const more = trainingCost({ ...given, flops: work * factor });
          const slower = trainingCost({
            ...given,
            flops: work,
            utilization: (given.utilization as number) / factor,
          });
          const many = trainingCost({ ...given, flops: work, numAccelerators: count });
          for (const key of ['acceleratorHours', 'days', 'dollars', 'energyKWh', 'carbonKg'] as const) {
            close(more[key]!.typical, once[key]!.typical * factor);
            close(slower[key]!.typical, once[key]!.typical * factor);
            if (key !== 'days') close(many[key]!.typical, once[key]!.typical);
          }
          close(many.days.typical, once.days.typical / count);
          close(many.siteWatts!.typical, once.siteWatts!.typical * count);
        },
      ),
    );
  });

  test('units: hours x rate = FLOPs, days x power = energy, energy x intensity = carbon', () => {
    fc.assert(
      fc.property(terms, flops, fc.integer({ min: 1, max: 5000 }), (given, work, numAccelerators) => {
        const cost = trainingCost({ ...given, flops: work, numAccelerators });
        close(cost.acceleratorHours.typical * 3600 * cost.flopsPerSecond.typical, work);
        close((cost.days.typical * 24 * cost.siteWatts!.typical) / 1000, cost.energyKWh!.typical);
        close((cost.energyKWh!.typical * (given.carbonGramsPerKWh as number)) / 1000, cost.carbonKg!.typical);
        close(cost.dollars!.typical, cost.acceleratorHours.typical * (given.pricePerHour as number));
        for (const range of [cost.days, cost.dollars, cost.energyKWh, cost.carbonKg]) {
          close(range!.low, range!.high);
        }
      }),
    );
  });

  test('defaults give ranges in order, and a given value lies inside the range of its default', () => {
    fc.assert(
      fc.property(fc.constantFrom(...ACCELERATORS), flops, (accelerator, work) => {
        const cost = trainingCost({ flops: work, accelerator });
        for (const range of [
          cost.acceleratorHours,
          cost.days,
          cost.dollars,
          cost.siteWatts,
          cost.energyKWh,
        ]) {
          inOrder(range);
        }
        const at35 = trainingCost({ flops: work, accelerator, utilization: 0.35 });
        expect(at35.acceleratorHours.typical).toBeGreaterThan(cost.acceleratorHours.low);
        expect(at35.acceleratorHours.typical).toBeLessThan(cost.acceleratorHours.high);
      }),
    );
  });
});

describe('the inverse questions', () => {
  test('what a budget buys costs that budget', () => {
    fc.assert(
      fc.property(terms, between(1, 1e10), (given, dollars) => {
        const bought = flopsForDollars({ ...given, dollars });
        close(trainingCost({ ...given, flops: bought.typical }).dollars!.typical, dollars);
      }),
    );
  });

  test('the accelerators for a number of days finish in it, and one fewer does not', () => {
    fc.assert(
      fc.property(terms, between(20, 26), between(1, 400), (given, power, days) => {
        const work = 10 ** power;
        const { typical } = acceleratorsForDays({ ...given, flops: work, days });
        const finished = flopsForDays({ ...given, days, numAccelerators: typical }).typical;
        expect(finished).toBeGreaterThanOrEqual(work * (1 - 1e-9));
        if (typical > 1) {
          const fewer = flopsForDays({ ...given, days, numAccelerators: typical - 1 }).typical;
          expect(fewer).toBeLessThan(work * (1 + 1e-9));
        }
      }),
    );
  });

  test('the utilization of the speed that a utilization gives is that utilization', () => {
    fc.assert(
      fc.property(
        between(0.01, 1),
        between(1e9, 1e15),
        between(1e3, 1e13),
        (share, peakFlops, flopsPerToken) => {
          const tokensPerSecond = (share * peakFlops * 8) / flopsPerToken;
          close(mfu({ flopsPerToken, tokensPerSecond, peakFlops, numAccelerators: 8 }), share);
        },
      ),
    );
  });
});

describe('servingCost', () => {
  const box = machine({
    flopsPerSecond: 1e14,
    memoryBytes: 8e10,
    bandwidthBytesPerSecond: 2e12,
    powerWatts: 300,
  });
  const loads = fc.record({
    weightBytes: between(1e9, 2e11),
    forwardFlopsPerToken: between(1e9, 1e12),
    cacheBytesPerToken: between(0, 1e6),
    contextTokens: fc.integer({ min: 0, max: 32_768 }),
    batch: fc.integer({ min: 1, max: 64 }),
  });
  const given = { accelerator: box, utilization: 0.5, bandwidthUtilization: 0.8, pricePerHour: 3 };

  test('never beats the bandwidth for one read of weights and caches, nor the rate of computing', () => {
    fc.assert(
      fc.property(loads, (load) => {
        const cost = servingCost({ ...given, ...load });
        const n = cost.numAccelerators;
        const byReading =
          (load.batch * n * 2e12 * 0.8) /
          (load.weightBytes + load.batch * load.cacheBytesPerToken * load.contextTokens);
        const byComputing = (n * 1e14 * 0.5) / load.forwardFlopsPerToken;
        close(cost.tokensPerSecond.typical, Math.min(byReading, byComputing));
        expect(cost.boundBy).toBe(byReading <= byComputing ? 'bandwidth' : 'compute');
        close(cost.dollarsPerMillionTokens!.typical, ((3 * n) / 3600 / cost.tokensPerSecond.typical) * 1e6);
        expect(cost.neededBytes).toBeLessThanOrEqual(cost.memoryBytes);
      }),
    );
  });

  test('a mixture of experts reads at least its active share and at most all; a batch never makes a token dearer', () => {
    fc.assert(
      fc.property(loads, between(0.05, 1), (load, share) => {
        const run = { ...given, ...load, numAccelerators: 200 };
        const dense = servingCost(run);
        const sparse = servingCost({ ...run, activeWeightBytes: load.weightBytes * share });
        expect(sparse.tokensPerSecond.typical).toBeGreaterThanOrEqual(
          dense.tokensPerSecond.typical * (1 - 1e-9),
        );
        const larger = servingCost({ ...run, batch: load.batch + 1 });
        expect(larger.dollarsPerMillionTokens!.typical).toBeLessThanOrEqual(
          dense.dollarsPerMillionTokens!.typical * (1 + 1e-9),
        );
      }),
    );
  });

  test('the batch from which computing takes longer is where the bound changes', () => {
    fc.assert(
      fc.property(loads, (load) => {
        const run = { ...given, ...load, cacheBytesPerToken: 0, numAccelerators: 8 };
        const crossing = servingCost(run).computeBoundBatch!;
        fc.pre(crossing < 1e9);
        expect(servingCost({ ...run, batch: crossing + 1 }).boundBy).toBe('compute');
        if (crossing > 2) expect(servingCost({ ...run, batch: crossing - 1 }).boundBy).toBe('bandwidth');
      }),
    );
  });
});
