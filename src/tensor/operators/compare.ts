/** Comparisons and logic: boolean results, no gradients. */
import { applyOne, broadcastShapes, defineOperator, type Operator, requireSameDType } from '../operator.ts';
import type { Tensor } from '../tensor.ts';

type Lower = Operator['lower'];

function defineComparison(name: string, onnx: string, lower?: Lower): Operator {
  return defineOperator({
    name,
    infer: ([a, b]) => {
      requireSameDType(name, a!, b!);
      return [{ shape: broadcastShapes(name, a!.shape, b!.shape), dtype: 'bool' }];
    },
    lower: lower ?? ((context, _node, inputs) => context.emit(onnx, inputs)),
  });
}

const equalOperator = defineComparison('equal', 'Equal');
const lessOperator = defineComparison('less', 'Less');
const greaterOperator = defineComparison('greater', 'Greater');
const lessEqualOperator = defineComparison('lessEqual', 'LessOrEqual');
const greaterEqualOperator = defineComparison('greaterEqual', 'GreaterOrEqual');
const andOperator = defineComparison('and', 'And');
const orOperator = defineComparison('or', 'Or', (context, _node, inputs) => {
  if (context.target !== 'webgpu') return context.emit('Or', inputs);
  // Or has no WebGPU kernel; And and Not have.
  return context.emit(
    'Not',
    context.emit(
      'And',
      inputs.map((x) => context.emit('Not', [x])[0]!),
    ),
  );
});
const notOperator = defineOperator({
  name: 'not',
  infer: ([x]) => [{ shape: x!.shape, dtype: 'bool' }],
  lower: (context, _node, inputs) => context.emit('Not', inputs),
});

const comparison = (operator: Operator) => (a: Tensor, b: Tensor) => applyOne(operator, [a, b]);
export const equal = comparison(equalOperator);
export const less = comparison(lessOperator);
export const greater = comparison(greaterOperator);
export const lessEqual = comparison(lessEqualOperator);
export const greaterEqual = comparison(greaterEqualOperator);
export const and = comparison(andOperator);
export const or = comparison(orOperator);
export const not = (x: Tensor) => applyOne(notOperator, [x]);
