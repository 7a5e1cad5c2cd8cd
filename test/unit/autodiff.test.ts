import { describe, expect, it } from 'vitest';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import type { Tensor, TensorData } from '../../src/tensor/index.ts';
import * as t from '../../src/tensor/index.ts';
import { evaluate } from '../golden/reference-evaluator.ts';

const device = cpuDevice({ numThreads: 1 });
/** The feeds that a program takes; a gradient may not need every input. */
const used = <T>(feeds: Record<string, T>, inputs: object): Record<string, T> =>
  Object.fromEntries(Object.entries(feeds).filter(([name]) => name in inputs));
const waves = (size: number, phase: number) =>
  Float32Array.from({ length: size }, (_, i) => Math.sin(phase + 0.7 * i));

async function run(
  outputs: Record<string, Tensor>,
  feeds: Record<string, TensorData>,
): Promise<Record<string, number[]>> {
  const executable = await device.compile(outputs);
  const results = await executable.run(used(feeds, executable.program.inputs));
  const read: Record<string, number[]> = {};
  for (const [name, value] of Object.entries(results)) read[name] = Array.from(await value.read(), Number);
  await executable.dispose();
  return read;
}

describe('gradient penalty (WGAN-GP)', () => {
  it('of a linear critic w.x is exactly (|w| - 1)^2, with gradient 2 (|w| - 1) w / |w|', async () => {
    const x = t.input('x', [5, 3]);
    const w = t.input('w', [3]);
    const critic = t.matmul(x, t.reshape(w, [3, 1]));
    const [dx] = t.grad(t.sum(critic), [x]);
    const norms = t.sqrt(t.sum(t.square(dx!), 1));
    const penalty = t.mean(t.square(t.sub(norms, t.scalar(1))));
    const [dw] = t.grad(penalty, [w]);
    const weights = [0.6, -1.1, 2.3];
    const length = Math.hypot(...weights);
    const result = await run({ penalty, dw: dw! }, { x: waves(15, 0), w: Float32Array.from(weights) });
    expect(result.penalty![0]).toBeCloseTo((length - 1) ** 2, 5);
    weights.forEach((value, i) => {
      expect(result.dw![i]).toBeCloseTo((2 * (length - 1) * value) / length, 5);
    });
  });

  it('of a two-layer critic has the gradient that central differences of the penalty measure', () => {
    const x = t.input('x', [4, 3]);
    const w1 = t.input('w1', [3, 5]);
    const w2 = t.input('w2', [5, 1]);
    const critic = t.matmul(t.tanh(t.matmul(x, w1)), w2);
    const [dx] = t.grad(t.sum(critic), [x]);
    const penalty = t.mean(t.square(t.sub(t.sqrt(t.sum(t.square(dx!), 1)), t.scalar(1))));
    const [dw1] = t.grad(penalty, [w1]);
    const feeds = { x: waves(12, 0), w1: Float64Array.from(waves(15, 1)), w2: waves(5, 2) };
    const gradient = evaluate([dw1!], feeds)[0]!.data;
    gradient.forEach((slope, i) => {
      const at = (change: number) => {
        const moved = feeds.w1.slice();
        moved[i]! += change;
        return evaluate([penalty], { ...feeds, w1: moved })[0]!.data[0]!;
      };
      expect(slope).toBeCloseTo((at(1e-5) - at(-1e-5)) / 2e-5, 7);
    });
  });
});

describe('Hessian-vector product of a small network', () => {
  it('is the gradient of gradient . v, on the CPU as by differences of the gradient', async () => {
    const x = t.input('x', [6, 4]);
    const targets = t.input('targets', [6], 'int32');
    const parameters = { w1: t.input('w1', [8, 4]), b1: t.input('b1', [8]), w2: t.input('w2', [3, 8]) };
    const vectors = { w1: t.input('v.w1', [8, 4]), b1: t.input('v.b1', [8]), w2: t.input('v.w2', [3, 8]) };
    const names = ['w1', 'b1', 'w2'] as const;
    const { gradients } = t.valueAndGrad(({ w1, b1, w2 }: typeof parameters) =>
      t.mean(t.crossEntropy(t.linear(t.gelu(t.linear(x, w1, b1)), w2), targets)),
    )(parameters);
    const dot = names.map((name) => t.sum(t.mul(gradients[name], vectors[name]))).reduce(t.add);
    const products = t.grad(
      dot,
      names.map((name) => parameters[name]),
    );
    const feeds: Record<string, TensorData> = { x: waves(24, 0), targets: Int32Array.of(0, 2, 1, 1, 0, 2) };
    names.forEach((name, k) => {
      const size = t.sizeOf(parameters[name].shape);
      feeds[name] = waves(size, 1 + k);
      feeds[`v.${name}`] = waves(size, 5 + k);
    });
    const got = await run(Object.fromEntries(names.map((name, k) => [`h.${name}`, products[k]!])), feeds);
    const step = 1e-5;
    const gradientAt = (sign: number) => {
      const moved: Record<string, ArrayLike<number | bigint>> = { ...feeds };
      for (const name of names) {
        const v = feeds[`v.${name}`] as Float32Array;
        moved[name] = Float64Array.from(
          feeds[name] as Float32Array,
          (value, i) => value + sign * step * v[i]!,
        );
      }
      return evaluate(
        names.map((name) => gradients[name]),
        moved,
      );
    };
    const above = gradientAt(1);
    const below = gradientAt(-1);
    names.forEach((name, k) => {
      above[k]!.data.forEach((value, i) => {
        expect(got[`h.${name}`]![i]).toBeCloseTo((value - below[k]!.data[i]!) / (2 * step), 5);
      });
    });
  });
});

describe('grad and vjp', () => {
  it('give zeros for what the value does not depend on', async () => {
    const x = t.input('x', [2]);
    const other = t.input('other', [3]);
    const [dx, dother] = t.grad(t.sum(t.mul(x, x)), [x, other]);
    expect(dother!.shape).toEqual([3]);
    expect(await run({ dx: dx!, dother: dother! }, { x: Float32Array.of(1, 2) })).toEqual({
      dx: [2, 4],
      dother: [0, 0, 0],
    });
  });

  it('add up over every use, and pass on through a tensor that is itself asked for', async () => {
    const x = t.input('x', [1]);
    const y = t.mul(x, x);
    const [dy, dx] = t.grad(t.sum(t.add(t.mul(y, y), x)), [y, x]);
    // d(y^2 + x)/dy = 2 y = 18; d/dx = 4 x^3 + 1 = 109.
    expect(await run({ dy: dy!, dx: dx! }, { x: Float32Array.of(3) })).toEqual({ dy: [18], dx: [109] });
  });

  it('count one tensor in both places of an operator', async () => {
    const x = t.input('x', [2, 2]);
    const [dx] = t.grad(t.sum(t.matmul(x, x, { transposeB: true })), [x]);
    // d sum_ij (x x^T)_ij / dx = 2 * (column sums repeated).
    expect((await run({ dx: dx! }, { x: Float32Array.of(1, 2, 3, 4) })).dx).toEqual([8, 12, 8, 12]);
  });

  it('stop at comparisons, integers and stopGradient', async () => {
    const x = t.input('x', [3]);
    const mask = t.cast(t.greater(x, t.scalar(0)), 'float32');
    const [dx] = t.grad(t.sum(t.mul(t.stopGradient(t.exp(x)), mask)), [x]);
    expect((await run({ dx: dx! }, { x: Float32Array.of(-1, 1, 2) })).dx).toEqual([0, 0, 0]);
  });

  it('refuse what is not one float32 number', () => {
    const x = t.input('x', [2, 3]);
    expect(() => t.grad(x, [x])).toThrow(/grad needs a single value, got shape \[2, 3\].*grad\(sum\(x\)/);
    expect(() => t.grad(t.input('n', [], 'int32'), [x])).toThrow(/grad needs float32, got int32/);
    expect(() => t.vjp([x], [t.input('g', [3, 2])], [x])).toThrow(/\[2, 3\] got a cotangent \[3, 2\]/);
  });

  it('differentiate a chain of 20,000 operators without deep recursion', () => {
    const x = t.input('x', [1]);
    let y = x;
    for (let i = 0; i < 20_000; i++) y = t.add(y, x);
    const [dx] = t.grad(y, [x]);
    expect(evaluate([dx!], { x: [1] })[0]!.data[0]).toBe(20_001);
  });
});
