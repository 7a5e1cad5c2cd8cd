import { describe, expect, test } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import { bitsPerByte, targetBytes, wilsonInterval } from '../../src/evaluate/index.ts';
import { trainBpe } from '../../src/tokenizer/index.ts';

describe('wilsonInterval', () => {
  // Newcombe 1998, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17,
  // table I, method 3 (score without continuity correction).
  test.each([
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ])('%i of %i as published', (numCorrect, numTrials, low, high) => {
    const interval = wilsonInterval(numCorrect, numTrials);
    expect(interval[0]).toBeCloseTo(low, 4);
    expect(interval[1]).toBeCloseTo(high, 4);
  });

  test('is symmetric, stays within 0..1 and holds the share', () => {
    for (let numTrials = 1; numTrials <= 40; numTrials++) {
      for (let numCorrect = 0; numCorrect <= numTrials; numCorrect++) {
        const [low, high] = wilsonInterval(numCorrect, numTrials);
        const mirrored = wilsonInterval(numTrials - numCorrect, numTrials);
        expect(low).toBeCloseTo(1 - mirrored[1], 12);
        expect(low).toBeGreaterThanOrEqual(0);
        expect(high).toBeLessThanOrEqual(1);
        expect(low).toBeLessThanOrEqual(numCorrect / numTrials);
        expect(high).toBeGreaterThanOrEqual(numCorrect / numTrials);
      }
    }
  });

  test('nothing tried says nothing', () => {
    expect(wilsonInterval(0, 0)).toEqual([0, 1]);
  });

  test('covers the true share in 93 to 97 of 100 experiments, averaged over shares', () => {
    const random = new KeyedRandom(11);
    const numExperiments = 4000;
    const numTrials = 60;
    let numCovered = 0;
    for (let i = 0; i < numExperiments; i++) {
      const share = 0.02 + (0.96 * i) / numExperiments;
      let numCorrect = 0;
      for (let k = 0; k < numTrials; k++) if (random.uniform(i * numTrials + k) < share) numCorrect++;
      const [low, high] = wilsonInterval(numCorrect, numTrials);
      if (low <= share && share <= high) numCovered++;
    }
    expect(numCovered / numExperiments).toBeGreaterThan(0.93);
    expect(numCovered / numExperiments).toBeLessThan(0.97);
  });
});

describe('bits per byte', () => {
  test('a uniform guess over 256 single bytes costs 8 bits a byte, whatever the length', () => {
    expect(bitsPerByte(Math.log(256), 10, 10)).toBeCloseTo(8, 12);
    expect(bitsPerByte(Math.log(256), 1000, 1000)).toBeCloseTo(8, 12);
  });

  test('tokens of more bytes cost less a byte at the same loss', () => {
    expect(bitsPerByte(2, 30, 120)).toBeCloseTo(2 / Math.LN2 / 4, 12);
  });

  test('counts the bytes of counted targets only, and none for special tokens', () => {
    const texts = Array.from({ length: 20 }, () => 'grüne Bäume, grüne Wiesen');
    const tokenizer = trainBpe(texts, { vocabSize: 300 });
    const ids = tokenizer.encode('grüne Bäume');
    const special = [...tokenizer.specialTokens.values()][0]!;
    const all = new Float32Array(ids.length + 1).fill(1);
    expect(targetBytes(tokenizer, [...ids, special], all)).toBe(
      new TextEncoder().encode('grüne Bäume').length,
    );
    const lastOnly = Float32Array.from(ids, (_, i) => (i === ids.length - 1 ? 1 : 0));
    expect(targetBytes(tokenizer, ids, lastOnly)).toBe(tokenizer.tokenBytes(ids.at(-1)!).length);
    expect(targetBytes(tokenizer, ids, new Float32Array(ids.length))).toBe(0);
  });
});
