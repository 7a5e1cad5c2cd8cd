import { describe, expect, it } from 'vitest';
import { PlinthError, ShapeError } from '../../src/core/errors.ts';
import * as t from '../../src/tensor/index.ts';

const x = t.input('x', [4, 6]);
const w = t.input('w', [5, 3]);
const n = t.input('n', [4], 'int32');

function errorOf(build: () => unknown): PlinthError {
  try {
    build();
  } catch (error) {
    if (error instanceof PlinthError) return error;
    throw error;
  }
  throw new Error('Nothing was thrown.');
}

/** The line of this file that calls this function. */
function thisLine(): number {
  return Number(/tensor-errors\.test\.ts:(\d+)/.exec(new Error().stack!.split('\n')[2]!)![1]);
}

describe('a shape error', () => {
  it('names the operator, both shapes and the line of the code that built the expression', () => {
    let line = 0;
    const error = errorOf(() => {
      line = thisLine() + 1;
      return t.matmul(x, w);
    });
    expect(error).toBeInstanceOf(ShapeError);
    expect(error.code).toBe('shape');
    expect(error.message).toContain('matmul: [4, 6] times [5, 3]: inner sizes 6 and 5 differ.');
    expect(error.message).toMatch(new RegExp(`\\(at [^ ]*tensor-errors\\.test\\.ts:${line}:\\d+\\)$`));
  });

  it('names the line also from inside composed functions and gradients', () => {
    expect(errorOf(() => t.linear(x, w)).message).toMatch(/^matmul: .*tensor-errors\.test\.ts:\d+:\d+\)$/);
    expect(errorOf(() => t.layerNorm(x, t.input('g', [7]))).message).toMatch(
      /^mul: .*\[4, 6\] and \[7\] do not broadcast: 6 against 7.*tensor-errors\.test\.ts/,
    );
  });

  const cases: [string, () => unknown, RegExp][] = [
    ['add', () => t.add(x, w), /^add: shapes \[4, 6\] and \[5, 3\] do not broadcast: 4 against 5/],
    ['matmul of a vector', () => t.matmul(x, n as never), /^matmul: /],
    [
      'matmul transposed',
      () => t.matmul(x, w, { transposeA: true }),
      /\[4, 6\] transposed times \[5, 3\]: inner sizes 4 and 5/,
    ],
    [
      'matmul batches',
      () => t.matmul(t.input('a', [2, 4, 6]), t.input('b', [3, 6, 1])),
      /^matmul: shapes \[2\] and \[3\] do not broadcast/,
    ],
    ['where', () => t.where(t.greater(x, x), x, w), /^where: shapes \[4, 6\] and \[5, 3\]/],
    [
      'reshape',
      () => t.reshape(x, [5, 5]),
      /^reshape: \[4, 6\] cannot become \[5, 5\]: 24 values do not fill 25/,
    ],
    ['reshape -1', () => t.reshape(x, [-1, 7]), /24 values do not divide by 7/],
    ['reshape twice -1', () => t.reshape(x, [-1, -1]), /only one size may be -1/],
    [
      'transpose',
      () => t.transpose(x, [0, 0]),
      /^transpose: order \[0, 0\] is not a permutation of the 2 axes of \[4, 6\]/,
    ],
    ['broadcastTo', () => t.broadcastTo(x, [4, 7]), /^broadcastTo: \[4, 6\] cannot become \[4, 7\]/],
    ['slice', () => t.slice(x, 1, 2, 9), /^slice: 2\.\.9 is outside axis 1 of \[4, 6\]/],
    ['pad', () => t.pad(x, 0, -1, 0), /^pad: needs amounts >= 0/],
    ['concat', () => t.concat([x, w], 0), /^concat: along axis 0 .*\[4, 6\] float32 and \[5, 3\] float32/],
    ['split', () => t.split(x, [2, 3], 1), /^split: sizes \[2, 3\] add up to 5, axis 1 of \[4, 6\] has 6/],
    ['sum', () => t.sum(x, 2), /^sum: axis 2 is outside a tensor of rank 2; use -2\.\.1/],
    ['softmax', () => t.softmax(x, -3), /^softmax: axis -3 is outside/],
    ['cumsum', () => t.cumsum(x, 1.5), /^cumsum: axis 1\.5/],
    [
      'takeAlong',
      () => t.takeAlong(x, t.input('i', [3, 2], 'int32')),
      /^takeAlong: shapes \[4, 6\] and \[3, 2\]/,
    ],
    [
      'scatterAdd',
      () => t.scatterAdd(x, t.input('i', [1, 6], 'int32'), w),
      /^scatterAdd: indices \[1, 6\] and updates \[5, 3\]/,
    ],
    ['topK', () => t.topK(x, 7), /^topK: k 7 is more than the 6 values/],
    [
      'crossEntropy',
      () => t.crossEntropy(x, t.input('y', [5], 'int32')),
      /^crossEntropy: .*got \[4, 6\] and \[5\]/,
    ],
    ['rmsNorm', () => t.rmsNorm(x, t.input('g', [5])), /^rmsNorm: weight \[5\] .*\[4, 6\]/],
    [
      'rotary',
      () => t.rotary(x, n, x, x),
      /^rotary: needs \[batch, heads, length, head size\], got \[4, 6\]/,
    ],
    ['einsum ranks', () => t.einsum('abc,bc->a', x, w), /^einsum: "abc,bc->a" does not fit ranks 2 and 2/],
    [
      'einsum sizes',
      () => t.einsum('ab,bc->ac', x, w),
      /^einsum: .*index b is 6 on one side and 5 on the other/,
    ],
    [
      'einsum lone index',
      () => t.einsum('ab,bc->a', x, t.transpose(t.input('v', [3, 6]))),
      /^einsum: .*every index must stand in/,
    ],
    [
      'constant',
      () => t.constant(new Float32Array(3), [2, 2], 'float32'),
      /^constant: shape \[2, 2\] holds 4 values, got 3/,
    ],
  ];
  it.each(cases)('of %s says what does not fit', (_, build, text) => {
    const error = errorOf(build);
    expect(error.message).toMatch(text);
    expect(error.message).toMatch(/tensor-errors\.test\.ts:\d+:\d+\)$/);
  });

  it('of an input names the input', () => {
    expect(errorOf(() => t.input('x', [2, -1])).message).toMatch(
      /input "x": size -1 is not a whole number >= 0/,
    );
    expect(errorOf(() => t.input('x', [0.5])).message).toMatch(/size 0\.5/);
  });

  it('says which named size stands in the way of something that needs numbers', () => {
    const named = t.input('named', ['batch', 6]);
    expect(errorOf(() => t.mean(named)).message).toMatch(
      /^mean needs a shape of numbers, got \[batch, 6\]|\[batch, 6\]: "batch" is known only at run time/,
    );
    expect(errorOf(() => t.slice(named, 0, -1)).message).toMatch(/"batch" is known only at run time/);
    expect(errorOf(() => t.add(named, t.input('other', ['time', 6]))).message).toMatch(
      /do not broadcast: batch against time/,
    );
  });
});

describe('a dtype error', () => {
  const cases: [string, () => unknown, RegExp][] = [
    [
      'mixed types',
      () => t.add(n, t.input('f', [4])),
      /^add: dtypes int32 and float32 differ\. Cast one side: cast\(x, 'int32'\)/,
    ],
    [
      'integers where floats are needed',
      () => t.exp(n),
      /^exp: needs floating point, got int32\. Cast it first/,
    ],
    [
      'float targets',
      () => t.crossEntropy(x, t.input('y', [4])),
      /^crossEntropy: indices must be int32 or int64, got float32/,
    ],
    [
      'float indices',
      () => t.take(x, t.input('y', [4])),
      /^take: indices must be int32 or int64, got float32/,
    ],
    ['float conditions', () => t.where(x, x, x), /^where: the condition must be bool, got float32/],
  ];
  it.each(cases)('for %s says what to cast, and where', (_, build, text) => {
    const error = errorOf(build);
    expect(error.code).toBe('dtype');
    expect(error.message).toMatch(text);
    expect(error.message).toMatch(/tensor-errors\.test\.ts:\d+:\d+\)$/);
  });
});
