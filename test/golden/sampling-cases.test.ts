/**
 * What stages leave of a distribution, by the numbers of llama.cpp's tests/test-sampling.cpp (MIT, commit
 * 07e4038f07a83cd729bbac700e6681757b313b73): probabilities in, probabilities out, logit = ln p in float32. Where a
 * stage draws (XTC), the draw is made to fire, as llama.cpp's seed does.
 */
import { describe, expect, it } from 'vitest';
import { Candidates, Sampler, type StageSettings } from '../../src/sampling/index.ts';

interface Case {
  name: string;
  before: number[];
  history: number[];
  stage: StageSettings;
  after: number[];
}

const cases: Case[] = [
  {
    name: 'temp_0',
    before: [0.1, 0.2, 0.3, 0.4],
    history: [],
    stage: { stage: 'temperature', temperature: 1 },
    after: [0.1, 0.2, 0.3, 0.4],
  },
  {
    name: 'temp_1',
    before: [0.1, 0.2, 0.3, 0.4],
    history: [],
    stage: { stage: 'temperature', temperature: 0 },
    after: [0, 0, 0, 1],
  },
  {
    name: 'temp_ext_1',
    before: [0.1, 0.2, 0.3, 0.4],
    history: [],
    stage: { stage: 'temperature', temperature: 0, range: 0, exponent: 1 },
    after: [0, 0, 0, 1],
  },
  { name: 'top_k_0', before: [0.1, 0.2, 0.3, 0.4], history: [], stage: { stage: 'top-k', k: 1 }, after: [1] },
  {
    name: 'top_k_2',
    before: [0.1, 0.2, 0.3, 0.4],
    history: [],
    stage: { stage: 'top-k', k: 4 },
    after: [0.4, 0.3, 0.2, 0.1],
  },
  {
    name: 'top_k_3',
    before: [0.1, 0.2, 0.3, 0.4],
    history: [],
    stage: { stage: 'top-k', k: 0 },
    after: [0.1, 0.2, 0.3, 0.4],
  },
  {
    name: 'top_p_1',
    before: [0.1, 0.2, 0.3, 0.4],
    history: [],
    stage: { stage: 'top-p', p: 0.7, minKeep: 0 },
    after: [0.571429, 0.428571],
  },
  {
    name: 'top_p_2',
    before: [0.1, 0.2, 0.3, 0.4],
    history: [],
    stage: { stage: 'top-p', p: 0.8, minKeep: 0 },
    after: [0.44444, 0.33333, 0.22222],
  },
  {
    name: 'min_p_0',
    before: [0.1, 0.2, 0.3, 0.4],
    history: [],
    stage: { stage: 'min-p', p: 0 },
    after: [0.1, 0.2, 0.3, 0.4],
  },
  {
    name: 'min_p_1',
    before: [0.1, 0.2, 0.3, 0.4],
    history: [],
    stage: { stage: 'min-p', p: 0.24 },
    after: [0.1, 0.2, 0.3, 0.4],
  },
  {
    name: 'min_p_3',
    before: [0.1, 0.2, 0.3, 0.4],
    history: [],
    stage: { stage: 'min-p', p: 0.49 },
    after: [0.22222222222222224, 0.3333333333333333, 0.4444444444444445],
  },
  {
    name: 'min_p_4',
    before: [0.1, 0.2, 0.3, 0.4],
    history: [],
    stage: { stage: 'min-p', p: 0.51 },
    after: [0.4285714285714286, 0.5714285714285715],
  },
  {
    name: 'min_p_6',
    before: [0.1, 0.2, 0.3, 0.4],
    history: [],
    stage: { stage: 'min-p', p: 0.76 },
    after: [1],
  },
  { name: 'min_p_7', before: [0.1, 0.2, 0.3, 0.4], history: [], stage: { stage: 'min-p', p: 1 }, after: [1] },
  {
    name: 'xtc_0',
    before: [0.4, 0.3, 0.2, 0.1],
    history: [],
    stage: { stage: 'xtc', probability: 0.99, threshold: 0.09, minKeep: 0 },
    after: [0.1],
  },
  {
    name: 'xtc_1',
    before: [0.4, 0.3, 0.2, 0.1],
    history: [],
    stage: { stage: 'xtc', probability: 0.99, threshold: 0.19, minKeep: 0 },
    after: [0.2, 0.1],
  },
  {
    name: 'xtc_3',
    before: [0.4, 0.3, 0.2, 0.1],
    history: [],
    stage: { stage: 'xtc', probability: 0.99, threshold: 0.39, minKeep: 0 },
    after: [0.4, 0.3, 0.2, 0.1],
  },
  {
    name: 'typical_0',
    before: [0.97, 0.01, 0.01, 0.01],
    history: [],
    stage: { stage: 'typical', p: 0.5 },
    after: [0.97],
  },
  {
    name: 'penalties_0',
    before: [0.2, 0.2, 0.2, 0.2, 0.2],
    history: [0],
    stage: { stage: 'penalties', repetition: 50, frequency: 0, presence: 0, lastN: 1 },
    after: [0, 0.25, 0.25, 0.25, 0.25],
  },
  {
    name: 'penalties_1',
    before: [0.2, 0.2, 0.2, 0.2, 0.2],
    history: [0, 1, 2],
    stage: { stage: 'penalties', repetition: 50, frequency: 0, presence: 0, lastN: 3 },
    after: [0, 0, 0, 0.5, 0.5],
  },
  {
    name: 'penalties_3',
    before: [0.2, 0.2, 0.2, 0.2, 0.2],
    history: [0],
    stage: { stage: 'penalties', repetition: 1, frequency: 5, presence: 5, lastN: 1 },
    after: [1.1e-5, 0.249997, 0.249997, 0.249997, 0.249997],
  },
  {
    name: 'penalties_4',
    before: [0.2, 0.2, 0.2, 0.2, 0.2],
    history: [0, 1, 2],
    stage: { stage: 'penalties', repetition: 1, frequency: 5, presence: 5, lastN: 3 },
    after: [2.3e-5, 2.3e-5, 2.3e-5, 0.499966, 0.499966],
  },
  {
    name: 'dry_0',
    before: [0.25, 0.25, 0.25, 0.25],
    history: [0, 1],
    stage: { stage: 'dry', multiplier: 1, base: 1.1, allowedLength: 2, lastN: 4, breakers: [] },
    after: [0.25, 0.25, 0.25, 0.25],
  },
  {
    name: 'dry_1',
    before: [0.25, 0.25, 0.25, 0.25],
    history: [0, 1, 2, 0, 1],
    stage: { stage: 'dry', multiplier: 1, base: 1.1, allowedLength: 2, lastN: 5, breakers: [] },
    after: [0.296923, 0.296923, 0.109232, 0.296923],
  },
  {
    name: 'dry_3',
    before: [0.2, 0.2, 0.2, 0.2, 0.2],
    history: [0, 1, 2, 0, 1],
    stage: { stage: 'dry', multiplier: 2, base: 1.1, allowedLength: 2, lastN: 5, breakers: [] },
    after: [0.241818, 0.241818, 0.032727, 0.241818, 0.241818],
  },
  {
    name: 'dry_4',
    before: [0.2, 0.2, 0.2, 0.2, 0.2],
    history: [0, 1, 2, 3, 4, 0, 1],
    stage: { stage: 'dry', multiplier: 1, base: 1.1, allowedLength: 4, lastN: 7, breakers: [] },
    after: [0.2, 0.2, 0.2, 0.2, 0.2],
  },
  {
    name: 'top_n_sigma_1',
    before: [0.1, 0.2, 0.3, 0.4],
    history: [],
    stage: { stage: 'top-n-sigma', n: 0 },
    after: [0.1, 0.2, 0.3, 0.4],
  },
  {
    name: 'top_n_sigma_2',
    before: [0.1, 0.2, 0.3, 0.4],
    history: [],
    stage: { stage: 'top-n-sigma', n: 3 },
    after: [0.1, 0.2, 0.3, 0.4],
  },
];

/** llama.cpp compares these with the probabilities they had before the cut. */
const UNNORMALISED = new Set(['xtc', 'typical']);

describe('stages of the sampler chain leave the probabilities of llama.cpp', () => {
  it('in all 28 cases', () => {
    expect(cases).toHaveLength(28);
  });

  it.each(cases)('$name', ({ before, history, stage, after }) => {
    const logits = Float32Array.from(before, (p) => Math.log(p));
    const left = new Candidates();
    new Sampler([stage]).run(left, logits, { draws: { uniform: () => 0.5 }, history });
    const weights = Array.from(left.scores.subarray(0, left.size), (score) => Math.exp(score));
    const whole = UNNORMALISED.has(stage.stage) ? before : weights;
    const total = whole.reduce((sum, weight) => sum + weight, 0);
    const got = weights.map((weight) => weight / total);
    // Where llama.cpp lists a probability of 0, the candidate is gone here.
    while (got.length < after.length) got.push(0);
    expect(got).toHaveLength(after.length);
    const byFalling = (a: number, b: number) => b - a;
    got.sort(byFalling);
    for (const [i, p] of [...after].sort(byFalling).entries())
      expect(Math.abs(got[i]! - p)).toBeLessThan(1e-5);
  });
});
