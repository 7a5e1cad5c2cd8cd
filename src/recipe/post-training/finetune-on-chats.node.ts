/**
 * Supervised finetuning of a model's folder on chats: encode them in the model's chat format, pack them, train
 * on the assistant's tokens, measure the loss on chats kept aside, save. Resumes by itself.
 */
import { resolve } from 'node:path';
import { ConfigError } from '../../core/errors.ts';
import { type EventSink, ignoreEvents } from '../../core/events.ts';
import {
  ConversationBatches,
  type ConversationOptions,
  readTokenSetEntries,
  type TokenDataset,
} from '../../data/index.node.ts';
import type { TrainOn } from '../../data/tokens/training-targets.ts';
import type { Device } from '../../runtime/device.ts';
import { languageModelObjective } from '../../train/objective.ts';
import { announceStages } from '../stages/announce.ts';
import { type ChatValidation, prepareChatSets } from '../stages/chat-data.node.ts';
import { fileIdentity, TrainingFolder, type TrainingRequest } from '../training-folder.node.ts';
import type { TrainingOutcome } from '../training-outcome.node.ts';
import { openChatModel } from './chat-model.node.ts';
import { trainModel } from './train-model.node.ts';
import { type LowRankOptions, lowRankRequest, saveTrained, trainableOf } from './trained-result.node.ts';
import { durationRequest, peakRate, rowLength, stepsFor } from './training-defaults.ts';

export interface FinetuneOptions {
  /** The model's folder, with tokenizer.json. */
  readonly model: string;
  /** JSON Lines of chats. */
  readonly files: readonly string[];
  readonly folder: string;
  readonly device: Device;
  /** Passes over the data, default 3; or steps. */
  readonly epochs?: number;
  readonly steps?: number;
  readonly batchSize?: number;
  /** Tokens in a row; the model's context or 256, whichever is less, when left out. Longer chats are cut. */
  readonly length?: number;
  /** Default 1e-3 for a width of 128, falling with the width; ten times that for an adapter. */
  readonly learningRate?: number;
  /** Default 'assistant': what the assistant wrote is learned, what it was given is not. */
  readonly trainOn?: TrainOn;
  /** Share of the chats that is kept aside to measure the loss on, below 1; default 0. */
  readonly validationShare?: number;
  /** Chats to measure the loss on, instead of a share. */
  readonly validationFiles?: readonly string[];
  /** Train a low-rank adapter instead of the model. */
  readonly lowRank?: LowRankOptions | undefined;
  readonly seed?: number;
  readonly fresh?: boolean;
  readonly onEvent?: EventSink;
  readonly signal?: AbortSignal;
}

const DEFAULT_EPOCHS = 3;
const DEFAULT_BATCH_SIZE = 16;
const BASE_RATE = 1e-3;
/** Of the chats kept aside, those of so many batches are measured at most: eight times in a training. */
const MAX_VALIDATION_BATCHES = 64;
const STAGES = ['data', 'sft'] as const;

/** Throws ConfigError and DataError for what cannot be used, CancelledError (state saved) when stopped. */
export async function finetuneOnChats(options: FinetuneOptions): Promise<TrainingOutcome> {
  const { device, signal } = options;
  const onEvent = options.onEvent ?? ignoreEvents;
  const model = await openChatModel(options.model);
  const { config, tokenizer, chatFormat, padId } = model;
  const length = rowLength(options.length, config.maxPositionEmbeddings);
  const { lowRank, trainOn = 'assistant' } = options;
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
      kind: 'sft',
      model: resolve(options.model),
      files: await Promise.all(options.files.map(fileIdentity)),
      batchSize,
      length,
      learningRate,
      seed,
      ...durationRequest(steps, epochs),
      ...(trainOn !== 'assistant' && { trainOn }),
      ...(await validationRequest(options)),
      ...lowRankRequest(lowRank),
    },
    options.fresh ?? false,
  );

  const stage = announceStages(STAGES, onEvent);
  const packing = { batchSize, sequenceLength: length, seed, padId, tooLong: 'truncate' } as const;
  const sets = await stage(
    'data',
    async () => {
      const { train, validation } = await prepareChatSets(folder.file('data'), options.files, {
        tokenizer,
        chatFormat,
        validation: validationOf(options, seed),
        onEvent,
        ...(signal && { signal }),
      });
      const batches = new ConversationBatches(train, { ...packing, trainOn });
      const { numConversations, numTruncated, numWithoutTargets } = batches.report;
      if (numTruncated + numWithoutTargets > 0) {
        onEvent({
          type: 'note',
          level: 'warning',
          message: `Of ${numConversations} chats, ${numTruncated} were cut to ${length} tokens and ${numWithoutTargets} left out because no answer remained.`,
        });
      }
      const { numTokens = 1, numTargets = 0 } = (await readTokenSetEntries(folder.file('data'))).sft ?? {};
      const kept = validation && validationBatches(validation, packing, onEvent);
      return { batches, validation: kept, answered: numTargets / numTokens };
    },
    ({ batches, validation, answered }) =>
      `${batches.report.numConversations} chats, ${Math.round(100 * answered)} % of their tokens the assistant's` +
      `${validation ? `; ${validation.report.numConversations} kept aside` : ''}`,
  );

  return stage('sft', async () => {
    const { batches, validation } = sets;
    const { numSteps } = await folder.decide(() => ({
      numSteps: stepsFor({ steps, epochs, numItems: batches.rowsPerEpoch, batchSize }),
    }));
    const objective = languageModelObjective(config, { batchSize, length, segments: true });
    const trainable = trainableOf(model, lowRank, seed);
    const result = await trainModel({
      stage: 'sft',
      folder,
      device,
      model,
      trainable,
      objective,
      batch: (index) => batches.batch(index),
      ...(validation && { validation: () => someOf(validation.once(), MAX_VALIDATION_BATCHES) }),
      numSteps,
      learningRate,
      onEvent,
      ...(signal && { signal }),
    });
    const saved = { folder, model, modelFolder: options.model, trainable, lowRank };
    return saveTrained({ ...saved, steps: numSteps, result });
  });
}

function validationOf(
  { validationShare = 0, validationFiles }: FinetuneOptions,
  seed: number,
): ChatValidation | undefined {
  if (validationFiles) return { files: validationFiles };
  return validationShare > 0 ? { share: validationShare, seed } : undefined;
}

async function validationRequest(options: FinetuneOptions): Promise<TrainingRequest> {
  const { validationShare = 0, validationFiles } = options;
  if (!(validationShare >= 0 && validationShare < 1)) {
    throw new ConfigError(`validationShare is ${validationShare}; expected a number from 0 to below 1.`);
  }
  if (!validationFiles) return validationShare > 0 ? { validationShare } : {};
  if (validationShare > 0) {
    throw new ConfigError('Give either a validation share or validation files, not both.');
  }
  return { validationFiles: await Promise.all(validationFiles.map(fileIdentity)) };
}

/** The loss is measured on what the assistant wrote, whatever is trained on, so that trainings compare. */
function validationBatches(
  dataset: TokenDataset,
  packing: ConversationOptions,
  onEvent: EventSink,
): ConversationBatches {
  const batches = new ConversationBatches(dataset, packing);
  const numRows = MAX_VALIDATION_BATCHES * batches.batchSize;
  if (batches.rowsPerEpoch > numRows) {
    onEvent({
      type: 'note',
      level: 'info',
      message: `Of ${batches.rowsPerEpoch} rows of chats kept aside, the loss is measured on the first ${numRows}.`,
    });
  }
  return batches;
}

function* someOf<T>(items: Iterable<T>, count: number): Generator<T, void, undefined> {
  let taken = 0;
  for (const item of items) {
    if (taken++ >= count) return;
    yield item;
  }
}
