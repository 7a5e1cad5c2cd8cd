import { expect, test } from 'vitest';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import { grad, input, mul, sum } from '../../src/tensor/index.ts';

/** Column sums of a tall matrix take another lowering than other sums; both must agree with plain loops. */
test.each([
  [64, 5, false],
  [1500, 33, true],
  [63, 4, false],
] as const)('columns of %i x %i are summed, keepDims %s', async (rows, columns, keepDims) => {
  const x = input('x', [rows, columns]);
  const w = input('w', keepDims ? [1, columns] : [columns]);
  const y = sum(x, 0, keepDims);
  const [gx] = grad(sum(mul(y, w)), [x]);
  const executable = await cpuDevice().compile({ y, gx: gx! });
  const data = Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i));
  const weights = Float32Array.from({ length: columns }, (_, i) => i - 1.5);
  const results = await executable.run({ x: data, w: weights });
  const sums = await results.y!.read();
  const gradients = await results.gx!.read();
  expect(results.y!.shape).toEqual(keepDims ? [1, columns] : [columns]);
  for (let column = 0; column < columns; column++) {
    let expected = 0;
    for (let row = 0; row < rows; row++) expected += data[row * columns + column]!;
    expect(sums[column]).toBeCloseTo(expected, 4);
    expect(gradients[(rows - 1) * columns + column]).toBe(weights[column]);
  }
  await executable.dispose();
});
