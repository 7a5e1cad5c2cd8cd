/** Tensors that come from outside the graph: inputs and constants. */
import { PlinthError } from '../../core/errors.ts';
import { applyOne, defineOperator, shapeError } from '../operator.ts';
import { type DType, type Shape, sizeOf, type Tensor, type TensorData } from '../tensor.ts';

const inputOperator = defineOperator({
  name: 'input',
  infer: (_, attributes) => [{ shape: attributes.shape as Shape, dtype: attributes.dtype as DType }],
  lower: (_, node) => [node.attributes.name as string],
});

const constantOperator = defineOperator({
  name: 'constant',
  infer: (_, attributes) => {
    const shape = attributes.shape as readonly number[];
    const data = attributes.data as TensorData;
    if (data.length !== sizeOf(shape)) {
      shapeError(
        'constant',
        `shape [${shape.join(', ')}] holds ${sizeOf(shape)} values, got ${data.length}.`,
      );
    }
    return [{ shape, dtype: attributes.dtype as DType }];
  },
  lower: (context, node) => [
    context.constant(
      node.attributes.data as TensorData,
      node.attributes.shape as readonly number[],
      node.attributes.dtype as DType,
    ),
  ],
  evaluate: (_, node) => node.attributes.data as TensorData,
});

/** A value fed at run time. Names must be unique within a program. */
export function input(name: string, shape: Shape, dtype: DType = 'float32'): Tensor {
  for (const dim of shape) {
    if (typeof dim === 'number' && !(Number.isInteger(dim) && dim >= 0)) {
      throw new PlinthError('shape', `input "${name}": size ${dim} is not a whole number >= 0.`);
    }
  }
  return applyOne(inputOperator, [], { name, shape, dtype });
}

export function isInput(tensor: Tensor): boolean {
  return tensor.node.operator === inputOperator;
}

/** A value fixed in the program. Keep large arrays out: feed them as inputs instead. */
export function constant(data: TensorData, shape: readonly number[], dtype: DType): Tensor {
  return applyOne(constantOperator, [], { data, shape, dtype });
}

export function isConstant(tensor: Tensor): boolean {
  return tensor.node.operator === constantOperator;
}

export function constantData(tensor: Tensor): TensorData {
  return tensor.node.attributes.data as TensorData;
}

/** The number of a one-element float32 constant; undefined for any other tensor. */
export function scalarValue(x: Tensor): number | undefined {
  if (!isConstant(x)) return undefined;
  const data = constantData(x);
  return data instanceof Float32Array && data.length === 1 ? data[0] : undefined;
}

/** A scalar constant of the given dtype. float16 scalars are kept as their bits. */
export function scalar(value: number, dtype: DType = 'float32'): Tensor {
  return constant(fillData(dtype, 1, value), [], dtype);
}

/** A constant of one repeated value. */
export function full(shape: readonly number[], value: number, dtype: DType = 'float32'): Tensor {
  return constant(fillData(dtype, sizeOf(shape), value), shape, dtype);
}

export function dataOf(dtype: DType, values: ArrayLike<number>): TensorData {
  switch (dtype) {
    case 'float32':
      return Float32Array.from(values);
    case 'int32':
      return Int32Array.from(values);
    case 'int64':
      return BigInt64Array.from(Array.from(values, (value) => BigInt(value)));
    case 'uint8':
      return Uint8Array.from(values);
    case 'bool':
      return Uint8Array.from(values, (value) => (value ? 1 : 0));
    case 'float16':
      return Uint16Array.from(values, float16Bits);
  }
}

function fillData(dtype: DType, length: number, value: number): TensorData {
  const one = dataOf(dtype, [value]);
  if (length === 1) return one;
  switch (dtype) {
    case 'float32':
      return new Float32Array(length).fill(value);
    case 'int32':
      return new Int32Array(length).fill(value);
    case 'int64':
      return new BigInt64Array(length).fill(BigInt(value));
    default:
      return dataOf(dtype, new Array<number>(length).fill(value));
  }
}

/** IEEE half bits of a number, rounded to nearest even. */
function float16Bits(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const exponent = (bits >>> 23) & 0xff;
  const mantissa = bits & 0x7fffff;
  if (exponent === 0xff) return sign | 0x7c00 | (mantissa ? 0x200 : 0);
  const half = exponent - 112;
  if (half >= 31) return sign | 0x7c00;
  const shift = half <= 0 ? 14 - half : 13;
  if (shift > 24) return sign;
  const full = half <= 0 ? mantissa | 0x800000 : mantissa | (half << 23);
  const rest = full & ((1 << shift) - 1);
  const halfway = 1 << (shift - 1);
  const rounded = (full >>> shift) + (rest > halfway || (rest === halfway && (full >>> shift) & 1) ? 1 : 0);
  return sign | rounded;
}
