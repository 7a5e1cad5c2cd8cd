/**
 * Preference finetuning of a model's folder: answers that were preferred to others, or called good or bad, are made
 * more or less likely. The model as it is before is the reference. Resumes by itself.
 */
import { resolve } from 'node:path';
import { readPreferences } from '../../align/preference/preference-data.node.ts';
import { preferenceKey } from '../../align/preference/preference-data.ts';
import { PREFERENCE_LOSSES, preferenceSettings } from '../../align/preference/preference-loss.ts';
import type { PreferenceValues } from '../../align/preference/preference-settings.ts';
import {
  type PreparedPreferences,
  type PreparePreferencesOptions,
  preparePreferences,
} from '../../align/preference/prepare-preferences.ts';
import { ConfigError, DataError } from '../../core/errors.ts';
import { type EventSink, ignoreEvents } from '../../core/events.ts';
import { skipNotes } from '../../data/chats/read-chats.node.ts';
import { splitRecords } from '../../data/index.node.ts';
import type { Device } from '../../runtime/device.ts';
import { announceStages } from '../stages/announce.ts';
import { fileIdentity, TrainingFolder } from '../training-folder.node.ts';
import type { TrainingOutcome } from '../training-outcome.node.ts';
import { openChatModel } from './chat-model.node.ts';
import { cachedReference, digestWeights } from './prefer-reference.node.ts';
import { trainModel } from './train-model.node.ts';
import { type LowRankOptions, lowRankRequest, saveTrained, trainableOf } from './trained-result.node.ts';
import { durationRequest, peakRate, rowLength, stepsFor } from './training-defaults.ts';

export interface PreferOptions {
  /** The model's folder, with tokenizer.json. */
  readonly model: string;
  /** JSON Lines of pairs, rankings or labelled answers. */
  readonly files: readonly string[];
  readonly folder: string;
  readonly device: Device;
  /** One of `PREFERENCE_LOSS_NAMES`; default 'dpo'. */
  readonly loss?: string;
  /** Of the loss; its defaults where left out. */
  readonly values?: Readonly<Partial<PreferenceValues>>;
  /** Passes over the data, default 1; or steps. */
  readonly epochs?: number;
  readonly steps?: number;
  /** Pairs, or labelled answers, in a step. Default 8. */
  readonly batchSize?: number;
  /** Tokens in a row; the model's context or 256, whichever is less, when left out. Longer answers are left out. */
  readonly length?: number;
  /** Default 2e-4 for a width of 128, falling with the width; ten times that for an adapter. */
  readonly learningRate?: number;
  /** Share of the prompts that is kept aside, from 0 to below 1; default 0.1. */
  readonly validationShare?: number;
  /** Train a low-rank adapter instead of the model. */
  readonly lowRank?: LowRankOptions | undefined;
  readonly seed?: number;
  readonly fresh?: boolean;
  readonly onEvent?: EventSink;
  readonly signal?: AbortSignal;
}

export interface PreferenceOutcome extends TrainingOutcome {
  /** Pairs, or labelled answers, that were trained on. */
  readonly numItems: number;
  /** On the prompts kept aside, after the last step: accuracy, margin, rewards and the like. */
  readonly validationMetrics?: Readonly<Record<string, number>>;
}

const DEFAULT_EPOCHS = 1;
const DEFAULT_BATCH_SIZE = 8;
const DEFAULT_VALIDATION_SHARE = 0.1;
const BASE_RATE = 2e-4;
/** Of the preferences kept aside, so many batches are measured at most: eight times in a training. */
const MAX_VALIDATION_BATCHES = 32;

/** Throws ConfigError and DataError for what cannot be used, CancelledError (state saved) when stopped. */
export async function preferOnPairs(options: PreferOptions): Promise<PreferenceOutcome> {
  const { device, signal, lowRank } = options;
  const onEvent = options.onEvent ?? ignoreEvents;
  const settings = preferenceSettings(options.loss ?? 'dpo', options.values);
  const validationShare = options.validationShare ?? DEFAULT_VALIDATION_SHARE;
  if (!(validationShare >= 0 && validationShare < 1)) {
    throw new ConfigError(`validationShare must be from 0 to below 1, got ${validationShare}.`);
  }
  const model = await openChatModel(options.model);
  const { config } = model;
  const length = rowLength(options.length, config.maxPositionEmbeddings);
  const learningRate = peakRate({
    asked: options.learningRate,
    base: BASE_RATE,
    isLowRank: lowRank !== undefined,
    hiddenSize: config.hiddenSize,
  });
  const batchSize = options.batchSize ?? DEFAULT_BATCH_SIZE;
  const seed = options.seed ?? 1;
  const { steps, epochs = DEFAULT_EPOCHS } = options;
  const folder = await TrainingFolder.open(
    options.folder,
    {
      kind: 'prefer',
      model: resolve(options.model),
      // A model that was trained again under its name would be another reference.
      weights: digestWeights(model.weights),
      files: await Promise.all(options.files.map(fileIdentity)),
      loss: settings.loss,
      ...settings.values,
      batchSize,
      length,
      learningRate,
      seed,
      validationShare,
      ...durationRequest(steps, epochs),
      ...lowRankRequest(lowRank),
    },
    options.fresh ?? false,
  );

  const { usesReference } = PREFERENCE_LOSSES[settings.loss];
  const stages = ['data', ...(usesReference ? ['reference'] : []), 'prefer'];
  const stage = announceStages(stages, onEvent);
  const records = await stage(
    'data',
    async () => {
      const { records: all, reports } = await readPreferences(options.files, signal);
      for (const message of skipNotes(reports)) onEvent({ type: 'note', level: 'warning', message });
      return splitRecords(all, preferenceKey, { validation: validationShare, test: 0 }, seed);
    },
    ({ train, validation }) => `${train.length} preferences, ${validation.length} kept aside`,
  );

  const shape = { batchSize, length };
  const prepare = (split: 'train' | 'validation') =>
    preparePreferences(records[split], {
      ...shape,
      model,
      settings,
      seed,
      device,
      reference: (items) =>
        cachedReference(items, {
          ...shape,
          path: folder.file('data', `reference-${split}.json`),
          model,
          device,
          stage: 'reference',
          onEvent,
          ...(signal && { signal }),
        }),
    } satisfies PreparePreferencesOptions);
  const prepareBoth = async () => {
    const train = await prepare('train');
    const validation =
      records.validation.length > 0 ? await orNoted(prepare('validation'), onEvent) : undefined;
    for (const prepared of [train, validation]) noteLeftOut(prepared, onEvent);
    return { train, validation };
  };
  const { train, validation } = usesReference ? await stage('reference', prepareBoth) : await prepareBoth();

  return stage('prefer', async () => {
    const { batches, objective } = train;
    const { numItems } = batches;
    const { numSteps } = await folder.decide(() => ({
      numSteps: stepsFor({ steps, epochs, numItems, batchSize }),
    }));
    const trainable = trainableOf(model, lowRank, seed);
    const result = await trainModel({
      stage: 'prefer',
      folder,
      device,
      model,
      trainable,
      objective,
      batch: (index) => batches.batch(index),
      ...(validation && {
        validation: () => validation.batches.inOrder(MAX_VALIDATION_BATCHES * batchSize),
      }),
      numSteps,
      learningRate,
      weightDecay: 0,
      onEvent,
      ...(signal && { signal }),
    });
    const saved = { folder, model, modelFolder: options.model, trainable, lowRank };
    const outcome = await saveTrained({ ...saved, steps: numSteps, result });
    const metrics = result.validation?.metrics;
    return { ...outcome, numItems, ...(metrics && { validationMetrics: metrics }) };
  });
}

/** Too little kept aside is no reason to stop: training goes on without validation, and says so. */
async function orNoted(
  work: Promise<PreparedPreferences>,
  onEvent: EventSink,
): Promise<PreparedPreferences | undefined> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    onEvent({ type: 'note', level: 'warning', message: `No validation. ${error.message}` });
    return undefined;
  }
}

function noteLeftOut(prepared: PreparedPreferences | undefined, onEvent: EventSink): void {
  if (!prepared || prepared.report.numSkipped === 0) return;
  const { source, numSkipped, skipped } = prepared.report;
  onEvent({
    type: 'note',
    level: 'warning',
    message: `${numSkipped} ${source} left out; the first, ${skipped[0]?.position}: ${skipped[0]?.reason}.`,
  });
}
