/**
 * The time of one training step of a dense transformer on a machine whose SGEMM rate is known. Matrix products run
 * near that rate where they are wide; everything elementwise costs time in proportion to the width, so narrow
 * models reach a smaller share. The two constants were measured on ONNX Runtime's CPU provider (bench/plan.ts
 * measures them again); a step that was really taken replaces the estimate through `slowness`.
 */
import { layerMatrixParameters, type ModelShape, shapeParameters } from './model-shape.ts';

export interface Machine {
  /** GFLOP/s of a 1024 x 1024 x 1024 float32 product. */
  readonly gflops: number;
  /** Memory that training may take. Left out: not looked at. */
  readonly memoryBytes?: number;
  /** Measured over estimated time of a step; 1 when nothing was measured. */
  readonly slowness?: number;
}

export interface StepShape {
  readonly vocabSize: number;
  readonly contextLength: number;
  /** Sequences in a step. */
  readonly batchSize: number;
  readonly optimizer: 'adamw' | 'muon';
}

/** Time of products over what the SGEMM rate alone would give: this much plus `NARROW` over the width. */
const WIDE = 1.05;
const NARROW = 70;
/** Bytes of state that a step reads and writes for each parameter, and how fast. */
const STATE_BYTES = 28;
const STATE_BYTES_PER_SECOND = 5e9;
/** Starting programs and reading the loss. */
const FIXED_SECONDS = 0.003;
/** Newton-Schulz iterations of Muon. */
const MUON_ITERATIONS = 5;

/** FLOPs of a step: products of weights and of attention, forward and backward, and the optimizer's own. */
export interface StepFlops {
  readonly weights: number;
  readonly attention: number;
  readonly optimizer: number;
  readonly total: number;
}

/** Counts a multiplication and an addition as two. Attention counts all pairs, as the program computes them. */
export function stepFlops(shape: ModelShape, step: StepShape): StepFlops {
  const tokens = step.batchSize * step.contextLength;
  const weights = 6 * tokens * (layerMatrixParameters(shape) + step.vocabSize * shape.hiddenSize);
  const attention = 12 * tokens * shape.numLayers * shape.hiddenSize * step.contextLength;
  const optimizer = step.optimizer === 'muon' ? muonFlops(shape) : 0;
  return { weights, attention, optimizer, total: weights + attention + optimizer };
}

/** Each iteration of an s x l matrix takes two products s x l x s and one s x s x s (Jordan et al. 2024). */
function muonFlops({ hiddenSize, numHeads, numKvHeads, numLayers, intermediateSize }: ModelShape): number {
  const kvSize = (hiddenSize / numHeads) * numKvHeads;
  const iteration = (a: number, b: number) =>
    4 * Math.min(a, b) ** 2 * Math.max(a, b) + 2 * Math.min(a, b) ** 3;
  const layer =
    2 * iteration(hiddenSize, hiddenSize) +
    2 * iteration(hiddenSize, kvSize) +
    3 * iteration(hiddenSize, intermediateSize);
  return MUON_ITERATIONS * numLayers * layer;
}

/** Seconds of one step. */
export function secondsPerStep(shape: ModelShape, step: StepShape, machine: Machine): number {
  const { weights, attention, optimizer } = stepFlops(shape, step);
  const rate = machine.gflops * 1e9;
  const products = ((weights + attention) * (WIDE + NARROW / shape.hiddenSize)) / rate;
  const state = (shapeParameters(shape, step.vocabSize) * STATE_BYTES) / STATE_BYTES_PER_SECOND;
  return (machine.slowness ?? 1) * (products + optimizer / rate + state + FIXED_SECONDS);
}

/** Live float32 values of one token in one layer while the backward pass waits, in units of the width. */
const ACTIVATIONS_PER_WIDTH = 20;
/** Copies of the parameters during a step: old and new values and optimizer state, and gradients. */
const PARAMETER_COPIES = 8;

/** Memory of a training step without recomputation, in bytes; an estimate within about a factor of 1.5. */
export function stepMemoryBytes(shape: ModelShape, step: StepShape): number {
  const tokens = step.batchSize * step.contextLength;
  const layer =
    ACTIVATIONS_PER_WIDTH * shape.hiddenSize +
    4 * shape.intermediateSize +
    3 * shape.numHeads * step.contextLength;
  const activations = tokens * (shape.numLayers * layer + 3 * step.vocabSize);
  return 4 * (PARAMETER_COPIES * shapeParameters(shape, step.vocabSize) + activations);
}
