import { describe, expect, it } from 'vitest';
import { cpuDevice } from '../../src/runtime/index.node.ts';
import type { Tensor, TensorData } from '../../src/tensor/index.ts';
import * as t from '../../src/tensor/index.ts';
import { optimize } from '../../src/tensor/program.ts';
import { inlineRemat } from '../../src/tensor/remat.ts';
import { reachableNodes } from '../../src/tensor/rewrite.ts';

const device = cpuDevice({ numThreads: 1 });
/** The feeds that a program takes; a gradient may not need every input. */
const used = <T>(feeds: Record<string, T>, inputs: object): Record<string, T> =>
  Object.fromEntries(Object.entries(feeds).filter(([name]) => name in inputs));
const waves = (size: number, phase: number) =>
  Float32Array.from({ length: size }, (_, i) => Math.sin(phase + 0.7 * i));

/** How often each operator stands in the compiled form of some expressions. */
function counts(outputs: readonly Tensor[]): Record<string, number> {
  const result: Record<string, number> = {};
  for (const { operator } of reachableNodes(optimize(inlineRemat(outputs)))) {
    result[operator.name] = (result[operator.name] ?? 0) + 1;
  }
  return result;
}

async function valuesOf(
  outputs: readonly Tensor[],
  feeds: Record<string, TensorData>,
): Promise<TensorData[]> {
  const executable = await device.compile(Object.fromEntries(outputs.map((x, i) => [`y${i}`, x])));
  const results = await executable.run(used(feeds, executable.program.inputs));
  const values = await Promise.all(outputs.map((_, i) => results[`y${i}`]!.read()));
  await executable.dispose();
  return values;
}

type Wrap = (fn: (x: Tensor) => Tensor, x: Tensor) => Tensor;
const plain: Wrap = (fn, x) => fn(x);
const again: Wrap = (fn, x) => t.remat((y) => fn(y!), x);

const x = t.input('x', [4, 6]);
const weights = [0, 1, 2].map((i) => t.input(`w${i}`, [6, 6]));
const gain = t.input('gain', [6]);
const feeds = {
  x: waves(24, 0),
  gain: waves(6, 9),
  ...Object.fromEntries(weights.map((_, i) => [`w${i}`, waves(36, 1 + i)])),
};
const parameters = [x, gain, ...weights];

function network(wrap: Wrap): Tensor {
  let h = x;
  for (const w of weights) h = wrap((y) => t.add(y, t.silu(t.matmul(t.rmsNorm(y, gain), w))), h);
  return t.mean(t.square(h));
}

describe('rematerialisation', () => {
  it('changes neither the value nor any gradient, captured parameters included', async () => {
    const forms = [plain, again].map((wrap) => {
      const loss = network(wrap);
      return [loss, ...t.grad(loss, parameters)];
    });
    const [kept, recomputed] = await Promise.all(forms.map((outputs) => valuesOf(outputs, feeds)));
    kept!.forEach((values, i) => {
      values.forEach((value, j) => {
        expect(Number(recomputed![i]![j])).toBeCloseTo(Number(value), 6);
      });
    });
  });

  it('computes the segments again in the backward pass', () => {
    const [kept, recomputed] = [plain, again].map((wrap) => counts(t.grad(network(wrap), parameters)));
    expect(kept!.silu).toBe(3);
    expect(recomputed!.silu).toBe(6);
    expect(recomputed!.rmsNorm).toBe(6);
    // Each segment's input and captured values are tied to the cotangent that arrives.
    expect(recomputed!.barrier).toBeGreaterThanOrEqual(3);
  });

  it('costs nothing when no gradient is asked for', () => {
    expect(counts([network(again)])).toEqual(counts([network(plain)]));
  });

  it('may be nested', async () => {
    const inner = (y: Tensor) => t.exp(t.mul(y, gain));
    const outer = (wrap: Wrap) => (y: Tensor) => t.tanh(t.matmul(wrap(inner, y), weights[0]!));
    const forms = [plain, again].map((wrap) => {
      const loss = t.sum(wrap(outer(wrap), x));
      return [loss, ...t.grad(loss, [x, gain, weights[0]!])];
    });
    const [kept, nested] = await Promise.all(forms.map((outputs) => valuesOf(outputs, feeds)));
    kept!.forEach((values, i) => {
      values.forEach((value, j) => {
        expect(Number(nested![i]![j])).toBeCloseTo(Number(value), 5);
      });
    });
    // Forward; again for the outer segment; once more for the inner one inside it.
    expect(counts(forms[1]!).exp).toBe(3);
  });

  it('keeps second derivatives', async () => {
    const forms = [plain, again].map((wrap) => {
      const first = t.grad(network(wrap), [x])[0]!;
      return t.grad(t.sum(t.square(first)), parameters);
    });
    const [kept, recomputed] = await Promise.all(forms.map((outputs) => valuesOf(outputs, feeds)));
    kept!.forEach((values, i) => {
      values.forEach((value, j) => {
        const scale = 1 + Math.abs(Number(value));
        expect(Math.abs(Number(recomputed![i]![j]) - Number(value)) / scale).toBeLessThan(1e-5);
      });
    });
  });

  it('finds the gradient of a value that the segment hands through', async () => {
    const outside = t.mul(x, x);
    const [dx] = t.grad(t.sum(t.remat(() => outside, x)), [x]);
    const [values] = await valuesOf([dx!], { x: feeds.x });
    values!.forEach((value, i) => {
      expect(Number(value)).toBeCloseTo(2 * feeds.x[i]!, 6);
    });
  });

  it('counts a tensor that is both an argument and captured', async () => {
    const [dx] = t.grad(t.sum(t.remat((y) => t.mul(y!, x), x)), [x]);
    const [values] = await valuesOf([dx!], { x: feeds.x });
    values!.forEach((value, i) => {
      expect(Number(value)).toBeCloseTo(2 * feeds.x[i]!, 6);
    });
  });
});
