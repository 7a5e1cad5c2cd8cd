/**
 * Tokens come up as often as the computed distribution says: Pearson's chi-square of 20,000 keyed draws with a fixed
 * seed against the probabilities of sampling-reference.ts, for chains of every kind, also those that draw twice.
 */
import { describe, expect, it } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import {
  chainOf,
  type DialectName,
  KeyedDraws,
  Sampler,
  type SamplingSettings,
} from '../../src/sampling/index.ts';
import { type Entry, llamacpp, type Request, softmax, transformers, vllm } from './sampling-reference.ts';

const NUM_DRAWS = 20_000;
const random = new KeyedRandom(3);
const logits = Array.from({ length: 40 }, (_, i) => Math.fround(4 * random.uniform(i)));
const history = Array.from({ length: 30 }, (_, i) => random.integer(1000 + i, 8));

const engines = { llamacpp, vllm, hf: transformers };

/** Probability by token id. */
function distribution(dialect: DialectName, settings: SamplingSettings, chance: number): number[] {
  const request: Request = { logits, settings, history, promptLength: 10, stopTokens: [39], chance, mu: 0 };
  const left: Entry[] = engines[dialect](request);
  const all = new Array<number>(logits.length).fill(0);
  softmax(left).forEach((p, i) => {
    all[left[i]!.id] = p;
  });
  return all;
}

function countDraws(dialect: DialectName, settings: SamplingSettings): number[] {
  const sampler = new Sampler(chainOf(settings, dialect, { stopTokens: [39] }));
  const draws = new KeyedDraws(11);
  const counts = new Array<number>(logits.length).fill(0);
  for (let position = 0; position < NUM_DRAWS; position++) {
    counts[sampler.sample(logits, draws.at(position), history, 10)]!++;
  }
  return counts;
}

/** Chi-square over its bound at a significance of 1e-4 (Wilson and Hilferty 1931); rare tokens share one class. */
function badnessOfFit(counts: readonly number[], probabilities: readonly number[]): number {
  const classes = probabilities.map((p, id) => ({ want: p * NUM_DRAWS, got: counts[id]! }));
  if (classes.some(({ want, got }) => want === 0 && got > 0)) return Number.POSITIVE_INFINITY;
  const common = classes.filter(({ want }) => want >= 5);
  const rare = classes.filter(({ want }) => want < 5);
  const rest = { want: 0, got: 0 };
  for (const { want, got } of rare) {
    rest.want += want;
    rest.got += got;
  }
  if (rest.want >= 5) common.push(rest);
  const chiSquare = common.reduce((sum, { want, got }) => sum + (got - want) ** 2 / want, 0);
  const freedom = common.length - 1;
  expect(freedom).toBeGreaterThan(0);
  const spread = 2 / (9 * freedom);
  return chiSquare / (freedom * (1 - spread + 3.719 * Math.sqrt(spread)) ** 3);
}

const cases: [DialectName, SamplingSettings][] = [
  ['hf', { temperature: 1 }],
  ['hf', { temperature: 0.6, topK: 12 }],
  ['hf', { topP: 0.7 }],
  ['hf', { minP: 0.2 }],
  ['hf', { typicalP: 0.5 }],
  ['hf', { epsilonCutoff: 0.01, etaCutoff: 0.05 }],
  ['hf', { temperature: 1.3, repetitionPenalty: 1.2, bannedTokens: [1, 2], minTokens: 50 }],
  [
    'vllm',
    {
      temperature: 0.9,
      presencePenalty: 1.1,
      frequencyPenalty: -0.1,
      allowedTokens: [0, 1, 2, 3, 4, 5, 30, 39],
    },
  ],
  ['llamacpp', { temperature: 0.7, dynamicTemperature: { range: 0.5, exponent: 2 }, topNSigma: 2 }],
  ['llamacpp', { temperature: 1, dry: { multiplier: 0.5, allowedLength: 1 }, repetitionPenalty: 1.1 }],
  ['llamacpp', { temperature: 1, logitBias: { 0: 3, 7: -1 }, topK: 20 }],
];

describe('draws follow the distribution', () => {
  it.each(cases)('%s %j', (dialect, settings) => {
    expect(badnessOfFit(countDraws(dialect, settings), distribution(dialect, settings, 0))).toBeLessThan(1);
  });

  it('also where XTC draws first whether it acts', () => {
    const probability = 0.35;
    const settings = { temperature: 0.8, xtc: { probability, threshold: 0.04 } };
    const cut = distribution('llamacpp', settings, 0);
    const whole = distribution('llamacpp', settings, 0.999);
    expect(cut).not.toEqual(whole);
    const mixture = cut.map((p, id) => probability * p + (1 - probability) * whole[id]!);
    const counts = countDraws('llamacpp', settings);
    expect(badnessOfFit(counts, mixture)).toBeLessThan(1);
    expect(badnessOfFit(counts, whole)).toBeGreaterThan(1);
  });

  it('and not one that is only near it', () => {
    const counts = countDraws('hf', { temperature: 1 });
    expect(badnessOfFit(counts, distribution('hf', { temperature: 0.9 }, 0))).toBeGreaterThan(1);
  });
});
