/**
 * Constant folding and algebra that never changes a value: operators on constants become constants,
 * x * 1, x + 0, x - 0, x / 1 and double negation vanish, chains of reshapes and of transposes become one,
 * a constant factor is moved through to meet the next one, gradient stops disappear.
 */
import type { ConstantValue } from '../operator.ts';
import { mul } from '../operators/binary.ts';
import { reshape, transpose } from '../operators/shape.ts';
import { constant, constantData, isConstant, scalarValue } from '../operators/source.ts';
import { Rewriter } from '../rewrite.ts';
import { type Node, sameShape, type Tensor } from '../tensor.ts';

export function simplify(outputs: readonly Tensor[]): Tensor[] {
  return new Rewriter((node, inputs) => fold(node, inputs) ?? rewrite(node, inputs)).run(outputs);
}

function fold(node: Node, inputs: readonly Tensor[]): readonly Tensor[] | undefined {
  if (inputs.length === 0 || !node.operator.evaluate || !inputs.every(isConstant)) return undefined;
  const values: ConstantValue[] = inputs.map((x) => ({
    data: constantData(x),
    shape: x.shape as readonly number[],
  }));
  const data = node.operator.evaluate(values, node);
  const spec = node.outputs[0]!;
  return data && [constant(data, spec.shape as readonly number[], spec.dtype)];
}

/** `x` if replacing the result by it keeps the shape. */
function identity(x: Tensor, node: Node): readonly Tensor[] | undefined {
  return sameShape(x.shape, node.outputs[0]!.shape) ? [x] : undefined;
}

function rewrite(node: Node, inputs: readonly Tensor[]): readonly Tensor[] | undefined {
  const [a, b] = inputs as [Tensor, Tensor];
  switch (node.operator.name) {
    case 'stopGradient':
      return [a];
    case 'neg':
      return a.node.operator.name === 'neg' ? [a.node.inputs[0]!] : undefined;
    case 'add':
      if (scalarValue(b) === 0) return identity(a, node);
      return scalarValue(a) === 0 ? identity(b, node) : undefined;
    case 'sub':
      return scalarValue(b) === 0 ? identity(a, node) : undefined;
    case 'div':
      return scalarValue(b) === 1 ? identity(a, node) : undefined;
    case 'mul':
      return rewriteProduct(node, a, b);
    case 'reshape':
      if (sameShape(a.shape, node.outputs[0]!.shape)) return [a];
      return a.node.operator.name === 'reshape'
        ? [reshape(a.node.inputs[0]!, node.outputs[0]!.shape)]
        : undefined;
    case 'transpose': {
      if (a.node.operator.name !== 'transpose') return undefined;
      const outer = node.attributes.order as readonly number[];
      const inner = a.node.attributes.order as readonly number[];
      return [
        transpose(
          a.node.inputs[0]!,
          outer.map((axis) => inner[axis]!),
        ),
      ];
    }
    default:
      return undefined;
  }
}

/** c * (d * x) -> (c d) * x; 1 * x -> x. */
function rewriteProduct(node: Node, a: Tensor, b: Tensor): readonly Tensor[] | undefined {
  for (const [factor, x] of [
    [a, b],
    [b, a],
  ] as const) {
    const value = scalarValue(factor);
    if (value === undefined) continue;
    if (value === 1) return identity(x, node);
    if (x.node.operator.name !== 'mul') continue;
    const [p, q] = x.node.inputs as [Tensor, Tensor];
    for (const [inner, rest] of [
      [p, q],
      [q, p],
    ] as const) {
      const innerValue = scalarValue(inner);
      if (innerValue === undefined || !sameShape(rest.shape, node.outputs[0]!.shape)) continue;
      return [mul(rest, constant(Float32Array.of(value * innerValue), [], 'float32'))];
    }
  }
  return undefined;
}
