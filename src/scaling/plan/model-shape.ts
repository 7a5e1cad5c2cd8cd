/**
 * Shapes of small models from one number, the depth: width, heads and the MLP's size follow from it (the one dial
 * of nanochat, with heads of 32 instead of whole models of 64 a layer). Dense decoders with RMSNorm, QK-norm,
 * SwiGLU and tied embeddings, which is what training builds. Pure numbers.
 */
import { ConfigError } from '../../core/errors.ts';

export interface ModelShape {
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly intermediateSize: number;
}

/** Width of a head, and of the model for each layer. */
export const HEAD_DIM = 32;
/** SwiGLU's inner size is 8/3 of the width (Shazeer 2020), rounded up to a multiple of this. */
const INTERMEDIATE_MULTIPLE = 32;
/** Depths that are considered: from 25 k to about 400 M parameters beside the vocabulary. */
export const DEPTHS = { min: 1, max: 32 } as const;

export function intermediateSizeOf(hiddenSize: number): number {
  return Math.ceil((hiddenSize * 8) / 3 / INTERMEDIATE_MULTIPLE) * INTERMEDIATE_MULTIPLE;
}

/** `depth` layers (two at least) of width 32 * depth with as many heads. Throws ConfigError for a depth out of range. */
export function shapeOfDepth(depth: number): ModelShape {
  if (!(Number.isInteger(depth) && depth >= DEPTHS.min && depth <= DEPTHS.max)) {
    throw new ConfigError(`depth must be a whole number from ${DEPTHS.min} to ${DEPTHS.max}, got ${depth}.`);
  }
  const hiddenSize = HEAD_DIM * depth;
  return {
    hiddenSize,
    numLayers: Math.max(2, depth),
    numHeads: depth,
    numKvHeads: depth,
    intermediateSize: intermediateSizeOf(hiddenSize),
  };
}

/** All shapes, smallest first. */
export function modelShapes(): ModelShape[] {
  return Array.from({ length: DEPTHS.max - DEPTHS.min + 1 }, (_, i) => shapeOfDepth(DEPTHS.min + i));
}

/** Weights of the matrices that every token is multiplied with in the layers, without vocabulary and norms. */
export function layerMatrixParameters(shape: ModelShape): number {
  const { hiddenSize, numLayers, intermediateSize } = shape;
  const headDim = hiddenSize / shape.numHeads;
  const attention = 2 * hiddenSize * hiddenSize + 2 * hiddenSize * shape.numKvHeads * headDim;
  return numLayers * (attention + 3 * hiddenSize * intermediateSize);
}

/** Stored parameters with a tied vocabulary, norms included. */
export function shapeParameters(shape: ModelShape, vocabSize: number): number {
  const { hiddenSize, numLayers, numHeads } = shape;
  const norms = numLayers * (2 * hiddenSize + (2 * hiddenSize) / numHeads) + hiddenSize;
  return vocabSize * hiddenSize + layerMatrixParameters(shape) + norms;
}

/** The shape whose number of parameters is nearest in ratio. Throws ConfigError for a count out of range. */
export function shapeForParameters(
  params: number,
  vocabSize: number,
  limits: { readonly min: number; readonly max: number },
): ModelShape {
  if (!(params >= limits.min && params <= limits.max)) {
    throw new ConfigError(`params must be between ${limits.min} and ${limits.max}, got ${params}.`);
  }
  const missOf = (shape: ModelShape) => Math.abs(Math.log(shapeParameters(shape, vocabSize) / params));
  return modelShapes().reduce((best, shape) => (missOf(shape) < missOf(best) ? shape : best));
}
