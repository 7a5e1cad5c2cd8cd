import { describe, expect, it } from 'vitest';
import { ConfigError, PlinthError } from '../../src/core/errors.ts';
import {
  chainOf,
  KeyedDraws,
  Sampler,
  type SamplerChain,
  type StageSettings,
  sampleToken,
} from '../../src/sampling/index.ts';

const draws = { uniform: () => 0.5 };
const plain: SamplerChain = [{ stage: 'temperature', temperature: 1 }];
const greedy: SamplerChain = [{ stage: 'temperature', temperature: 0 }];

describe('sampling refuses', () => {
  it.each([
    ['NaN', [0, Number.NaN, 1], /token 1 is NaN/],
    ['NaN before the maximum', [Number.NaN, 5], /token 0 is NaN/],
    ['+Infinity', [0, 1, Number.POSITIVE_INFINITY], /token 2 is Infinity/],
    ['no token left', [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY], /none of the 2 tokens/],
    ['an empty vocabulary', [], /none of the 0 tokens/],
  ])('%s', (_, row, message) => {
    for (const chain of [plain, greedy, chainOf({ topP: 0.5 })]) {
      expect(() => sampleToken(Float32Array.from(row), chain, draws)).toThrowError(
        expect.objectContaining({ code: 'not-finite', message: expect.stringMatching(message) }),
      );
    }
  });

  it.each<[string, unknown]>([
    ['an unknown stage', { stage: 'top-q', q: 1 }],
    ['an unknown setting of a stage', { stage: 'top-k', k: 1, keepTie: true }],
    ['a stage that is no object', null],
    ['a temperature that is no number', { stage: 'temperature', temperature: 'hot' }],
    ['an infinite temperature', { stage: 'temperature', temperature: Number.POSITIVE_INFINITY }],
    ['a broken k', { stage: 'top-k', k: 1.5 }],
    ['a negative k', { stage: 'top-k', k: -1 }],
    ['p above 1', { stage: 'top-p', p: 1.01 }],
    ['p that is NaN', { stage: 'min-p', p: Number.NaN }],
  ])('%s', (_, stage) => {
    expect(() => new Sampler([stage as StageSettings])).toThrow(ConfigError);
  });

  it('seeds and choices that are not whole numbers from 0', () => {
    for (const seed of [-1, 0.5, Number.NaN, 2 ** 53])
      expect(() => new KeyedDraws(seed)).toThrow(ConfigError);
    expect(() => new KeyedDraws(0, -1)).toThrow(PlinthError);
    expect(() => chainOf({}, 'ollama' as 'hf')).toThrow(/unknown dialect "ollama"/);
  });
});

describe('temperature', () => {
  it('survives values so small that scores overflow', () => {
    for (const temperature of [1e-300, 1e-310, Number.MIN_VALUE]) {
      const chain: SamplerChain = [{ stage: 'temperature', temperature }];
      expect(sampleToken([-5, 3, 2.9], chain, draws)).toBe(1);
      expect(sampleToken([-5, -3, -2.9], chain, { uniform: () => 0.999999 })).toBe(2);
    }
  });

  it('defaults to greedy, and to 1 when another setting asks for chance', () => {
    expect(new Sampler(chainOf({})).isGreedy).toBe(true);
    expect(new Sampler(chainOf({ topK: 5 })).isGreedy).toBe(false);
    expect(new Sampler(chainOf({ topP: 0.9, temperature: 0 }, 'llamacpp')).isGreedy).toBe(true);
  });
});
