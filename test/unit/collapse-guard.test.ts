/** The guard of reinforcement: what is a sign of collapse, and what only looks like one. */
import { describe, expect, test } from 'vitest';
import {
  COLLAPSE_LIMITS,
  CollapseError,
  checkCollapseLimits,
  collapseOf,
  type IterationFigures,
  repetitionOf,
  signsOfCollapse,
} from '../../src/align/rl/collapse-guard.ts';

const healthy: IterationFigures = {
  reward: 0.3,
  rewardMin: 0,
  rewardMax: 1,
  kl: 0.1,
  klPerToken: 0.02,
  entropy: 0.8,
  length: 20,
  cutShare: 0,
  repetition: 0.05,
};
const times = (count: number, changes: Partial<IterationFigures> = {}): IterationFigures[] =>
  Array.from({ length: count }, () => ({ ...healthy, ...changes }));

test('healthy iterations show nothing', () => {
  expect(signsOfCollapse(times(30))).toEqual([]);
  expect(collapseOf(times(30))).toBeUndefined();
  expect(signsOfCollapse([])).toEqual([]);
});

describe('signs', () => {
  test.each<[string, Partial<IterationFigures>, RegExp]>([
    ['no entropy', { entropy: 0.0001 }, /entropy fell to 0.0001 nats by token \(limit 0.002\)/],
    ['far from the reference', { klPerToken: 4 }, /KL from the reference rose to 4 nats/],
    ['endless answers', { length: 60, cutShare: 0.9 }, /grew from 20 to 60 tokens, and 90 % are cut/],
    ['no answers', { length: 1 }, /shrank from 20 to 1 tokens/],
    ['repetition', { repetition: 0.8 }, /80 % of the 4-grams/],
  ])('%s, once it lasts', (_name, changes, text) => {
    const { patience } = COLLAPSE_LIMITS;
    const brief = [...times(10), ...times(patience - 1, changes)];
    expect(signsOfCollapse(brief)[0]).toMatch(text);
    expect(collapseOf(brief)).toBeUndefined();
    expect(collapseOf([...brief, { ...healthy, ...changes }])).toMatch(text);
    // One healthy iteration in between, and the count begins again.
    expect(collapseOf([...brief, healthy, { ...healthy, ...changes }])).toBeUndefined();
  });

  test('a mastered task needs neither entropy nor long answers', () => {
    const mastered = times(10, { reward: 0.95, entropy: 0.0001, length: 2 });
    expect(collapseOf([...times(10), ...mastered])).toBeUndefined();
    expect(collapseOf([...times(10), ...times(10, { reward: 0.85, entropy: 0.0001 })])).toMatch(/entropy/);
  });

  test('answers that grow and come to an end are no sign', () => {
    expect(collapseOf([...times(10), ...times(10, { length: 200, cutShare: 0.1 })])).toBeUndefined();
  });

  test('a task that repeats from the start is no sign', () => {
    expect(collapseOf(times(20, { repetition: 0.7 }))).toBeUndefined();
  });

  test('limits can be moved', () => {
    const far = [...times(10), ...times(10, { klPerToken: 4 })];
    expect(collapseOf(far, { ...COLLAPSE_LIMITS, maxKlPerToken: Number.POSITIVE_INFINITY })).toBeUndefined();
    expect(() => checkCollapseLimits({ ...COLLAPSE_LIMITS, patience: 0 })).toThrow(/patience .* got 0/);
    expect(() => checkCollapseLimits({ ...COLLAPSE_LIMITS, minEntropy: Number.NaN })).toThrow(/minEntropy/);
  });
});

test('the error names the last good policy, and says so where there is none', () => {
  expect(new CollapseError('answers shrank', 12, 'out/last-good').message).toMatch(
    /iteration 12: answers shrank\. .* kept in out\/last-good; start from there with --model/,
  );
  expect(new CollapseError('answers shrank', 2, undefined).message).toMatch(/No policy .* was kept/);
});

test('repetition is the share of 4-grams that stood before', () => {
  expect(repetitionOf([1, 2, 3, 4, 5, 6, 7])).toBe(0);
  // 1212121 has 4 grams, of two kinds.
  expect(repetitionOf([1, 2, 1, 2, 1, 2, 1])).toBe(0.5);
  expect(repetitionOf([1, 1, 1, 1])).toBe(0);
  expect(repetitionOf(new Array(23).fill(1))).toBe(0.95);
});
