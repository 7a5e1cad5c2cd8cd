/** The plan of a sweep is a pure function of measured times: what it promises for any machine, text and schedule. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { branchStart, totalSteps, trunkFactor } from '../../src/recipe/sweep/branches.ts';
import { chooseLadder, configOf, parameterCounts, sweepMenu } from '../../src/recipe/sweep/ladder.ts';
import {
  type BranchBudget,
  measureLadder,
  planBranches,
  SWEEP_RULES,
  settleEnds,
} from '../../src/recipe/sweep/plan-sweep.ts';
import type { SweepShape } from '../../src/recipe/sweep/sweep.ts';
import { DEFAULT_SCHEDULE, type Schedule, scheduleFactor } from '../../src/train/schedule.ts';

const SCHEDULE: Schedule = {
  ...DEFAULT_SCHEDULE,
  warmupSteps: 30,
  decayShare: 0.2,
  finalShare: 0,
  decay: '1-sqrt',
};

const schedules = fc.record({
  kind: fc.constantFrom('warmup-stable-decay' as const, 'cosine' as const, 'constant' as const),
  warmupSteps: fc.integer({ min: 0, max: 60 }),
  decayShare: fc.double({ min: 0, max: 1, noNaN: true }),
  finalShare: fc.double({ min: 0, max: 0.99, noNaN: true }),
  decay: fc.constantFrom('linear' as const, '1-sqrt' as const),
});

const budgets: fc.Arbitrary<BranchBudget> = fc.record({
  secondsPerStep: fc.array(fc.double({ min: 1e-3, max: 2, noNaN: true }), { minLength: 3, maxLength: 6 }),
  seconds: fc.double({ min: 10, max: 10_000, noNaN: true }),
  schedule: fc.constant(SCHEDULE),
  shortenWarmup: fc.boolean(),
  tokensPerStep: fc.constantFrom(256, 1024, 4096),
  numTokens: fc.integer({ min: 1000, max: 10_000_000 }),
  numHeldOutTokens: fc.integer({ min: 200, max: 1_000_000 }),
});

describe('branches', () => {
  test('a branch leaves the trunk at the last step whose rate both share', () => {
    fc.assert(
      fc.property(schedules, fc.integer({ min: 1, max: 400 }), (schedule, end) => {
        const start = branchStart(schedule, end);
        expect(start).toBeGreaterThanOrEqual(0);
        expect(start).toBeLessThanOrEqual(end);
        for (let step = 1; step <= start; step++) {
          expect(scheduleFactor(schedule, step, end)).toBe(trunkFactor(schedule, step));
        }
        if (start < end) {
          expect(scheduleFactor(schedule, start + 1, end)).not.toBe(trunkFactor(schedule, start + 1));
        }
      }),
      { numRuns: 150 },
    );
  });

  test('a decay over a fifth costs the trunk once and a fifth of each token count', () => {
    expect(branchStart(SCHEDULE, 1000)).toBe(800);
    expect(totalSteps(SCHEDULE, [250, 500, 1000])).toBe(800 + 50 + 100 + 200);
    expect(branchStart({ ...SCHEDULE, kind: 'constant' }, 1000)).toBe(1000);
  });
});

describe('the ladder', () => {
  const menu = sweepMenu();
  const layers = (shape: SweepShape) =>
    parameterCounts(configOf(shape, {}, { vocabSize: 512, endOfTextId: 0 })).nonEmbedding;

  test('the menu grows in width and, never falling, in depth, with heads of one size', () => {
    menu.forEach((shape, i) => {
      expect(shape.hiddenSize / shape.numHeads).toBe(16);
      const before = menu[i - 1];
      if (!before) return;
      expect(shape.hiddenSize).toBeGreaterThanOrEqual(before.hiddenSize);
      expect(shape.numLayers).toBeGreaterThanOrEqual(before.numLayers);
      expect(layers(shape)).toBeGreaterThan(layers(before));
    });
  });

  test('any number of sizes below any top are different, rise and end at the top', () => {
    for (let numSizes = 4; numSizes <= 12; numSizes++) {
      for (let top = numSizes - 1; top < menu.length; top++) {
        const ladder = chooseLadder(menu, top, numSizes);
        expect(new Set(ladder).size).toBe(numSizes);
        expect(ladder.at(-1)).toBe(menu[top]);
        expect(ladder).toEqual([...ladder].sort((a, b) => layers(a) - layers(b)));
      }
    }
  });

  test('neighbours of a ladder of five differ by a factor of about two in parameters of the layers', () => {
    for (let top = 8; top < menu.length; top++) {
      const counts = chooseLadder(menu, top, 5).map(layers);
      for (let i = 1; i < counts.length; i++) {
        expect(counts[i]! / counts[i - 1]!).toBeGreaterThan(1.2);
        expect(counts[i]! / counts[i - 1]!).toBeLessThan(4.5);
      }
    }
  });

  test('too few, too many, or more than fit below the top are refused', () => {
    expect(() => chooseLadder(menu, 8, 3)).toThrow(ConfigError);
    expect(() => chooseLadder(menu, 8, 13)).toThrow(/4 to 12/);
    expect(() => chooseLadder(menu, 3, 5)).toThrow(/only 4 are that small/);
  });
});

describe('planBranches', () => {
  test('fits the time and the text, and uses what there is', () => {
    fc.assert(
      fc.property(budgets, (budget) => {
        const most = Math.floor((SWEEP_RULES.maxEpochs * budget.numTokens) / budget.tokensPerStep);
        let plan: ReturnType<typeof planBranches>;
        try {
          plan = planBranches(budget);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
          return;
        }
        expect(plan.seconds).toBeLessThanOrEqual(budget.seconds);
        expect(new Set(plan.ends).size).toBe(SWEEP_RULES.tokenShares.length);
        expect([...plan.ends].sort((a, b) => a - b)).toEqual(plan.ends);
        expect(plan.ends.at(-1)!).toBeLessThanOrEqual(most);
        expect(plan.numHeldOutTokens).toBeLessThanOrEqual(budget.numHeldOutTokens);
        expect(plan.schedule.warmupSteps).toBeLessThanOrEqual(SCHEDULE.warmupSteps);
        if (budget.shortenWarmup) expect(plan.schedule.warmupSteps).toBeLessThanOrEqual(plan.ends[0]! / 5);
        else expect(plan.schedule).toEqual(SCHEDULE);
        // The time is used: a tenth more training would not fit, unless the text is what ends it.
        const steps = totalSteps(plan.schedule, plan.ends);
        const more = 0.1 * steps * budget.secondsPerStep.reduce((sum, one) => sum + one, 0);
        const slack =
          SWEEP_RULES.tokenShares.length * budget.secondsPerStep.reduce((sum, one) => sum + one, 0);
        if (plan.ends.at(-1)! < most) expect(plan.seconds + more + slack).toBeGreaterThan(budget.seconds);
      }),
      { numRuns: 300 },
    );
  });

  test('more time or a faster machine never gives fewer tokens', () => {
    const last = (budget: BranchBudget) => {
      try {
        return planBranches(budget).ends.at(-1)!;
      } catch {
        return 0;
      }
    };
    fc.assert(
      fc.property(budgets, fc.double({ min: 1, max: 4, noNaN: true }), (budget, factor) => {
        // More time may also buy a larger held-out set, so that is held fixed here.
        const fixed = { ...budget, numHeldOutTokens: 1000 };
        expect(last({ ...fixed, seconds: fixed.seconds * factor })).toBeGreaterThanOrEqual(last(fixed));
        const faster = fixed.secondsPerStep.map((seconds) => seconds / factor);
        expect(last({ ...fixed, secondsPerStep: faster })).toBeGreaterThanOrEqual(last(fixed));
      }),
      { numRuns: 150 },
    );
  });

  test('says how many minutes are missing, and that they would do', () => {
    const budget: BranchBudget = {
      secondsPerStep: [1, 2, 4],
      seconds: 60,
      schedule: SCHEDULE,
      shortenWarmup: true,
      tokensPerStep: 4096,
      numTokens: 1e7,
      numHeldOutTokens: 20_000,
    };
    const missing = /Give ([\d.]+) more minutes/.exec(messageOf(() => planBranches(budget)))?.[1];
    expect(Number(missing)).toBeGreaterThan(0);
    const enough = planBranches({ ...budget, seconds: 60 + Number(missing) * 60 });
    expect(enough.ends.at(-1)).toBeGreaterThanOrEqual(SWEEP_RULES.minSteps);
  });

  test('too little text says what would help', () => {
    const budget = {
      secondsPerStep: [1, 1, 1],
      seconds: 1e4,
      schedule: SCHEDULE,
      shortenWarmup: true,
      tokensPerStep: 4096,
      numTokens: 20_000,
      numHeldOutTokens: 2000,
    };
    expect(() => planBranches(budget)).toThrow(/20000 tokens.*more text or a smaller batch/s);
  });
});

test('the held-back size keeps its plan when there is time, and else shrinks but keeps shared token counts', () => {
  const plan = { ends: [244, 390, 625, 1000], schedule: SCHEDULE, numHeldOutTokens: 4096 };
  const left = { secondsPerStep: [0.4, 0.6], tokensPerStep: 4096 };
  expect(settleEnds(plan, { ...left, seconds: 5000 })).toBe(plan.ends);
  fc.assert(
    fc.property(fc.double({ min: 0, max: 5000, noNaN: true }), (seconds) => {
      const ends = settleEnds(plan, { ...left, seconds });
      expect(ends.at(-1)!).toBeGreaterThanOrEqual(SWEEP_RULES.leastSettled * 1000);
      expect(ends.at(-1)!).toBeLessThanOrEqual(1000);
      for (const end of ends.slice(0, -1)) {
        expect(plan.ends).toContain(end);
        expect(end).toBeLessThan(ends.at(-1)!);
      }
      const needed = totalSteps(SCHEDULE, ends);
      if (ends.at(-1)! > SWEEP_RULES.leastSettled * 1000) expect(needed).toBeLessThanOrEqual(seconds);
    }),
  );
});

describe('measureLadder', () => {
  const total = (shape: SweepShape) => parameterCounts(configOf(shape, {}, tokens)).total;
  const tokens = { vocabSize: 2048, endOfTextId: 0 };
  /** A machine that does so many floating-point operations a second, the more the larger the model. */
  const ladderAt = async (gflops: number, minutes: number, numTokens = 1e9) => {
    const asked: SweepShape[] = [];
    const sizes = await measureLadder({
      menu: sweepMenu(),
      numSizes: 5,
      trainLargest: true,
      total,
      measure: async (shape) => {
        asked.push(shape);
        const flopsPerStep = 6 * total(shape) * 4096;
        const rate = gflops * 1e9 * Math.min(1, 0.4 + total(shape) / 2e6);
        return {
          shape,
          ...parameterCounts(configOf(shape, {}, tokens)),
          secondsPerStep: flopsPerStep / rate,
          flopsPerStep,
        };
      },
      budget: () => ({
        seconds: minutes * 60,
        schedule: SCHEDULE,
        shortenWarmup: true,
        tokensPerStep: 4096,
        numTokens,
        numHeldOutTokens: 1e6,
      }),
    });
    return { sizes, asked };
  };

  test('more minutes and faster machines get larger ladders, each size measured once', async () => {
    let before = 0;
    for (const [gflops, minutes] of [
      [10, 5],
      [40, 5],
      [40, 20],
      [40, 120],
      [400, 120],
    ] as const) {
      const { sizes, asked } = await ladderAt(gflops, minutes);
      expect(sizes).toHaveLength(5);
      expect(new Set(asked).size).toBe(asked.length);
      expect(asked.length).toBeLessThan(14);
      const largest = sizes.at(-1)!.total;
      expect(largest).toBeGreaterThanOrEqual(before);
      before = largest;
    }
    expect(before).toBeGreaterThan(1e6);
  });

  test('little text keeps the ladder small, for its tokens would be too few', async () => {
    const much = await ladderAt(100, 60);
    const little = await ladderAt(100, 60, 500_000);
    expect(little.sizes.at(-1)!.total).toBeLessThan(much.sizes.at(-1)!.total);
    expect(4 * 500_000).toBeGreaterThan(SWEEP_RULES.minTokensPerParameter * little.sizes.at(-1)!.total);
  });
});

function messageOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return (error as Error).message;
  }
  return '';
}
