/**
 * Weights as an ONNX file stores them: float32, float16 that is widened when the program is loaded (computing stays
 * in float32, so every runtime can do it), or blocks of 8 or 4 bits. Vectors always stay float32.
 */
import { FormatError } from '../../core/errors.ts';
import {
  cast,
  input,
  type QuantizedMatrixData,
  quantizedInput,
  type StoredWeight,
} from '../../tensor/index.ts';
import { parameterSpecs, type TransformerConfig } from '../config.ts';
import type { WeightArray } from '../initialize.ts';
import { isQuantized, type MixedWeights, type QuantizedWeight } from '../quantized.ts';
import { encodeFloat32 } from '../safetensors-float.ts';
import type { ModelParameter } from '../transformer.ts';

/** Values that are converted at a time: 4 MB of float32. */
const CHUNK_VALUES = 1 << 20;

export type OnnxFloatType = 'float32' | 'float16';

export interface OnnxWeightOptions {
  readonly floatType: OnnxFloatType;
  /** Block sizes and bits of the matrices that it quantises; others stay in `floatType`. */
  readonly quantize?: OnnxQuantizer;
}

export interface OnnxQuantizer {
  readonly bits: 4 | 8;
  readonly blockSize: number;
  matrix(weight: WeightArray): QuantizedWeight;
}

export interface OnnxWeights {
  /** For the transformer. */
  readonly parameters: Record<string, ModelParameter>;
  /** Of the inputs that the parameters read. */
  readonly stored: readonly StoredWeight[];
  /** How each parameter is stored: float32, float16, q8 or q4. */
  readonly types: ReadonlyMap<string, string>;
}

export function floatWeight(name: string, { shape, data }: WeightArray, type: OnnxFloatType): StoredWeight {
  return {
    name,
    dtype: type,
    shape,
    sizeBytes: data.length * (type === 'float32' ? 4 : 2),
    *data() {
      for (let at = 0; at < data.length; at += CHUNK_VALUES) {
        yield encodeFloat32(data.subarray(at, at + CHUNK_VALUES), type === 'float32' ? 'F32' : 'F16');
      }
    },
  };
}

/** Codes and scales, from a weight that is made when the first of both is written and forgotten after the second. */
function blockWeights(
  name: string,
  form: Pick<QuantizedMatrixData, 'shape' | 'bits' | 'blockSize'>,
  weight: () => QuantizedWeight,
): StoredWeight[] {
  const { shape, bits, blockSize } = form;
  const numBlocks = shape[1] / blockSize;
  let made: QuantizedWeight | undefined;
  return [
    {
      name: `${name}.codes`,
      dtype: 'uint8',
      shape: [shape[0], numBlocks, (blockSize * bits) / 8],
      sizeBytes: (shape[0] * shape[1] * bits) / 8,
      *data() {
        made = weight();
        yield made.data;
      },
    },
    {
      name: `${name}.scales`,
      dtype: 'float32',
      shape: [shape[0], numBlocks],
      sizeBytes: shape[0] * numBlocks * 4,
      *data() {
        const { scales } = made ?? weight();
        made = undefined;
        yield encodeFloat32(scales, 'F32');
      },
    },
  ];
}

/** @throws FormatError when a weight is missing or has another shape than the config asks for. */
export function onnxWeights(
  config: TransformerConfig,
  weights: MixedWeights,
  { floatType, quantize }: OnnxWeightOptions,
): OnnxWeights {
  const parameters: Record<string, ModelParameter> = {};
  const stored: StoredWeight[] = [];
  const types = new Map<string, string>();
  for (const { name, shape } of parameterSpecs(config)) {
    const weight = weights.get(name);
    if (weight?.shape.join() !== shape.join()) {
      throw new FormatError(
        `Weight ${name} has shape [${weight?.shape.join(', ') ?? 'missing'}], the config asks for [${shape.join(', ')}].`,
      );
    }
    const form = isQuantized(weight)
      ? weight
      : quantize && shape.length === 2 && shape[1]! % quantize.blockSize === 0
        ? { ...quantize, shape: shape as [number, number] }
        : undefined;
    if (form) {
      parameters[name] = quantizedInput(name, form);
      stored.push(
        ...blockWeights(name, form, () => (isQuantized(weight) ? weight : quantize!.matrix(weight))),
      );
      types.set(name, `q${form.bits}`);
      continue;
    }
    const type = shape.length === 2 ? floatType : 'float32';
    parameters[name] = cast(input(name, shape, type), 'float32');
    stored.push(floatWeight(name, weight as WeightArray, type));
    types.set(name, type);
  }
  return { parameters, stored, types };
}
