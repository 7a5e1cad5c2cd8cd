/**
 * What each stage of a training took: arithmetic, time, tokens, and what the arithmetic would cost on a rented
 * accelerator; as amounts and as shares. FLOPs of training are those of the compiled programs' matrix products; FLOPs
 * of generating and scoring are counted from the model's shape (`scaling/count`), every prompt read anew. What was
 * done twice because a run was stopped counts once. Pure functions.
 */
import type { PlinthEvent, TrainStepEvent } from '../core/events.ts';
import {
  architectureOfTransformer,
  type TransformerShape,
} from '../scaling/architecture/transformer-config.ts';
import { type Assumption, type Range, type RunTerms, trainingCost } from '../scaling/cost/index.ts';
import { flopsPerToken } from '../scaling/count/index.ts';

/** Arithmetic and tokens of one kind of work. */
export interface Work {
  readonly flops: number;
  readonly tokens: number;
}

export interface StageUse {
  readonly stage: string;
  /** Wall-clock time of all sessions. */
  readonly seconds: number;
  /** Forward, backward and update; tokens are those the model read, padding included. */
  readonly training?: Work;
  /** Answers: tokens are those that were generated. */
  readonly generation?: Work;
  /** Forward passes alone: of a reference, a reward model, a validation. */
  readonly scoring?: Work;
}

export interface StageAccount extends StageUse {
  readonly flops: number;
  /** Of all stages' FLOPs and seconds, 0 to 1. */
  readonly shareOfFlops: number;
  readonly shareOfSeconds: number;
  /** On the accelerator of `Accounting.terms`; null where it has no price. */
  readonly dollars: Range | null;
}

export interface Accounting {
  readonly stages: readonly StageAccount[];
  readonly total: {
    readonly flops: number;
    readonly seconds: number;
    readonly dollars: Range | null;
    readonly energyKWh: Range | null;
  };
  /** What dollars and energy stand on. */
  readonly terms: {
    readonly accelerator: string;
    readonly assumptions: readonly Assumption[];
    readonly notes: readonly string[];
  };
}

/** Tokens of one answer. */
export interface AnswerTokens {
  readonly promptTokens: number;
  /** The stop token included. */
  readonly completionTokens: number;
}

/** @param terms of the accelerator that dollars and energy are for; the default of `trainingCost` when left out. */
export function accountFor(uses: readonly StageUse[], terms: RunTerms = {}): Accounting {
  const flopsOf = ({ training, generation, scoring }: StageUse) =>
    (training?.flops ?? 0) + (generation?.flops ?? 0) + (scoring?.flops ?? 0);
  const flops = uses.reduce((sum, use) => sum + flopsOf(use), 0);
  const seconds = uses.reduce((sum, use) => sum + use.seconds, 0);
  // Dollars are proportional to FLOPs: one look-up prices them all.
  const unit = trainingCost({ ...terms, flops: 1 });
  const priced = (range: Range | null, amount: number): Range | null =>
    range && { low: range.low * amount, typical: range.typical * amount, high: range.high * amount };
  return {
    stages: uses.map((use) => ({
      ...use,
      flops: flopsOf(use),
      shareOfFlops: flops > 0 ? flopsOf(use) / flops : 0,
      shareOfSeconds: seconds > 0 ? use.seconds / seconds : 0,
      dollars: priced(unit.dollars, flopsOf(use)),
    })),
    total: {
      flops,
      seconds,
      dollars: priced(unit.dollars, flops),
      energyKWh: priced(unit.energyKWh, flops),
    },
    terms: { accelerator: unit.accelerator, assumptions: unit.assumptions, notes: unit.notes },
  };
}

/**
 * FLOPs and tokens of a stage's optimizer steps, from its events: each tells the rate and the tokens of its step, from
 * which the step's FLOPs follow. Undefined when it took no step.
 */
export function trainingWork(events: readonly PlinthEvent[], stage: string): Work | undefined {
  const steps = stepsOf(events, stage);
  if (steps.length === 0) return undefined;
  let [flops, tokens] = [0, 0];
  for (const event of steps) {
    const stepTokens = event.tokens / event.step;
    tokens += stepTokens;
    // A whole number of operations, whatever the two rates were rounded to.
    flops += Math.round((event.gflops * 1e9 * stepTokens) / event.tokensPerSecond);
  }
  return { flops, tokens };
}

/** Time of a stage's optimizer steps, what made their batches included; by the smoothed rates that they tell. */
export function stepSeconds(events: readonly PlinthEvent[], stage: string): number {
  return stepsOf(events, stage).reduce(
    (sum, { tokens, step, tokensPerSecond }) => sum + tokens / step / tokensPerSecond,
    0,
  );
}

function stepsOf(events: readonly PlinthEvent[], stage: string): TrainStepEvent[] {
  return events.filter(
    (event): event is TrainStepEvent => event.type === 'train-step' && event.stage === stage,
  );
}

/**
 * Generating answers one token after the other with cached keys and values: the prompt is read once, every token after
 * the first generated one reads all before it.
 */
export function generationWork(shape: TransformerShape, answers: readonly AnswerTokens[]): Work {
  const architecture = architectureOfTransformer(shape);
  const prefill = new Map<number, number>();
  const prefillOf = (length: number): number => {
    const known = prefill.get(length);
    if (known !== undefined) return known;
    const flops = flopsPerToken(architecture, { contextLength: length, causalMask: 'half' }).prefill;
    prefill.set(length, flops);
    return flops;
  };
  // A step costs a constant and a term that grows with the places before it, so two lengths tell all.
  const [one, two] = [1, 2].map((length) => flopsPerToken(architecture, { contextLength: length }).decode);
  const perPlace = two! - one!;
  let [flops, tokens] = [0, 0];
  for (const { promptTokens, completionTokens } of answers) {
    tokens += completionTokens;
    if (promptTokens > 0) flops += prefillOf(promptTokens);
    const numSteps = Math.max(0, completionTokens - 1);
    // Step k (1, 2, ...) attends to promptTokens + k places.
    const numPlaces = numSteps * promptTokens + (numSteps * (numSteps + 1)) / 2;
    flops += numSteps * (one! - perPlace) + numPlaces * perPlace;
  }
  return { flops, tokens };
}

/** Forward passes over sequences of so many tokens, log-probabilities of every token included. */
export function scoringWork(shape: TransformerShape, lengths: readonly number[]): Work {
  const architecture = architectureOfTransformer(shape);
  const byLength = new Map<number, number>();
  for (const length of lengths) byLength.set(length, (byLength.get(length) ?? 0) + 1);
  let [flops, tokens] = [0, 0];
  for (const [length, count] of byLength) {
    if (length < 1) continue;
    tokens += length * count;
    flops += count * length * flopsPerToken(architecture, { contextLength: length }).forward;
  }
  return { flops, tokens };
}
