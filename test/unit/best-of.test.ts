/** Best of n: its exact distance from the model, bounds and estimates, choosing among samples, and the laws of over-optimisation. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bestOf, rejectionSample } from '../../src/align/best-of/best-of.ts';
import {
  bestOfKl,
  bestOfKlBound,
  bestOfKlEstimate,
  bestOfProbabilities,
  bestOfWinRateBound,
} from '../../src/align/best-of/best-of-bounds.ts';
import {
  bestOfCurve,
  fitOverOptimisation,
  gainAt,
  type PooledAnswer,
} from '../../src/align/best-of/over-optimisation.ts';
import type { RewardFunction } from '../../src/align/reward-function.ts';
import { CancelledError, ConfigError, DataError } from '../../src/core/errors.ts';
import { KeyedRandom } from '../../src/core/random.ts';
import { createLanguageModel } from '../../src/decode/index.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { chatMl } from '../../src/tokenizer/index.ts';
import { tinyTokenizer } from '../fixtures/cli/tiny-chat-folder.ts';
import { tinyModel } from '../fixtures/models/random-model.ts';

const distributions = fc
  .array(fc.double({ min: 1e-6, max: 1, noNaN: true }), { minLength: 1, maxLength: 12 })
  .map((weights) => {
    const total = weights.reduce((a, b) => a + b);
    return weights.map((weight) => weight / total);
  });
const counts = fc.integer({ min: 1, max: 1000 });

describe('the distance of best-of-n from its model', () => {
  test('best of 4 of a uniform binary policy (Beirami et al. 2024): 0.45936, of a bound of 0.63629', () => {
    expect(bestOfKl([0.5, 0.5], 4)).toBeCloseTo(0.45936, 5);
    expect(bestOfKlBound(4)).toBeCloseTo(0.63629, 5);
    expect(bestOfWinRateBound(4)).toBe(0.8);
    expect(bestOfProbabilities([0.5, 0.5], 4)).toEqual([1 / 16, 15 / 16]);
  });

  test('never passes the bound, and is 0 for n = 1', () => {
    fc.assert(
      fc.property(distributions, counts, (probabilities, n) => {
        const kl = bestOfKl(probabilities, n);
        expect(kl).toBeLessThanOrEqual(bestOfKlBound(n) + 1e-9);
        expect(kl).toBeGreaterThanOrEqual(-1e-9);
        expect(bestOfProbabilities(probabilities, n).reduce((a, b) => a + b)).toBeCloseTo(1, 9);
        expect(bestOfKl(probabilities, 1)).toBeCloseTo(0, 12);
      }),
    );
  });

  test('comes near the bound where no outcome has much probability', () => {
    const fine = Array.from({ length: 20_000 }, () => 1 / 20_000);
    expect(bestOfKl(fine, 8) / bestOfKlBound(8)).toBeCloseTo(1, 3);
  });

  test('its estimate lies between 0 and the bound, and falls as the best answer is likelier', () => {
    fc.assert(
      fc.property(fc.double({ min: -60, max: 0, noNaN: true }), counts, (logprob, n) => {
        const estimate = bestOfKlEstimate(logprob, n);
        expect(estimate).toBeGreaterThanOrEqual(0);
        expect(estimate).toBeLessThanOrEqual(bestOfKlBound(n) + 1e-9);
        expect(bestOfKlEstimate(logprob / 2, n)).toBeLessThanOrEqual(estimate + 1e-9);
      }),
    );
    expect(bestOfKlEstimate(0, 9)).toBe(0);
    expect(bestOfKlEstimate(-1e6, 9)).toBeCloseTo(bestOfKlBound(9), 12);
  });

  test('the estimate is the KL of an answer among very many others', () => {
    const e = 0.3;
    const others = Array.from({ length: 50_000 }, () => (1 - e) / 50_000);
    expect(bestOfKlEstimate(Math.log(e), 6)).toBeCloseTo(bestOfKl([...others, e], 6), 3);
  });

  test.each([0, -1, 1.5, Number.NaN])('n = %d is refused', (n) => {
    expect(() => bestOfKlBound(n)).toThrow(ConfigError);
    expect(() => bestOfKl([1], n)).toThrow(/at least 1/);
  });
});

describe('choosing among samples', () => {
  const prompts = ['one', 'two', 'three'].map((content, i) => ({
    messages: [{ role: 'user' as const, content }],
    record: { i },
  }));
  /** Counts a token, so that samples differ in what they are worth. */
  const numEven: RewardFunction = {
    name: 'even',
    score: (answers) =>
      answers.map(({ completion }) => completion.tokens.filter((token) => token % 2 === 0).length),
  };
  const withModel = async <T>(work: (model: Awaited<ReturnType<typeof open>>) => Promise<T>) => {
    const model = await open();
    try {
      return await work(model);
    } finally {
      await model.dispose();
    }
  };
  const open = () => {
    const { config, weights } = tinyModel({ vocabSize: tinyTokenizer.vocabSize });
    return createLanguageModel({
      device: cpuDevice({ numThreads: 1 }),
      config,
      weights,
      tokenizer: tinyTokenizer,
      chatFormat: chatMl,
    });
  };
  const generation = { maxTokens: 6 };

  test('gives the sample of the highest reward, whatever else is asked', () =>
    withModel(async (model) => {
      const told: number[] = [];
      const found = await bestOf(model, prompts, {
        n: 8,
        reward: numEven,
        generation,
        onProgress: (done) => told.push(done),
      });
      expect(told).toEqual([3]);
      for (const { best, answers, kl } of found) {
        expect(answers).toHaveLength(8);
        expect(new Set(answers.map(({ completion }) => completion.text)).size).toBeGreaterThan(4);
        expect(best.reward).toBe(Math.max(...answers.map(({ reward }) => reward)));
        expect(best.logprob).toBeLessThan(0);
        expect(kl).toBeGreaterThan(0);
        expect(kl).toBeLessThanOrEqual(bestOfKlBound(8));
      }
      const [alone] = await bestOf(model, [prompts[2]!], { n: 2, reward: numEven, generation });
      expect(alone!.answers.map(({ completion }) => completion.text)).toEqual(
        found[2]!.answers.slice(0, 2).map(({ completion }) => completion.text),
      );
    }));

  test('rejection takes the first sample that reaches the threshold, and says how many it took', () =>
    withModel(async (model) => {
      const pools = await bestOf(model, prompts, { n: 6, reward: numEven, generation });
      const threshold = 4;
      const options = { reward: numEven, generation, threshold, maxSamples: 6 };
      const found = await rejectionSample(model, prompts, options);
      for (const [i, { answers }] of pools.entries()) {
        const first = answers.findIndex(({ reward }) => reward >= threshold);
        expect(found[i]!.numSamples).toBe(first < 0 ? 6 : first + 1);
        expect(found[i]!.accepted?.completion.text).toBe(answers[first]?.completion.text);
      }
      const none = await rejectionSample(model, prompts, { ...options, threshold: 7 });
      expect(none.map(({ accepted, numSamples }) => [accepted, numSamples])).toEqual(
        prompts.map(() => [undefined, 6]),
      );
    }));

  test('rewards that are no numbers, counts that are none, and a stop are errors', () =>
    withModel(async (model) => {
      const bad = { ...numEven, score: () => [Number.NaN, 1] };
      const one = [prompts[0]!];
      await expect(bestOf(model, one, { n: 2, reward: bad, generation })).rejects.toThrow(DataError);
      await expect(bestOf(model, one, { n: 0, reward: numEven })).rejects.toThrow(ConfigError);
      await expect(
        bestOf(model, one, { n: 2, reward: numEven, generation, signal: AbortSignal.abort() }),
      ).rejects.toThrow(CancelledError);
    }));
});

describe('the curve of a pool', () => {
  const random = new KeyedRandom(4);
  const pool: PooledAnswer[] = Array.from({ length: 6 }, (_, i) => ({
    // Two of the six have the same proxy.
    proxy: Math.max(1, i),
    gold: random.uniform(i),
    logprob: Number.NaN,
  }));

  test('is the mean over all subsets, where ties are broken evenly', () => {
    const curve = bestOfCurve([pool]);
    expect(curve.map(({ n }) => n)).toEqual([1, 2, 4]);
    for (const { n, proxy, gold } of curve) {
      const bests: { proxy: number; gold: number }[] = [];
      for (let bits = 0; bits < 64; bits++) {
        const chosen = pool.filter((_, i) => bits & (1 << i));
        if (chosen.length !== n) continue;
        const most = Math.max(...chosen.map((one) => one.proxy));
        const tied = chosen.filter((one) => one.proxy === most);
        bests.push({ proxy: most, gold: tied.reduce((sum, one) => sum + one.gold, 0) / tied.length });
      }
      const mean = (of: (best: (typeof bests)[number]) => number) =>
        bests.reduce((sum, best) => sum + of(best), 0) / bests.length;
      expect(proxy).toBeCloseTo(
        mean((best) => best.proxy),
        12,
      );
      expect(gold).toBeCloseTo(
        mean((best) => best.gold),
        12,
      );
    }
  });

  test('has the KL of its answers where their probabilities are known, never above the bound; else the bound', () => {
    for (const { kl, klBound } of bestOfCurve([pool])) expect(kl).toBe(klBound);
    const known = pool.map((answer, i) => ({ ...answer, logprob: -0.5 * i }));
    for (const { n, kl, klBound } of bestOfCurve([known, known])) {
      expect(kl).toBeLessThanOrEqual(klBound + 1e-12);
      if (n > 1) expect(kl).toBeGreaterThan(0);
    }
  });

  test('its errors are those of the mean over prompts', () => {
    const one = (gold: number) => [{ proxy: 1, gold, logprob: Number.NaN }];
    const [point] = bestOfCurve([one(1), one(2), one(3)]);
    expect(point!.gold).toBeCloseTo(2, 12);
    expect(point!.goldError).toBeCloseTo(1 / Math.sqrt(3), 12);
  });

  test('without answers is refused', () => {
    expect(() => bestOfCurve([])).toThrow(ConfigError);
    expect(() => bestOfCurve([[]])).toThrow(/at least one answer/);
  });
});

describe('the laws of over-optimisation', () => {
  const kls = [0, 0.05, 0.2, 0.6, 1.2, 2.3, 4, 6.5];

  test.each([
    ['best-of-n', 1.1, 0.35, (1.1 / 0.7) ** 2],
    ['rl', 0.9, 0.6, Math.exp(0.9 / 0.6 - 1) ** 2],
  ] as const)(
    '%s: alpha %d and beta %d come back exactly, with the turn at KL %d',
    (method, alpha, beta, turn) => {
      const points = kls.map((kl) => ({ kl, gain: gainAt({ method, alpha, beta }, Math.sqrt(kl)) }));
      const fit = fitOverOptimisation(method, points);
      expect(fit.alpha).toBeCloseTo(alpha, 10);
      expect(fit.beta).toBeCloseTo(beta, 10);
      expect(fit.rSquared).toBeCloseTo(1, 12);
      expect(fit.turn!.kl).toBeCloseTo(turn, 9);
      expect(fit.turn!.isMeasured).toBe(true);
      const around = [0.99, 1, 1.01].map((factor) => gainAt(fit, factor * fit.turn!.distance));
      expect(around[1]).toBeGreaterThan(around[0]!);
      expect(around[1]).toBeGreaterThan(around[2]!);
    },
  );

  test('noise moves them little; a turn beyond what was measured is called so', () => {
    const random = new KeyedRandom(9).normals(400, 0.02);
    const law = { method: 'best-of-n' as const, alpha: 1, beta: 0.25 };
    const points = Array.from({ length: 400 }, (_, i) => {
      const kl = 0.005 * (i + 1);
      return { kl, gain: gainAt(law, Math.sqrt(kl)) + random[i]! };
    });
    const fit = fitOverOptimisation('best-of-n', points);
    expect(Math.abs(fit.alpha - 1)).toBeLessThan(0.02);
    expect(Math.abs(fit.beta - 0.25)).toBeLessThan(0.02);
    expect(fit.turn!.isMeasured).toBe(false);
    expect(fit.turn!.kl).toBeGreaterThan(2);
  });

  test('a reward that only rises has no turn; points that say nothing are refused', () => {
    const rising = [1, 4, 9].map((kl) => ({ kl, gain: kl }));
    expect(fitOverOptimisation('best-of-n', rising).turn).toBeUndefined();
    expect(() => fitOverOptimisation('rl', [{ kl: 0, gain: 0 }])).toThrow(ConfigError);
    expect(() =>
      fitOverOptimisation('best-of-n', [
        { kl: 1, gain: 0 },
        { kl: 1, gain: 1 },
      ]),
    ).toThrow(/two different distances/);
  });
});
