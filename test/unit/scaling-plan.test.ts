import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { numParameters } from '../../src/model/config.ts';
import { parameterSpecs } from '../../src/model/index.ts';
import { modelConfig, planModel } from '../../src/recipe/index.ts';
import { nodeDeviceByName } from '../../src/runtime/index.node.ts';
import { lossOf } from '../../src/scaling/laws/index.ts';
import {
  batchSizeFor,
  chooseSize,
  type DataLaw,
  expectedLoss,
  factsLaw,
  type PlanRequest,
  secondsPerStep,
  shapeOfDepth,
  shapeParameters,
  sizeTradeOff,
  stepFlops,
  textLaw,
  tokensToReach,
} from '../../src/scaling/plan/index.ts';
import { languageModelObjective, TrainingStep } from '../../src/train/index.ts';
import { DEFAULT_OPTIMIZER } from '../../src/train/optimizer.ts';

const LAW: DataLaw = {
  law: { name: 'test', E: 1.5, A: 120, alpha: 0.35, B: 300, beta: 0.37, source: 'made up' },
  countsRepeats: true,
};
const request = (changes: Partial<PlanRequest> = {}): PlanRequest => ({
  budget: { seconds: 600 },
  machine: { gflops: 100 },
  data: LAW,
  vocabSize: 2048,
  contextLength: 128,
  optimizer: 'adamw',
  ...changes,
});

describe('shapes', () => {
  test('counts are those of the models that are built', () => {
    for (let depth = 1; depth <= 32; depth++) {
      const shape = shapeOfDepth(depth);
      const config = modelConfig(planModel({ minutes: 5 }, { ...shape, vocabSize: 777 }), {
        vocabSize: 777,
        endOfTextId: 0,
        endOfTurnId: 1,
      });
      expect(shapeParameters(shape, 777)).toBe(numParameters(config));
      if (depth > 1) expect(config.headDim).toBe(32);
    }
    expect(() => shapeOfDepth(0)).toThrow(/depth must be a whole number from 1 to 32, got 0/);
  });

  test.each([
    [{ hiddenSize: 64, numLayers: 2, numHeads: 2, numKvHeads: 2, intermediateSize: 192 }, 2, 16],
    [{ hiddenSize: 96, numLayers: 3, numHeads: 3, numKvHeads: 1, intermediateSize: 256 }, 3, 24],
  ])(
    'the FLOPs of a step are those of the compiled program (%o)',
    async (shape, batchSize, contextLength) => {
      const settings = planModel({ minutes: 5 }, { ...shape, batchSize, contextLength });
      const config = modelConfig(settings, { vocabSize: 300, endOfTextId: 0, endOfTurnId: 1 });
      const step = await TrainingStep.compile(
        await nodeDeviceByName('cpu', { numThreads: 1 }),
        languageModelObjective(config, { batchSize, length: contextLength, segments: true }),
        parameterSpecs(config),
        { optimizer: DEFAULT_OPTIMIZER, clipNorm: 1, accumulate: 1 },
      );
      const counted = stepFlops(shape, { vocabSize: 300, contextLength, batchSize, optimizer: 'adamw' });
      // The program sums columns by products with ones and reads the embedding by index: a few per cent apart.
      expect(step.flops / counted.total).toBeGreaterThan(0.97);
      expect(step.flops / counted.total).toBeLessThan(1.05);
      await step.dispose();
    },
  );
});

describe('expectedLoss', () => {
  test('repeated tokens count in full or less, as the law says', () => {
    const at = { params: 1e6, tokens: 1e8, uniqueTokens: 1e6 };
    expect(expectedLoss(LAW, at).loss).toBe(lossOf(LAW.law, at));
    const less = expectedLoss({ ...LAW, countsRepeats: false }, at).loss;
    expect(less).toBeGreaterThan(expectedLoss(LAW, at).loss);
    // Muennighoff et al. 2023: however often they are repeated, tokens are worth at most 1 + 15.39 passes.
    expect(less).toBeGreaterThan(lossOf(LAW.law, { params: 1e6, tokens: 17e6 }));
    const few = { ...at, tokens: 5e5 };
    expect(expectedLoss({ ...LAW, countsRepeats: false }, few).loss).toBe(lossOf(LAW.law, few));
  });

  test('an interval comes from the spread, or from the fit', () => {
    const { loss, interval } = expectedLoss({ ...LAW, spread: 0.1 }, { params: 1e6, tokens: 1e7 });
    expect(interval).toEqual([loss * 0.9, loss * 1.1]);
    const resamples = [1.4, 1.5, 1.6].map((E) => ({ ...LAW.law, E }));
    const fitted = expectedLoss(
      { ...LAW, fit: { law: LAW.law, resamples, residuals: [0] } },
      { params: 1e6, tokens: 1e7 },
    );
    expect(fitted.interval![0]).toBeLessThan(fitted.loss);
    expect(fitted.interval![1]).toBeGreaterThan(fitted.loss);
  });

  test('tokensToReach inverts it', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e5, max: 1e9, noNaN: true }),
        fc.double({ min: 1e5, max: 1e9, noNaN: true }),
        fc.boolean(),
        (params, tokens, countsRepeats) => {
          const data = { ...LAW, countsRepeats };
          const { loss } = expectedLoss(data, { params, tokens, uniqueTokens: 1e8 });
          const found = tokensToReach(data, loss, { params, uniqueTokens: 1e8 });
          expect(Math.abs(Math.log(found / tokens))).toBeLessThan(1e-3);
        },
      ),
    );
    expect(tokensToReach(LAW, 1.4, { params: 1e6 })).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('chooseSize', () => {
  test('no other size that can be paid for has a lower expected loss', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 20, max: 1e5, noNaN: true }),
        fc.double({ min: 5, max: 2000, noNaN: true }),
        (seconds, gflops) => {
          const { chosen, sizes } = chooseSize(request({ budget: { seconds }, machine: { gflops } }));
          const affordable = sizes.filter(({ numSteps }) => numSteps > 30);
          if (affordable.length === 0) return;
          expect(chosen.loss.loss).toBe(Math.min(...affordable.map(({ loss }) => loss.loss)));
          expect(chosen.seconds).toBeLessThanOrEqual(seconds * (1 + 1e-9));
        },
      ),
      { numRuns: 60 },
    );
  });

  test('a faster machine gives a lower loss, never a smaller size', () => {
    const at = (gflops: number) => chooseSize(request({ machine: { gflops } })).chosen;
    const plans = [10, 30, 100, 300, 1000].map(at);
    for (let i = 1; i < plans.length; i++) {
      expect(plans[i]!.loss.loss).toBeLessThan(plans[i - 1]!.loss.loss);
      expect(plans[i]!.params).toBeGreaterThanOrEqual(plans[i - 1]!.params);
    }
  });

  test('a machine measured slower than estimated takes that much longer', () => {
    const shape = shapeOfDepth(4);
    const step = { vocabSize: 2048, contextLength: 128, batchSize: 32, optimizer: 'muon' } as const;
    const plain = secondsPerStep(shape, step, { gflops: 100 });
    expect(secondsPerStep(shape, step, { gflops: 100, slowness: 2.5 })).toBeCloseTo(2.5 * plain, 12);
  });

  test('a loss to reach is reached in the least time', () => {
    const { chosen, sizes } = chooseSize(request({ budget: { loss: 3.2 } }));
    expect(chosen.loss.loss).toBeLessThanOrEqual(3.2);
    expect(chosen.loss.loss).toBeGreaterThan(3.1);
    for (const { seconds } of sizes) expect(seconds).toBeGreaterThanOrEqual(chosen.seconds);
  });

  test('sizes that do not fit into memory are left out and counted', () => {
    const large = chooseSize(request({ budget: { seconds: 1e7 } }));
    const small = chooseSize(
      request({ budget: { seconds: 1e7 }, machine: { gflops: 100, memoryBytes: 1e9 } }),
    );
    expect(large.numTooLarge).toBe(0);
    expect(small.numTooLarge).toBeGreaterThan(10);
    expect(small.chosen.params).toBeLessThan(large.chosen.params);
    expect(() => chooseSize(request({ machine: { gflops: 100, memoryBytes: 1e6 } }))).toThrow(
      /No size that would do fits into 60 % of 1 MB of memory. Give a smaller batchSize/,
    );
  });

  test.each([
    [{ seconds: 0 }, /budget above 0.*seconds 0/],
    [{ loss: 1.2 }, /No size reaches a loss of 1.2 by the law "test": its irreducible loss is 1.5/],
    [{ flops: Number.NaN }, /flops NaN/],
    [{ seconds: 5, loss: 2 } as unknown as PlanRequest['budget'], /seconds 5 and loss/],
  ])('a budget of %o is refused', (budget, message) => {
    expect(() => chooseSize(request({ budget }))).toThrow(ConfigError);
    expect(() => chooseSize(request({ budget }))).toThrow(message);
  });

  test('the batch grows with the tokens to the power 0.383, in steps of 4,096 tokens', () => {
    expect(batchSizeFor(1e5, 128)).toBe(32);
    expect(batchSizeFor(3e6, 128)).toBe(32);
    expect(batchSizeFor(3e8, 128)).toBe(32 * Math.round(100 ** 0.383));
    expect(batchSizeFor(3e6, 1024)).toBe(4);
    expect(batchSizeFor(1e20, 128) * 128).toBe(524_288);
  });
});

describe('sizeTradeOff', () => {
  test('the more is served, the smaller the model that is best, at the same loss', () => {
    const plan = chooseSize(request({ budget: { seconds: 3600 } })).chosen;
    const best = (servedTokens: number) => sizeTradeOff(request(), plan, servedTokens).best.plan;
    expect(best(0).params).toBeLessThanOrEqual(plan.params);
    expect(best(1e14).params).toBeLessThan(best(0).params);
    const { choices, loss } = sizeTradeOff(request(), plan, 1e10);
    expect(choices.length).toBeGreaterThan(2);
    for (const { plan: one, totalFlops, servingFlops, breakEvenTokens } of choices) {
      expect(one.loss.loss).toBeLessThanOrEqual(loss * 1.0001);
      expect(totalFlops).toBeCloseTo(one.flops + 2 * one.params * 1e10, -6);
      expect(servingFlops).toBe(2 * one.params * 1e10);
      if (one === plan) continue;
      // At the break-even point both take the same.
      const both = [one, plan].map(({ flops, params }) => flops + 2 * params * breakEvenTokens);
      if (breakEvenTokens > 0) expect(both[0]! / both[1]!).toBeCloseTo(1, 6);
    }
    expect(() => sizeTradeOff(request(), plan, -1)).toThrow(/servedTokens.*-1/);
  });
});

describe('laws for unknown data', () => {
  test('a vocabulary with longer tokens has more nats in each and the same in a byte', () => {
    const [short, long] = [textLaw(3), textLaw(6)];
    const loss = (data: DataLaw, tokens: number) => expectedLoss(data, { params: 1e6, tokens }).loss;
    // The same bytes: half as many tokens of twice the length.
    expect(loss(long, 1e6)).toBeCloseTo(2 * loss(short, 2e6), 10);
    expect(() => textLaw(0)).toThrow(/bytesPerToken.*0/);
  });

  test('facts count by passes', () => {
    const passes = (uniqueTokens: number) =>
      expectedLoss(factsLaw(uniqueTokens), { params: 1e6, tokens: 5 * uniqueTokens }).loss;
    expect(passes(1e5)).toBeCloseTo(passes(1e6), 10);
  });
});
