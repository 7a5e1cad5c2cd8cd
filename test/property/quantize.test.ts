/** What holds for every matrix: bounds of the error, exactness of what is on the grid, damage by name. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dequantize, quantizeMatrix } from '../../src/model/quantize/quantize-matrix.ts';
import { decodeFloat32, encodeFloat32 } from '../../src/model/safetensors-float.ts';

const blockSizes = fc.constantFrom(16, 32, 64, 128, 256);
/** Magnitudes from below float16's smallest number to its largest scales. */
const matrices = fc
  .record({
    blockSize: blockSizes,
    rows: fc.integer({ min: 1, max: 4 }),
    blocks: fc.integer({ min: 1, max: 3 }),
    exponent: fc.integer({ min: -30, max: 18 }),
    seed: fc.integer({ min: 0, max: 1e6 }),
    zeros: fc.boolean(),
  })
  .map(({ blockSize, rows, blocks, exponent, seed, zeros }) => {
    const columns = blocks * blockSize;
    const data = Float32Array.from({ length: rows * columns }, (_, i) =>
      zeros && i < blockSize ? 0 : Math.sin(seed + i * i) * 2 ** exponent,
    );
    return { blockSize, weight: { shape: [rows, columns], data } };
  });

const halves = (scales: Float32Array) => {
  const out = new Float32Array(scales.length);
  decodeFloat32(encodeFloat32(scales, 'F16'), 'F16', out);
  return out;
};

describe('quantising any matrix', () => {
  it('to 8 bits meets every weight within half a step', () => {
    fc.assert(
      fc.property(matrices, ({ weight, blockSize }) => {
        const quantized = quantizeMatrix(weight, { bits: 8, blockSize });
        const values = dequantize(quantized).data;
        values.forEach((value, i) => {
          const step = quantized.scales[Math.floor(i / blockSize)]!;
          expect(Math.abs(value - weight.data[i]!)).toBeLessThanOrEqual(step * 0.5 * (1 + 1e-5));
        });
      }),
      { numRuns: 150 },
    );
  });

  it('to 4 bits meets every weight that the codes reach within half a step', () => {
    fc.assert(
      fc.property(matrices, ({ weight, blockSize }) => {
        const quantized = quantizeMatrix(weight, { bits: 4, blockSize });
        const values = dequantize(quantized).data;
        values.forEach((value, i) => {
          const scale = quantized.scales[Math.floor(i / blockSize)]!;
          const wanted = scale === 0 ? 0 : weight.data[i]! / scale;
          const bound = wanted > 7.5 || wanted < -8.5 ? 1.5 : 0.5;
          // A block that float16 cannot scale is all zeros: its weights are below 8 * 2^-24.
          const zeroBlock = scale === 0 ? 8 * 2 ** -24 : 0;
          expect(Math.abs(value - weight.data[i]!)).toBeLessThanOrEqual(
            Math.abs(scale) * bound * (1 + 1e-5) + zeroBlock,
          );
        });
      }),
      { numRuns: 150 },
    );
  });

  it('gives scales that float16 holds exactly', () => {
    fc.assert(
      fc.property(matrices, fc.constantFrom(4 as const, 8 as const), ({ weight, blockSize }, bits) => {
        const { scales } = quantizeMatrix(weight, { bits, blockSize });
        expect([...halves(scales)]).toEqual([...scales]);
      }),
      { numRuns: 100 },
    );
  });

  it('keeps a matrix that is on a grid of 8 bits already', () => {
    fc.assert(
      fc.property(fc.integer({ min: -10, max: 10 }), fc.integer(), (exponent, seed) => {
        const data = Float32Array.from({ length: 64 }, (_, i) =>
          i % 32 === 0 ? 127 * 2 ** exponent : Math.round(Math.sin(seed + i * i) * 127) * 2 ** exponent,
        );
        const values = dequantize(quantizeMatrix({ shape: [2, 32], data }, { bits: 8 })).data;
        expect([...values]).toEqual([...data].map((value) => value + 0));
      }),
      { numRuns: 100 },
    );
  });
});
