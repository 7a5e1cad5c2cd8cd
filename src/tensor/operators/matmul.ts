/** Products of matrices, with transposition as a flag: BLAS kernels read either order at full speed. */
import {
  applyOne,
  broadcastShapes,
  defineOperator,
  type Lowering,
  requireFloat,
  requireSameDType,
  shapeError,
} from '../operator.ts';
import type { Dim, Node, Shape, Tensor } from '../tensor.ts';
import { sumTo } from './binary.ts';
import { reshape, transpose } from './shape.ts';

interface MatmulAttributes {
  transposeA: boolean;
  transposeB: boolean;
  factor: number;
}

function matrixDims(shape: Shape, transposed: boolean): [Dim, Dim] {
  const [rows, columns] = shape.slice(-2) as [Dim, Dim];
  return transposed ? [columns, rows] : [rows, columns];
}

const matmulOperator = defineOperator({
  name: 'matmul',
  infer: ([a, b], attributes) => {
    const { transposeA, transposeB } = attributes as unknown as MatmulAttributes;
    requireFloat('matmul', a!);
    requireSameDType('matmul', a!, b!);
    if (a!.rank < 2 || b!.rank < 2) {
      shapeError(
        'matmul',
        `needs matrices, got shapes [${a!.shape.join(', ')}] and [${b!.shape.join(', ')}]; reshape vectors to one row or column.`,
      );
    }
    const [rows, inner] = matrixDims(a!.shape, transposeA);
    const [innerB, columns] = matrixDims(b!.shape, transposeB);
    if (inner !== innerB) {
      const mark = (transposed: boolean) => (transposed ? ' transposed' : '');
      shapeError(
        'matmul',
        `[${a!.shape.join(', ')}]${mark(transposeA)} times [${b!.shape.join(', ')}]${mark(transposeB)}: ` +
          `inner sizes ${inner} and ${innerB} differ. Transpose one side (transposeA, transposeB) or check the layer's sizes.`,
      );
    }
    const batch = broadcastShapes('matmul', a!.shape.slice(0, -2), b!.shape.slice(0, -2));
    return [{ shape: [...batch, rows, columns], dtype: a!.dtype }];
  },
  lower: lowerMatmul,
  gradient: (node, [g], needed) => {
    const [a, b] = node.inputs as [Tensor, Tensor];
    const { transposeA: tA, transposeB: tB, factor } = node.attributes as unknown as MatmulAttributes;
    const gradientA = () =>
      tA
        ? matmul(b, g!, { transposeA: tB, transposeB: true, factor })
        : matmul(g!, b, { transposeB: !tB, factor });
    const gradientB = () =>
      tB
        ? matmul(g!, a, { transposeA: true, transposeB: tA, factor })
        : matmul(a, g!, { transposeA: !tA, factor });
    return [needed[0] ? sumTo(gradientA(), a) : undefined, needed[1] ? sumTo(gradientB(), b) : undefined];
  },
});

function lowerMatmul(context: Lowering, node: Node, [a, b]: readonly string[]): string[] {
  const { transposeA, transposeB, factor } = node.attributes as unknown as MatmulAttributes;
  const [left, right] = node.inputs as [Tensor, Tensor];
  const transposed = { transA: transposeA ? 1 : 0, transB: transposeB ? 1 : 0 };
  const alpha = { float: factor };
  if (left.rank === 2 && right.rank === 2) {
    return context.emit('Gemm', [a!, b!], factor === 1 ? transposed : { ...transposed, alpha });
  }
  if (!transposeA && !transposeB && factor === 1) return context.emit('MatMul', [a!, b!]);
  // The fused product has no WebGPU kernel.
  if (context.target !== 'webgpu') {
    return context.emit('FusedMatMul', [a!, b!], { ...transposed, alpha }, { domain: 'com.microsoft' });
  }
  const swapped = (name: string, tensor: Tensor) => {
    const order = tensor.shape.map((_, axis) => axis);
    order.push(...order.splice(-2).reverse());
    return context.emit('Transpose', [name], { perm: order })[0]!;
  };
  const operands = [transposeA ? swapped(a!, left) : a!, transposeB ? swapped(b!, right) : b!];
  const product = context.emit('MatMul', operands);
  if (factor === 1) return product;
  return context.emit('Mul', [product[0]!, context.constant(Float32Array.of(factor), [], 'float32')]);
}

/**
 * Matrix product over the last two axes, [..., M, K] x [..., K, N] -> [..., M, N]; leading axes broadcast.
 * `transposeA` / `transposeB` read that operand with its last two axes swapped; the product is multiplied by `factor`.
 * A product of a batch with one matrix runs as a single two-dimensional product.
 */
export function matmul(
  a: Tensor,
  b: Tensor,
  options: { transposeA?: boolean; transposeB?: boolean; factor?: number } = {},
): Tensor {
  const transposeA = options.transposeA ?? false;
  const transposeB = options.transposeB ?? false;
  const factor = options.factor ?? 1;
  if (a.rank > 2 && b.rank === 2 && !transposeA) {
    const rows = a.shape.slice(0, -1);
    if (rows.filter((dim) => typeof dim === 'string').length <= 1) {
      const flat = matmul(reshape(a, [-1, a.shape.at(-1)!]), b, { transposeB, factor });
      return reshape(flat, [...rows, flat.shape[1]!]);
    }
    if (transposeB) {
      return applyOne(matmulOperator, [a, transpose(b)], { transposeA, transposeB: false, factor });
    }
  }
  return applyOne(matmulOperator, [a, b], { transposeA, transposeB, factor });
}
