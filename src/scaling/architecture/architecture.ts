/**
 * One description of any model: an optional encoder and a decoder, each a list of layers, each layer a list of
 * blocks that know their own weights, arithmetic, cache and activations. Layers that are alike are the same
 * object. Holds no weights and computes nothing about training.
 */
import { ConfigError } from '../../core/errors.ts';
import type { Block, Weight } from './block.ts';
import type { OutputHead, TokenEmbedding } from './embedding.ts';

export type Layer = readonly Block[];

export interface Stack {
  /** Between the token embedding and the first layer: positions, an embedding norm, a projection. */
  readonly before: readonly Block[];
  readonly layers: readonly Layer[];
  /** Behind the last layer: the final norm, a projection. */
  readonly after: readonly Block[];
}

export interface Architecture {
  /** A preset's name, or the model type. */
  readonly name: string;
  readonly modelType: string;
  readonly hiddenSize: number;
  /** Rows of the token table, padding included. */
  readonly vocabSize: number;
  /** The longest sequence it was made for; null when the config does not say. */
  readonly contextLength: number | null;
  readonly embedding: TokenEmbedding;
  readonly encoder: Stack | null;
  readonly decoder: Stack;
  readonly head: OutputHead;
  /** What a reader of the counts should know: parts left out, padded vocabularies, choices made. */
  readonly notes: readonly string[];
}

/** Every block of a stack with how often it occurs; identical layers are visited once. */
export function* stackBlocks(stack: Stack): Generator<{ block: Block; count: number }> {
  for (const block of stack.before) yield { block, count: 1 };
  const counts = new Map<Layer, number>();
  for (const layer of stack.layers) counts.set(layer, (counts.get(layer) ?? 0) + 1);
  for (const [layer, count] of counts) for (const block of layer) yield { block, count };
  for (const block of stack.after) yield { block, count: 1 };
}

/** Every weight of the model with how often it occurs; a tied head is in the embedding. */
export function* architectureWeights(
  architecture: Architecture,
): Generator<{ weight: Weight; count: number; onSource: boolean }> {
  for (const weight of architecture.embedding.weights) yield { weight, count: 1, onSource: false };
  for (const stack of [architecture.encoder, architecture.decoder]) {
    if (stack === null) continue;
    const inEncoder = stack === architecture.encoder;
    for (const { block, count } of stackBlocks(stack)) {
      for (const weight of block.weights) yield { weight, count, onSource: inEncoder || weight.onSource };
    }
  }
  for (const weight of architecture.head.weights) yield { weight, count: 1, onSource: false };
}

/**
 * Returns the architecture if its numbers of weights can be counted exactly.
 * @throws ConfigError when there are 2^53 parameters or more: sizes are then not a model's.
 */
export function checkArchitecture(architecture: Architecture): Architecture {
  let total = 0;
  for (const { weight, count } of architectureWeights(architecture)) total += weight.size * count;
  if (!Number.isSafeInteger(total)) {
    throw new ConfigError(
      `This config describes a model of ${total.toExponential(2)} parameters; the largest that is counted has 2^53 (9e15). Check the sizes in it for a typing error.`,
    );
  }
  return architecture;
}
