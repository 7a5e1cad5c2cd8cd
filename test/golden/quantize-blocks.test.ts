/**
 * Blocks against the published formulas, written out here a second time: Q8_0 (scale absmax / 127) and Q4_0 (codes
 * -8..7, the value of largest magnitude on -8) as the GGUF specification and ggml's reference quantisers have them,
 * with scales as IEEE 754 binary16. Bytes of the packed layout are worked out by hand.
 */
import { describe, expect, it } from 'vitest';
import { dequantize, quantizeMatrix } from '../../src/model/quantize/quantize-matrix.ts';

/** Nearest binary16 number of the normal range, by its definition: 11 significant bits, ties to even. */
function half(value: number): number {
  if (value === 0) return 0;
  const unit = 2 ** (Math.floor(Math.log2(Math.abs(value))) - 10);
  const scaled = value / unit;
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
  return rounded * unit;
}

const values = (seed: number, length = 32) =>
  Float32Array.from({ length }, (_, i) => Math.sin(seed + i * 1.7) * (1 + (i % 5)) * 0.03);

describe('8 bits', () => {
  it('are the codes and scales of Q8_0', () => {
    for (let seed = 0; seed < 50; seed++) {
      const data = values(seed);
      const scale = half(Math.fround(Math.max(...data.map(Math.abs)) / 127));
      const weight = quantizeMatrix({ shape: [1, 32], data }, { bits: 8 });
      expect([...weight.scales]).toEqual([scale]);
      expect([...weight.data]).toEqual([...data].map((value) => Math.round(value / scale) + 128));
    }
  });

  it('lie as bytes worked out by hand', () => {
    const data = new Float32Array(32);
    data.set([127, -127, 1, -1, 0, 63.4, 0.5, -0.6]);
    const weight = quantizeMatrix({ shape: [1, 32], data }, { bits: 8 });
    expect([...weight.scales]).toEqual([1]);
    expect([...weight.data.subarray(0, 9)]).toEqual([255, 1, 129, 127, 128, 191, 129, 127, 128]);
  });
});

/** The least squared error over scales on a fine grid: what no search can beat by much. */
function bestError(data: Float32Array): number {
  const largest = Math.max(...data.map(Math.abs));
  let best = Number.POSITIVE_INFINITY;
  for (let step = 0; step <= 20_000; step++) {
    const scale = (largest / 8) * (0.6 + step / 20_000) * (step % 2 === 0 ? 1 : -1);
    best = Math.min(best, errorAt(data, scale));
  }
  return best;
}

const errorAt = (data: Float32Array, scale: number) =>
  data.reduce(
    (sum, value) => sum + (value - Math.max(-8, Math.min(7, Math.round(value / scale))) * scale) ** 2,
    0,
  );

describe('4 bits', () => {
  it("are Q4_0's codes where its scale is the best", () => {
    const codes = [-8, 7, 3, -3, 0, 1, -1, 5, -6, 2];
    const data = Float32Array.from({ length: 32 }, (_, i) => codes[i % codes.length]! * 0.25);
    const weight = quantizeMatrix({ shape: [1, 32], data }, { bits: 4 });
    expect([...weight.scales]).toEqual([0.25]);
    // low half first: (-8 + 8) | (7 + 8) << 4 and so on
    expect([...weight.data.subarray(0, 5)]).toEqual([0xf0, 0x5b, 0x98, 0xd7, 0xa2]);
    expect([...dequantize(weight).data]).toEqual([...data]);
  });

  it('take a negative scale when the largest value is positive, as Q4_0 does', () => {
    const data = Float32Array.from({ length: 32 }, (_, i) => (i === 3 ? 8 : (i % 15) - 7));
    const weight = quantizeMatrix({ shape: [1, 32], data }, { bits: 4 });
    expect([...weight.scales]).toEqual([-1]);
    expect(weight.data[1]! >> 4).toBe(0);
    expect([...dequantize(weight).data].map((value) => value + 0)).toEqual([...data]);
  });

  it("err less than with Q4_0's scale, and by at most 3 % more than the best of 20,000 scales", () => {
    let plain = 0;
    let searched = 0;
    let best = 0;
    for (let seed = 0; seed < 60; seed++) {
      const data = values(seed * 3);
      const largest = data.reduce((max, value) => (Math.abs(value) > Math.abs(max) ? value : max), 0);
      const weight = quantizeMatrix({ shape: [1, 32], data }, { bits: 4 });
      const error = errorAt(data, weight.scales[0]!);
      const dequantized = dequantize(weight).data;
      expect(data.reduce((sum, value, i) => sum + (value - dequantized[i]!) ** 2, 0)).toBeCloseTo(error, 9);
      expect(error).toBeLessThanOrEqual(errorAt(data, half(Math.fround(largest / -8))));
      plain += errorAt(data, half(Math.fround(largest / -8)));
      searched += error;
      best += bestError(data);
    }
    expect(searched / plain).toBeLessThan(0.95);
    expect(searched / best).toBeLessThan(1.03);
  });
});
