/** A product with a factor is the product times the factor: values, slopes and curvature, and one node where there is one. */
import { describe, expect, it } from 'vitest';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import * as t from '../../src/tensor/index.ts';

const device = cpuDevice({ numThreads: 1 });
const shapes = {
  'two axes': [
    [3, 5],
    [5, 4],
  ],
  'three axes': [
    [2, 3, 5],
    [2, 5, 4],
  ],
  'a batch and one matrix': [
    [2, 3, 5],
    [5, 4],
  ],
} as const;
const flags = [
  [false, false],
  [true, false],
  [false, true],
  [true, true],
] as const;
const cases = Object.entries(shapes).flatMap(([name, [a, b]]) =>
  flags.map(([transposeA, transposeB]) => ({ name, a, b, transposeA, transposeB })),
);

const swapped = (shape: readonly number[], swap: boolean) =>
  swap ? [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!] : [...shape];
const waves = (shape: readonly number[], phase: number) =>
  Float32Array.from({ length: t.sizeOf(shape) }, (_, i) => Math.sin(phase + 0.7 * i));

describe('a product with a factor', () => {
  it.each(cases)('$name, transposed: $transposeA, $transposeB', async ({ a, b, transposeA, transposeB }) => {
    const [shapeA, shapeB] = [swapped(a, transposeA), swapped(b, transposeB)];
    const x = t.input('x', shapeA);
    const y = t.input('y', shapeB);
    const outputsOf = (z: t.Tensor) => {
      const total = t.sum(t.tanh(z));
      const first = t.grad(total, [x, y]) as [t.Tensor, t.Tensor];
      const second = t.grad(t.sum(t.square(first[0])), [x, y]) as [t.Tensor, t.Tensor];
      return [z, ...first, ...second];
    };
    const one = outputsOf(t.matmul(x, y, { transposeA, transposeB, factor: -1.5 }));
    const other = outputsOf(t.scale(t.matmul(x, y, { transposeA, transposeB }), -1.5));
    const named = [...one.map((z, i) => [`one${i}`, z]), ...other.map((z, i) => [`other${i}`, z])];
    const program = await device.compile(Object.fromEntries(named));
    const results = await program.run({ x: waves(shapeA, 0), y: waves(shapeB, 1) });
    for (const i of one.keys()) {
      const want = (await results[`other${i}`]!.read()) as Float32Array;
      const got = (await results[`one${i}`]!.read()) as Float32Array;
      expect(Math.max(...want.map(Math.abs))).toBeGreaterThan(0.01);
      got.forEach((value, at) => {
        expect(Math.abs(value - want[at]!)).toBeLessThan(2e-5);
      });
    }
    await program.dispose();
  });

  it('is one node on the CPU, and a product and a factor on WebGPU', () => {
    const z = t.matmul(t.input('x', [2, 3, 5]), t.input('y', [2, 5, 4]), { factor: -1 });
    const nodesFor = (target: 'cpu' | 'webgpu') =>
      t.lowerProgram({ z }, { target }).model.nodes.map(({ type }) => type);
    expect(nodesFor('cpu')).toEqual(['FusedMatMul']);
    expect(nodesFor('webgpu')).toEqual(['MatMul', 'Mul']);
  });

  it('keeps its factor where a transposition is read in place', () => {
    const x = t.transpose(t.input('x', [5, 3]));
    const { nodes } = t.lowerProgram({ z: t.matmul(x, t.input('y', [5, 4]), { factor: 3 }) }).model;
    expect(nodes).toMatchObject([{ type: 'Gemm', attributes: { transA: 1, alpha: { float: 3 } } }]);
  });
});
