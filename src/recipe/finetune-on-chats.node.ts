/**
 * Supervised finetuning of a model's folder on chats: encode them in the model's chat format, pack them, train
 * on the assistant's tokens, save. Resumes by itself. A base model without a chat format gets ChatML, if its
 * tokenizer has the tokens for it.
 */
import { resolve } from 'node:path';
import { ConfigError } from '../core/errors.ts';
import { type EventSink, ignoreEvents } from '../core/events.ts';
import { ConversationBatches } from '../data/index.node.ts';
import { loadCheckpoint } from '../model/checkpoint.node.ts';
import type { Device } from '../runtime/device.ts';
import { measureSgemm } from '../runtime/index.ts';
import { loadTokenizer } from '../tokenizer/index.node.ts';
import {
  type ChatFormat,
  chatFormatOf,
  chatMl,
  formatTokenizerConfig,
  formatTokenizerJson,
  type Tokenizer,
  type TokenizerConfig,
} from '../tokenizer/index.ts';
import { DEFAULT_OPTIMIZER } from '../train/optimizer.ts';
import { announceStages } from './stages/announce.ts';
import { prepareChatSet } from './stages/chat-data.node.ts';
import { trainStage } from './stages/train-stage.node.ts';
import { fileIdentity, TrainingFolder } from './training-folder.node.ts';
import { saveOutcome, type TrainingOutcome } from './training-outcome.node.ts';

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
const BASE_WIDTH = 128;
const STAGES = ['data', 'sft'] as const;

/** Throws ConfigError and DataError for what cannot be used, CancelledError (state saved) when stopped. */
export async function finetuneOnChats(options: FinetuneOptions): Promise<TrainingOutcome> {
  const { device, signal } = options;
  const onEvent = options.onEvent ?? ignoreEvents;
  const { config, weights } = await loadCheckpoint(options.model);
  const loaded = await loadTokenizer(options.model);
  const { tokenizer } = loaded;
  const { chatFormat, tokenizerConfig } = chatOf(tokenizer, loaded.config);
  const length = options.length ?? Math.min(DEFAULT_LENGTH, config.maxPositionEmbeddings);
  if (length > config.maxPositionEmbeddings) {
    throw new ConfigError(
      `length is ${length}; the model's context is ${config.maxPositionEmbeddings} tokens.`,
    );
  }
  const learningRate = options.learningRate ?? BASE_RATE * Math.min(1, BASE_WIDTH / config.hiddenSize);
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
        padId: config.padTokenId ?? config.eosTokenIds[0] ?? 0,
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
    const files = new Map([
      ['tokenizer.json', formatTokenizerJson(tokenizer)],
      ['tokenizer_config.json', formatTokenizerConfig(tokenizer, tokenizerConfig)],
    ]);
    const result = await trainStage({
      stage: 'sft',
      checkpoints: folder.file('checkpoints', 'sft'),
      fingerprint: folder.fingerprint,
      device,
      config,
      weights: () => weights,
      tokenizer,
      files,
      batches,
      numSteps,
      optimizer: { ...DEFAULT_OPTIMIZER, learningRate },
      schedule: {
        kind: 'cosine',
        warmupSteps: Math.min(10, Math.ceil(numSteps / 10)),
        decayShare: 0,
        finalShare: 0.1,
        decay: 'linear',
      },
      clipNorm: 1,
      peakGflops: await measureSgemm(device),
      onEvent,
      ...(signal && { signal }),
      onResume: (step) => folder.cutMetrics(step),
      keepEvents: (events) => folder.appendMetrics(events),
    });
    const endOfTurn =
      tokenizerConfig.eosToken === null ? undefined : tokenizer.specialTokens.get(tokenizerConfig.eosToken);
    const eosTokenIds = [
      ...new Set([...(endOfTurn === undefined ? [] : [endOfTurn]), ...config.eosTokenIds]),
    ];
    return saveOutcome(folder, { ...config, eosTokenIds }, files, numSteps, result);
  });
}

/** The model's own format, or ChatML where the tokenizer has its two tokens. */
function chatOf(
  tokenizer: Tokenizer,
  config: TokenizerConfig,
): { chatFormat: ChatFormat; tokenizerConfig: TokenizerConfig } {
  const own = chatFormatOf(tokenizer, config);
  if (own) return { chatFormat: own, tokenizerConfig: config };
  const hasChatMl = ['<|im_start|>', '<|im_end|>'].every((name) => tokenizer.specialTokens.has(name));
  if (!hasChatMl) {
    throw new ConfigError(
      'The model has no chat format, and its tokenizer lacks <|im_start|> and <|im_end|>, which ChatML needs. ' +
        'Pre-train with a tokenizer that has them ("plinth tokenizer train" adds them).',
    );
  }
  return {
    chatFormat: chatMl,
    tokenizerConfig: { ...config, chatTemplate: chatMl.template, eosToken: '<|im_end|>' },
  };
}
