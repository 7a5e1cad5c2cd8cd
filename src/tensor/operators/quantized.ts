/**
 * Products and look-ups with matrices whose weights are stored in blocks of 8 or 4 bits (symmetric, one scale a
 * block): value = (code - 2^(bits - 1)) * scale. Products (ONNX Runtime's MatMulNBits) and look-ups read the same bytes,
 * so that tied embeddings are stored once. Forward only: codes have no gradient.
 *
 * Give weights as constants: ONNX Runtime lays constants out for its kernels when a program is loaded; codes that
 * are fed as inputs are expanded to float32 in every run, which is slower than a float32 product.
 */
import { ConfigError } from '../../core/errors.ts';
import { DATA_TYPES } from '../onnx-model.ts';
import {
  applyOne,
  defineOperator,
  dtypeError,
  type Lowering,
  requireFloat,
  shapeError,
} from '../operator.ts';
import { formatShape, type Node, type Tensor } from '../tensor.ts';
import { requireIndices } from './gather.ts';
import { constant, input } from './source.ts';

export type QuantizedBits = 4 | 8;

/** A matrix [out, in] in blocks along `in`, as symbolic tensors. */
export interface QuantizedMatrix {
  readonly shape: readonly [number, number];
  readonly bits: QuantizedBits;
  /** 16, 32, 64, 128 or 256 neighbours of a row that share a scale; divides `in`. */
  readonly blockSize: number;
  /** uint8 [out, in / blockSize, blockSize * bits / 8]; with 4 bits two codes a byte, the first in the low half. */
  readonly data: Tensor;
  /** float32 [out, in / blockSize]. */
  readonly scales: Tensor;
}

export interface QuantizedMatrixData {
  readonly shape: readonly [number, number];
  readonly bits: QuantizedBits;
  readonly blockSize: number;
  readonly data: Uint8Array;
  readonly scales: Float32Array;
}

export interface QuantizedMatmulOptions {
  /**
   * How the CPU computes. `int8` (default) rounds each block of the left side to 8 bits first (absmax / 127) and
   * multiplies whole numbers, as llama.cpp does; `float32` multiplies widened codes, which is exact and slow
   * (docs/quantization.md). WebAssembly computes in float32 either way.
   */
  readonly compute?: 'float32' | 'int8';
}

/** MatMulNBits' `accuracy_level`. */
const ACCURACY_LEVELS = { float32: 0, int8: 4 } as const;

/** Block sizes that the kernels of MatMulNBits know. */
export const QUANTIZED_BLOCK_SIZES: readonly number[] = [16, 32, 64, 128, 256];

interface LayoutAttributes {
  readonly shape: readonly [number, number];
  readonly bits: QuantizedBits;
  readonly blockSize: number;
}

/** Shapes of codes and scales; a ConfigError says which setting does not fit. */
function layout({ shape: [rows, columns], bits, blockSize }: LayoutAttributes): {
  data: [number, number, number];
  scales: [number, number];
} {
  if (bits !== 4 && bits !== 8) throw new ConfigError(`Quantised matrices have 4 or 8 bits, got ${bits}.`);
  if (!QUANTIZED_BLOCK_SIZES.includes(blockSize)) {
    throw new ConfigError(
      `Block size ${blockSize} of a quantised matrix; expected one of ${QUANTIZED_BLOCK_SIZES.join(', ')}.`,
    );
  }
  if (columns % blockSize !== 0) {
    throw new ConfigError(
      `A quantised matrix [${rows}, ${columns}] has rows that blocks of ${blockSize} do not fill. ` +
        'Choose a block size that divides the row, or keep this matrix in float32.',
    );
  }
  const numBlocks = columns / blockSize;
  return { data: [rows, numBlocks, (blockSize * bits) / 8], scales: [rows, numBlocks] };
}

function checkParts(operator: string, data: Tensor, scales: Tensor, attributes: LayoutAttributes): void {
  const wanted = layout(attributes);
  if (data.dtype !== 'uint8') dtypeError(operator, `codes must be uint8, got ${data.dtype}.`);
  if (scales.dtype !== 'float32') dtypeError(operator, `scales must be float32, got ${scales.dtype}.`);
  for (const [what, got, want] of [
    ['codes', data.shape, wanted.data],
    ['scales', scales.shape, wanted.scales],
  ] as const) {
    if (got.join() === want.join()) continue;
    shapeError(
      operator,
      `${what} of a [${attributes.shape.join(', ')}] matrix with ${attributes.bits} bits and blocks of ` +
        `${attributes.blockSize} must have shape ${formatShape(want)}, got ${formatShape(got)}.`,
    );
  }
}

const noGradient = (operator: string) =>
  `${operator} has no gradient: it is for inference with quantised weights. ` +
  'Train float32 weights and quantise the result.';

const attributesOf = (node: Node) => node.attributes as unknown as LayoutAttributes;

const quantizedMatmulOperator = defineOperator({
  name: 'quantizedMatmul',
  infer: ([x, data, scales], attributes) => {
    const one = attributes as unknown as LayoutAttributes;
    requireFloat('quantizedMatmul', x!);
    if (x!.dtype !== 'float32') {
      dtypeError('quantizedMatmul', `needs float32, got ${x!.dtype}. Cast it first: cast(x, 'float32').`);
    }
    checkParts('quantizedMatmul', data!, scales!, one);
    const [rows, columns] = one.shape;
    if (x!.rank < 2 || x!.shape.at(-1) !== columns) {
      shapeError(
        'quantizedMatmul',
        `${formatShape(x!.shape)} times a quantised [${rows}, ${columns}] matrix transposed: ` +
          `expected rows of ${columns} values, as [..., ${columns}].`,
      );
    }
    return [{ shape: [...x!.shape.slice(0, -1), rows], dtype: 'float32' }];
  },
  lower: (context, node, inputs) => {
    const { shape, bits, blockSize } = attributesOf(node);
    const compute = node.attributes.compute as keyof typeof ACCURACY_LEVELS;
    return context.emit(
      'MatMulNBits',
      inputs,
      {
        N: shape[0],
        K: shape[1],
        bits,
        block_size: blockSize,
        accuracy_level: ACCURACY_LEVELS[compute],
      },
      { domain: 'com.microsoft' },
    );
  },
  gradientRefused: noGradient('quantizedMatmul'),
});

const quantizedTakeOperator = defineOperator({
  name: 'quantizedTake',
  infer: ([data, scales, indices], attributes) => {
    const one = attributes as unknown as LayoutAttributes;
    requireIndices('quantizedTake', indices!);
    checkParts('quantizedTake', data!, scales!, one);
    return [{ shape: [...indices!.shape, one.shape[1]], dtype: 'float32' }];
  },
  lower: lowerTake,
  gradientRefused: noGradient('quantizedTake'),
});

/**
 * Gathers codes and scales and widens them by plain operators. GatherBlockQuantized does all of it, but with 8 bits
 * not on the CPU of every build of ONNX Runtime for browsers; the values are the same, bit for bit.
 */
function lowerTake(context: Lowering, node: Node, [data, scales, indices]: readonly string[]): string[] {
  const { shape, bits, blockSize } = attributesOf(node);
  const one = (type: string, ...inputs: string[]) => context.emit(type, inputs)[0]!;
  const number = (value: number) => context.constant(Float32Array.of(value), [], 'float32');
  // 0 takes the size of the indices' axis.
  const reshaped = (x: string, ...last: number[]) => {
    const sizes = [...node.inputs[2]!.shape.map(() => 0), ...last];
    return one('Reshape', x, context.constant(BigInt64Array.from(sizes, BigInt), [sizes.length], 'int64'));
  };
  const numBlocks = shape[1] / blockSize;
  const bytes = context.emit('Cast', [one('Gather', data!, indices!)], { to: DATA_TYPES.float32 })[0]!;
  const codes =
    bits === 8 ? bytes : reshaped(halves(context, reshaped(bytes, shape[1] / 2, 1)), numBlocks, blockSize);
  const steps = one('Sub', codes, number(2 ** (bits - 1)));
  const values = one('Mul', steps, reshaped(one('Gather', scales!, indices!), numBlocks, 1));
  return [reshaped(values, shape[1])];
}

/** Each byte as its low and its high half, side by side: [..., 1] -> [..., 2]. */
function halves(context: Lowering, bytes: string): string {
  const one = (type: string, ...inputs: string[]) => context.emit(type, inputs)[0]!;
  const number = (value: number) => context.constant(Float32Array.of(value), [], 'float32');
  const high = one('Floor', one('Mul', bytes, number(1 / 16)));
  const low = one('Sub', bytes, one('Mul', high, number(16)));
  return context.emit('Concat', [low, high], { axis: -1 })[0]!;
}

/** A quantised matrix fixed in the program. Throws ConfigError or ShapeError where sizes do not fit. */
export function quantizedConstant(weight: QuantizedMatrixData): QuantizedMatrix {
  const { shape, bits, blockSize } = weight;
  const shapes = layout(weight);
  return {
    shape,
    bits,
    blockSize,
    data: constant(weight.data, shapes.data, 'uint8'),
    scales: constant(weight.scales, shapes.scales, 'float32'),
  };
}

/** A quantised matrix fed at run time, as `<name>.codes` and `<name>.scales`. */
export function quantizedInput(name: string, form: LayoutAttributes): QuantizedMatrix {
  const shapes = layout(form);
  return {
    shape: form.shape,
    bits: form.bits,
    blockSize: form.blockSize,
    data: input(`${name}.codes`, shapes.data, 'uint8'),
    scales: input(`${name}.scales`, shapes.scales),
  };
}

/** x times a quantised matrix transposed, as `linear` without a bias: [..., in], [out, in] -> [..., out]. */
export function quantizedMatmul(
  x: Tensor,
  weight: QuantizedMatrix,
  options: QuantizedMatmulOptions = {},
): Tensor {
  const { shape, bits, blockSize } = weight;
  const compute = options.compute ?? 'int8';
  return applyOne(quantizedMatmulOperator, [x, weight.data, weight.scales], {
    shape,
    bits,
    blockSize,
    compute,
  });
}

/** Rows of a quantised matrix at integer indices of any shape, as float32: [out, in], [...i] -> [...i, in]. */
export function quantizedTake(weight: QuantizedMatrix, indices: Tensor): Tensor {
  const { shape, bits, blockSize } = weight;
  return applyOne(quantizedTakeOperator, [weight.data, weight.scales, indices], { shape, bits, blockSize });
}
