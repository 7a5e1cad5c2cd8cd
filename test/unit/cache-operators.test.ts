/** What decoding against a cache asks of the compiler: rows written in place, and axes whose size is only named. */
import { describe, expect, it } from 'vitest';
import { KeyedRandom } from '../../src/core/random.ts';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import type { Device } from '../../src/runtime/index.ts';
import { wasmDevice } from '../../src/runtime/index.web.ts';
import * as t from '../../src/tensor/index.ts';
import { openGpu } from '../golden/software-gpu.ts';

const gpu = await openGpu();
const devices: Record<string, Device> = {
  'the CPU': cpuDevice({ numThreads: 1 }),
  WebAssembly: await wasmDevice({ numThreads: 1 }),
  ...(!('missing' in gpu) && { WebGPU: gpu.lenient }),
};
if ('missing' in gpu) it.skip(`on WebGPU: no adapter: ${gpu.missing}`, () => {});
const random = new KeyedRandom(3);
const values = (size: number) => random.normals(size, 1);

describe.each(Object.entries(devices))('on %s', (_, device) => {
  it('scatterRows replaces rows of any batch and length in a copy; the rest and the base stay', async () => {
    const program = await device.compile({
      y: t.scatterRows(
        t.input('base', ['batch', 2, 'places', 3]),
        t.input('at', ['batch', 2, 'length', 3], 'int64'),
        t.input('rows', ['batch', 2, 'length', 3]),
      ),
    });
    for (const [batch, places, length] of [
      [1, 4, 1],
      [3, 5, 2],
    ] as const) {
      const base = values(batch * 2 * places * 3);
      const rows = values(batch * 2 * length * 3);
      const want = base.slice();
      const at: number[] = [];
      for (let b = 0; b < batch; b++) {
        for (let head = 0; head < 2; head++) {
          for (let i = 0; i < length; i++) {
            const place = (b + head + 2 * i) % places;
            at.push(b, head, place);
            const from = ((b * 2 + head) * length + i) * 3;
            want.set(rows.subarray(from, from + 3), ((b * 2 + head) * places + place) * 3);
          }
        }
      }
      const before = base.slice();
      const { y } = await program.run({
        base: { data: base, shape: [batch, 2, places, 3] },
        at: { data: BigInt64Array.from(at, BigInt), shape: [batch, 2, length, 3] },
        rows: { data: rows, shape: [batch, 2, length, 3] },
      });
      expect(y!.shape).toEqual([batch, 2, places, 3]);
      expect(await y!.read()).toEqual(want);
      expect(base).toEqual(before);
    }
    await program.dispose();
  });

  it('slice cuts a named axis from its front, to its end or to a place', async () => {
    const x = t.input('x', [2, 'n']);
    const program = await device.compile({
      rest: t.slice(x, 1, 1),
      first: t.slice(x, -1, 0, 1),
      second: t.slice(x, 1, 1, 3),
    });
    for (const n of [3, 7]) {
      const data = values(2 * n);
      const { rest, first, second } = await program.run({ x: { data, shape: [2, n] } });
      expect(rest!.shape).toEqual([2, n - 1]);
      expect(await rest!.read()).toEqual(Float32Array.of(...data.subarray(1, n), ...data.subarray(n + 1)));
      expect(await first!.read()).toEqual(Float32Array.of(data[0]!, data[n]!));
      expect(await second!.read()).toEqual(Float32Array.of(data[1]!, data[2]!, data[n + 1]!, data[n + 2]!));
    }
    await program.dispose();
  });

  it('reshape moves a named size into a product and back, beside another', async () => {
    const x = t.input('x', ['batch', 2, 3, 'length', 4]);
    const rows = t.reshape(x, ['batch', 2, '3*length', 4]);
    expect(rows.shape).toEqual(['batch', 2, '3*length', 4]);
    const program = await device.compile({
      rows: t.scale(rows, 2),
      back: t.reshape(t.scale(rows, 2), x.shape),
    });
    for (const [batch, length] of [
      [1, 5],
      [3, 1],
    ] as const) {
      const data = values(batch * 24 * length);
      const { rows: got, back } = await program.run({ x: { data, shape: [batch, 2, 3, length, 4] } });
      expect(got!.shape).toEqual([batch, 2, 3 * length, 4]);
      expect(back!.shape).toEqual([batch, 2, 3, length, 4]);
      expect(await back!.read()).toEqual(data.map((value) => 2 * value));
    }
    await program.dispose();
  });
});

describe('graphs name their sizes', () => {
  it('what is left of a named size has a name, and joining one place in front is undone by cutting it off', () => {
    const x = t.input('x', [2, 'n']);
    const joined = t.concat([t.input('one', [2, 1]), x], 1);
    expect(joined.shape).toEqual([2, '1+n']);
    expect(t.slice(joined, 1, 1).shape).toEqual([2, 'n']);
    expect(t.slice(x, 1, 2).shape).toEqual([2, 'n-2']);
    expect(t.slice(x, 1, 2, 5).shape).toEqual([2, 3]);
    expect(() => t.slice(x, 1, -1)).toThrow(/slice/);
    expect(() => t.slice(x, 1, 3, 2)).toThrow(/slice/);
  });

  it('scatterRows refuses what does not fit, and has no gradient', () => {
    const base = t.input('base', [2, 4, 3]);
    const at = t.input('at', [5, 2], 'int64');
    const rows = t.input('rows', [5, 3]);
    expect(t.scatterRows(base, at, rows).shape).toEqual([2, 4, 3]);
    expect(() => t.scatterRows(base, t.input('at', [5, 2], 'int32'), rows)).toThrow(/int64, got int32/);
    expect(() => t.scatterRows(base, t.input('at', [5, 1], 'int64'), rows)).toThrow(
      /base \[2, 4, 3\] takes indices \[\.\.\., 2\] and updates \[\.\.\., 3\].*got \[5, 1\] and \[5, 3\]/,
    );
    expect(() => t.scatterRows(base, at, t.input('rows', [4, 3]))).toThrow(/scatterRows/);
    expect(() => t.scatterRows(base, at, t.input('rows', [5, 2]))).toThrow(/scatterRows/);
    expect(() => t.grad(t.sum(t.scatterRows(base, at, rows)), [rows])).toThrow(/Use scatterAdd/);
  });
});
