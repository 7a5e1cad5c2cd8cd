/**
 * The one dial: minutes (or FLOPs, or parameters) in, every number of a run out. The rules are tables and
 * formulas here and nowhere else; what was measured to choose them stands in lab/LOG.md. Pure functions.
 */
import { ConfigError } from '../core/errors.ts';
import { numParameters, type TransformerConfig } from '../model/config.ts';
import { DEFAULT_OPTIMIZER } from '../train/optimizer.ts';
import { checkSettings } from './check-settings.ts';
import type { RecipeSettings } from './recipe.ts';

/** Sizes by the minutes that a run may take on a laptop's CPU; the last that is not above the budget is taken. */
const SIZES: readonly { minutes: number; hiddenSize: number; numLayers: number; numHeads: number }[] = [
  { minutes: 0, hiddenSize: 96, numLayers: 3, numHeads: 3 },
  { minutes: 4, hiddenSize: 128, numLayers: 4, numHeads: 4 },
  { minutes: 20, hiddenSize: 192, numLayers: 6, numHeads: 6 },
  { minutes: 60, hiddenSize: 256, numLayers: 8, numHeads: 8 },
  { minutes: 240, hiddenSize: 384, numLayers: 8, numHeads: 12 },
];

/** SwiGLU's inner size is 8/3 of the hidden size, rounded up to a multiple of this (Touvron et al. 2023). */
const INTERMEDIATE_MULTIPLE = 32;
const CONTEXT_LENGTH = 128;
const BATCH_SIZE = 32;
const VOCAB_SIZE = 2048;
/** Share of the training time that goes to pre-training; the rest finetunes. */
const PRETRAIN_SHARE = 0.45;
/** Seconds for facts, tokenizer, measuring, loading and the report, and for evaluation per question. */
const FIXED_SECONDS = 12;
const SECONDS_PER_QUESTION = 0.004;
/** Part of the budget that is planned for; the rest absorbs a machine that slows down. */
const PLANNED_SHARE = 0.95;
/** Share of prose in pre-training, three rows of a batch; lab/LOG.md has what other shares cost. */
const PROSE_SHARE = 0.1;
const MIN_STEPS = 30;
/** How far finetuning may move from its plan when the machine turns out slower or faster. */
const SETTLED_SHARES = [0.6, 1.25] as const;
export const LIMITS = {
  maxMinutes: 7 * 24 * 60,
  maxParameters: 500_000_000,
  maxSteps: 100_000_000,
} as const;

export interface Dial {
  readonly minutes: number;
  readonly params?: number;
  readonly flops?: number;
}

/**
 * The shape of the model and everything that does not need a measurement. Throws ConfigError for a dial or an
 * override that is out of range or does not fit the others.
 */
export function planModel(
  dial: Dial,
  given: Partial<RecipeSettings> = {},
): Omit<RecipeSettings, 'pretrainSteps' | 'sftSteps'> {
  const overrides: Partial<RecipeSettings> = withoutUndefined(given);
  if (!(dial.minutes > 0 && dial.minutes <= LIMITS.maxMinutes)) {
    throw new ConfigError(
      `minutes must be above 0 and at most ${LIMITS.maxMinutes} (a week), got ${dial.minutes}.`,
    );
  }
  if (dial.flops !== undefined && !(dial.flops > 0 && Number.isFinite(dial.flops))) {
    throw new ConfigError(`flops must be a number above 0, got ${dial.flops}.`);
  }
  checkSettings(overrides);
  const size =
    dial.params === undefined
      ? SIZES.findLast(({ minutes }) => minutes <= dial.minutes)!
      : sizeForParameters(dial.params);
  const hiddenSize = overrides.hiddenSize ?? size.hiddenSize;
  const numHeads =
    overrides.numHeads ??
    (overrides.hiddenSize === undefined ? size.numHeads : Math.max(1, Math.round(hiddenSize / 32)));
  if (hiddenSize % (2 * numHeads) !== 0) {
    throw new ConfigError(
      `hiddenSize ${hiddenSize} must be a multiple of twice numHeads (${numHeads}); try hiddenSize ${Math.ceil(hiddenSize / (2 * numHeads)) * 2 * numHeads}.`,
    );
  }
  // Larger models want smaller steps: the rate falls with the width (Yang et al. 2022, "Tensor programs V").
  const learningRate = 4e-3 * Math.min(1, 128 / hiddenSize);
  const settings = {
    seed: 1,
    vocabSize: VOCAB_SIZE,
    hiddenSize,
    numLayers: size.numLayers,
    numHeads,
    numKvHeads: numHeads,
    intermediateSize: intermediateSizeOf(hiddenSize),
    contextLength: CONTEXT_LENGTH,
    batchSize: BATCH_SIZE,
    pretrainOptimizer: { ...DEFAULT_OPTIMIZER, name: 'muon', learningRate },
    sftOptimizer: { ...DEFAULT_OPTIMIZER, name: 'muon', learningRate },
    pretrainSchedule: {
      kind: 'warmup-stable-decay',
      warmupSteps: 30,
      decayShare: 0.2,
      finalShare: 0.7,
      decay: 'linear',
    },
    sftSchedule: {
      kind: 'warmup-stable-decay',
      warmupSteps: 10,
      decayShare: 0.6,
      finalShare: 0,
      decay: 'linear',
    },
    clipNorm: 1,
    unknownShare: 0.25,
    proseShare: PROSE_SHARE,
    ...overrides,
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

function intermediateSizeOf(hiddenSize: number): number {
  return Math.ceil((hiddenSize * 8) / 3 / INTERMEDIATE_MULTIPLE) * INTERMEDIATE_MULTIPLE;
}

function withoutUndefined(settings: Partial<RecipeSettings>): Partial<RecipeSettings> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

/** Depth grows with width as in the table above; width is searched in steps of 32 for the count asked for. */
function sizeForParameters(params: number): { hiddenSize: number; numLayers: number; numHeads: number } {
  if (!(params >= 50_000 && params <= LIMITS.maxParameters)) {
    throw new ConfigError(`params must be between 50000 and ${LIMITS.maxParameters}, got ${params}.`);
  }
  let best = { hiddenSize: 32, numLayers: 2, numHeads: 1 };
  let bestMiss = Number.POSITIVE_INFINITY;
  for (let hiddenSize = 32; hiddenSize <= 2048; hiddenSize += 32) {
    const numLayers = Math.max(2, Math.round(hiddenSize / 32));
    const numHeads = hiddenSize / 32;
    const intermediateSize = intermediateSizeOf(hiddenSize);
    const count =
      VOCAB_SIZE * hiddenSize + numLayers * (4 * hiddenSize ** 2 + 3 * hiddenSize * intermediateSize);
    const miss = Math.abs(Math.log(count / params));
    if (miss < bestMiss) {
      bestMiss = miss;
      best = { hiddenSize, numLayers: Math.min(numLayers, 48), numHeads };
    }
  }
  return best;
}

/** Steps of both training stages for the time (or FLOPs) given, from the measured time of one step. */
export function planSteps(
  dial: Dial,
  measured: {
    secondsPerStep: number;
    flopsPerStep: number;
    numEvaluationQuestions: number;
    secondsSoFar: number;
  },
  overrides: Partial<RecipeSettings> = {},
): { pretrainSteps: number; sftSteps: number; plannedSeconds: number } {
  const { secondsPerStep, flopsPerStep, numEvaluationQuestions, secondsSoFar } = measured;
  const overhead = FIXED_SECONDS + numEvaluationQuestions * SECONDS_PER_QUESTION;
  const trainingSeconds = dial.minutes * 60 * PLANNED_SHARE - overhead - secondsSoFar;
  const steps =
    dial.flops === undefined
      ? Math.floor(trainingSeconds / secondsPerStep)
      : Math.floor(dial.flops / flopsPerStep);
  const pretrainSteps = overrides.pretrainSteps ?? Math.max(MIN_STEPS, Math.round(steps * PRETRAIN_SHARE));
  const sftSteps = overrides.sftSteps ?? Math.max(MIN_STEPS, Math.round(steps * (1 - PRETRAIN_SHARE)));
  if (!(pretrainSteps + sftSteps <= LIMITS.maxSteps)) {
    throw new ConfigError(
      `This budget is ${pretrainSteps + sftSteps} steps of ${secondsPerStep} s; the limit is ${LIMITS.maxSteps}. ` +
        'Lower minutes or flops, or ask for a larger model.',
    );
  }
  return {
    pretrainSteps,
    sftSteps,
    plannedSeconds: secondsSoFar + overhead + (pretrainSteps + sftSteps) * secondsPerStep,
  };
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
  },
): number {
  const overhead = FIXED_SECONDS / 2 + seen.numEvaluationQuestions * SECONDS_PER_QUESTION;
  const secondsLeft = dial.minutes * 60 * PLANNED_SHARE - overhead - seen.secondsSoFar;
  const [least, most] = SETTLED_SHARES.map((share) => Math.round(seen.plannedSteps * share)) as [
    number,
    number,
  ];
  return Math.max(MIN_STEPS, Math.min(most, Math.max(least, Math.floor(secondsLeft / seen.secondsPerStep))));
}

/** The model that the settings describe. `vocabSize` is what the tokenizer came out with. */
export function modelConfig(
  settings: Omit<RecipeSettings, 'pretrainSteps' | 'sftSteps'>,
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
  if (count > LIMITS.maxParameters) {
    throw new ConfigError(
      `These sizes give ${count} parameters; the limit is ${LIMITS.maxParameters}. Lower hiddenSize or numLayers.`,
    );
  }
  return config;
}
