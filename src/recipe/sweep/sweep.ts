/**
 * What a sweep is made of: models of several sizes (the ladder), each trained to several token counts on the same
 * text, and one point for each of them. Plain data; how they come about is in the files beside this one.
 */
import type { BatchSource } from '../../data/tokens/token-batch.ts';
import type { Parametrisation } from '../../model/parametrisation.ts';
import type { Tokenizer } from '../../tokenizer/index.ts';
import type { OptimizerSettings } from '../../train/optimizer.ts';
import type { Schedule } from '../../train/schedule.ts';

/** One rung of the ladder. */
export interface SweepShape {
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
}

/** Settings that every size shares; the optimizer's rate may follow the width. */
export interface SweepSettings {
  readonly seed: number;
  readonly batchSize: number;
  readonly contextLength: number;
  readonly schedule: Schedule;
  readonly clipNorm: number;
  /** The same for every size. Left out: what the one dial (`planModel`) gives for each width. */
  readonly optimizer?: OptimizerSettings;
  readonly parametrisation?: Parametrisation;
}

/** Where a sweep's tokens come from, when not from files. All batches are pure functions of their number. */
export interface SweepTokens {
  /** Equal for equal tokens: a sweep goes on only with the tokens it began with. */
  readonly identity: string;
  readonly vocabSize: number;
  readonly endOfTextId: number;
  /** Different tokens that training can read before it repeats itself. */
  readonly numTokens: number;
  train(shape: BatchShape): BatchSource;
  /** Text that is not in training. */
  validation(shape: BatchShape): BatchSource;
  /** For bits per byte. */
  readonly tokenizer?: Tokenizer;
  /** tokenizer.json and the like, saved beside the largest model. */
  readonly tokenizerFiles?: ReadonlyMap<string, string | Uint8Array>;
}

export interface BatchShape {
  readonly batchSize: number;
  readonly sequenceLength: number;
  readonly seed: number;
}

/** How often a span of tokens is predicted right, token by token under teacher forcing. */
export interface SpanMatch {
  /** k: tokens of a span. */
  readonly length: number;
  readonly matches: number;
  readonly spans: number;
}

/** One trained model: a size at a token count. */
export interface SweepPoint {
  /** Position on the ladder, smallest 0. */
  readonly size: number;
  readonly hiddenSize: number;
  readonly numLayers: number;
  /** N of the law: `SWEEP_PARAMETERS` says which. */
  readonly params: number;
  readonly nonEmbedding: number;
  readonly steps: number;
  /** D of the law: tokens that training read. */
  readonly tokens: number;
  /** Times that training went through the text. */
  readonly epochs: number;
  /** Of the matrix products of training, counted from the program: head and attention are in it. */
  readonly flops: number;
  /** Nats a token on held-out text. */
  readonly loss: number;
  /** Of the mean over the held-out windows. Shared by all points of a sweep, which read the same windows. */
  readonly standardError: number;
  /** NaN (null in files) without a tokenizer. */
  readonly bitsPerByte: number;
  readonly spans: readonly SpanMatch[];
  /** Wall-clock time of this point beyond the one before it, evaluation included. */
  readonly seconds: number;
}

/** What N counts, in words for reports. */
export const SWEEP_PARAMETERS =
  'all weights (tied embeddings once): the matrices of the layers and of the output head, which is what computes';

/** Spans whose exact match is measured. */
export const SPAN_LENGTHS: readonly number[] = [1, 2, 4, 8, 16];

/** `64x2`: width and layers. */
export function shapeName({ hiddenSize, numLayers }: { hiddenSize: number; numLayers: number }): string {
  return `${hiddenSize}x${numLayers}`;
}

const NUM_NAMES = 3;

/** File names without their folders, the first few of them: a report is to be passed on. */
export function namesOf(paths: readonly string[]): string {
  const names = paths.slice(0, NUM_NAMES).map((path) => path.split(/[\\/]/).at(-1)!.slice(0, 80));
  const more = paths.length - names.length;
  return more > 0 ? `${names.join(', ')} and ${more} more` : names.join(', ');
}
