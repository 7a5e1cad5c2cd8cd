/** Fits recover a planted law from noisy runs, bear outliers, and refuse runs that determine nothing. */
import { describe, expect, it } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import {
  fitEnvelope,
  fitIsoFlop,
  fitLossLaw,
  type LossLaw,
  lawFileOf,
  lossOf,
  optimalExponents,
  optimalFor,
  PUBLISHED_EXPONENTS,
  predictLoss,
  readLawFile,
  type ScalingPoint,
} from '../../src/scaling/laws/index.ts';

const planted: LossLaw = { name: 'planted', E: 1.4, A: 120, B: 600, alpha: 0.32, beta: 0.36, source: 'test' };

function runs(
  sizes: readonly number[],
  ratios: readonly number[],
  noise: number,
  { law = planted, seed = 1 } = {},
): ScalingPoint[] {
  const errors = new KeyedRandom(seed).normals(sizes.length * ratios.length, noise);
  return sizes.flatMap((params, i) =>
    ratios.map((ratio, j) => {
      const point = { params, tokens: ratio * params };
      return { ...point, loss: lossOf(law, point) * Math.exp(errors[i * ratios.length + j]!) };
    }),
  );
}

const SIZES = [1e6, 3e6, 1e7, 3e7, 1e8, 3e8];
const RATIOS = [5, 10, 20, 40, 80];

describe('fitLossLaw', () => {
  it('finds a planted law without noise, at any scale of sizes and losses', () => {
    const tiny: LossLaw = { name: 'tiny', E: 0.02, A: 1.7, B: 9, alpha: 0.6, beta: 0.8, source: 'test' };
    for (const [law, sizes] of [
      [planted, SIZES],
      [tiny, [100, 300, 1000, 3000, 1e4]],
      [{ ...planted, alpha: 0.12, beta: 0.9, B: 1e8 }, [1e8, 1e9, 1e10, 1e11]],
    ] as const) {
      const fit = fitLossLaw(runs(sizes, RATIOS, 0, { law }), { numResamples: 0 });
      expect(fit.law.alpha).toBeCloseTo(law.alpha, 2);
      expect(fit.law.beta).toBeCloseTo(law.beta, 2);
      expect(Math.abs(fit.law.E / law.E - 1)).toBeLessThan(0.02);
      expect(fit.intervals).toBeUndefined();
    }
  });

  it('holds the planted exponents and the next size in its intervals under noise', () => {
    const fit = fitLossLaw(runs(SIZES, RATIOS, 0.004), { seed: 3, numResamples: 300 });
    for (const key of ['E', 'alpha', 'beta'] as const) {
      expect(fit.intervals![key][0]).toBeLessThan(planted[key]);
      expect(fit.intervals![key][1]).toBeGreaterThan(planted[key]);
    }
    const next = { params: 1e9, tokens: 2e10 };
    const { loss, interval, lawInterval } = predictLoss(fit, next);
    expect(Math.abs(loss / lossOf(planted, next) - 1)).toBeLessThan(0.02);
    expect(interval![0]).toBeLessThan(lossOf(planted, next));
    expect(interval![1]).toBeGreaterThan(lossOf(planted, next));
    expect(interval![1] - interval![0]).toBeGreaterThan(lawInterval![1] - lawInterval![0]);
  });

  it('covers new runs about as often as it says, with 12 runs of 4 sizes', () => {
    let numCovered = 0;
    const trials = 20;
    for (let seed = 0; seed < trials; seed++) {
      const points = runs([2e5, 5e5, 1.2e6, 3e6], [10, 25, 60], 0.004, { seed });
      const fit = fitLossLaw(points, { seed, numResamples: 100 });
      const next = { params: 1.2e7, tokens: 3e8 };
      const actual =
        lossOf(planted, next) * Math.exp(new KeyedRandom(seed).fork('new').normals(1, 0.004)[0]!);
      const { loss, interval } = predictLoss(fit, next);
      expect(Math.abs(loss / actual - 1)).toBeLessThan(0.05);
      if (actual >= interval![0] && actual <= interval![1]) numCovered++;
    }
    expect(numCovered).toBeGreaterThanOrEqual(0.75 * trials);
  });

  it('is hardly moved by runs that went wrong, and names them', () => {
    const points = runs(SIZES, RATIOS, 0.002);
    const broken = points.map((point, i) =>
      i === 7 || i === 22 ? { ...point, loss: 1.6 * point.loss } : point,
    );
    const clean = fitLossLaw(points, { numResamples: 0 });
    const robust = fitLossLaw(broken, { numResamples: 0 });
    const at = { params: 1e9, tokens: 2e10 };
    expect(Math.abs(lossOf(robust.law, at) / lossOf(clean.law, at) - 1)).toBeLessThan(0.01);
    expect(
      robust.outliers
        .slice(0, 2)
        .map(({ index }) => index)
        .sort((a, b) => a - b),
    ).toEqual([7, 22]);
  });

  it('gives the same for the same seed, and more resamples only add to it', () => {
    const points = runs(SIZES, RATIOS, 0.004);
    const once = fitLossLaw(points, { seed: 5, numResamples: 20 });
    expect(fitLossLaw(points, { seed: 5, numResamples: 20 })).toEqual(once);
    expect(fitLossLaw(points, { seed: 5, numResamples: 30 }).resamples.slice(0, 20)).toEqual(once.resamples);
    expect(fitLossLaw(points, { seed: 6, numResamples: 20 }).resamples).not.toEqual(once.resamples);
  });

  it('counts a point with weight 3 like three such points', () => {
    const points = runs(SIZES, [5, 20, 80], 0.01);
    const weights = points.map((_, i) => (i === 4 ? 3 : 1));
    const weighted = fitLossLaw(points, { weights, numResamples: 0 });
    const repeated = fitLossLaw([...points, points[4]!, points[4]!], { numResamples: 0 });
    expect(weighted.objective).toBeCloseTo(repeated.objective, 6);
    expect(weighted.law.alpha).toBeCloseTo(repeated.law.alpha, 3);
  });

  it('keeps what is fixed, for few runs', () => {
    const fixed = { alpha: 0.3478, beta: 0.3658, E: 1.5 };
    const { law, numFree } = fitLossLaw(runs([1e7, 1e8], [10, 40], 0.002), { fixed, numResamples: 50 });
    expect(law).toMatchObject(fixed);
    expect(numFree).toBe(2);
    const inexact = fitLossLaw(runs(SIZES, RATIOS, 0), {
      fixed: { A: planted.A, B: planted.B },
      numResamples: 0,
    });
    expect(inexact.law.A).toBe(planted.A);
    expect(inexact.law.alpha).toBeCloseTo(planted.alpha, 4);
  });

  it('leans on a prior only as far as the runs leave room', () => {
    const law = { ...planted, alpha: 0.6, A: 3000 };
    const far = { alpha: { mean: 0.34, standardDeviation: 0.02 } };
    const few = runs([1e6, 2e6, 4e6], [10, 40], 0.02, { law });
    const many = runs(SIZES, RATIOS, 0.0005, { law });
    const pulled = fitLossLaw(few, { priors: far, numResamples: 0 }).law.alpha;
    expect(Math.abs(pulled - 0.34)).toBeLessThan(0.05);
    expect(fitLossLaw(many, { priors: far, numResamples: 0 }).law.alpha).toBeGreaterThan(0.5);
    expect(PUBLISHED_EXPONENTS.alpha.mean).toBeCloseTo(0.34, 2);
  });

  it('stays inside its bounds and says so when losses do not fall with size', () => {
    const flat = runs(SIZES, RATIOS, 0.003).map((point) => ({
      ...point,
      loss: 2 + 600 / point.tokens ** 0.36,
    }));
    const { law, resamples } = fitLossLaw(flat, { numResamples: 20 });
    for (const one of [law, ...resamples]) {
      expect(one.alpha).toBeGreaterThanOrEqual(0.05);
      expect(one.alpha).toBeLessThanOrEqual(1.5);
      expect(one.E).toBeGreaterThanOrEqual(0);
    }
    expect(lossOf(law, { params: 1e9, tokens: 2e10 })).toBeCloseTo(2 + 600 / 2e10 ** 0.36, 1);
  });

  it('refuses runs from which nothing follows, and says what would help', () => {
    const points = runs(SIZES, RATIOS, 0);
    expect(() => fitLossLaw(points.slice(0, 4))).toThrow(
      /4 points are too few for 5 free.*fix the exponents/s,
    );
    expect(() => fitLossLaw([])).toThrow(/too few/);
    expect(() => fitLossLaw(runs([1e7], RATIOS, 0))).toThrow(/1 different size; 3 are needed/);
    expect(() => fitLossLaw(runs(SIZES, [20], 0))).toThrow(/Tokens rise in step with parameters/);
    const sameTokens = points.map((point) => ({ ...point, tokens: 1e9 }));
    expect(() => fitLossLaw(sameTokens)).toThrow(/1 different number of tokens/);
    expect(() => fitLossLaw([...points, { params: 1e6, tokens: 1e7, loss: Number.NaN }])).toThrow(
      /Point 31 has 'loss' NaN.*diverged/s,
    );
    expect(() => fitLossLaw(points, { fixed: { alpha: 3 } })).toThrow(/Fixed 'alpha' is 3/);
    expect(() => fitLossLaw(points, { weights: [1] })).toThrow(/'weights' needs/);
    expect(() => fitLossLaw(points, { numResamples: 1.5 })).toThrow(/numResamples/);
    const ladder = fitLossLaw(runs(SIZES, [20], 0), { fixed: { alpha: 0.32, beta: 0.36 }, numResamples: 0 });
    expect(ladder.warnings.join()).toMatch(/that ratio of tokens/);
    const next = { params: 1e9, tokens: 2e10 };
    expect(Math.abs(lossOf(ladder.law, next) / lossOf(planted, next) - 1)).toBeLessThan(0.005);
  });
});

describe('approaches 1 and 2 as fits', () => {
  const { a } = optimalExponents(planted);

  it('find the exponent of a planted law from groups of equal compute', () => {
    const errors = new KeyedRandom(2).normals(100, 0.001);
    const points = [1e15, 4e15, 1.6e16, 6.4e16, 2.56e17].flatMap((flops, group) =>
      [-1.2, -0.8, -0.4, 0, 0.4, 0.8, 1.2].map((shift, i) => {
        const params = optimalFor(planted, { flops }).params * Math.exp(shift);
        const point = { params, tokens: flops / 6 / params };
        return { ...point, loss: lossOf(planted, point) * Math.exp(errors[10 * group + i]!) };
      }),
    );
    const fit = fitIsoFlop(points, { numResamples: 200 });
    expect(fit.profiles).toHaveLength(5);
    expect(fit.intervals!.a[0]).toBeLessThan(a);
    expect(fit.intervals!.a[1]).toBeGreaterThan(a);
    const far = fit.paramsAt(1e19);
    expect(Math.abs(far.params / optimalFor(planted, { flops: 1e19 }).params - 1)).toBeLessThan(0.25);
    expect(6 * far.params * far.tokens).toBeCloseTo(1e19, -5);
  });

  it('find it from the lower envelope of many sizes along their training', () => {
    const points = Array.from({ length: 24 }, (_, i) => 1e6 * 1.35 ** i).flatMap((params) =>
      Array.from({ length: 40 }, (_, j) => {
        const point = { params, tokens: params * 2 * 1.16 ** j };
        return { ...point, loss: lossOf(planted, point) };
      }),
    );
    const fit = fitEnvelope(points, { numResamples: 50 });
    expect(Math.abs(fit.a - a)).toBeLessThan(0.04);
  });

  it('name groups that show no best size, and refuse runs without groups', () => {
    const large = [1e15, 1e16, 1e17].flatMap((flops) =>
      [2, 3, 4, 5].map((factor) => {
        const params = optimalFor(planted, { flops }).params * factor;
        const point = { params, tokens: flops / 6 / params };
        return { ...point, loss: lossOf(planted, point) };
      }),
    );
    expect(() => fitIsoFlop(large)).toThrow(/the best size lies outside/);
    expect(() => fitIsoFlop(runs(SIZES, [10, 21], 0))).toThrow(/two groups of runs with equal compute/);
  });
});

describe('law files', () => {
  const points = runs(SIZES, RATIOS, 0.004);
  const fit = fitLossLaw(points, { numResamples: 25, seed: 2, name: 'mine' });

  it('give back the law, its resamples and its predictions', () => {
    const stored = readLawFile(JSON.stringify(lawFileOf(fit, points)), 'law.json');
    expect(stored.law).toEqual(fit.law);
    expect(stored.resamples).toEqual(fit.resamples);
    expect(stored.points).toEqual(points);
    const next = { params: 1e9, tokens: 1e10 };
    expect(predictLoss(stored, next)).toEqual(predictLoss(fit, next));
  });

  it('are refused with the reason when they are not law files or damaged', () => {
    const file = lawFileOf(fit);
    const change = (part: object) => JSON.stringify({ ...file, ...part });
    expect(() => readLawFile('{', 'a.json')).toThrow(/a\.json is not JSON/);
    expect(() => readLawFile('null', 'a.json')).toThrow(/'format' is missing/);
    expect(() => readLawFile('[1]', 'a.json')).toThrow(/no law file/);
    expect(() => readLawFile(change({ version: 9 }), 'a.json')).toThrow(/version 9.*reads version 1/);
    expect(() => readLawFile(change({ law: { ...fit.law, A: -1 } }), 'a.json')).toThrow(/'law\.A'/);
    expect(() => readLawFile(change({ law: { ...fit.law, alpha: '0.3' } }), 'a.json')).toThrow(
      /'law\.alpha'/,
    );
    expect(() => readLawFile(change({ resamples: [[1, 2]] }), 'a.json')).toThrow(/'resamples\.0/);
  });
});
