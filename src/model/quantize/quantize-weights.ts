/**
 * A model's weights with its matrices quantised: projections, the embedding and the output matrix. Norms and biases
 * stay float32, and so does every matrix whose rows blocks do not fill; the result says which and why.
 */
import { ConfigError, DataError, PlinthError } from '../../core/errors.ts';
import { nearestName } from '../../core/nearest-name.ts';
import { parameterSpecs, type TransformerConfig } from '../config.ts';
import type { WeightArray } from '../initialize.ts';
import { isQuantized, type MixedWeights, type QuantizedWeight } from '../quantized.ts';
import {
  checkQuantizeOptions,
  dequantize,
  type QuantizeOptions,
  quantizedBytes,
  quantizeMatrix,
} from './quantize-matrix.ts';

export interface QuantizeWeightsOptions extends QuantizeOptions {
  /** Matrices to leave in float32, by parameter name. */
  readonly keep?: readonly string[];
}

export interface KeptMatrix {
  readonly name: string;
  readonly why: string;
}

export interface QuantizedWeightsResult {
  readonly weights: Map<string, WeightArray | QuantizedWeight>;
  /** Names of the matrices that were quantised. */
  readonly quantized: readonly string[];
  /** Matrices that stayed as they were. */
  readonly kept: readonly KeptMatrix[];
}

/**
 * Quantises every matrix that blocks fill. Matrices that are quantised already stay as they are.
 * @throws ConfigError for impossible options or an unknown name in `keep`; DataError, LimitError with the name of a
 *   matrix whose values do not allow it.
 */
export function quantizeWeights(
  config: TransformerConfig,
  weights: MixedWeights,
  options: QuantizeWeightsOptions,
): QuantizedWeightsResult {
  const { bits, blockSize } = checkQuantizeOptions(options);
  const specs = parameterSpecs(config);
  const keep = new Set(options.keep);
  const matrices = specs.filter(({ shape }) => shape.length === 2).map(({ name }) => name);
  for (const name of keep) {
    if (matrices.includes(name)) continue;
    const near = nearestName(name, matrices);
    throw new ConfigError(
      `keep: the model has no matrix "${name}".${near ? ` Did you mean "${near}"?` : ` Its matrices: ${matrices.join(', ')}.`}`,
    );
  }
  const mixed = new Map<string, WeightArray | QuantizedWeight>();
  const quantized: string[] = [];
  const kept: KeptMatrix[] = [];
  for (const { name, shape } of specs) {
    const weight = weights.get(name);
    if (!weight)
      throw new DataError(`quantizeWeights: the weights lack "${name}", which the config asks for.`);
    mixed.set(name, weight);
    if (shape.length !== 2) continue;
    const why = isQuantized(weight)
      ? `has ${weight.bits} bits already`
      : keep.has(name)
        ? 'asked for by name'
        : shape[1]! % blockSize === 0
          ? undefined
          : `rows of ${shape[1]} are no multiple of ${blockSize}`;
    if (why !== undefined) {
      kept.push({ name, why });
      continue;
    }
    mixed.set(name, quantizeNamed(name, weight as WeightArray, { bits, blockSize }));
    quantized.push(name);
  }
  return { weights: mixed, quantized, kept };
}

function quantizeNamed(name: string, weight: WeightArray, options: QuantizeOptions): QuantizedWeight {
  try {
    return quantizeMatrix(weight, options);
  } catch (error) {
    if (error instanceof PlinthError) {
      throw new PlinthError(error.code, `${name}: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

/** The same weights with every matrix in float32. */
export function dequantizeWeights(
  weights: MixedWeights,
): Map<string, { shape: number[]; data: Float32Array }> {
  return new Map(
    [...weights].map(([name, weight]) => [
      name,
      isQuantized(weight) ? dequantize(weight) : { shape: [...weight.shape], data: weight.data },
    ]),
  );
}

/** Bytes of the weights: `floatBytes` for each number that is not quantised, 2 for each scale. */
export function weightBytes(weights: MixedWeights, floatBytes = 4): number {
  let bytes = 0;
  for (const weight of weights.values()) {
    bytes += isQuantized(weight) ? quantizedBytes(weight) : weight.data.length * floatBytes;
  }
  return bytes;
}

export interface WeightError {
  /** The matrix with the largest error of a single weight. */
  readonly name: string;
  readonly largest: number;
  /** sqrt(sum of squared errors / sum of squared weights) over all quantised matrices. */
  readonly relative: number;
}

/** How far the quantised matrices are from `weights`; undefined when nothing is quantised. */
export function weightError(weights: MixedWeights, quantized: MixedWeights): WeightError | undefined {
  let worst: { name: string; largest: number } | undefined;
  let errors = 0;
  let squares = 0;
  for (const [name, weight] of quantized) {
    const before = weights.get(name);
    if (!isQuantized(weight) || !before || isQuantized(before)) continue;
    const after = dequantize(weight).data;
    let largest = 0;
    for (let i = 0; i < after.length; i++) {
      const error = after[i]! - before.data[i]!;
      largest = Math.max(largest, Math.abs(error));
      errors += error * error;
      squares += before.data[i]! ** 2;
    }
    if (!worst || largest > worst.largest) worst = { name, largest };
  }
  return worst && { ...worst, relative: squares === 0 ? 0 : Math.sqrt(errors / squares) };
}
