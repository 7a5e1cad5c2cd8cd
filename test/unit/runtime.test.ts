import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { pid } from 'node:process';
import { describe, expect, it } from 'vitest';
import { cpuDevice, type Device, formatOperatorTimes, measureSgemm } from '../../src/runtime/index.node.ts';
import { wasmDevice } from '../../src/runtime/index.web.ts';
import type { Tensor } from '../../src/tensor/index.ts';
import * as t from '../../src/tensor/index.ts';

const device = cpuDevice({ numThreads: 2 });
const waves = (size: number, phase: number) =>
  Float32Array.from({ length: size }, (_, i) => 0.3 * Math.sin(phase + 1.7 * i + 0.001 * i * i));

/** Embedding with repeated ids, a gated block, attention without a mask, tied logits, cross-entropy. */
function trainingLike() {
  const [B, T, D, V] = [16, 32, 64, 97] as const;
  const shapes = { table: [V, D], up: [4 * D, D], down: [D, 4 * D], qkv: [3 * D, D], gain: [D] };
  const p = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, t.input(name, shape)]),
  ) as Record<keyof typeof shapes, Tensor>;
  const ids = t.input('ids', [B, T], 'int32');
  const targets = t.input('targets', [B * T], 'int32');
  const x = t.take(p.table, ids);
  const [q, k, v] = t.split(t.linear(t.rmsNorm(x, p.gain), p.qkv), [D, D, D], -1);
  const mixed = t.add(x, t.matmul(t.softmax(t.matmul(q!, k!, { transposeB: true })), v!));
  const out = t.add(mixed, t.linear(t.silu(t.linear(mixed, p.up)), p.down));
  const logits = t.reshape(t.matmul(out, p.table, { transposeB: true }), [B * T, V]);
  const loss = t.mean(t.crossEntropy(logits, targets));
  const gradients = t.grad(loss, Object.values(p));
  const feeds = {
    ...Object.fromEntries(
      Object.entries(shapes).map(([name, shape], i) => [name, waves(t.sizeOf(shape), i)]),
    ),
    ids: Int32Array.from({ length: B * T }, (_, i) => (i * i) % 7),
    targets: Int32Array.from({ length: B * T }, (_, i) => i % V),
  };
  return { outputs: { loss, ...Object.fromEntries(gradients.map((g, i) => [`g${i}`, g])) }, feeds };
}

describe('a training step on two threads', () => {
  it('gives the same bits fifty times, gradients at repeated ids included', async () => {
    const { outputs, feeds } = trainingLike();
    const executable = await device.compile(outputs);
    let first: Uint8Array[] | undefined;
    for (let round = 0; round < 50; round++) {
      const results = await executable.run(feeds);
      const bytes = await Promise.all(
        Object.values(results).map(async (value) => {
          const data = (await value.read()) as Float32Array;
          return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
        }),
      );
      first ??= bytes;
      bytes.forEach((one, i) => {
        expect(Buffer.compare(one, first![i]!), `round ${round}, output ${i}`).toBe(0);
      });
    }
    await executable.dispose();
  });
});

describe('memory', () => {
  it('stays flat over 10,000 runs', async () => {
    const x = t.input('x', [64, 64]);
    const executable = await device.compile({ y: t.matmul(x, x), z: t.softmax(x) });
    const feed = { x: waves(4096, 0) };
    const runs = async (count: number) => {
      for (let i = 0; i < count; i++) await executable.run(feed);
    };
    await runs(1500);
    const before = process.memoryUsage.rss();
    // 10,000 runs return 330 MB; a leak of a tenth of that would show.
    await runs(10_000);
    expect(process.memoryUsage.rss() - before).toBeLessThan(80e6);
    await executable.dispose();
  });
});

const devices: [string, () => Promise<Device>][] = [
  ['the CPU', async () => device],
  ['WebAssembly', () => wasmDevice({ numThreads: 1 })],
];

describe.each(devices)('feeds on %s', (_, open) => {
  const x = t.input('x', [2, 3]);
  const n = t.input('n', ['count'], 'int32');
  const program = { y: t.sum(x), twice: t.add(n, n) };
  const good = { x: new Float32Array(6), n: { data: Int32Array.of(1, 2), shape: [2] } };

  async function failure(feeds: object, outputs?: string[]): Promise<string> {
    const executable = await (await open()).compile(program);
    const error = await executable.run(feeds as never, outputs).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: 'runtime' });
    // A refused feed leaves the program usable.
    expect(await (await executable.run(good)).twice!.read()).toEqual(Int32Array.of(2, 4));
    await executable.dispose();
    return (error as Error).message;
  }

  it('that are missing or unknown are named', async () => {
    expect(await failure({ n: good.n })).toMatch(/input "x" is missing. Feed x, n/);
    expect(await failure({ ...good, extra: good.x })).toMatch(/no input "extra". Its inputs: x, n/);
    expect(await failure({ ...good, toString: good.x })).toMatch(/no input "toString"/);
  });

  it('of the wrong size, type or kind say what is wanted and what was got', async () => {
    expect(await failure({ ...good, x: new Float32Array(5) })).toMatch(
      /"x" wants \[2, 3\] float32, got 5 values/,
    );
    expect(await failure({ ...good, x: { data: new Float32Array(6), shape: [3, 2] } })).toMatch(
      /got 6 values as \[3, 2\]/,
    );
    expect(await failure({ ...good, x: new Float64Array(6) })).toMatch(/of an unknown type/);
    expect(await failure({ ...good, x: new Int32Array(6) })).toMatch(/wants \[2, 3\] float32, got .* int32/);
    expect(await failure({ ...good, x: [1, 2, 3, 4, 5, 6] })).toMatch(/must be a typed array/);
    expect(await failure({ ...good, x: null })).toMatch(/must be a typed array/);
    expect(await failure({ ...good, n: Int32Array.of(1, 2) })).toMatch(
      /known only now, \[count\]; feed \{ data, shape \}/,
    );
    expect(await failure({ ...good, n: { data: Int32Array.of(1, 2), shape: [3] } })).toMatch(
      /got 2 values as \[3\]/,
    );
  });

  it('may be what another run returned, if it fits', async () => {
    const executable = await (await open()).compile(program);
    const { twice } = await executable.run(good);
    expect(await (await executable.run({ ...good, n: twice! })).twice!.read()).toEqual(Int32Array.of(4, 8));
    await expect(executable.run({ ...good, x: twice! })).rejects.toThrow(
      /"x" wants \[2, 3\] float32, got 2 values as \[2\] int32/,
    );
    await executable.dispose();
  });

  it('outputs that a program does not have are named', async () => {
    expect(await failure(good, ['y', 'loss'])).toMatch(/no output "loss". Its outputs: y, twice/);
    const compile = (await open()).compile(program, { keepOnDevice: ['state'] });
    await expect(compile).rejects.toThrow(/keepOnDevice: the program has no output "state"/);
  });
});

describe('a program', () => {
  it('returns only the outputs asked for', async () => {
    const x = t.input('x', [2]);
    const executable = await device.compile({ a: t.neg(x), b: t.exp(x) });
    expect(Object.keys(await executable.run({ x: Float32Array.of(0, 0) }, ['b']))).toEqual(['b']);
  });

  it('hands inputs, constants and one value under two names through', async () => {
    const x = t.input('x', [2]);
    const y = t.neg(x);
    const outputs = { a: x, b: y, c: y, d: t.scalar(5), e: t.stopGradient(x), f: t.sum(x, []) };
    for (const optimize of [true, false]) {
      const results = await (await device.compile(outputs, { optimize })).run({ x: Float32Array.of(1, 2) });
      const values = await Promise.all(Object.values(results).map(async (one) => [...(await one.read())]));
      expect(values).toEqual([[1, 2], [-1, -2], [-1, -2], [5], [1, 2], [1, 2]]);
    }
  });

  it('returns a product of a transposed operand beside its own transpose', async () => {
    const a = t.input('a', [2, 2]);
    const product = t.matmul(t.transpose(a), a, { transposeA: true });
    const outputs = { product, turned: t.transpose(product) };
    for (const optimize of [true, false]) {
      const executable = await device.compile(outputs, { optimize });
      const results = await executable.run({ a: Float32Array.of(1, 2, 3, 4) });
      expect(await results.product!.read()).toEqual(Float32Array.of(7, 10, 15, 22));
      expect(await results.turned!.read()).toEqual(Float32Array.of(7, 15, 10, 22));
    }
  });

  it('takes empty tensors', async () => {
    const x = t.input('x', [0, 3]);
    const executable = await device.compile({ y: t.reshape(x, [3, 0]), z: t.sum(x) });
    const { y, z } = await executable.run({ x: new Float32Array(0) });
    expect(y!.shape).toEqual([3, 0]);
    expect((await z!.read())[0]).toBe(0);
  });

  it('is refused by a device of another target', async () => {
    const program = t.compile({ y: t.neg(t.input('x', [1])) }, { target: 'webgpu' });
    await expect(device.load(program)).rejects.toThrow(/compiled for webgpu, the device cpu runs cpu/);
  });

  it('that fails says so: an index outside the table', async () => {
    const executable = await device.compile({ y: t.take(t.input('x', [2]), t.input('i', [1], 'int32')) });
    const run = executable.run({ x: new Float32Array(2), i: Int32Array.of(7) });
    await expect(run).rejects.toMatchObject({ code: 'runtime', message: expect.stringContaining('cpu') });
  });
});

describe('named sizes', () => {
  it('fit every length at run time', async () => {
    const x = t.input('x', ['batch', 'time', 4]);
    const w = t.input('w', [4, 4]);
    const past = t.input('past', ['batch', 'past', 4]);
    const all = t.concat([past, x], 1);
    expect(all.shape).toEqual(['batch', 'past+time', 4]);
    const scores = t.matmul(x, all, { transposeB: true });
    expect(scores.shape).toEqual(['batch', 'time', 'past+time']);
    const y = t.matmul(t.softmax(scores), all);
    const flat = t.reshape(t.add(y, t.matmul(x, w)), ['batch', 'time', 2, 2]);
    const executable = await device.compile({ flat });
    for (const [batch, time, pastTime] of [
      [1, 1, 0],
      [2, 3, 5],
      [1, 7, 2],
    ] as const) {
      const { flat: result } = await executable.run({
        x: { data: waves(batch * time * 4, 0), shape: [batch, time, 4] },
        past: { data: waves(batch * pastTime * 4, 1), shape: [batch, pastTime, 4] },
        w: waves(16, 2),
      });
      expect(result!.shape).toEqual([batch, time, 2, 2]);
    }
    await executable.dispose();
  });
});

describe('profiles', () => {
  it('give time by operator and leave no file behind', async () => {
    const x = t.input('x', [64, 64]);
    const make = () => device.compile({ y: t.softmax(t.matmul(x, x)) }, { profile: true });
    const [one, other] = [await make(), await make()];
    for (let i = 0; i < 3; i++) await one.run({ x: waves(4096, 0) });
    await other.run({ x: waves(4096, 0) });
    const times = await one.endProfiling();
    expect(Object.fromEntries(times.map(({ operator, count }) => [operator, count]))).toEqual({
      Gemm: 3,
      Softmax: 3,
    });
    expect(times.reduce((total, { share }) => total + share, 0)).toBeCloseTo(1, 6);
    expect((await other.endProfiling()).map(({ count }) => count)).toEqual([1, 1]);
    const lines = formatOperatorTimes(times).split('\n');
    expect(lines[0]).toMatch(/operator +count +ms +%/);
    expect(lines).toHaveLength(3);
    await expect(one.endProfiling()).rejects.toThrow(/keeps no profile/);
    const left = (await readdir(tmpdir())).filter((name) => name.startsWith(`plinth-profile-${pid}-`));
    expect(left).toEqual([]);
  });

  it('are refused where they are not kept', async () => {
    const plain = await device.compile({ y: t.neg(t.input('x', [1])) });
    await expect(plain.endProfiling()).rejects.toThrow(/profile: true/);
  });
});

describe('measureSgemm', () => {
  it('gives a rate in GFLOP/s', async () => {
    const rate = await measureSgemm(device, { size: 128, rounds: 3 });
    expect(rate).toBeGreaterThan(0.05);
    expect(rate).toBeLessThan(10_000);
  });
});
