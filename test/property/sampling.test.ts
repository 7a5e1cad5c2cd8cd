/**
 * Cuts and temperature in any order against a slow and plain form of the same rules, on random distributions with
 * ties and forbidden tokens; and what draws depend on.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  Candidates,
  chainOf,
  KeyedDraws,
  Sampler,
  type StageSettings,
  sampleToken,
} from '../../src/sampling/index.ts';

type Entry = { id: number; score: number };

const byScore = (a: Entry, b: Entry) => b.score - a.score || a.id - b.id;

function probabilities(entries: readonly Entry[]): number[] {
  const top = Math.max(...entries.map(({ score }) => score));
  const weights = entries.map(({ score }) => Math.exp(score - top));
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / total);
}

type Cut = Extract<StageSettings, { stage: 'temperature' | 'top-k' | 'top-p' | 'min-p' }>;

/** Sorts everything, every time. */
function slowStage(entries: Entry[], settings: Cut): Entry[] {
  const sorted = [...entries].sort(byScore);
  const best = sorted[0]!;
  switch (settings.stage) {
    case 'temperature':
      if (settings.temperature <= 0) return [best];
      return entries.map(({ id, score }) => ({ id, score: score / settings.temperature }));
    case 'top-k': {
      if (settings.k === 0 || settings.k >= entries.length) return entries;
      const threshold = sorted[settings.k - 1]!.score;
      return settings.keepTies
        ? sorted.filter(({ score }) => score >= threshold)
        : sorted.slice(0, settings.k);
    }
    case 'top-p': {
      if (settings.p >= 1) return entries;
      const p = probabilities(sorted);
      let sum = 0;
      let count = 0;
      while (count < sorted.length && (sum < settings.p || count < (settings.minKeep ?? 1)))
        sum += p[count++]!;
      return sorted.slice(0, Math.max(1, count));
    }
    case 'min-p':
      return settings.p === 0
        ? entries
        : entries.filter(({ score }) => score >= Math.min(best.score, best.score + Math.log(settings.p)));
  }
}

const stage: fc.Arbitrary<Cut> = fc.oneof(
  fc.record({
    stage: fc.constant('temperature' as const),
    temperature: fc.constantFrom(0.3, 0.7, 1, 2.5, 0),
  }),
  fc.record({
    stage: fc.constant('top-k' as const),
    k: fc.integer({ min: 0, max: 60 }),
    keepTies: fc.boolean(),
  }),
  fc.record({ stage: fc.constant('top-p' as const), p: fc.constantFrom(0, 0.123, 0.5, 0.87, 0.991, 1) }),
  fc.record({ stage: fc.constant('min-p' as const), p: fc.constantFrom(0, 0.0131, 0.117, 0.61, 1) }),
);

/** Few distinct values, so that ties are common; some tokens are forbidden. */
const logits = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: -40, max: 40 }).map((x) => Math.fround(x / 7)) },
      { weight: 1, arbitrary: fc.constant(Number.NEGATIVE_INFINITY) },
    ),
    { minLength: 1, maxLength: 50 },
  )
  .filter((row) => row.some((x) => x > Number.NEGATIVE_INFINITY))
  .map((row) => Float32Array.from(row));

const context = { draws: { uniform: () => 0.5 }, history: [] };

describe('sampler chain', () => {
  it('leaves the candidates that sorting everything leaves', () => {
    fc.assert(
      fc.property(logits, fc.array(stage, { maxLength: 4 }), (row, chain) => {
        let slow: Entry[] = Array.from(row, (score, id) => ({ id, score })).filter(
          ({ score }) => score > Number.NEGATIVE_INFINITY,
        );
        for (const settings of chain) slow = slowStage(slow, settings);
        const fast = new Candidates();
        new Sampler(chain).run(fast, row, context);
        const order = (a: number[], b: number[]) => a[0]! - b[0]!;
        const got = Array.from({ length: fast.size }, (_, i) => [fast.ids[i]!, fast.scores[i]!]).sort(order);
        const want = slow.map(({ id, score }) => [id, score]).sort(order);
        expect(got).toEqual(want);
      }),
      { numRuns: 1500, seed: 7 },
    );
  });

  it('takes the first maximum whenever the temperature is 0, whatever stands beside it', () => {
    fc.assert(
      fc.property(
        logits,
        fc.array(stage, { maxLength: 3 }),
        fc.double({ min: 0, max: 0.999 }),
        (row, chain, u) => {
          const greedy: StageSettings = { stage: 'temperature', temperature: 0 };
          const want = row.indexOf(Math.max(...row));
          const draws = { uniform: () => u };
          expect(sampleToken(row, [greedy, ...chain], draws)).toBe(want);
          expect(sampleToken(row, [...chain, greedy], draws)).toBe(want);
        },
      ),
      { numRuns: 500, seed: 8 },
    );
  });

  it('draws by seed, choice and position alone', () => {
    const row = Float32Array.from({ length: 500 }, (_, i) => Math.sin(i));
    const sampler = new Sampler(chainOf({ temperature: 1 }));
    const run = (seed: number, choice: number, order: number[]) => {
      const draws = new KeyedDraws(seed, choice);
      const tokens: number[] = [];
      for (const position of order) tokens[position] = sampler.sample(row, draws.at(position));
      return tokens;
    };
    const forward = Array.from({ length: 50 }, (_, i) => i);
    const tokens = run(1, 0, forward);
    expect(run(1, 0, [...forward].reverse())).toEqual(tokens);
    expect(run(2, 0, forward)).not.toEqual(tokens);
    expect(run(1, 1, forward)).not.toEqual(tokens);
    expect(new Set(tokens).size).toBeGreaterThan(30);
  });
});
