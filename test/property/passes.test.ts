/**
 * Programs with and without the passes compute the same: on random expression graphs, their gradients
 * included, and with the slow float64 reference as the judge of both.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import type { Tensor } from '../../src/tensor/index.ts';
import * as t from '../../src/tensor/index.ts';
import { optimize } from '../../src/tensor/program.ts';
import { reachableNodes } from '../../src/tensor/rewrite.ts';
import { evaluate } from '../golden/reference-evaluator.ts';

const device = cpuDevice({ numThreads: 1 });
const SIZE = 4;
const ids = t.constant(Int32Array.of(2, 0, 2, 1), [SIZE], 'int32');

/** Steps that map matrices [4, 4] to one, with values that stay near 1 in size. */
const steps: readonly ((a: Tensor, b: Tensor, number: number) => Tensor)[] = [
  (a, b) => t.add(a, b),
  (a, b) => t.sub(a, b),
  (a, b) => t.mul(a, t.tanh(b)),
  (a, b) => t.div(a, t.add(t.square(b), t.scalar(1))),
  (a) => t.neg(a),
  (a) => t.neg(t.neg(a)),
  (a, _b, n) => t.mul(t.scalar(n), t.mul(a, t.scalar(0.5))),
  (a) => t.mul(t.add(a, t.scalar(0)), t.scalar(1)),
  (a) => t.div(t.sub(a, t.scalar(0)), t.scalar(1)),
  (a) => t.transpose(a),
  (a) => t.transpose(t.transpose(a)),
  (a) => t.reshape(t.reshape(t.reshape(a, [2, 8]), [16]), [4, 4]),
  (a, b) => t.tanh(t.matmul(t.transpose(a), b)),
  (a, b) => t.tanh(t.matmul(a, t.transpose(b), { transposeA: true })),
  (a, b) =>
    t.tanh(t.reshape(t.matmul(t.reshape(a, [1, 4, 4]), t.transpose(t.reshape(b, [1, 4, 4]))), [4, 4])),
  (a) => t.mul(t.mul(a, t.rsqrt(t.add(t.mean(t.square(a), -1, true), t.scalar(1e-3)))), t.full([4], 0.75)),
  (a, b) => t.add(b, t.scatterAdd(t.full([4, 4], 0), t.broadcastTo(t.reshape(ids, [4, 1]), [4, 4]), a)),
  (a, b) => t.add(t.take(a, ids), b),
  (a) => t.softmax(a),
  (a) => t.silu(a),
  (a) => t.stopGradient(a),
  // A threshold that no rounding moves a value across.
  (a, b) => t.where(t.greater(a, t.scalar(0.3137)), b, t.scalar(0.25)),
  (a, b) => t.concat([t.slice(a, 0, 0, 2), t.slice(b, 0, 2)], 0),
  (a) => {
    const [left, middle, right] = t.split(a, [1, 2, 1], 1);
    return t.concat([t.sin(right!), t.neg(left!), t.tanh(middle!)], 1);
  },
  (a, b) => t.remat((x, y) => t.sin(t.mul(x!, y!)), a, b),
  (a, _b, n) => t.mul(a, t.add(t.scalar(n), t.mul(t.full([4, 4], 0.5), t.scalar(n)))),
  (a, b) => t.add(t.mul(a, b), t.mul(b, a)),
];

const plan = fc.record({
  steps: fc.array(
    fc.record({
      step: fc.nat(steps.length - 1),
      left: fc.nat(1000),
      right: fc.nat(1000),
      number: fc.integer({ min: -8, max: 8 }).map((n) => n / 4),
    }),
    { minLength: 2, maxLength: 14 },
  ),
  seed: fc.nat(1000),
});

function buildGraph({
  steps: list,
}: {
  steps: { step: number; left: number; right: number; number: number }[];
}) {
  const inputs = [t.input('a', [SIZE, SIZE]), t.input('b', [SIZE, SIZE])];
  const values = [...inputs];
  for (const { step, left, right, number } of list) {
    values.push(steps[step]!(values[left % values.length]!, values[right % values.length]!, number));
  }
  const value = values.at(-1)!;
  return { inputs, outputs: { value, ...gradientsOf(value, inputs) } };
}

function gradientsOf(value: Tensor, inputs: readonly Tensor[]): Record<string, Tensor> {
  const weights = t.constant(
    Float32Array.from({ length: 16 }, (_, i) => Math.cos(i)),
    [4, 4],
    'float32',
  );
  const [da, db] = t.grad(t.sum(t.mul(value, weights)), inputs);
  return { da: da!, db: db! };
}

async function run(
  outputs: Record<string, Tensor>,
  inputs: readonly Tensor[],
  feeds: Record<string, Float32Array>,
  optimised: boolean,
) {
  const executable = await device.compile(outputs, { inputs, optimize: optimised });
  const results = await executable.run(feeds);
  const values = await Promise.all(Object.keys(outputs).map((name) => results[name]!.read()));
  await executable.dispose();
  return values as Float32Array[];
}

const feedsOf = (seed: number) => ({
  a: Float32Array.from({ length: 16 }, (_, i) => Math.sin(seed + 0.9 * i)),
  b: Float32Array.from({ length: 16 }, (_, i) => Math.cos(2 * seed + 1.7 * i)),
});

describe('the passes', () => {
  it('keep the value and the gradients of random expressions', async () => {
    await fc.assert(
      fc.asyncProperty(plan, async (one) => {
        const { inputs, outputs } = buildGraph(one);
        const feeds = feedsOf(one.seed);
        const [fast, plain] = await Promise.all([
          run(outputs, inputs, feeds, true),
          run(outputs, inputs, feeds, false),
        ]);
        const exact = evaluate(Object.values(outputs), feeds);
        exact.forEach(({ data }, k) => {
          const scale = 1 + data.reduce((top, value) => Math.max(top, Math.abs(value)), 0);
          data.forEach((value, i) => {
            expect(Math.abs(fast[k]![i]! - plain[k]![i]!) / scale).toBeLessThan(5e-6);
            expect(Math.abs(fast[k]![i]! - value) / scale).toBeLessThan(1e-5);
          });
        });
      }),
      { numRuns: 120, seed: 7 },
    );
  }, 60_000);

  it('change no bit where they reorder nothing', async () => {
    // Steps that the passes may only drop, merge or move, never compute in another order.
    const exactSteps = [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 18, 19, 20, 21, 22];
    await fc.assert(
      fc.asyncProperty(plan, async (one) => {
        const restricted = one.steps.map((s) => ({ ...s, step: exactSteps[s.step % exactSteps.length]! }));
        const { inputs, outputs } = buildGraph({ steps: restricted });
        const feeds = feedsOf(one.seed);
        const [fast] = await run({ value: outputs.value! }, inputs, feeds, true);
        const [plain] = await run({ value: outputs.value! }, inputs, feeds, false);
        // x + 0 turns -0 into 0; nothing else may differ.
        expect(fast!.map((value) => value + 0)).toEqual(plain!.map((value) => value + 0));
      }),
      { numRuns: 60, seed: 7 },
    );
  }, 60_000);

  it('never leave more nodes than there were, and a second round finds nothing', () => {
    fc.assert(
      fc.property(plan, (one) => {
        const { outputs } = buildGraph({ steps: one.steps.filter(({ step }) => step !== 24) });
        const before = Object.values(outputs);
        const after = optimize(before);
        const count = (list: readonly Tensor[]) => reachableNodes(list).length;
        expect(count(after)).toBeLessThanOrEqual(count(before));
        expect(count(optimize(after))).toBe(count(after));
      }),
      { numRuns: 200, seed: 7 },
    );
  });
});
