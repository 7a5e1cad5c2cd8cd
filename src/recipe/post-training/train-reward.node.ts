/**
 * Trains a reward model on preferences, on the layers of a model's folder: read them, keep some aside, train on the
 * order of answers, measure on those kept aside, save. Resumes by itself.
 */
import { resolve } from 'node:path';
import { readPreferences } from '../../align/preference/preference-data.node.ts';
import { ComparisonBatches, comparisonOf } from '../../align/reward/comparisons.ts';
import { saveRewardModel } from '../../align/reward/reward-checkpoint.node.ts';
import { RewardModel, rewardModelStart } from '../../align/reward/reward-model.ts';
import { type Comparison, rewardObjective } from '../../align/reward/reward-objective.ts';
import { writeFileAtomic } from '../../core/atomic-file.node.ts';
import { ConfigError, DataError } from '../../core/errors.ts';
import { type EventSink, ignoreEvents } from '../../core/events.ts';
import { skipNotes } from '../../data/chats/read-chats.node.ts';
import { splitRecords } from '../../data/keyed-split.ts';
import { headedSpecs, numParameters } from '../../model/config.ts';
import type { Device } from '../../runtime/device.ts';
import { withHead } from '../../train/trainable.ts';
import { announceStages } from '../stages/announce.ts';
import { fileIdentity, TrainingFolder } from '../training-folder.node.ts';
import type { TrainingOutcome } from '../training-outcome.node.ts';
import { openChatModel } from './chat-model.node.ts';
import { evaluateRewards, type RewardEvaluation } from './reward-evaluation.ts';
import { trainModel } from './train-model.node.ts';
import { type LowRankOptions, lowRankRequest, trainableOf } from './trained-result.node.ts';
import { durationRequest, peakRate, rowLength, stepsFor } from './training-defaults.ts';

export interface TrainRewardOptions {
  /** The folder of the model whose layers are trained, with tokenizer.json. */
  readonly model: string;
  /** JSON Lines of pairs or rankings. */
  readonly files: readonly string[];
  readonly folder: string;
  readonly device: Device;
  /** Share of the prompts that are kept aside to measure on, default 0.1; 0 for none. */
  readonly validationShare?: number;
  /** The field of a line that names the part of the data which it belongs to. Default: its file. */
  readonly groupBy?: string;
  /** Weight of the loss that keeps rewards about 0. Default 0.01; 0 for none. */
  readonly centre?: number;
  /** Passes over the data, default 2; or steps. */
  readonly epochs?: number;
  readonly steps?: number;
  /** Comparisons in a step, default 16. */
  readonly batchSize?: number;
  /** Tokens of a prompt with its answer; the model's context or 256, whichever is less, when left out. */
  readonly length?: number;
  /** Default 1e-3 for a width of 128, falling with the width; ten times that for an adapter. */
  readonly learningRate?: number;
  readonly seed?: number;
  /** Train a low-rank adapter, which the saved model has in it. */
  readonly lowRank?: LowRankOptions;
  readonly fresh?: boolean;
  readonly onEvent?: EventSink;
  readonly signal?: AbortSignal;
}

export interface RewardOutcome extends TrainingOutcome {
  /** On the comparisons kept aside; absent where none were. */
  readonly evaluation?: RewardEvaluation;
}

const DEFAULTS = { validationShare: 0.1, centre: 0.01, epochs: 2, batchSize: 16, seed: 1 };
const BASE_RATE = 1e-3;
/** Of the comparisons kept aside, so many are measured during training; all of them after it. */
const MAX_VALIDATED = 256;
const STAGES = ['data', 'reward', 'evaluate'] as const;
const EVALUATION_FILE = 'evaluation.json';

/** Comparisons as rows, and the records they came from. */
interface Prepared {
  readonly train: readonly Comparison[];
  readonly validation: readonly (readonly [comparison: Comparison, group: string])[];
}

/** Throws ConfigError and DataError for what cannot be used, CancelledError (state saved) when stopped. */
export async function trainReward(options: TrainRewardOptions): Promise<RewardOutcome> {
  const { device, signal, lowRank } = options;
  const onEvent = options.onEvent ?? ignoreEvents;
  const chatModel = await openChatModel(options.model);
  const { config, layers, head } = rewardModelStart(chatModel.config, chatModel.weights);
  const model = { ...chatModel, config, weights: layers };
  const length = rowLength(options.length, config.maxPositionEmbeddings);
  const validationShare = options.validationShare ?? DEFAULTS.validationShare;
  const centre = options.centre ?? DEFAULTS.centre;
  const batchSize = options.batchSize ?? DEFAULTS.batchSize;
  const seed = options.seed ?? DEFAULTS.seed;
  if (!(centre >= 0 && Number.isFinite(centre))) {
    throw new ConfigError(`centre is ${centre}; expected a number of at least 0.`);
  }
  const learningRate = peakRate({
    asked: options.learningRate,
    base: BASE_RATE,
    isLowRank: lowRank !== undefined,
    hiddenSize: config.hiddenSize,
  });
  const { steps, epochs = DEFAULTS.epochs } = options;
  const folder = await TrainingFolder.open(
    options.folder,
    {
      kind: 'reward',
      model: resolve(options.model),
      files: await Promise.all(options.files.map(fileIdentity)),
      validationShare,
      groupBy: options.groupBy ?? null,
      centre,
      batchSize,
      length,
      learningRate,
      seed,
      ...durationRequest(steps, epochs),
      ...lowRankRequest(lowRank),
    },
    options.fresh ?? false,
  );

  const stage = announceStages(STAGES, onEvent);
  const data = await stage(
    'data',
    () => prepare(options, { ...model, length }, { validationShare, seed }, onEvent),
    ({ train, validation }) => `${train.length} comparisons, ${validation.length} kept aside`,
  );

  const result = await stage('reward', async () => {
    const batches = new ComparisonBatches(data.train, batchSize, seed);
    const { numSteps } = await folder.decide(() => ({
      numSteps: stepsFor({ steps, epochs, numItems: data.train.length, batchSize }),
    }));
    const maxAnswers = data.validation.reduce(
      (most, [{ rows }]) => Math.max(most, rows.length),
      batches.maxAnswers,
    );
    const objective = rewardObjective({
      config,
      length,
      numComparisons: batchSize,
      maxAnswers,
      centre,
    });
    const layersTrained = trainableOf(model, lowRank, seed);
    const headSpecs = headedSpecs(config, 'score').filter(({ name }) => head.has(name));
    const trainable = withHead(layersTrained, headSpecs, head);
    const validated = data.validation.slice(0, MAX_VALIDATED).map(([comparison]) => comparison);
    const trained = await trainModel({
      stage: 'reward',
      folder,
      device,
      model,
      trainable,
      objective,
      batch: (index) => batches.batch(index),
      ...(validated.length > 0 && { validation: () => chunks(validated, batchSize) }),
      numSteps,
      learningRate,
      onEvent,
      ...(signal && { signal }),
    });
    const weights = new Map([
      ...layersTrained.merge(trained.weights),
      ...headSpecs.map(({ name }) => [name, trained.weights.get(name)!] as const),
    ]);
    return { ...trained, weights, numSteps };
  });

  return stage('evaluate', async () => {
    const modelFolder = folder.file('model');
    const parts = { ...model, weights: result.weights };
    await saveRewardModel(modelFolder, parts, model.files);
    const evaluation = await evaluate(device, parts, data.validation);
    if (evaluation) {
      await writeFileAtomic(folder.file(EVALUATION_FILE), `${JSON.stringify(evaluation, null, 2)}\n`);
    }
    const { loss, seconds, tokensPerSecond, numSteps } = result;
    return {
      folder: folder.path,
      modelFolder,
      numParameters: numParameters(config) + config.hiddenSize,
      steps: numSteps,
      loss,
      seconds,
      tokensPerSecond,
      ...(evaluation && { validationLoss: evaluation.loss, evaluation }),
    };
  });
}

function* chunks<Item>(items: readonly Item[], size: number): Generator<readonly Item[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size);
}

async function evaluate(
  device: Device,
  parts: Parameters<typeof RewardModel.create>[1],
  validation: Prepared['validation'],
): Promise<RewardEvaluation | undefined> {
  if (validation.length === 0) return undefined;
  const model = await RewardModel.create(device, parts);
  try {
    const rewards = await model.scoreRows(validation.flatMap(([{ rows }]) => rows));
    let at = 0;
    return evaluateRewards(
      validation.map(([{ rows, ranks }, group]) => {
        at += rows.length;
        return { rewards: rewards.slice(at - rows.length, at), ranks, group };
      }),
    );
  } finally {
    await model.dispose();
  }
}

/** Comparisons of one prompt stay on one side, so that none is measured on a prompt that was trained on. */
async function prepare(
  { files, groupBy, signal }: TrainRewardOptions,
  encoding: Parameters<typeof comparisonOf>[1],
  { validationShare, seed }: { readonly validationShare: number; readonly seed: number },
  onEvent: EventSink,
): Promise<Prepared> {
  const groupOf =
    groupBy === undefined
      ? undefined
      : (record: Readonly<Record<string, unknown>>) => String(record[groupBy] ?? `no ${groupBy}`);
  const { records, groups, reports } = await readPreferences(files, signal, groupOf);
  const usable: { readonly comparison: Comparison; readonly group: string; readonly prompt: string }[] = [];
  const reasons = new Map<string, number>();
  for (const [i, record] of records.entries()) {
    const comparison = comparisonOf(record, encoding);
    if (typeof comparison === 'string') reasons.set(comparison, (reasons.get(comparison) ?? 0) + 1);
    else usable.push({ comparison, group: groups[i]!, prompt: JSON.stringify(record.messages) });
  }
  for (const note of skipNotes(reports)) warn(onEvent, note);
  if (usable.length === 0) {
    const [first] = reasons.keys();
    throw new DataError(
      `No comparison in ${files.join(', ')} can be trained on. ${first ? `The first reason: ${first}.` : ''}`,
    );
  }
  const numLeftOut = [...reasons.values()].reduce((a, b) => a + b, 0);
  if (numLeftOut > 0) {
    const [[reason, count] = ['', 0]] = [...reasons].sort((a, b) => b[1] - a[1]);
    warn(onEvent, `${numLeftOut} of ${records.length} comparisons left out, ${count} of them: ${reason}.`);
  }
  const shares = { validation: validationShare, test: 0 };
  const { train, validation } = splitRecords(usable, ({ prompt }) => prompt, shares, seed);
  return {
    train: train.map(({ comparison }) => comparison),
    validation: validation.map(({ comparison, group }) => [comparison, group]),
  };
}

const warn = (onEvent: EventSink, message: string) => onEvent({ type: 'note', level: 'warning', message });
