/** What every post-training takes where nothing is said: the length of a row, the number of steps, the learning rate. */
import { ConfigError } from '../../core/errors.ts';

const DEFAULT_LENGTH = 256;
const BASE_WIDTH = 128;
/** On the rate of a whole model: adapters want about ten times as much, whatever the rank (docs/lora.md). */
export const LOW_RANK_RATE_FACTOR = 10;

/** Tokens of a row. Throws ConfigError for more than the model's context. */
export function rowLength(asked: number | undefined, contextLength: number): number {
  const length = asked ?? Math.min(DEFAULT_LENGTH, contextLength);
  if (length <= contextLength) return length;
  throw new ConfigError(`length is ${length}; the model's context is ${contextLength} tokens.`);
}

export interface RateChoice {
  readonly asked: number | undefined;
  /** For all weights of a model of width 128. */
  readonly base: number;
  readonly isLowRank: boolean;
  readonly hiddenSize: number;
}

/** The peak: what was asked for, or the base rate, falling with the width of a wider model. */
export function peakRate({ asked, base, isLowRank, hiddenSize }: RateChoice): number {
  return asked ?? (isLowRank ? LOW_RANK_RATE_FACTOR : 1) * base * Math.min(1, BASE_WIDTH / hiddenSize);
}

/** To be spread into the request of a `TrainingFolder`: the steps asked for, or the passes. */
export function durationRequest(steps: number | undefined, epochs: number): Readonly<Record<string, number>> {
  return steps === undefined ? { epochs } : { steps };
}

export interface StepChoice {
  readonly steps: number | undefined;
  readonly epochs: number;
  /** Of one pass: rows or items. */
  readonly numItems: number;
  readonly batchSize: number;
}

/** The steps asked for, or those of so many passes. */
export function stepsFor({ steps, epochs, numItems, batchSize }: StepChoice): number {
  return steps ?? Math.max(1, Math.ceil((epochs * numItems) / batchSize));
}
