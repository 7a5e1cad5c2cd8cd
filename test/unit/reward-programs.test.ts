/** Rewards that are programs: what each counts as right, their text form, and mixtures. */
import { describe, expect, test } from 'vitest';
import type { RewardFunction } from '../../src/align/reward-function.ts';
import {
  lastNumber,
  parseReward,
  parseRewardTerms,
  REWARD_PROGRAMS,
  rewardProgram,
} from '../../src/align/reward-programs.ts';
import { ConfigError, DataError } from '../../src/core/errors.ts';
import { answered } from '../fixtures/align/answered.ts';

async function scoreOf(reward: RewardFunction | string, text: string, record: Record<string, unknown> = {}) {
  const scores = await (typeof reward === 'string' ? parseReward(reward) : reward).score([
    answered(text, record),
  ]);
  expect(scores).toHaveLength(1);
  return scores[0];
}

describe('programs', () => {
  test.each([
    ['exact-match', ' Paris\n', { answer: 'Paris' }, 1],
    ['exact-match', 'paris', { answer: 'Paris' }, 0],
    ['exact-match', 'Cafe\u0301', { answer: 'Caf\u00e9' }, 1],
    ['exact-match:capital', 'Rome', { capital: 'Rome', answer: 'Paris' }, 1],
    ['exact-match', 'B', { answer: ['A', 'B'] }, 1],
    ['exact-match', '7', { answer: 7 }, 1],
    ['number', '3 + 4 = 7, so it is 7.', { answer: 7 }, 1],
    ['number', 'It is 1,234.50 euros', { answer: 'work ... #### 1234.5' }, 1],
    ['number', '10-5', { answer: 5 }, 1],
    ['number', 'x = −2.5e3', { answer: -2500 }, 1],
    ['number', 'none', { answer: 0 }, 0],
    ['number', '0.3', { answer: 0.1 + 0.2 }, 1],
    ['number', '0.30001', { answer: 0.3 }, 0],
    ['regex:^\\d+$', '42', {}, 1],
    ['regex:^\\d+$', '42 ', {}, 0],
    ['regex:/^yes, sir$/i', 'Yes, Sir', {}, 1],
    ['regex:/a+b/gy', 'xx aab', {}, 1],
    ['json', '{"a": 1}', {}, 1],
    ['json', '{"a": 1', {}, 0],
    ['json:city', '{"city":"Bonn"}', { city: 'Bonn' }, 1],
    ['json:city=place', '{"city":"Bonn"}', { place: 'Bonn', city: 'Rome' }, 1],
    ['json:n', '{"n":"3"}', { n: 3 }, 1],
    ['json:n', '{"n":{"a":1,"b":[2]}}', { n: { b: [2], a: 1 } }, 1],
    ['json:n', '{"n":{"a":1}}', { n: { b: 1 } }, 0],
    ['json:toString', '{}', { toString: 'x' }, 0],
    ['json:city', '["Bonn"]', { city: 'Bonn' }, 0],
    ['length:2-3', 'ab', {}, 1],
    ['length:2-3', '😀😀😀', {}, 1],
    ['length:2-', 'a', {}, 0],
    ['length:-3', 'abcd', {}, 0],
    ['finished', 'a', {}, 1],
    ['tokens', 'abc', {}, 3],
  ] as const)('%s of %j with %j is %d', async (reward, text, record, wanted) => {
    expect(await scoreOf(reward, text, record)).toBe(wanted);
  });

  test('an answer cut at its greatest length is not finished', async () => {
    const cut = answered('abc', {}, { finishReason: 'length' });
    expect(await parseReward('finished').score([cut])).toEqual([0]);
  });

  test('a record without the field is an error that names it, as is a field that holds no number', async () => {
    await expect(scoreOf('exact-match', 'a', { question: 'b' })).rejects.toThrow(DataError);
    await expect(scoreOf('exact-match', 'a', { question: 'b' })).rejects.toThrow(/"answer".*has question/);
    await expect(scoreOf('json:x', '{}', {})).rejects.toThrow(/"x"/);
    await expect(scoreOf('number', '1', { answer: 'many' })).rejects.toThrow(/holds no number/);
  });

  test('every program says how it is written and what it means', () => {
    for (const [name, { usage, description }] of Object.entries(REWARD_PROGRAMS)) {
      expect(usage.startsWith(name)).toBe(true);
      expect(description.length).toBeGreaterThan(10);
    }
  });

  test.each([
    ['exat-match', /Did you mean "exact-match"/],
    ['wisdom', /There are: exact-match\[:FIELD\]/],
    ['regex', /needs a pattern/],
    ['regex:(', /no valid pattern/],
    ['length', /no range/],
    ['length:9-3', /no range/],
    ['json:=a', /names no field/],
    ['finished:now', /takes no argument/],
    ['', /cannot be read/],
    ['json json', /cannot be read from "json" on/],
    ['2*', /cannot be read/],
    ['json + ', /cannot be read/],
  ])('%j is refused', (text, message) => {
    expect(() => parseReward(text)).toThrow(ConfigError);
    expect(() => parseReward(text)).toThrow(message);
  });
});

describe('the text form', () => {
  test('weights, signs and arguments', () => {
    expect(parseRewardTerms('0.8*exact-match:city + 0.2*json - 1e-3*tokens')).toEqual([
      { weight: 0.8, name: 'exact-match', argument: 'city' },
      { weight: 0.2, name: 'json', argument: undefined },
      { weight: -0.001, name: 'tokens', argument: undefined },
    ]);
    expect(parseRewardTerms('exact-match-0.5*tokens').map(({ weight }) => weight)).toEqual([1, -0.5]);
    expect(parseRewardTerms('-tokens')).toEqual([{ weight: -1, name: 'tokens', argument: undefined }]);
  });

  test('a pattern in slashes may hold spaces, signs and slashes; a path is no pattern', () => {
    expect(parseRewardTerms('regex:/a \\/ + b/i + json').map(({ argument }) => argument)).toEqual([
      '/a \\/ + b/i',
      undefined,
    ]);
    expect(parseRewardTerms('model:/runs/my-model + json')[0]!.argument).toBe('/runs/my-model');
  });

  test('a mixture is the weighted sum, and its name says it', async () => {
    const mixture = parseReward('0.8*exact-match + 0.2*json - 0.01*tokens');
    expect(mixture.name).toBe('0.8*exact-match + 0.2*json - 0.01*tokens');
    expect(await scoreOf(mixture, '12', { answer: 12 })).toBeCloseTo(0.98, 12);
    expect(await scoreOf(mixture, 'no', { answer: 12 })).toBeCloseTo(-0.02, 12);
    expect(parseReward('json').name).toBe('json');
    expect(rewardProgram('regex', 'x').name).toBe('regex:x');
  });
});

test('the last number of a text', () => {
  expect(['a 1 b 22', '.5', 'v1.25', '1,234,567', '1,23', 'none', '5%'].map(lastNumber)).toEqual([
    22,
    0.5,
    1.25,
    1234567,
    23,
    undefined,
    5,
  ]);
});
