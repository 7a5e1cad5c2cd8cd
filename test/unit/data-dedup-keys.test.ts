/** Quality of the 64-bit keys of exact units: no more collisions than chance gives. */
import { describe, expect, test } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import { KeyLinker, MAX_LEADERS } from '../../src/data/dedup/key-linker.ts';
import { UnitHasher } from '../../src/data/dedup/unit-hasher.ts';

const hasher = new UnitHasher({ kind: 'exact', unit: 'document', normalize: 'none' });

function keysOf(texts: Iterable<string>, count: number): { high: Uint32Array; low: Uint32Array } {
  const high = new Uint32Array(count);
  const low = new Uint32Array(count);
  let i = 0;
  for (const text of texts) {
    const { keys } = hasher.hash(text);
    high[i] = keys[0]!;
    low[i++] = keys[1]!;
  }
  expect(i).toBe(count);
  return { high, low };
}

function numCollisions(words: ArrayLike<number>): number {
  const sorted = Float64Array.from(words).sort();
  let count = 0;
  for (let i = 1; i < sorted.length; i++) if (sorted[i] === sorted[i - 1]) count++;
  return count;
}

/** Texts that differ little and regularly, where weak hashes fail. */
const families: Record<string, { count: number; texts(): Iterable<string> }> = {
  'numbers in a sentence': {
    count: 400_000,
    *texts() {
      for (let i = 0; i < 400_000; i++) yield `Page ${i} of 400000`;
    },
  },
  'two characters anywhere in the BMP': {
    count: 360_000,
    *texts() {
      for (let a = 0; a < 600; a++) {
        for (let b = 0; b < 600; b++) yield String.fromCharCode(109 * a, 107 * b);
      }
    },
  },
  'one character repeated': {
    count: 3000,
    *texts() {
      for (let i = 1; i <= 3000; i++) yield 'a'.repeat(i);
    },
  },
  'four letters': {
    count: 456_976,
    *texts() {
      const letters = 'abcdefghijklmnopqrstuvwxyz';
      for (const a of letters) {
        for (const b of letters) for (const c of letters) for (const d of letters) yield a + b + c + d;
      }
    },
  },
};

describe.each(Object.entries(families))('keys of %s', (_, { count, texts }) => {
  const { high, low } = keysOf(texts(), count);
  const expected = (count * count) / 2 / 2 ** 32;
  const most = expected + 5 * Math.sqrt(expected) + 3;

  test('collide in neither half more often than chance', () => {
    expect(numCollisions(high)).toBeLessThanOrEqual(most);
    expect(numCollisions(low)).toBeLessThanOrEqual(most);
  });

  test('never collide in full', () => {
    // 53 of the 64 bits, which is what a number holds.
    const whole = Float64Array.from(high, (word, i) => word * 2 ** 21 + (low[i]! >>> 11));
    expect(numCollisions(whole)).toBe(0);
  });

  test('fill the ranges by which tables and passes are cut evenly', () => {
    const bins = 64;
    for (const [words, shift] of [
      [high, 26],
      [low, 0],
    ] as const) {
      const counts = new Uint32Array(bins);
      for (const word of words) counts[(word >>> shift) & (bins - 1)]!++;
      const mean = count / bins;
      const chiSquare = counts.reduce((sum, n) => sum + (n - mean) ** 2 / mean, 0);
      // 63 degrees of freedom: 121 is passed once in 100,000.
      expect(chiSquare).toBeLessThan(121);
    }
  });
});

describe('a table of keys', () => {
  const keys = new Uint32Array(2 * 3000);
  const random = new KeyedRandom(5);
  for (let i = 0; i < 3000; i++) {
    // Every key is used twice; the first halves are spread over all ranges.
    keys[2 * i] = random.uint32(2 * (i % 1500));
    keys[2 * i + 1] = random.uint32(2 * (i % 1500) + 1);
  }

  test('says when it is full, and links everything by smaller ranges', () => {
    const links = new Map<number, number>();
    const linker = new KeyLinker(256, { link: (first, later) => links.set(later, first) });
    let numRanges = 0;
    const linkRange = (from: number, to: number): void => {
      numRanges++;
      linker.begin(from, to);
      if (linker.add(keys, 0)) return;
      const middle = Math.floor((from + to) / 2);
      linkRange(from, middle);
      linkRange(middle, to);
    };
    linkRange(0, 2 ** 32);
    expect(numRanges).toBeGreaterThan(2 * Math.ceil(1500 / 192) - 1);
    expect(links.size).toBe(1500);
    for (const [later, first] of links) expect(later - first).toBe(1500);
  });

  test('compares an item with 64 others of its key at most, and counts those cut short', () => {
    let numCompared = 0;
    const linker = new KeyLinker(256, {
      link: () => {},
      isSame: () => {
        numCompared++;
        return false;
      },
    });
    linker.begin(0, 2 ** 32);
    expect(linker.add(new Uint32Array(2 * 100).fill(7), 0)).toBe(true);
    expect(linker.numLeaderless).toBe(100 - MAX_LEADERS);
    expect(numCompared).toBe((64 * 63) / 2 + 36 * 64);
  });
});

test('a change of any one bit of the text changes half of the key', () => {
  let changed = 0;
  let numTrials = 0;
  const base = 'The quick brown fox jumps over the lazy dog.';
  const [high, low] = hasher.hash(base).keys.slice();
  for (let i = 0; i < base.length; i++) {
    for (let bit = 0; bit < 16; bit++) {
      const other =
        base.slice(0, i) + String.fromCharCode(base.charCodeAt(i) ^ (1 << bit)) + base.slice(i + 1);
      const { keys } = hasher.hash(other);
      for (let difference = keys[0]! ^ high!; difference !== 0; difference &= difference - 1) changed++;
      for (let difference = keys[1]! ^ low!; difference !== 0; difference &= difference - 1) changed++;
      numTrials++;
    }
  }
  // 64 bits by 704 trials: the share has standard deviation .0024.
  expect(changed / (64 * numTrials)).toBeGreaterThan(0.49);
  expect(changed / (64 * numTrials)).toBeLessThan(0.51);
});
