/** Functions made of the primitive operators; their gradients follow from those. */
import { resolveAxis, shapeError } from '../operator.ts';
import { type Shape, sizeOf, staticShape, type Tensor } from '../tensor.ts';
import { add, div, mul, sub } from './binary.ts';
import { equal } from './compare.ts';
import { matmul } from './matmul.ts';
import { max, mean, sum } from './reduce.ts';
import { pad, reshape, slice, transpose } from './shape.ts';
import { constant, full, scalar } from './source.ts';
import { cast, exp, log, neg, reciprocal, softplus, sqrt, stopGradient } from './unary.ts';

export const square = (x: Tensor): Tensor => mul(x, x);
/** 1 / sqrt(x) */
export const rsqrt = (x: Tensor): Tensor => reciprocal(sqrt(x));
/** log sigmoid(x), stable. */
export const logSigmoid = (x: Tensor): Tensor => neg(softplus(neg(x)));
export const zerosLike = (x: Tensor): Tensor => full(staticShape(x.shape, 'zerosLike'), 0, x.dtype);
export const onesLike = (x: Tensor): Tensor => full(staticShape(x.shape, 'onesLike'), 1, x.dtype);
/** x times a number. */
export const scale = (x: Tensor, factor: number): Tensor => mul(x, scalar(factor));

/** log(sum(exp x)) along an axis, shifted by the (constant) maximum. */
export function logSumExp(x: Tensor, axis = -1, keepDims = false): Tensor {
  const resolved = resolveAxis('logSumExp', axis, x.rank);
  const top = stopGradient(max(x, resolved, true));
  const result = add(log(sum(exp(sub(x, top)), resolved, true)), top);
  return keepDims
    ? result
    : reshape(
        result,
        x.shape.filter((_, i) => i !== resolved),
      );
}

/** (x - mean) / sqrt(variance + epsilon) * weight + bias over the last axis (Ba et al. 2016). */
export function layerNorm(x: Tensor, weight: Tensor, bias?: Tensor, epsilon = 1e-5): Tensor {
  const centred = sub(x, mean(x, -1, true));
  const normalised = mul(centred, rsqrt(add(mean(square(centred), -1, true), scalar(epsilon))));
  const scaled = mul(normalised, weight);
  return bias ? add(scaled, bias) : scaled;
}

/** Sum of w x over sum of w (a mean over the places where the weight is 1). */
export function weightedMean(x: Tensor, weights: Tensor): Tensor {
  return div(sum(mul(x, weights)), sum(weights));
}

/** 1 where the index equals the class, as float32: indices [...] -> [..., numClasses]. */
export function oneHot(indices: Tensor, numClasses: number): Tensor {
  const classes =
    indices.dtype === 'int64'
      ? constant(
          BigInt64Array.from({ length: numClasses }, (_, i) => BigInt(i)),
          [numClasses],
          'int64',
        )
      : constant(
          Int32Array.from({ length: numClasses }, (_, i) => i),
          [numClasses],
          'int32',
        );
  return cast(equal(reshape(indices, [...indices.shape, 1]), classes), 'float32');
}

function triangle(rows: number, columns: number, keep: (row: number, column: number) => boolean): Tensor {
  const data = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) if (keep(row, column)) data[row * columns + column] = 1;
  }
  return constant(data, [rows, columns], 'float32');
}

function matrixSize(x: Tensor, asker: string): [number, number] {
  return staticShape(x.shape.slice(-2), asker) as unknown as [number, number];
}

/** Lower triangle of the last two axes, zeros above diagonal `k`. */
export function tril(x: Tensor, k = 0): Tensor {
  const [rows, columns] = matrixSize(x, 'tril');
  return mul(
    x,
    triangle(rows, columns, (row, column) => column <= row + k),
  );
}

/** Upper triangle of the last two axes, zeros below diagonal `k`. */
export function triu(x: Tensor, k = 0): Tensor {
  const [rows, columns] = matrixSize(x, 'triu');
  return mul(
    x,
    triangle(rows, columns, (row, column) => column >= row + k),
  );
}

/** x W^T + b with W [out, in] (the Hugging Face and PyTorch layout). */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const y = matmul(x, weight, { transposeB: true });
  return bias ? add(y, bias) : y;
}

/**
 * Depthwise causal convolution over time: x [batch, length, channels], weight [channels, width],
 * y_t = sum_j w_j x_{t - width + 1 + j}; positions before the start are zero.
 */
export function causalConv(x: Tensor, weight: Tensor): Tensor {
  const [channels, width] = staticShape(weight.shape, 'causalConv') as unknown as [number, number];
  const length = staticShape([x.shape[1]!], 'causalConv')[0]!;
  const padded = pad(x, 1, width - 1, 0);
  let total: Tensor | undefined;
  for (let j = 0; j < width; j++) {
    const tap = reshape(slice(weight, 1, j, j + 1), [channels]);
    const term = mul(slice(padded, 1, j, j + length), tap);
    total = total ? add(total, term) : term;
  }
  return total!;
}

/**
 * Sum over products by an index formula such as 'bthd,bshd->bhts'. Every letter of one operand stands in
 * the other or in the result; letters of both and the result are batch axes. Runs as one matrix product.
 */
export function einsum(formula: string, a: Tensor, b: Tensor): Tensor {
  const match = /^([a-z]+),([a-z]+)->([a-z]*)$/.exec(formula.replaceAll(' ', ''));
  if (!match || match[1]!.length !== a.rank || match[2]!.length !== b.rank) {
    return shapeError(
      'einsum',
      `"${formula}" does not fit ranks ${a.rank} and ${b.rank}; write e.g. 'bij,bjk->bik'.`,
    );
  }
  const [, left, right, out] = match as unknown as [string, string, string, string];
  const sizes = new Map<string, Shape[number]>();
  for (const [letters, tensor] of [
    [left, a],
    [right, b],
  ] as const) {
    [...letters].forEach((letter, i) => {
      const known = sizes.get(letter);
      if (known !== undefined && known !== tensor.shape[i]) {
        shapeError(
          'einsum',
          `in "${formula}" index ${letter} is ${known} on one side and ${tensor.shape[i]} on the other.`,
        );
      }
      sizes.set(letter, tensor.shape[i]!);
    });
  }
  const batch = [...left].filter((c) => right.includes(c) && out.includes(c));
  const inner = [...left].filter((c) => right.includes(c) && !out.includes(c));
  const rows = [...left].filter((c) => !right.includes(c));
  const columns = [...right].filter((c) => !left.includes(c));
  const sorted = (letters: string[]) => [...letters].sort().join('');
  if (sorted([...batch, ...rows, ...columns]) !== sorted([...out])) {
    shapeError(
      'einsum',
      `in "${formula}" every index must stand in the other operand or the result; sum single ones away first.`,
    );
  }
  const dims = (letters: string[]) => letters.map((c) => sizes.get(c)!);
  const count = (letters: string[]) => sizeOf(dims(letters));
  const arrange = (x: Tensor, letters: string, order: string[]) =>
    transpose(
      x,
      order.map((c) => letters.indexOf(c)),
    );
  const aMatrix = reshape(arrange(a, left, [...batch, ...rows, ...inner]), [
    ...dims(batch),
    count(rows),
    count(inner),
  ]);
  const bMatrix = reshape(arrange(b, right, [...batch, ...inner, ...columns]), [
    ...dims(batch),
    count(inner),
    count(columns),
  ]);
  const product = reshape(matmul(aMatrix, bMatrix), dims([...batch, ...rows, ...columns]));
  const have = [...batch, ...rows, ...columns];
  return transpose(
    product,
    [...out].map((c) => have.indexOf(c)),
  );
}
