/**
 * Preference losses: values worked out by hand from the formulas of the papers that `losses.ts` names, and slopes by
 * central differences in float64. Settings are float32 in graphs, hence 7 or 8 digits.
 */
import { describe, expect, test } from 'vitest';
import {
  dpoLoss,
  hingeLoss,
  ipoLoss,
  klOfMismatched,
  ktoLoss,
  orpoLoss,
  simpoLoss,
} from '../../src/align/preference/losses.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { constant, grad, input, scalar, sum, type Tensor } from '../../src/tensor/index.ts';
import { evaluate } from './reference-evaluator.ts';

const vector = (...values: number[]) => constant(Float32Array.from(values), [values.length], 'float32');
const valuesOf = (x: Tensor) => Array.from(evaluate([x], {})[0]!.data);
const only = (x: Tensor) => valuesOf(x)[0]!;
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

describe('known answers', () => {
  test('DPO, beta 0.1, margin 3: log(1 + e^-0.3)', () => {
    expect(only(dpoLoss(vector(3), 0.1))).toBeCloseTo(0.5543552445, 8);
  });

  test('DPO where policy and reference are one: log 2', () => {
    expect(only(dpoLoss(vector(0), 0.1))).toBeCloseTo(Math.LN2, 9);
    expect(only(dpoLoss(vector(0), 0.1, 0.2))).toBeCloseTo(Math.LN2, 7);
  });

  test('a share of wrong labels weighs the loss of the turned pair', () => {
    const expected = -0.9 * Math.log(sigmoid(0.3)) - 0.1 * Math.log(sigmoid(-0.3));
    expect(only(dpoLoss(vector(3), 0.1, 0.1))).toBeCloseTo(expected, 7);
  });

  test('hinge, beta 0.1, margin 3: 0.7; nothing beyond a margin of 10', () => {
    const values = valuesOf(hingeLoss(vector(3, 10, 12), 0.1));
    [0.7, 0, 0].forEach((value, i) => {
      expect(values[i]).toBeCloseTo(value, 7);
    });
  });

  test('IPO, beta 0.1, margin 3: (3 - 5)^2', () => {
    expect(only(ipoLoss(vector(3), 0.1))).toBeCloseTo(4, 9);
  });

  test('KTO: 1 - sigmoid(beta (r - z)) of good answers, 1 - sigmoid(beta (z - r)) of bad ones, weighted', () => {
    const loss = ktoLoss(vector(3, 3), vector(1, 0), scalar(1), 0.5, {
      desirableWeight: 1,
      undesirableWeight: 1.5,
    });
    const [good, bad] = valuesOf(loss);
    expect(good).toBeCloseTo(1 - sigmoid(1), 9);
    expect(bad).toBeCloseTo(1.5 * (1 - sigmoid(-1)), 9);
  });

  test("KTO's z is the mean over what is there, and no less than 0", () => {
    expect(only(klOfMismatched(vector(1, 2, 60), vector(1, 1, 0)))).toBeCloseTo(1.5, 9);
    expect(only(klOfMismatched(vector(-1, -2), vector(1, 1)))).toBe(0);
    expect(only(klOfMismatched(vector(5, 5), vector(0, 0)))).toBe(0);
  });

  test('ORPO: NLL - lambda log sigmoid(log odds ratio); odds of 1/2 and 1/4 are 1 and 1/3', () => {
    const expected = Math.log(2) - 0.1 * Math.log(sigmoid(Math.log(3)));
    expect(only(orpoLoss(vector(Math.log(0.5)), vector(Math.log(0.25)), 0.1))).toBeCloseTo(expected, 6);
  });

  test('SimPO: -log sigmoid(beta (l_c - l_r) - gamma)', () => {
    expect(only(simpoLoss(vector(-0.5), vector(-1.5), 2, 0.5))).toBeCloseTo(-Math.log(sigmoid(1.5)), 9);
    expect(only(simpoLoss(vector(-1), vector(-1), 2, 0))).toBeCloseTo(Math.LN2, 9);
  });
});

describe('odds in float32', () => {
  const device = cpuDevice({ numThreads: 1 });
  // From all but certain to all but impossible; 0.1 is where the series begins.
  const nats = [0, 1e-9, 1e-6, 1e-3, 0.0999999, 0.1, 0.1000001, 0.5, 3, 30, 90];

  test('ORPO is exact for answers near certainty and finite at it, with its gradient', async () => {
    const chosen = input('chosen', [nats.length]);
    const rejected = vector(...nats.map(() => Math.log(0.5)));
    const lossB = orpoLoss(chosen, rejected, 1);
    const [slope] = grad(sum(lossB), [chosen]);
    const program = await device.compile({ lossB, slope: slope! }, { inputs: [chosen] });
    const results = await program.run({ chosen: Float32Array.from(nats, (x) => -x) });
    const losses = Array.from((await results.lossB!.read()) as Float32Array);
    const gradients = Array.from((await results.slope!.read()) as Float32Array);
    nats.forEach((x, i) => {
      // log(1 + e^-o) with the log-odds o = -x - log(1 - e^-x), and NLL x.
      const exact = x + Math.log1p(Math.exp(x + Math.log(-Math.expm1(-Math.max(x, 1e-12)))));
      expect(Math.abs(losses[i]! - exact) / (1 + x), `loss at ${x}`).toBeLessThan(1e-6);
      expect(Number.isFinite(gradients[i]), `gradient at ${x}`).toBe(true);
    });
    await program.dispose();
  });
});

describe('slopes', () => {
  const first = input('first', [4]);
  const second = input('second', [4]);
  const isGood = vector(1, 0, 1, 0);
  const weights = { desirableWeight: 1.2, undesirableWeight: 0.7 };
  const z = () => klOfMismatched(second, vector(1, 1, 1, 1));

  test.each<[string, Tensor]>([
    ['dpo', dpoLoss(first, 0.3)],
    ['dpo with label smoothing', dpoLoss(first, 0.3, 0.1)],
    ['hinge', hingeLoss(first, 0.3)],
    ['ipo', ipoLoss(first, 0.3)],
    ['kto', ktoLoss(first, isGood, scalar(0.4), 0.3, weights)],
    ['orpo', orpoLoss(first, second, 0.5)],
    ['simpo', simpoLoss(first, second, 2, 0.7)],
    ['simpo with label smoothing', simpoLoss(first, second, 2, 0.7, 0.1)],
  ])('%s', (_, lossB) => {
    const feeds = {
      first: Float64Array.of(-0.05, -0.7, -2.3, -5),
      second: Float64Array.of(-1.1, -0.02, -0.6, -4.5),
    };
    const total = sum(lossB);
    const gradients = evaluate(grad(total, [first, second]), feeds);
    let largest = 0;
    for (const [k, name] of (['first', 'second'] as const).entries()) {
      feeds[name].forEach((value, i) => {
        const at = (x: number) =>
          evaluate([total], { ...feeds, [name]: feeds[name].with(i, x) })[0]!.data[0]!;
        const slope = (at(value + 1e-6) - at(value - 1e-6)) / 2e-6;
        largest = Math.max(largest, Math.abs(slope));
        expect(Math.abs(gradients[k]!.data[i]! - slope), `${name}[${i}]`).toBeLessThan(1e-7);
      });
    }
    expect(largest).toBeGreaterThan(0.05);
  });

  test('none flows through z', () => {
    const loss = sum(ktoLoss(first, isGood, z(), 0.3, weights));
    const feeds = { first: new Float64Array(4).fill(0.1), second: Float64Array.of(1, 2, 3, 4) };
    const [toFirst, toSecond] = evaluate(grad(loss, [first, second]), feeds);
    expect(Array.from(toFirst!.data).every((slope) => slope !== 0)).toBe(true);
    expect(Array.from(toSecond!.data)).toEqual([0, 0, 0, 0]);
  });
});
