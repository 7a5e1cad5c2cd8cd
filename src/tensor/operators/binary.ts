/** Elementwise functions of two tensors with NumPy broadcasting, and `where`. */
import {
  applyOne,
  broadcastShapes,
  type ConstantValue,
  defineOperator,
  dtypeError,
  FOLD_LIMIT,
  type Operator,
  requireSameDType,
} from '../operator.ts';
import { type Node, sizeOf, Tensor } from '../tensor.ts';
import { equal, greater, less } from './compare.ts';
import { sum } from './reduce.ts';
import { reshape } from './shape.ts';
import { scalar } from './source.ts';
import { log, neg } from './unary.ts';

/**
 * Sums a cotangent over the axes along which `like` was broadcast, so that it has like's shape.
 * Named dimensions cannot have been broadcast from 1, so they are left alone.
 */
export function sumTo(g: Tensor, like: Tensor): Tensor {
  const extra = g.rank - like.rank;
  const axes: number[] = [];
  for (let i = 0; i < g.rank; i++) {
    if (i < extra || (like.shape[i - extra] === 1 && g.shape[i] !== 1)) axes.push(i);
  }
  if (axes.length === 0) return g;
  const summed = sum(g, axes, true);
  return extra > 0 ? reshape(summed, like.shape) : summed;
}

function evaluateBroadcast(
  inputs: readonly ConstantValue[],
  node: Node,
  value: (a: number, b: number) => number,
): Float32Array | undefined {
  const [a, b] = inputs as [ConstantValue, ConstantValue];
  if (!(a.data instanceof Float32Array) || !(b.data instanceof Float32Array)) return undefined;
  const size = sizeOf(node.outputs[0]!.shape);
  if (size > FOLD_LIMIT) return undefined;
  const out = new Float32Array(size);
  const shape = node.outputs[0]!.shape as readonly number[];
  for (let i = 0; i < size; i++)
    out[i] = value(a.data[offset(i, shape, a.shape)]!, b.data[offset(i, shape, b.shape)]!);
  return out;
}

/** Index into a broadcast operand of flat position `index` of the result. */
function offset(index: number, shape: readonly number[], operand: readonly number[]): number {
  let rest = index;
  let position = 0;
  let stride = 1;
  for (let axis = shape.length - 1, own = operand.length - 1; axis >= 0; axis--, own--) {
    const coordinate = rest % shape[axis]!;
    rest = Math.floor(rest / shape[axis]!);
    if (own < 0) continue;
    if (operand[own] !== 1) position += coordinate * stride;
    stride *= operand[own]!;
  }
  return position;
}

interface BinaryRule {
  onnx: string;
  value: (a: number, b: number) => number;
  /** Cotangents before they are summed to the operands' shapes; each made only when it is needed. */
  gradient: (a: Tensor, b: Tensor, y: Tensor, g: Tensor) => [() => Tensor, () => Tensor];
}

function defineBinary(name: string, rule: BinaryRule): Operator {
  return defineOperator({
    name,
    infer: ([a, b]) => {
      requireSameDType(name, a!, b!);
      return [{ shape: broadcastShapes(name, a!.shape, b!.shape), dtype: a!.dtype }];
    },
    lower: (context, _node, inputs) => context.emit(rule.onnx, inputs),
    gradient: (node, [g], needed) => {
      const [a, b] = node.inputs as [Tensor, Tensor];
      const parts = rule.gradient(a, b, new Tensor(node, 0), g!);
      return [needed[0] ? sumTo(parts[0](), a) : undefined, needed[1] ? sumTo(parts[1](), b) : undefined];
    },
    evaluate: (inputs, node) => evaluateBroadcast(inputs, node, rule.value),
  });
}

const addOperator = defineBinary('add', {
  onnx: 'Add',
  value: (a, b) => a + b,
  gradient: (_a, _b, _y, g) => [() => g, () => g],
});
const subOperator = defineBinary('sub', {
  onnx: 'Sub',
  value: (a, b) => a - b,
  gradient: (_a, _b, _y, g) => [() => g, () => neg(g)],
});
const mulOperator = defineBinary('mul', {
  onnx: 'Mul',
  value: (a, b) => a * b,
  gradient: (a, b, _y, g) => [() => mul(g, b), () => mul(g, a)],
});
const divOperator = defineBinary('div', {
  onnx: 'Div',
  value: (a, b) => a / b,
  gradient: (_a, b, y, g) => [() => div(g, b), () => neg(div(mul(g, y), b))],
});
const powOperator = defineBinary('pow', {
  onnx: 'Pow',
  value: (a, b) => a ** b,
  gradient: (a, b, y, g) => [() => mul(g, mul(b, pow(a, sub(b, scalar(1))))), () => mul(g, mul(y, log(a)))],
});

// At a tie both sides get half, as the mean of the two one-sided derivatives.
function selectGradient(a: Tensor, b: Tensor, g: Tensor, wins: Tensor): Tensor {
  return where(wins, g, where(equal(a, b), mul(g, scalar(0.5)), scalar(0)));
}
const maximumOperator = defineBinary('maximum', {
  onnx: 'Max',
  value: Math.max,
  gradient: (a, b, _y, g) => [
    () => selectGradient(a, b, g, greater(a, b)),
    () => selectGradient(a, b, g, less(a, b)),
  ],
});
const minimumOperator = defineBinary('minimum', {
  onnx: 'Min',
  value: Math.min,
  gradient: (a, b, _y, g) => [
    () => selectGradient(a, b, g, less(a, b)),
    () => selectGradient(a, b, g, greater(a, b)),
  ],
});

const whereOperator = defineOperator({
  name: 'where',
  infer: ([condition, a, b]) => {
    if (condition!.dtype !== 'bool') {
      dtypeError(
        'where',
        `the condition must be bool, got ${condition!.dtype}. Compare first: greater(x, y).`,
      );
    }
    requireSameDType('where', a!, b!);
    const values = broadcastShapes('where', a!.shape, b!.shape);
    return [{ shape: broadcastShapes('where', condition!.shape, values), dtype: a!.dtype }];
  },
  lower: (context, _node, inputs) => context.emit('Where', inputs),
  gradient: (node, [g], needed) => {
    const [condition, a, b] = node.inputs as [Tensor, Tensor, Tensor];
    return [
      undefined,
      needed[1] ? sumTo(where(condition, g!, scalar(0, g!.dtype)), a) : undefined,
      needed[2] ? sumTo(where(condition, scalar(0, g!.dtype), g!), b) : undefined,
    ];
  },
});

const binary = (operator: Operator) => (a: Tensor, b: Tensor) => applyOne(operator, [a, b]);
export const add = binary(addOperator);
export const sub = binary(subOperator);
export const mul = binary(mulOperator);
export const div = binary(divOperator);
/** a^b elementwise; the gradient in b needs a > 0. */
export const pow = binary(powOperator);
export const maximum = binary(maximumOperator);
export const minimum = binary(minimumOperator);
/** condition ? a : b, elementwise. */
export const where = (condition: Tensor, a: Tensor, b: Tensor) => applyOne(whereOperator, [condition, a, b]);
