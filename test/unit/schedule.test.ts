import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { DEFAULT_SCHEDULE, type Schedule, scheduleFactor } from '../../src/train/index.ts';

const schedule = (changes: Partial<Schedule>): Schedule => ({ ...DEFAULT_SCHEDULE, ...changes });
const factors = (changes: Partial<Schedule>, numSteps: number) =>
  Array.from({ length: numSteps }, (_, i) => scheduleFactor(schedule(changes), i + 1, numSteps));

describe('scheduleFactor', () => {
  test('warm-up rises in equal steps and reaches the peak at its last step', () => {
    expect(factors({ warmupSteps: 4, decayShare: 0 }, 6)).toEqual([0.25, 0.5, 0.75, 1, 1, 1]);
  });

  test('without warm-up the first step has the peak rate', () => {
    for (const kind of ['warmup-stable-decay', 'constant'] as const)
      expect(factors({ kind, warmupSteps: 0, decayShare: 0 }, 3)).toEqual([1, 1, 1]);
  });

  test('warm-up, constant, linear decay to the final share at the very last step', () => {
    expect(factors({ warmupSteps: 2, decayShare: 0.4, finalShare: 0.5 }, 10)).toEqual([
      0.5, 1, 1, 1, 1, 1, 0.875, 0.75, 0.625, 0.5,
    ]);
  });

  test('1-sqrt falls faster at first and ends at the same rate', () => {
    const linear = factors({ warmupSteps: 0, decayShare: 1 }, 16);
    const root = factors({ warmupSteps: 0, decayShare: 1, decay: '1-sqrt' }, 16);
    expect(root[3]).toBeCloseTo(0.5, 12);
    expect(linear[3]).toBeCloseTo(0.75, 12);
    expect(root[15]).toBe(0);
    expect(linear[15]).toBe(0);
  });

  test('no decay share means no decay, also at the last step', () => {
    expect(factors({ warmupSteps: 0, decayShare: 0, finalShare: 0 }, 5)).toEqual([1, 1, 1, 1, 1]);
  });

  test('cosine: half way down in the middle, the final share at the end', () => {
    const values = factors({ kind: 'cosine', warmupSteps: 2, finalShare: 0.2 }, 10);
    expect(values[1]).toBe(1);
    expect(values[5]).toBeCloseTo(0.6, 12);
    expect(values[9]).toBeCloseTo(0.2, 12);
  });

  test.each([
    ['a decay over all steps', { warmupSteps: 10, decayShare: 1 }, 40],
    ['a cosine', { kind: 'cosine' as const, warmupSteps: 10 }, 40],
    ['a decay that would begin in the warm-up', { warmupSteps: 25, decayShare: 0.9 }, 40],
  ])('no jump between neighbours: %s', (_, changes, numSteps) => {
    const values = [0, ...factors(changes, numSteps)];
    const jumps = values.slice(1).map((value, i) => Math.abs(value - values[i]!));
    expect(Math.max(...jumps)).toBeLessThan(0.11);
    expect(Math.max(...values)).toBe(1);
    expect(values.at(-1)).toBeCloseTo(0, 12);
  });

  test('a run that ends within its warm-up only rises', () => {
    expect(factors({ warmupSteps: 8, decayShare: 0.5 }, 4)).toEqual([0.125, 0.25, 0.375, 0.5]);
    expect(factors({ warmupSteps: 4, decayShare: 0.5 }, 4)).toEqual([0.25, 0.5, 0.75, 1]);
  });

  test('one step is enough', () => {
    expect(factors({ warmupSteps: 0, decayShare: 0.4 }, 1)).toEqual([1]);
    expect(factors({ kind: 'cosine', warmupSteps: 1 }, 1)).toEqual([1]);
  });

  test.each([
    [
      'kind',
      { kind: 'linear' as 'cosine' },
      /schedule\.kind.*warmup-stable-decay, cosine, constant.*"linear"/,
    ],
    ['decay', { decay: 'sqrt' as 'linear' }, /schedule\.decay.*"sqrt"/],
    ['warmupSteps', { warmupSteps: -1 }, /schedule\.warmupSteps.*-1/],
    ['warmupSteps', { warmupSteps: 2.5 }, /schedule\.warmupSteps.*2\.5/],
    ['decayShare', { decayShare: 1.5 }, /schedule\.decayShare.*0\.\.1.*1\.5/],
    ['finalShare', { finalShare: Number.NaN }, /schedule\.finalShare/],
  ])('an impossible %s is refused by name', (_, changes, message) => {
    expect(() => scheduleFactor(schedule(changes), 1, 10)).toThrow(ConfigError);
    expect(() => scheduleFactor(schedule(changes), 1, 10)).toThrow(message);
  });
});
