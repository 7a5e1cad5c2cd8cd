/**
 * Every gradient rule against central differences in float64, for first and second derivatives, on the
 * expressions of the operator table; and the reference itself against PyTorch's numbers, so that a
 * misunderstanding shared by rule and reference cannot hide.
 */
import { describe, expect, it } from 'vitest';
import * as t from '../../src/tensor/index.ts';
import { operators, type Tensor } from '../../src/tensor/index.ts';
import { inlineRemat } from '../../src/tensor/remat.ts';
import { reachableNodes } from '../../src/tensor/rewrite.ts';
import { caseNames, goldens, operatorCase, worstError } from './operator-cases.ts';
import { evaluate } from './reference-evaluator.ts';

/** Sums of the outputs of a name, each element with its own weight, so that every element counts. */
function weighted(outputs: readonly Tensor[]): Tensor {
  const parts = outputs.map((x, k) => {
    const data = Float32Array.from({ length: t.sizeOf(x.shape) }, (_, i) => Math.cos(0.7 + 1.3 * i + k));
    return t.sum(t.mul(x, t.constant(data, x.shape as number[], 'float32')));
  });
  return parts.reduce(t.add);
}

type Feeds = Record<string, Float64Array>;

/** d total / d x by central differences, for every element of every input in `names`. */
function differences(total: Tensor, names: readonly string[], feeds: Feeds): Float64Array[] {
  const step = 1e-5;
  return names.map((name) =>
    feeds[name]!.map((value, i) => {
      const at = (moved: number) => {
        const data = feeds[name]!.slice();
        data[i] = moved;
        return evaluate([total], { ...feeds, [name]: data })[0]!.data[0]!;
      };
      return (at(value + step) - at(value - step)) / (2 * step);
    }),
  );
}

function expectClose(got: readonly { data: Float64Array }[], want: readonly Float64Array[]): void {
  got.forEach(({ data }, k) => {
    data.forEach((value, i) => {
      expect(Math.abs(value - want[k]![i]!) / (1 + Math.abs(value)), `input ${k}, element ${i}`).toBeLessThan(
        2e-7,
      );
    });
  });
}

/** At a tie or a kink the derivative is a convention, which the golden numbers hold; differences cannot. */
const KINKS = /\.(zero|tie)$/;
const differentiable = caseNames.filter((name) => goldens[name]!.first && !KINKS.test(name));

describe('the slow reference', () => {
  it.each(caseNames)('computes what PyTorch computes: %s', (name) => {
    const { outputs, feeds, expected } = operatorCase(name);
    const names = Object.keys(outputs);
    const values = evaluate(Object.values(outputs), feeds);
    const got = Object.fromEntries(names.map((output, i) => [output, values[i]!.data]));
    const { error, where } = worstError(expected, got);
    // Constants of the expressions (tables, weights) are float32.
    expect(error, where).toBeLessThan(1e-6);
  });
});

describe('gradients are the slopes that central differences measure', () => {
  it.each(differentiable)('%s', (name) => {
    const { inputs, feeds, outputs } = operatorCase(name);
    const values: Feeds = Object.fromEntries(
      Object.entries(feeds).map(([key, data]) => [key, Float64Array.from(data as ArrayLike<number>, Number)]),
    );
    const trained = inputs.filter((x) => x.dtype === 'float32');
    const names = inputs.flatMap((x, i) => (x.dtype === 'float32' ? [`x${i}`] : []));
    if (name === 'stopGradient') return expectStop(outputs.value!, trained, values);
    const total = weighted([outputs.value!]);
    const first = t.grad(total, trained);
    expectClose(evaluate(first, values), differences(total, names, values));
    const slope = weighted(first);
    expectClose(evaluate(t.grad(slope, trained), values), differences(slope, names, values));
  });

  /** x * stop(x) has slope stop(x): half of what differences measure. */
  function expectStop(value: Tensor, trained: readonly Tensor[], feeds: Feeds): void {
    const total = weighted([value]);
    const slopes = differences(total, ['x0'], feeds).map((slope) => slope.map((one) => one / 2));
    expectClose(evaluate(t.grad(total, trained), feeds), slopes);
  }
});

describe('the registry', () => {
  // Operators for inference alone, held to plain loops by quantized-operators.test.ts and cache-operators.test.ts.
  const inference = ['quantizedMatmul', 'quantizedTake', 'scatterRows'];
  const covered = new Set<string>(inference);
  for (const name of caseNames) {
    const outputs = Object.values(operatorCase(name).outputs);
    for (const node of [...reachableNodes(outputs), ...reachableNodes(inlineRemat(outputs))]) {
      covered.add(node.operator.name);
    }
  }

  it('holds no operator that the operator table leaves out', () => {
    expect([...operators.keys()].filter((name) => !covered.has(name))).toEqual([]);
  });

  it('names at least one case after every operator that users call', () => {
    const titles = new Set(caseNames.map((name) => name.split('.')[0]!));
    // The barrier has no function of its own; rematerialisation makes it.
    const others = new Set(['barrier', ...inference]);
    const missing = [...operators.keys()].filter((name) => !titles.has(name) && !others.has(name));
    expect(missing).toEqual([]);
  });

  it('has golden derivatives for every operator that has a gradient rule', () => {
    const titles = (name: string) => caseNames.filter((one) => one.split('.')[0] === name);
    const missing = [...operators.values()]
      .filter(({ gradient, name }) => gradient && !['barrier', 'cast'].includes(name))
      .filter(({ name }) => !titles(name).some((one) => goldens[one]!.first));
    expect(missing.map(({ name }) => name)).toEqual([]);
  });
});
