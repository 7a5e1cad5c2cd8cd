/**
 * Products and look-ups on codes against the float product with the dequantised matrix, on the CPU and in
 * WebAssembly; what they promise about batches and threads; what they refuse.
 */
import { describe, expect, it } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import { dequantize, quantizeMatrix } from '../../src/model/quantize/quantize-matrix.ts';
import type { QuantizedWeight } from '../../src/model/quantized.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import type { Device, Executable, Feed } from '../../src/runtime/index.ts';
import { wasmDevice } from '../../src/runtime/index.web.ts';
import * as t from '../../src/tensor/index.ts';

const cpu = cpuDevice({ numThreads: 1 });
const devices: Record<string, Device> = {
  'the CPU': cpu,
  WebAssembly: await wasmDevice({ numThreads: 1 }),
};

const random = new KeyedRandom(5);
const normals = (name: string, size: number) => random.fork(name).normals(size, 1);

function matrix(rows: number, columns: number, bits: 4 | 8, blockSize: number): QuantizedWeight {
  return quantizeMatrix(
    { shape: [rows, columns], data: normals('weight', rows * columns) },
    { bits, blockSize },
  );
}

/** x [n, in] times the dequantised matrix transposed, summed in double precision. */
function product(x: Float32Array, weight: QuantizedWeight): Float32Array {
  const [rows, columns] = weight.shape;
  const { data } = dequantize(weight);
  const numRows = x.length / columns;
  return Float32Array.from({ length: numRows * rows }, (_, i) => {
    let sum = 0;
    for (let k = 0; k < columns; k++) {
      sum += x[Math.floor(i / rows) * columns + k]! * data[(i % rows) * columns + k]!;
    }
    return sum;
  });
}

/** Largest difference over the size of a typical value (sqrt(in) for normal factors). */
function worstError(got: Float32Array, want: Float32Array, columns: number): number {
  expect(got.length).toBe(want.length);
  return got.reduce((worst, value, i) => Math.max(worst, Math.abs(value - want[i]!)), 0) / Math.sqrt(columns);
}

async function read(executable: Executable, feeds: Record<string, Feed>) {
  const { y } = await executable.run(feeds, ['y']);
  return (await y!.read()) as Float32Array;
}

const forms = [
  [8, 16],
  [8, 32],
  [8, 128],
  [4, 16],
  [4, 32],
  [4, 64],
  [4, 256],
] as const;

describe.each(Object.entries(devices))('quantised products on %s', (name, device) => {
  it.each(forms)(
    'with %i bits in blocks of %i are those of the dequantised matrix',
    async (bits, blockSize) => {
      const columns = 2 * blockSize;
      const weight = matrix(48, columns, bits, blockSize);
      const x = t.input('x', ['rows', columns]);
      const q = t.quantizedConstant(weight);
      const xs = normals('x', 5 * columns);
      const feeds = { x: { data: xs, shape: [5, columns] } };
      const want = product(xs, weight);
      const exact = await device.compile({ y: t.quantizedMatmul(x, q, { compute: 'float32' }) });
      expect(worstError(await read(exact, feeds), want, columns)).toBeLessThan(1e-5);
      const fast = await device.compile({ y: t.quantizedMatmul(x, q) });
      const error = worstError(await read(fast, feeds), want, columns);
      // Left sides of 8 bits err by half of absmax / 127 a value: about 1 % of a value's deviation.
      expect(error).toBeLessThan(0.05);
      if (name === 'the CPU') expect(error).toBeGreaterThan(1e-4);
      await exact.dispose();
      await fast.dispose();
    },
  );

  it.each(forms)(
    'and look-ups with %i bits in blocks of %i give its rows exactly',
    async (bits, blockSize) => {
      const columns = 2 * blockSize;
      const weight = matrix(9, columns, bits, blockSize);
      const ids = t.input('ids', ['batch', 2], 'int32');
      const executable = await device.compile({ y: t.quantizedTake(t.quantizedConstant(weight), ids) });
      const rows = [8, 0, 3, 3, 7, 1];
      const { y } = await executable.run({ ids: { data: Int32Array.from(rows), shape: [3, 2] } });
      expect(y!.shape).toEqual([3, 2, columns]);
      const { data } = dequantize(weight);
      const want = rows.flatMap((row) => [...data.subarray(row * columns, (row + 1) * columns)]);
      expect([...((await y!.read()) as Float32Array)].map((value) => value + 0)).toEqual(
        want.map((v) => v + 0),
      );
      await executable.dispose();
    },
  );

  it('take codes and scales fed at run time, and one matrix serves product and look-up', async () => {
    const weight = matrix(24, 64, 4, 32);
    const q = t.quantizedInput('w', weight);
    const ids = t.input('ids', [2], 'int64');
    const executable = await device.compile({ y: t.quantizedMatmul(t.quantizedTake(q, ids), q) });
    const feeds = {
      ids: BigInt64Array.of(3n, 20n),
      'w.codes': weight.data,
      'w.scales': weight.scales,
    };
    const { data } = dequantize(weight);
    const rows = Float32Array.from([...data.subarray(3 * 64, 4 * 64), ...data.subarray(20 * 64, 21 * 64)]);
    expect(worstError(await read(executable, feeds), product(rows, weight), 64)).toBeLessThan(1e-5);
    const uploaded = await device.upload({
      'w.codes': { data: weight.data, shape: [24, 2, 16], dtype: 'uint8' },
    });
    expect(uploaded['w.codes']!.dtype).toBe('uint8');
    expect(await read(executable, { ...feeds, ...uploaded })).toEqual(await read(executable, feeds));
    await executable.dispose();
  });
});

describe('a row of a quantised product on the CPU', () => {
  it.each([8, 4] as const)(
    'with %i bits has the same bits in any batch and with any threads',
    async (bits) => {
      const weight = matrix(200, 96, bits, 32);
      const xs = normals('rows', 33 * 96);
      const x = t.input('x', ['rows', 96]);
      const results: Float32Array[] = [];
      for (const numThreads of [1, 2]) {
        const executable = await cpuDevice({ numThreads }).compile({
          y: t.quantizedMatmul(x, t.quantizedConstant(weight)),
        });
        for (const rows of [33, 1, 2, 5, 16]) {
          const y = await read(executable, { x: { data: xs.slice(0, rows * 96), shape: [rows, 96] } });
          results.push(y.slice(0, 200));
        }
        await executable.dispose();
      }
      for (const result of results) expect(result).toEqual(results[0]);
    },
  );
});

describe('quantised operators refuse', () => {
  const weight = matrix(4, 32, 8, 32);
  const q = t.quantizedConstant(weight);

  it('gradients, by name', () => {
    const x = t.input('x', [2, 32]);
    expect(() => t.grad(t.sum(t.quantizedMatmul(x, q)), [x])).toThrowError(/quantizedMatmul has no gradient/);
    const fed = t.quantizedInput('w', weight);
    const ids = t.input('ids', [2], 'int32');
    expect(() => t.grad(t.sum(t.quantizedTake(fed, ids)), [fed.scales])).toThrowError(
      /quantizedTake has no gradient/,
    );
  });

  it('sizes and types that do not fit', () => {
    const x = t.input('x', [2, 31]);
    expect(() => t.quantizedMatmul(x, q)).toThrowError(/\[2, 31\].*expected rows of 32 values/);
    expect(() => t.quantizedMatmul(t.input('x', [2, 32], 'float16'), q)).toThrowError(/float16/);
    expect(() => t.quantizedConstant({ ...weight, blockSize: 48 as 32 })).toThrowError(/Block size 48/);
    expect(() => t.quantizedConstant({ ...weight, bits: 5 as 4 })).toThrowError(/4 or 8 bits, got 5/);
    expect(() => t.quantizedConstant({ ...weight, shape: [4, 40] })).toThrowError(/blocks of 32 do not fill/);
    expect(() => t.quantizedConstant({ ...weight, data: weight.data.subarray(1) })).toThrowError(/127/);
    const ids = t.input('ids', [2]);
    expect(() => t.quantizedTake(q, ids)).toThrowError(/int32 or int64/);
    expect(() => t.quantizedMatmul(t.input('y', [2, 32]), { ...q, data: q.scales })).toThrowError(/uint8/);
  });

  it('truth values where codes are fed', async () => {
    const fed = t.quantizedInput('w', weight);
    const executable = await cpu.compile({ y: t.quantizedTake(fed, t.input('ids', [1], 'int32')) });
    const feeds = { ids: Int32Array.of(0), 'w.scales': weight.scales };
    await expect(
      executable.run({ ...feeds, 'w.codes': Float32Array.from(weight.data) }),
    ).rejects.toThrowError(/"w.codes" wants \[4, 1, 32\] uint8/);
    const asTruth = await cpu.upload({ c: { data: weight.data, shape: [4, 1, 32] } });
    await expect(executable.run({ ...feeds, 'w.codes': asTruth.c! })).rejects.toThrowError(/bool/);
    await executable.dispose();
  });
});
