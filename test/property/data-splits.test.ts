/** Splits by key: deterministic, complete, and no key on two sides. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitKeys, splitOf, splitRecords } from '../../src/data/index.ts';

const shares = { validation: 0.1, test: 0.2 };

describe('splitting by key', () => {
  it('keeps all records of one key together and loses none', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string(), fc.nat())), fc.nat(), (records, seed) => {
        const split = splitRecords(records, ([key]) => key, shares, seed);
        const all = [...split.train, ...split.validation, ...split.test];
        expect(all.length).toBe(records.length);
        expect(new Set(all)).toEqual(new Set(records));
        const keysOf = (list: typeof records) => new Set(list.map(([key]) => key));
        for (const key of keysOf(split.train)) expect(keysOf(split.test).has(key)).toBe(false);
        for (const key of keysOf(split.validation)) {
          expect(keysOf(split.train).has(key) || keysOf(split.test).has(key)).toBe(false);
        }
      }),
    );
  });

  it('takes spellings of one name as one key', () => {
    for (let seed = 0; seed < 40; seed++) {
      expect(splitOf(' Saint  Lucia', shares, seed)).toBe(splitOf('saint lucia', shares, seed));
      expect(splitOf('Re\u0301union', shares, seed)).toBe(splitOf('R\u00e9union', shares, seed));
    }
  });

  it('does not move a key when others come or go', () => {
    const keys = Array.from({ length: 500 }, (_, i) => `key-${i}`);
    const counts = { train: 0, validation: 0, test: 0 };
    for (const key of keys) counts[splitOf(key, shares, 5)]++;
    // Binomial, n = 500: five standard deviations are 45 for p = .2 and 34 for p = .1.
    expect(Math.abs(counts.test - 100)).toBeLessThan(45);
    expect(Math.abs(counts.validation - 50)).toBeLessThan(34);
  });

  it('meets the shares exactly for a closed set, in any order, and differs by seed', () => {
    const keys = Array.from({ length: 50 }, (_, i) => `key-${i}`);
    const split = splitKeys(keys, shares, 1);
    const numOf = (name: string) => [...split.values()].filter((value) => value === name).length;
    expect([numOf('train'), numOf('validation'), numOf('test')]).toEqual([35, 5, 10]);
    expect(new Map([...splitKeys(keys.toReversed(), shares, 1)].sort())).toEqual(new Map([...split].sort()));
    expect(splitKeys(keys, shares, 2)).not.toEqual(split);
  });

  it('always leaves something to train on and refuses shares that do not', () => {
    expect([...splitKeys(['a'], shares, 0).values()]).toEqual(['train']);
    expect([...splitKeys(['a', 'b'], shares, 0).values()].sort()).toEqual(['test', 'train']);
    expect(() => splitOf('a', { validation: 0.5, test: 0.5 }, 0)).toThrow('leave something for training');
  });
});
