/**
 * Reinforcement of a model's folder: prompts, a reward, PPO or GRPO, resumably. Every iteration's figures stand in
 * metrics.jsonl; a policy that shows signs of collapse stops the training, and the last one without is kept.
 */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { RewardFunction } from '../../align/reward-function.ts';
import {
  CollapseError,
  type CollapseLimits,
  collapseOf,
  type IterationFigures,
  signsOfCollapse,
} from '../../align/rl/collapse-guard.ts';
import { readPrompts } from '../../align/rl/prompts.node.ts';
import { type Iteration, Reinforcement } from '../../align/rl/reinforcement.ts';
import type { RlPrompt } from '../../align/rl/rollouts.ts';
import type { RlSettings } from '../../align/rl/settings.ts';
import { ConfigError } from '../../core/errors.ts';
import { type EventSink, ignoreEvents, type PlinthEvent } from '../../core/events.ts';
import { skipNotes } from '../../data/chats/read-chats.node.ts';
import { createLanguageModel } from '../../decode/index.ts';
import { saveCheckpoint } from '../../model/checkpoint.node.ts';
import type { Weights } from '../../model/initialize.ts';
import type { Device } from '../../runtime/device.ts';
import type { Trainable } from '../../train/trainable.ts';
import { readState, type TrainingState } from '../../train/training-step.ts';
import { MetricsLog } from '../metrics-log.node.ts';
import { announceStages } from '../stages/announce.ts';
import { fileIdentity, TrainingFolder, type TrainingRequest } from '../training-folder.node.ts';
import type { TrainingOutcome } from '../training-outcome.node.ts';
import { type ChatMixture, chatMixture } from './chat-mixture.node.ts';
import { type ChatModel, openChatModel } from './chat-model.node.ts';
import { writeReinforcementReport } from './reinforcement-report.node.ts';
import { trainModel } from './train-model.node.ts';
import { type LowRankOptions, lowRankRequest, saveTrained, trainableOf } from './trained-result.node.ts';
import { peakRate } from './training-defaults.ts';

export interface ReinforceOptions {
  /** The model's folder, with tokenizer.json; also the reference of the KL. */
  readonly model: string;
  /** JSON Lines of prompts. */
  readonly files: readonly string[];
  /** Prompts that are never trained on, answered greedily eight times a training. */
  readonly validationFiles?: readonly string[];
  readonly reward: RewardFunction;
  readonly settings: RlSettings;
  readonly folder: string;
  readonly device: Device;
  /** Iterations: times that answers are sampled and learned from. */
  readonly steps: number;
  /** Constant after a short warm-up. Default 2e-4 for a width of 128, falling with the width; ten times that for an adapter. */
  readonly learningRate?: number;
  /** Chats that every update also learns (PPO-ptx), and what their loss counts. */
  readonly mixture?: ChatMixture;
  readonly lowRank?: LowRankOptions | undefined;
  readonly limits?: CollapseLimits;
  /** Seconds between checkpoints, which are made after iterations only. */
  readonly checkpointSeconds?: number;
  readonly fresh?: boolean;
  readonly onEvent?: EventSink;
  readonly signal?: AbortSignal;
}

export interface ReinforcementOutcome extends TrainingOutcome {
  /** Of the answers of the first and of the last iteration; NaN when the training had been finished before. */
  readonly firstReward: number;
  readonly lastReward: number;
  /** Of greedy answers to the prompts kept aside, before and after. */
  readonly validationReward?: { readonly before: number; readonly after: number };
}

const BASE_RATE = 2e-4;
const WARMUP_STEPS = 5;
/** Iterations between two copies of a policy that shows no sign of collapse. */
const GOOD_EVERY = 10;
/** Answers shown in a training. */
const NUM_SAMPLES = 20;
const STAGES = ['data', 'rl'] as const;

/**
 * Throws ConfigError and DataError for what cannot be used, CancelledError (state saved) when stopped, CollapseError
 * when the policy degenerates.
 */
export async function reinforce(options: ReinforceOptions): Promise<ReinforcementOutcome> {
  const { device, settings, reward, signal, steps, lowRank } = options;
  const onEvent = options.onEvent ?? ignoreEvents;
  const model = await openChatModel(options.model);
  const { config } = model;
  if (settings.maxTokens >= config.maxPositionEmbeddings) {
    throw new ConfigError(
      `maxTokens is ${settings.maxTokens}; the model's context of ${config.maxPositionEmbeddings} tokens must also hold the prompt.`,
    );
  }
  const learningRate = peakRate({
    asked: options.learningRate,
    base: BASE_RATE,
    isLowRank: lowRank !== undefined,
    hiddenSize: config.hiddenSize,
  });
  const folder = await TrainingFolder.open(
    options.folder,
    await requestOf(options, learningRate),
    options.fresh ?? false,
  );
  const lastGood = folder.file('last-good');

  const stage = announceStages(STAGES, onEvent);
  const prompts = await stage(
    'data',
    async () => ({
      train: await promptsOf(options.files, model, options, onEvent),
      validation: options.validationFiles
        ? await promptsOf(options.validationFiles, model, options, onEvent)
        : [],
    }),
    ({ train, validation }) =>
      `${train.length} prompts${validation.length > 0 ? `; ${validation.length} kept aside` : ''}`,
  );

  return stage('rl', async () => {
    await folder.decide(() => ({ numSteps: steps * settings.epochs * settings.minibatches }));
    const tell = async (event: PlinthEvent) => {
      onEvent(event);
      await folder.appendMetrics([event]);
    };
    const policy = trainableOf(model, lowRank, settings.seed);
    const validate = (weights: Weights) => greedyFigures(weights, prompts.validation, model, options);
    const metrics = new MetricsLog(folder.file('metrics.jsonl'));
    const reinforcement = await Reinforcement.compile({
      device,
      trainable: policy,
      reference: model.weights,
      tokenizer: model.tokenizer,
      chatFormat: model.chatFormat,
      padId: model.padId,
      prompts: prompts.train,
      reward,
      settings,
      pretraining:
        options.mixture &&
        (await chatMixture(folder.file('data'), options.mixture, {
          model,
          seed: settings.seed,
          onEvent,
          signal,
        })),
      history: async () => iterationsIn(await metrics.read(), settings.epochs * settings.minibatches),
      onIteration: async (iteration) => {
        if (iteration.number === 0 && prompts.validation.length > 0 && !(await isBaseKnown(metrics))) {
          await tell({ type: 'validation', stage: 'rl', step: 0, ...(await validate(iteration.policy)) });
        }
        if (iteration.number % Math.ceil(steps / NUM_SAMPLES) === 0) await tell(sampleOf(iteration));
        const collapse = collapseOf(iteration.history, options.limits);
        if (collapse) {
          throw new CollapseError(
            collapse,
            iteration.number + 1,
            (await exists(lastGood)) ? lastGood : undefined,
          );
        }
        if (
          iteration.number % GOOD_EVERY === 0 &&
          signsOfCollapse(iteration.history, options.limits).length === 0
        ) {
          const { policy: weights } = iteration;
          await saveCheckpoint(lastGood, { config, weights, files: model.files, overwrite: true });
        }
      },
      ...(options.limits && { limits: options.limits }),
      signal,
    });
    try {
      const result = await trainModel({
        stage: 'rl',
        folder,
        device,
        model,
        trainable: reinforcement.trainable,
        objective: reinforcement.objective,
        batch: (index, state) => reinforcement.batch(index, state),
        isBoundary: (step) => reinforcement.isBoundary(step),
        ...(prompts.validation.length > 0 && {
          validate: async (state: TrainingState) => validate(await policyIn(state, policy)),
        }),
        numSteps: steps * reinforcement.stepsPerIteration,
        learningRate,
        weightDecay: 0,
        schedule: {
          kind: 'constant',
          warmupSteps: WARMUP_STEPS,
          decayShare: 0,
          finalShare: 1,
          decay: 'linear',
        },
        onEvent,
        ...(options.checkpointSeconds !== undefined && { checkpointSeconds: options.checkpointSeconds }),
        ...(signal && { signal }),
      });
      const outcome = await saveTrained({
        folder,
        model,
        modelFolder: options.model,
        trainable: policy,
        lowRank,
        steps: steps * reinforcement.stepsPerIteration,
        // The critic served the training and is no part of the model.
        result: {
          ...result,
          weights: new Map(policy.specs.map(({ name }) => [name, result.weights.get(name)!])),
        },
      });
      return await writeReinforcementReport(folder, outcome, {
        config: model.config,
        settings,
        reward: reward.name,
        learningRate,
        events: await metrics.read(),
        stepsPerIteration: reinforcement.stepsPerIteration,
      });
    } finally {
      await reinforcement.dispose();
    }
  });
}

async function requestOf(options: ReinforceOptions, learningRate: number): Promise<TrainingRequest> {
  const { settings, files, validationFiles, mixture, reward, steps, lowRank } = options;
  const { clip, klTarget, ...flat } = settings;
  return {
    kind: 'rl',
    model: resolve(options.model),
    files: await Promise.all(files.map(fileIdentity)),
    ...(validationFiles && { validationFiles: await Promise.all(validationFiles.map(fileIdentity)) }),
    ...(mixture && {
      mixtureFiles: await Promise.all(mixture.files.map(fileIdentity)),
      mixtureWeight: mixture.weight,
    }),
    reward: reward.name,
    steps,
    learningRate,
    ...flat,
    clipLow: clip.low,
    clipHigh: clip.high,
    ...(klTarget && { klTarget: klTarget.target }),
    ...lowRankRequest(lowRank),
  };
}

/** Lines without a prompt are told. */
async function promptsOf(
  files: readonly string[],
  { tokenizer, chatFormat, config }: ChatModel,
  { settings, signal }: ReinforceOptions,
  onEvent: EventSink,
): Promise<RlPrompt[]> {
  const { prompts, reports } = await readPrompts(files, {
    tokenizer,
    chatFormat,
    maxPromptTokens: config.maxPositionEmbeddings - settings.maxTokens,
    ...(signal && { signal }),
  });
  for (const message of skipNotes(reports)) onEvent({ type: 'note', level: 'warning', message });
  return prompts;
}

/** Whether the model was measured before its first step already, by a training that was stopped then. */
async function isBaseKnown(metrics: MetricsLog): Promise<boolean> {
  return (await metrics.read()).some((event) => event.type === 'validation' && event.step === 0);
}

/** The last step of each iteration tells its figures. */
function iterationsIn(events: readonly PlinthEvent[], stepsPerIteration: number): IterationFigures[] {
  return events.flatMap((event) =>
    event.type === 'train-step' && event.step % stepsPerIteration === 0
      ? [event.metrics as unknown as IterationFigures]
      : [],
  );
}

function sampleOf({ step, groups }: Iteration): PlinthEvent {
  const { prompt, completion } = groups[0]![0]!;
  return {
    type: 'sample',
    stage: 'rl',
    // Of the step that it is learned from: a training that is taken up again before tells it again.
    step: step + 1,
    prompt: prompt.messages.at(-1)!.content,
    completion: completion.text,
  };
}

async function policyIn(state: TrainingState, policy: Trainable): Promise<Weights> {
  return policy.merge(await readState(state, 'parameter/'));
}

/** What greedy answers earn; the loss is the reward's negative. */
async function greedyFigures(
  weights: Weights,
  prompts: readonly RlPrompt[],
  { config, tokenizer, chatFormat }: ChatModel,
  { device, reward, settings }: ReinforceOptions,
) {
  const model = await createLanguageModel({ config, weights, tokenizer, chatFormat, device });
  try {
    const completions = await model.generateMany(
      prompts.map(({ ids }) => ids),
      { maxTokens: settings.maxTokens },
    );
    const rewards = await reward.score(
      prompts.map(({ messages, record }, i) => ({ messages, record, completion: completions[i]! })),
    );
    const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    const score = mean(rewards);
    return {
      loss: -score,
      metrics: {
        reward: score,
        length: mean(completions.map(({ usage }) => usage.completionTokens)),
        cutShare: mean(completions.map(({ finishReason }) => (finishReason === 'length' ? 1 : 0))),
      },
    };
  } finally {
    await model.dispose();
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
