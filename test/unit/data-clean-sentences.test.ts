/** Sentences where Punkt's English model ends them: abbreviations, initials, numbers, quotes, ellipses. */
import { describe, expect, test } from 'vitest';
import { countSentences } from '../../src/data/clean/sentence-count.ts';

describe('countSentences', () => {
  test.each<[number, string]>([
    [0, ''],
    [0, '   '],
    [1, 'no end mark at all'],
    [1, 'One.'],
    [2, 'One. Two.'],
    [2, 'It ended. and went on small.'],
    [1, 'Mr. Smith met Dr. Jones and Mrs. Brown vs. Prof. White.'],
    [1, 'J. R. R. Tolkien wrote it.'],
    [1, 'George W. Bush spoke.'],
    [2, 'He lives in the U.S. The house is old.'],
    [1, 'He lives in the U.S. with a dog.'],
    [2, 'It began at 5 p.m. He left.'],
    [1, 'It began at 5 p.m. on Monday.'],
    [1, 'It costs 3.50 dollars and 1.000.000 euros.'],
    [2, 'That was in 1995. The next year was better.'],
    [1, 'On the 3. floor they waited.'],
    [2, '"Go away." He went.'],
    [2, 'He said "Go away." Then he left.'],
    [2, 'Really?! Yes.'],
    [2, '"Really?" he asked.'],
    [3, 'Yahoo! It works! Now.'],
    [1, 'Wait... what'],
    [2, 'Wait... But why'],
    [1, 'three sentences...but it is 1.'],
    [2, '(It was late.) Nobody came.'],
    [1, 'See example.com and a.b.c for e.g. details.'],
    [1, 'Smith, Jones et al. found it.'],
    [2, 'Apples, pears, etc. The rest is gone.'],
    [1, 'Apples, pears, etc. and the rest.'],
    [3, '今日は。明日も！昨日？'],
    [2, 'यह पहला है। यह दूसरा है।'],
    [1, '. . . .'.replace(/ /g, '')],
  ])('%i in %j', (count, text) => {
    expect(countSentences(text)).toBe(count);
  });

  test('stops at the number asked for', () => {
    expect(countSentences('Some go. More stay. All run. None sit.', 2)).toBe(2);
    expect(countSentences('Some go. More stay.', 5)).toBe(2);
  });

  test('a line of a million full stops or openings takes no longer than its length', () => {
    for (const text of [
      '. '.repeat(500_000),
      '.'.repeat(1_000_000),
      'a.'.repeat(500_000),
      '("'.repeat(500_000),
    ]) {
      const start = performance.now();
      countSentences(text);
      expect(performance.now() - start).toBeLessThan(1500);
    }
  });
});
