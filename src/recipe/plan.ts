/**
 * The one dial: minutes (or FLOPs, or parameters) in, every number of a run out. The size is the one with the lowest
 * expected loss on this machine (`scaling/plan`); the other rules are tables and formulas here and nowhere else; what
 * was measured to choose them stands in lab/LOG.md. Pure functions.
 */
import { ConfigError } from '../core/errors.ts';
import { numParameters, type TransformerConfig } from '../model/config.ts';
import {
  chooseSize,
  type DataLaw,
  intermediateSizeOf,
  type Machine,
  type ModelShape,
  modelShapes,
  type PlanRequest,
  planSize,
  shapeForParameters,
  shapeParameters,
  type TrainingBudget,
  UNKNOWN_TEXT,
} from '../scaling/plan/index.ts';
import { DEFAULT_OPTIMIZER } from '../train/optimizer.ts';
import { checkSettings } from './check-settings.ts';
import type { RecipeOverrides, RecipeSettings } from './recipe.ts';

const CONTEXT_LENGTH = 128;
const VOCAB_SIZE = 2048;
/** Share of the steps of pre-training and finetuning that pre-train. */
const PRETRAIN_SHARE = 0.45;
/** Share of the training time that goes to preferences, with the answers that they are made from. */
const PREFER_SHARE = 0.06;
/** A step of preferences in steps of finetuning: as many tokens, but almost nothing to compute backward. */
const PREFER_STEP_COST = 0.3;
/** Answers that are sampled for preferences, for each of their steps. */
export const ANSWERS_PER_PREFER_STEP = 48;
/** Seconds for facts, tokenizer, measuring, loading and the report, and for evaluation per question. */
const FIXED_SECONDS = 12;
const SECONDS_PER_QUESTION = 0.004;
/** Part of the budget that is planned for; the rest absorbs a machine that slows down. */
const PLANNED_SHARE = 0.95;
/** Share of prose in pre-training, three rows of a batch; lab/LOG.md has what other shares cost. */
const PROSE_SHARE = 0.1;
const MIN_STEPS = 30;
/** Of preferences; after the most of them the gains of one layer have settled. */
const PREFER_STEPS = { min: 10, max: 200 } as const;
/** How far finetuning may move from its plan when the machine turns out slower or faster. */
const SETTLED_SHARES = [0.5, 2] as const;
/** What is assumed of a machine that was not measured: two cores of a laptop. */
const NOMINAL_MACHINE: Machine = { gflops: 100 };
/** Of preferences, whatever the width: they train the gains of one layer, which begin near 1. */
const PREFER_LEARNING_RATE = 0.15;
/** The learning rate at a width of 128 and a batch of 32 x 128 tokens. */
const LEARNING_RATE = { at: 4e-3, width: 128, batchTokens: 4096 } as const;
/** Asked for by count. */
const PARAMETERS = { min: 50_000, max: 500_000_000 } as const;
/** Of a run that has not begun: texts, tokenizer, measuring, evaluation. */
const USUAL_OVERHEAD_SECONDS = 20;
export const LIMITS = {
  maxMinutes: 7 * 24 * 60,
  parameters: PARAMETERS,
  maxSteps: 100_000_000,
} as const;

export interface Dial {
  readonly minutes: number;
  readonly params?: number;
  readonly flops?: number;
}

/** All settings but the steps, for which a step has to be timed. */
export type PlannedSettings = Omit<RecipeSettings, 'pretrainSteps' | 'sftSteps' | 'preferSteps'>;

/** What is known of the machine and the data when a plan is made. */
export interface PlanContext {
  readonly machine?: Machine;
  readonly law?: DataLaw;
  /** Tokens of one pass over the pre-training data. */
  readonly uniqueTokens?: number;
}

/**
 * The shape of the model and everything that does not need a measured step. Without a context a nominal machine and
 * text of which nothing is known are assumed. Throws ConfigError for a dial or an override that is out of range or
 * does not fit the others.
 */
export function planModel(
  dial: Dial,
  given: RecipeOverrides = {},
  context: PlanContext = {},
): PlannedSettings {
  const overrides = withoutUndefined(given);
  if (!(dial.minutes > 0 && dial.minutes <= LIMITS.maxMinutes)) {
    throw new ConfigError(
      `minutes must be above 0 and at most ${LIMITS.maxMinutes} (a week), got ${dial.minutes}.`,
    );
  }
  if (dial.flops !== undefined && !(dial.flops > 0 && Number.isFinite(dial.flops))) {
    throw new ConfigError(`flops must be a number above 0, got ${dial.flops}.`);
  }
  const { pretrainOptimizer, sftOptimizer, preferOptimizer, pretrainSchedule, sftSchedule, ...single } =
    overrides;
  checkSettings(single);
  const size = sizeFor(dial, overrides, context);
  const hiddenSize = overrides.hiddenSize ?? size.hiddenSize;
  const numHeads =
    overrides.numHeads ??
    (overrides.hiddenSize === undefined ? size.numHeads : Math.max(1, Math.round(hiddenSize / 32)));
  if (hiddenSize % (2 * numHeads) !== 0) {
    throw new ConfigError(
      `hiddenSize ${hiddenSize} must be a multiple of twice numHeads (${numHeads}); try hiddenSize ${Math.ceil(hiddenSize / (2 * numHeads)) * 2 * numHeads}.`,
    );
  }
  const contextLength = overrides.contextLength ?? CONTEXT_LENGTH;
  const batchSize = overrides.batchSize ?? size.batchSize;
  // Larger models want smaller steps: the rate falls with the width (Yang et al. 2022, "Tensor programs V"). Larger
  // batches allow larger ones, by the root of their size (Malladi et al. 2022).
  const learningRate =
    LEARNING_RATE.at *
    Math.min(1, LEARNING_RATE.width / hiddenSize) *
    Math.sqrt(Math.max(1, (batchSize * contextLength) / LEARNING_RATE.batchTokens));
  const optimizer = { ...DEFAULT_OPTIMIZER, name: 'muon', learningRate } as const;
  const settings = {
    seed: 1,
    vocabSize: VOCAB_SIZE,
    maxParams: PARAMETERS.max,
    hiddenSize,
    numLayers: size.numLayers,
    numHeads,
    numKvHeads: numHeads,
    intermediateSize: intermediateSizeOf(hiddenSize),
    contextLength,
    batchSize,
    pretrainOptimizer: { ...optimizer, ...pretrainOptimizer },
    sftOptimizer: { ...optimizer, ...sftOptimizer },
    preferOptimizer: {
      ...DEFAULT_OPTIMIZER,
      name: 'adamw',
      learningRate: PREFER_LEARNING_RATE,
      ...preferOptimizer,
    },
    pretrainSchedule: {
      kind: 'warmup-stable-decay',
      warmupSteps: 30,
      decayShare: 0.2,
      finalShare: 0.7,
      decay: 'linear',
      ...pretrainSchedule,
    },
    sftSchedule: {
      kind: 'warmup-stable-decay',
      warmupSteps: 10,
      decayShare: 0.6,
      finalShare: 0,
      decay: 'linear',
      ...sftSchedule,
    },
    clipNorm: 1,
    unknownShare: 0.25,
    proseShare: PROSE_SHARE,
    ...single,
  } as const;
  if (settings.numHeads % settings.numKvHeads !== 0) {
    throw new ConfigError(
      `numHeads ${settings.numHeads} must be a multiple of numKvHeads ${settings.numKvHeads}.`,
    );
  }
  // Again with the derived values: some limits are on two settings together.
  checkSettings(settings);
  return settings;
}

function withoutUndefined(settings: RecipeOverrides): RecipeOverrides {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

/**
 * The shape that is asked for, or the one with the lowest expected loss after pre-training, and its batch. A width
 * given by hand leaves nothing to choose but the batch.
 */
function sizeFor(
  dial: Dial,
  overrides: RecipeOverrides,
  context: PlanContext,
): ModelShape & { readonly batchSize: number } {
  const request = planRequest(dial, overrides, context);
  const { hiddenSize, numLayers } = overrides;
  if (dial.params === undefined && hiddenSize === undefined) {
    const { chosen } = chooseSize(request);
    return { ...chosen.shape, batchSize: chosen.batchSize };
  }
  const shape =
    hiddenSize === undefined
      ? shapeForParameters(dial.params!, request.vocabSize, PARAMETERS)
      : shapeOfWidth(hiddenSize);
  const { batchSize } = planSize({ ...shape, ...(numLayers !== undefined && { numLayers }) }, request)!;
  return { ...shape, batchSize };
}

/** As the shapes of the plan, for any width: a layer and a head for every 32. */
function shapeOfWidth(hiddenSize: number): ModelShape {
  const numHeads = Math.max(1, Math.round(hiddenSize / 32));
  return {
    hiddenSize,
    numLayers: Math.max(2, numHeads),
    numHeads,
    numKvHeads: numHeads,
    intermediateSize: intermediateSizeOf(hiddenSize),
  };
}

/**
 * What is asked of `chooseSize`: the size that is best after all training, finetuning included, since that goes on
 * teaching the same facts.
 */
export function planRequest(
  dial: Dial,
  overrides: RecipeOverrides = {},
  context: PlanContext = {},
): PlanRequest {
  const seconds = dial.minutes * 60 * PLANNED_SHARE - USUAL_OVERHEAD_SECONDS;
  const budget: TrainingBudget =
    dial.flops === undefined ? { seconds: Math.max(1, seconds) } : { flops: dial.flops };
  return {
    budget,
    machine: context.machine ?? NOMINAL_MACHINE,
    data: context.law ?? UNKNOWN_TEXT,
    ...(context.uniqueTokens !== undefined && { uniqueTokens: context.uniqueTokens }),
    vocabSize: overrides.vocabSize ?? VOCAB_SIZE,
    contextLength: overrides.contextLength ?? CONTEXT_LENGTH,
    optimizer: overrides.pretrainOptimizer?.name ?? 'muon',
    ...(overrides.batchSize !== undefined && { batchSize: overrides.batchSize }),
    ...(overrides.maxParams !== undefined && { shapes: shapesWithin(overrides.maxParams, overrides) }),
  };
}

function shapesWithin(maxParams: number, { vocabSize = VOCAB_SIZE }: RecipeOverrides): ModelShape[] {
  const shapes = modelShapes().filter((shape) => shapeParameters(shape, vocabSize) <= maxParams);
  if (shapes.length > 0) return shapes;
  throw new ConfigError(
    `maxParams is ${maxParams}; with a vocabulary of ${vocabSize} tokens every model has more. Raise it, or lower vocabSize.`,
  );
}

/**
 * Steps of the training stages for the time (or FLOPs) given, from the measured time of one step.
 * @param pretrainShare of pre-training and finetuning; 1 for pre-training alone
 */
export function planSteps(
  dial: Dial,
  measured: {
    secondsPerStep: number;
    flopsPerStep: number;
    /** Answers of all evaluations together. */
    numEvaluationQuestions: number;
    secondsSoFar: number;
  },
  overrides: RecipeOverrides = {},
  pretrainShare = PRETRAIN_SHARE,
): { pretrainSteps: number; sftSteps: number; preferSteps: number; plannedSeconds: number } {
  const { secondsPerStep, flopsPerStep, numEvaluationQuestions, secondsSoFar } = measured;
  const overhead = FIXED_SECONDS + numEvaluationQuestions * SECONDS_PER_QUESTION;
  const trainingSeconds = dial.minutes * 60 * PLANNED_SHARE - overhead - secondsSoFar;
  const isPretraining = pretrainShare === 1;
  const numSteps = (budget: number, cost: number) => Math.floor(budget / cost);
  const preferSteps = isPretraining
    ? 0
    : (overrides.preferSteps ??
      within(
        PREFER_STEPS,
        dial.flops === undefined
          ? numSteps(PREFER_SHARE * trainingSeconds, secondsPerPreferStep(secondsPerStep))
          : numSteps(PREFER_SHARE * dial.flops, PREFER_STEP_COST * flopsPerStep),
      ));
  const steps =
    dial.flops === undefined
      ? numSteps(trainingSeconds - preferSteps * secondsPerPreferStep(secondsPerStep), secondsPerStep)
      : numSteps(dial.flops - preferSteps * PREFER_STEP_COST * flopsPerStep, flopsPerStep);
  const pretrainSteps = overrides.pretrainSteps ?? Math.max(MIN_STEPS, Math.round(steps * pretrainShare));
  const sftSteps = isPretraining
    ? 0
    : (overrides.sftSteps ?? Math.max(MIN_STEPS, Math.round(steps * (1 - pretrainShare))));
  const total = pretrainSteps + sftSteps + preferSteps;
  if (!(total <= LIMITS.maxSteps)) {
    throw new ConfigError(
      `This budget is ${total} steps of ${secondsPerStep} s; the limit is ${LIMITS.maxSteps}. ` +
        'Lower minutes or flops, or ask for a larger model.',
    );
  }
  return {
    pretrainSteps,
    sftSteps,
    preferSteps,
    plannedSeconds:
      secondsSoFar +
      overhead +
      (pretrainSteps + sftSteps) * secondsPerStep +
      preferSteps * secondsPerPreferStep(secondsPerStep),
  };
}

function within({ min, max }: { min: number; max: number }, value: number): number {
  return Math.min(max, Math.max(min, value));
}

/** One step of preferences, with its share of the sampling, from the time of a step of the other stages. */
export function secondsPerPreferStep(secondsPerStep: number): number {
  return PREFER_STEP_COST * secondsPerStep + ANSWERS_PER_PREFER_STEP * SECONDS_PER_QUESTION;
}

/**
 * Finetuning steps once pre-training is over: as many as fit into what is left of the time at the speed that
 * was seen, but within these shares of the plan.
 */
export function settleFinetuning(
  dial: Dial,
  seen: {
    plannedSteps: number;
    secondsPerStep: number;
    secondsSoFar: number;
    numEvaluationQuestions: number;
    /** Of the stage that follows. */
    preferSteps: number;
  },
): number {
  const { plannedSteps, secondsPerStep } = seen;
  const overhead =
    FIXED_SECONDS / 2 +
    seen.numEvaluationQuestions * SECONDS_PER_QUESTION +
    seen.preferSteps * secondsPerPreferStep(secondsPerStep);
  const secondsLeft = dial.minutes * 60 * PLANNED_SHARE - overhead - seen.secondsSoFar;
  const [least, most] = SETTLED_SHARES.map((share) => Math.round(plannedSteps * share)) as [number, number];
  return Math.max(MIN_STEPS, Math.min(most, Math.max(least, Math.floor(secondsLeft / secondsPerStep))));
}

/** The model that the settings describe. `vocabSize` is what the tokenizer came out with. */
export function modelConfig(
  settings: PlannedSettings,
  tokens: { vocabSize: number; endOfTextId: number; endOfTurnId: number },
): TransformerConfig {
  const config: TransformerConfig = {
    architecture: 'qwen3',
    vocabSize: tokens.vocabSize,
    hiddenSize: settings.hiddenSize,
    numLayers: settings.numLayers,
    numHeads: settings.numHeads,
    numKvHeads: settings.numKvHeads,
    headDim: settings.hiddenSize / settings.numHeads,
    intermediateSize: settings.intermediateSize,
    ropeTheta: 10_000,
    ropeScaling: null,
    rmsNormEps: 1e-6,
    tieWordEmbeddings: true,
    maxPositionEmbeddings: settings.contextLength,
    hiddenAct: 'silu',
    bosTokenId: null,
    eosTokenIds: [tokens.endOfTurnId, tokens.endOfTextId],
    padTokenId: tokens.endOfTextId,
    initializerRange: 0.02,
  };
  const count = numParameters(config);
  if (count > LIMITS.parameters.max) {
    throw new ConfigError(
      `These sizes give ${count} parameters; the limit is ${LIMITS.parameters.max}. Lower hiddenSize or numLayers.`,
    );
  }
  return config;
}
