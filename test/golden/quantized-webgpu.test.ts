/** Quantised operators on WebGPU against the dequantised matrix; every node stays on the GPU. */
import { describe, expect, it } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import { dequantize, quantizeMatrix } from '../../src/model/quantize/quantize-matrix.ts';
import * as t from '../../src/tensor/index.ts';
import { openGpu } from './software-gpu.ts';

const gpu = await openGpu();

const forms = [
  { bits: 8, blockSize: 32, rows: 5, compute: 'float32', bound: 1e-4 },
  { bits: 4, blockSize: 32, rows: 1, compute: 'int8', bound: 0.05 },
] as const;

if ('missing' in gpu) {
  describe('quantised operators on WebGPU', () => {
    it.skip(`no adapter: ${gpu.missing}`, () => {});
  });
} else {
  describe.each(forms)('quantised operators on WebGPU alone, $bits bits', (form) => {
    const { bits, blockSize, rows, compute, bound } = form;
    const columns = 2 * blockSize;
    const data = new KeyedRandom(3).fork('weight').normals(48 * columns, 1);
    const weight = quantizeMatrix({ shape: [48, columns], data }, { bits, blockSize });
    const q = t.quantizedConstant(weight);
    const dense = t.constant(dequantize(weight).data, [48, columns], 'float32');

    it('multiply as the float product does', async () => {
      const xs = new KeyedRandom(4).fork('x').normals(rows * columns, 1);
      const x = t.input('x', [rows, columns]);
      const executable = await gpu.strict.compile({
        y: t.quantizedMatmul(x, q, { compute }),
        want: t.linear(x, dense),
      });
      const { y, want } = await executable.run({ x: xs });
      const [got, expected] = [(await y!.read()) as Float32Array, (await want!.read()) as Float32Array];
      const worst = got.reduce((max, value, i) => Math.max(max, Math.abs(value - expected[i]!)), 0);
      expect(worst / Math.sqrt(columns)).toBeLessThan(bound);
      expect(expected.some((value) => Math.abs(value) > 1)).toBe(true);
      await executable.dispose();
    });

    it('look rows up as they are', async () => {
      const ids = t.input('ids', [3, 2], 'int32');
      const executable = await gpu.strict.compile({ y: t.quantizedTake(q, ids), want: t.take(dense, ids) });
      const { y, want } = await executable.run({ ids: Int32Array.of(47, 0, 3, 3, 20, 1) });
      expect(y!.shape).toEqual([3, 2, columns]);
      const plus0 = (values: Float32Array) => [...values].map((value) => value + 0);
      expect(plus0((await y!.read()) as Float32Array)).toEqual(plus0((await want!.read()) as Float32Array));
      await executable.dispose();
    });
  });
}
