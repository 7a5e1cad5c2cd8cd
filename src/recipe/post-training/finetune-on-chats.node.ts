/**
 * Supervised finetuning of a model's folder on chats: encode them in the model's chat format, pack them, train
 * on the assistant's tokens, save. Resumes by itself.
 */
import { resolve } from 'node:path';
import { ConfigError } from '../../core/errors.ts';
import { type EventSink, ignoreEvents } from '../../core/events.ts';
import { ConversationBatches } from '../../data/index.node.ts';
import type { Device } from '../../runtime/device.ts';
import { languageModelObjective } from '../../train/objective.ts';
import { fullModel } from '../../train/trainable.ts';
import { announceStages } from '../stages/announce.ts';
import { prepareChatSet } from '../stages/chat-data.node.ts';
import { fileIdentity, TrainingFolder } from '../training-folder.node.ts';
import { saveOutcome, type TrainingOutcome } from '../training-outcome.node.ts';
import { openChatModel } from './chat-model.node.ts';
import { rateForWidth, trainModel } from './train-model.node.ts';

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
  /** Default 1e-3 for a width of 128, falling with the width. */
  readonly learningRate?: number;
  readonly seed?: number;
  readonly fresh?: boolean;
  readonly onEvent?: EventSink;
  readonly signal?: AbortSignal;
}

const DEFAULT_EPOCHS = 3;
const DEFAULT_BATCH_SIZE = 16;
const DEFAULT_LENGTH = 256;
const BASE_RATE = 1e-3;
const STAGES = ['data', 'sft'] as const;

/** Throws ConfigError and DataError for what cannot be used, CancelledError (state saved) when stopped. */
export async function finetuneOnChats(options: FinetuneOptions): Promise<TrainingOutcome> {
  const { device, signal } = options;
  const onEvent = options.onEvent ?? ignoreEvents;
  const model = await openChatModel(options.model);
  const { config, weights, tokenizer, chatFormat, padId, files } = model;
  const length = options.length ?? Math.min(DEFAULT_LENGTH, config.maxPositionEmbeddings);
  if (length > config.maxPositionEmbeddings) {
    throw new ConfigError(
      `length is ${length}; the model's context is ${config.maxPositionEmbeddings} tokens.`,
    );
  }
  const learningRate = options.learningRate ?? rateForWidth(BASE_RATE, config.hiddenSize);
  const batchSize = options.batchSize ?? DEFAULT_BATCH_SIZE;
  const seed = options.seed ?? 1;
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
      ...(options.steps === undefined
        ? { epochs: options.epochs ?? DEFAULT_EPOCHS }
        : { steps: options.steps }),
    },
    options.fresh ?? false,
  );

  const stage = announceStages(STAGES, onEvent);
  const batches = await stage(
    'data',
    async () => {
      const chats = await prepareChatSet(folder.file('data'), options.files, {
        tokenizer,
        chatFormat,
        onEvent,
        ...(signal && { signal }),
      });
      const packed = new ConversationBatches(chats, {
        batchSize,
        sequenceLength: length,
        seed,
        padId,
        tooLong: 'truncate',
      });
      const { numConversations, numTruncated, numWithoutTargets } = packed.report;
      if (numTruncated + numWithoutTargets > 0) {
        onEvent({
          type: 'note',
          level: 'warning',
          message: `Of ${numConversations} chats, ${numTruncated} were cut to ${length} tokens and ${numWithoutTargets} left out because no answer remained.`,
        });
      }
      return packed;
    },
    ({ report }) => `${report.numConversations} chats`,
  );

  return stage('sft', async () => {
    const { numSteps } = await folder.decide(() => ({
      numSteps:
        options.steps ??
        Math.max(1, Math.ceil(((options.epochs ?? DEFAULT_EPOCHS) * batches.rowsPerEpoch) / batchSize)),
    }));
    const shape = { batchSize, length, segments: true };
    const result = await trainModel({
      stage: 'sft',
      folder,
      device,
      model,
      trainable: fullModel(config, weights),
      objective: languageModelObjective(config, shape),
      batch: (index) => batches.batch(index),
      numSteps,
      learningRate,
      onEvent,
      ...(signal && { signal }),
    });
    return saveOutcome(folder, config, files, numSteps, result);
  });
}
