import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../src/tensor/index.ts';
import * as t from '../../src/tensor/index.ts';
import { optimize } from '../../src/tensor/program.ts';
import { reachableNodes } from '../../src/tensor/rewrite.ts';

/** Operators of the optimised form, in order, without inputs and constants. */
function operatorsAfter(...outputs: Tensor[]): string[] {
  return reachableNodes(optimize(outputs))
    .map(({ operator }) => operator.name)
    .filter((name) => name !== 'input' && name !== 'constant');
}

const x = t.input('x', [4, 6]);
const y = t.input('y', [4, 6]);
const w = t.input('w', [6, 3]);

describe('fusing', () => {
  it('makes one node of an RMS norm written by hand, in either order of its products', () => {
    const gain = t.input('gain', [6]);
    const inverse = t.reciprocal(t.sqrt(t.add(t.mean(t.square(x), -1, true), t.scalar(1e-5))));
    expect(operatorsAfter(t.mul(t.mul(x, inverse), gain))).toEqual(['rmsNorm']);
    expect(operatorsAfter(t.mul(gain, t.mul(inverse, x)))).toEqual(['rmsNorm']);
    const [norm] = reachableNodes(optimize([t.mul(t.mul(x, inverse), gain)])).slice(-1);
    expect(norm!.attributes.epsilon).toBe(Math.fround(1e-5));
  });

  it('leaves what only looks like an RMS norm', () => {
    const gain = t.input('gain', [6]);
    const norm = (meanSquare: Tensor, of: Tensor) =>
      t.mul(t.mul(of, t.rsqrt(t.add(meanSquare, t.scalar(1e-5)))), gain);
    expect(operatorsAfter(norm(t.mean(t.square(x), 0, true), x))).not.toContain('rmsNorm');
    expect(operatorsAfter(norm(t.mean(t.square(y), -1, true), x))).not.toContain('rmsNorm');
    expect(operatorsAfter(norm(t.mean(t.mul(x, y), -1, true), x))).not.toContain('rmsNorm');
    expect(operatorsAfter(norm(t.sum(t.square(x), -1, true), x))).not.toContain('rmsNorm');
  });

  it('reads a transposed operand in place', () => {
    expect(operatorsAfter(t.matmul(t.transpose(x), y))).toEqual(['matmul']);
    expect(operatorsAfter(t.matmul(t.transpose(w), t.transpose(x)))).toEqual(['matmul']);
    expect(operatorsAfter(t.matmul(t.transpose(x), x, { transposeA: true, transposeB: true }))).toEqual([
      'matmul',
    ]);
    const a = t.input('a', [2, 4, 6]);
    const b = t.input('b', [2, 5, 6]);
    expect(operatorsAfter(t.matmul(a, t.transpose(b)))).toEqual(['matmul']);
    expect(operatorsAfter(t.matmul(t.transpose(a, [1, 0, 2]), t.input('c', [4, 6, 2])))).toEqual([
      'transpose',
      'matmul',
    ]);
  });

  it('leaves no transpose in the gradients of products', () => {
    const [dx, dw] = t.grad(t.sum(t.square(t.matmul(x, w))), [x, w]);
    expect(operatorsAfter(dx!, dw!)).not.toContain('transpose');
  });

  it('scatters into the other summand instead of into zeros', () => {
    const ids = t.input('ids', [4, 6], 'int32');
    const scattered = t.scatterAdd(t.full([4, 6], 0), ids, y);
    expect(operatorsAfter(t.add(x, scattered))).toEqual(['scatterAdd']);
    expect(operatorsAfter(t.add(t.scatterAdd(t.full([4, 6], 1), ids, y), x))).toEqual(['scatterAdd', 'add']);
  });

  it('joins the gradients of neighbouring pieces', () => {
    const pieces = [t.slice(x, 1, 0, 1), t.slice(x, 1, 1, 3), t.slice(x, 1, 3, 6)];
    const loss = pieces.map((piece, i) => t.sum(t.mul(t.sin(piece), t.scalar(i + 2)))).reduce(t.add);
    const after = operatorsAfter(t.grad(loss, [x])[0]!);
    expect(after.filter((name) => ['concat', 'pad', 'add'].includes(name))).toEqual(['concat']);
    const [first, , third] = pieces;
    const gap = operatorsAfter(t.grad(t.add(t.sum(t.sin(first!)), t.sum(t.sin(third!))), [x])[0]!);
    expect(gap.filter((name) => ['concat', 'pad', 'add'].includes(name))).toEqual(['pad', 'pad', 'add']);
    const overlap = t.add(t.sum(t.sin(t.slice(x, 1, 0, 3))), t.sum(t.sin(t.slice(x, 1, 2, 6))));
    expect(operatorsAfter(t.grad(overlap, [x])[0]!)).not.toContain('concat');
  });

  it('adds the gradients of an embedding used twice in one buffer', () => {
    const table = t.input('table', [10, 4]);
    const ids = t.input('ids', [5], 'int32');
    const hidden = t.take(table, ids);
    const loss = t.sum(t.crossEntropy(t.matmul(hidden, table, { transposeB: true }), ids));
    expect(operatorsAfter(t.grad(loss, [table])[0]!)).not.toContain('add');
  });
});

describe('simplifying', () => {
  it('folds constants', () => {
    const two = t.add(t.scalar(1), t.mul(t.scalar(2), t.scalar(0.5)));
    const [root] = optimize([t.mul(x, t.sqrt(t.mul(two, two)))]);
    expect(operatorsAfter(t.mul(x, t.sqrt(t.mul(two, two))))).toEqual(['mul']);
    const factor = root!.node.inputs.find((one) => one.node.operator.name === 'constant');
    expect(factor!.node.attributes.data).toEqual(Float32Array.of(2));
  });

  it('stores matrices that are joined as one', () => {
    const half = (value: number) => t.full([2, 3], value);
    const [root] = optimize([t.concat([half(1), half(2)], 0)]);
    expect(root!.node.attributes.data).toEqual(Float32Array.of(1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2));
    expect(operatorsAfter(t.concat([half(1), half(2)], 1))).toContain('concat');
  });

  it('drops what changes nothing', () => {
    const same = t.neg(
      t.neg(t.div(t.mul(t.sub(t.add(x, t.scalar(0)), t.scalar(0)), t.scalar(1)), t.scalar(1))),
    );
    expect(operatorsAfter(t.stopGradient(same))).toEqual([]);
    expect(
      operatorsAfter(t.add(t.scalar(0), t.input('v', [1])), t.mul(t.full([1, 1], 1), t.input('u', [1]))),
    ).toEqual(['mul']);
  });

  it('joins chains of reshapes, of transposes and of constant factors', () => {
    expect(operatorsAfter(t.reshape(t.reshape(t.reshape(x, [24]), [2, 12]), [3, 8]))).toEqual(['reshape']);
    expect(operatorsAfter(t.reshape(t.reshape(x, [24]), [4, 6]))).toEqual([]);
    const three = t.input('three', [2, 3, 4]);
    expect(operatorsAfter(t.transpose(t.transpose(three, [1, 2, 0]), [1, 0, 2]))).toEqual(['transpose']);
    expect(operatorsAfter(t.transpose(t.transpose(three, [1, 2, 0]), [2, 0, 1]))).toEqual([]);
    expect(operatorsAfter(t.scale(t.scale(t.scale(x, 3), 0.5), 4))).toEqual(['mul']);
  });
});

describe('merging', () => {
  it('computes equal expressions once, whatever the order of a sum or product', () => {
    expect(operatorsAfter(t.sub(t.exp(t.mul(x, y)), t.exp(t.mul(y, x))))).toEqual(['mul', 'exp', 'sub']);
    expect(operatorsAfter(t.mul(t.add(x, t.full([6], 2)), t.add(x, t.full([6], 2))))).toEqual(['add', 'mul']);
  });

  it('keeps apart what differs in an attribute, an order, a sign of zero or an input', () => {
    expect(operatorsAfter(t.sub(x, y), t.sub(y, x))).toEqual(['sub', 'sub']);
    expect(operatorsAfter(t.sum(x, 0, true), t.sum(x, 1, true))).toEqual(['sum', 'sum']);
    expect(operatorsAfter(t.mul(x, t.full([6], 0)), t.mul(x, t.full([6], -0)))).toEqual(['mul', 'mul']);
    expect(operatorsAfter(t.exp(x), t.exp(y))).toEqual(['exp', 'exp']);
  });

  it('compiles 4,000 equal pairs in linear time', () => {
    let [a, b] = [x, x];
    for (let i = 0; i < 4000; i++) [a, b] = [t.sin(a), t.sin(b)];
    expect(operatorsAfter(t.add(a, b))).toHaveLength(4001);
  }, 10_000);
});

describe('a program', () => {
  it('holds nothing that no output needs', () => {
    t.matmul(x, w);
    const unused = t.grad(t.sum(t.exp(x)), [x]);
    expect(unused).toHaveLength(1);
    expect(t.compile({ z: t.neg(x) }).numNodes).toBe(1);
  });

  it('keeps the names of its inputs and outputs, whatever they are', () => {
    const t0 = t.input('t0', [2]);
    const c1 = t.input('c1', [2]);
    const program = t.compile({
      t1: t.exp(t.mul(t0, t.scalar(3))),
      t2: t.add(t0, c1),
      constructor: t.neg(c1),
    });
    expect(Object.keys(program.inputs)).toEqual(['t0', 'c1']);
    expect(Object.keys(program.outputs)).toEqual(['t1', 't2', 'constructor']);
  });

  it('refuses one name for two things', () => {
    expect(() => t.compile({ x: t.neg(x) })).toThrow(/"x" names both an input and an output/);
    expect(() => t.compile({ z: t.add(x, t.input('x', [4, 6])) })).toThrow(/Two inputs are named "x"/);
    expect(() => t.compile({ z: x }, { inputs: [t.neg(x)] })).toThrow(
      /options\.inputs must be made by input/,
    );
  });

  it('counts two FLOPs for every multiply-add of its products', () => {
    expect(t.matmulFlops([t.matmul(x, w)])).toBe(2 * 4 * 6 * 3);
    expect(
      t.matmulFlops([
        t.matmul(t.input('a', [2, 6, 4]), t.input('b', [2, 5, 6]), { transposeA: true, transposeB: true }),
      ]),
    ).toBe(2 * 2 * 4 * 6 * 5);
    const loss = t.sum(t.square(t.matmul(x, w)));
    expect(t.matmulFlops([loss, ...t.grad(loss, [x, w])])).toBe(3 * 2 * 4 * 6 * 3);
  });
});
