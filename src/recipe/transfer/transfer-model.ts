/**
 * One model of a transfer experiment, small enough to be trained in memory: its config from a width and a depth, and
 * its training from a seed. Models of one family differ in width and depth only: heads keep their size, the MLP and
 * the number of heads grow with the width, which is what muP assumes. A pure function of its input.
 */
import { CancelledError, ConfigError, NotFiniteError } from '../../core/errors.ts';
import type { BatchSource, TokenBatch } from '../../data/tokens/token-batch.ts';
import { parameterSpecs, type TransformerConfig, validateTransformerConfig } from '../../model/config.ts';
import { initializeWeights } from '../../model/initialize.ts';
import { type Parametrisation, scalingOf } from '../../model/parametrisation.ts';
import type { Device } from '../../runtime/device.ts';
import { LossEvaluator } from '../../train/evaluate-loss.ts';
import { languageModelObjective, type Objective } from '../../train/objective.ts';
import type { OptimizerSettings } from '../../train/optimizer.ts';
import { type Schedule, scheduleFactor } from '../../train/schedule.ts';
import {
  initialState,
  type StepSettings,
  type TrainingState,
  TrainingStep,
} from '../../train/training-step.ts';

/** What all models of a family share. */
export interface TransferFamily {
  readonly vocabSize: number;
  readonly headDim: number;
  readonly contextLength: number;
  /** Inner size of the MLP as a multiple of the width. */
  readonly mlpRatio: number;
  readonly tieWordEmbeddings: boolean;
  readonly initializerRange: number;
}

export const DEFAULT_FAMILY = {
  headDim: 16,
  mlpRatio: 8 / 3,
  tieWordEmbeddings: true,
  initializerRange: 0.02,
} as const;

/** MLP sizes are whole multiples of this. */
const MLP_MULTIPLE = 8;

/** Throws ConfigError for a width that its heads do not divide. */
export function familyConfig(family: TransferFamily, width: number, depth: number): TransformerConfig {
  const { headDim } = family;
  if (!(Number.isSafeInteger(width) && width >= headDim && width % headDim === 0)) {
    throw new ConfigError(
      `Width ${width} must be a multiple of the head size ${headDim}; try ${Math.max(1, Math.round(width / headDim)) * headDim}.`,
    );
  }
  const numHeads = width / headDim;
  return validateTransformerConfig({
    architecture: 'qwen3',
    vocabSize: family.vocabSize,
    hiddenSize: width,
    numLayers: depth,
    numHeads,
    numKvHeads: numHeads,
    headDim,
    intermediateSize: Math.max(1, Math.round((width * family.mlpRatio) / MLP_MULTIPLE)) * MLP_MULTIPLE,
    ropeTheta: 10_000,
    ropeScaling: null,
    rmsNormEps: 1e-6,
    tieWordEmbeddings: family.tieWordEmbeddings,
    maxPositionEmbeddings: family.contextLength,
    hiddenAct: 'silu',
    bosTokenId: null,
    eosTokenIds: [],
    padTokenId: null,
    initializerRange: family.initializerRange,
  });
}

export interface ModelRun {
  readonly config: TransformerConfig;
  readonly parametrisation: Parametrisation;
  readonly optimizer: OptimizerSettings;
  readonly schedule: Schedule;
  readonly clipNorm: number;
  readonly numSteps: number;
  readonly seed: number;
}

export interface ModelRunResult {
  /** Nats per token, mean over the last tenth of the steps; NaN where training went out of the finite numbers. */
  readonly trainLoss: number;
  /** Nats per token after the last step; NaN without validation data. */
  readonly validationLoss: number;
  readonly losses: readonly number[];
  readonly seconds: number;
}

export interface ModelRunContext {
  readonly device: Device;
  readonly batches: BatchSource;
  readonly validation?: readonly TokenBatch[] | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onStep?: (step: number, loss: number) => void;
}

/** Called with the state before the first step (0) and after each step. */
export type AfterStep = (step: number, state: TrainingState) => Promise<void>;

export function familyObjective(config: TransformerConfig, batches: BatchSource): Objective<TokenBatch> {
  return languageModelObjective(config, {
    batchSize: batches.batchSize,
    length: batches.sequenceLength,
    segments: true,
  });
}

export function stepSettings(run: ModelRun): StepSettings {
  const scaling = scalingOf(run.config, run.parametrisation);
  return {
    optimizer: run.optimizer,
    clipNorm: run.clipNorm,
    accumulate: 1,
    ...(scaling && { scaling }),
  };
}

/** Trains one model from its first step to its last. Throws CancelledError when the signal fires. */
export async function runModel(
  run: ModelRun,
  context: ModelRunContext,
  afterStep?: AfterStep,
): Promise<ModelRunResult> {
  const { config, optimizer, schedule, numSteps } = run;
  const { device, batches, validation } = context;
  const start = performance.now();
  const specs = parameterSpecs(config);
  const objective = familyObjective(config, batches);
  const compiled = await TrainingStep.compile(device, objective, specs, stepSettings(run));
  const state = initialState(initializeWeights(config, run.seed, run.parametrisation), optimizer);
  const losses: number[] = [];
  let diverged = false;
  try {
    await afterStep?.(0, state);
    for (let step = 1; step <= numSteps; step++) {
      if (context.signal?.aborted) throw new CancelledError('Stopped. The same command goes on from here.');
      const rate = optimizer.learningRate * scheduleFactor(schedule, step, numSteps);
      const { loss } = await compiled.run(state, [batches.batch(step - 1)], step, rate);
      losses.push(loss);
      context.onStep?.(step, loss);
      await afterStep?.(step, state);
    }
  } catch (error) {
    // A rate that is too high is a result, not a failure.
    if (!(error instanceof NotFiniteError)) throw error;
    diverged = true;
  } finally {
    await compiled.dispose();
  }
  const last = losses.slice(-Math.max(1, Math.ceil(numSteps / 10)));
  const result = {
    trainLoss: diverged ? Number.NaN : last.reduce((sum, loss) => sum + loss, 0) / last.length,
    validationLoss: validation && !diverged ? await validationLossOf(state, run, context) : Number.NaN,
    losses,
    seconds: (performance.now() - start) / 1000,
  };
  for (const value of state.values()) if ('dispose' in value) value.dispose();
  return result;
}

async function validationLossOf(
  state: TrainingState,
  { config }: ModelRun,
  { device, batches, validation }: ModelRunContext,
): Promise<number> {
  const evaluator = await LossEvaluator.compile(
    device,
    familyObjective(config, batches),
    parameterSpecs(config),
  );
  try {
    return (await evaluator.run(state, validation!)).loss;
  } finally {
    await evaluator.dispose();
  }
}
