/** Chats that a training on something else also learns, so that it does not forget what it could (PPO-ptx). */
import type { PretrainingMix } from '../../align/rl/policy-objective.ts';
import { ConfigError } from '../../core/errors.ts';
import type { EventSink } from '../../core/events.ts';
import { ConversationBatches, type TokenBatch } from '../../data/index.node.ts';
import { prepareChatSets } from '../stages/chat-data.node.ts';
import type { ChatModel } from './chat-model.node.ts';

export interface ChatMixture {
  /** JSON Lines of chats, as for supervised finetuning. */
  readonly files: readonly string[];
  /** What the mean loss of a batch of them counts beside the training's own. */
  readonly weight: number;
}

interface ChatMixtureOptions {
  readonly model: ChatModel;
  readonly seed: number;
  readonly onEvent: EventSink;
  readonly signal?: AbortSignal | undefined;
}

const BATCH_SIZE = 8;
const MAX_LENGTH = 256;

/** Batch number `index` is a pure function of the files and the seed. Throws DataError where no line is a chat. */
export async function chatMixture(
  folder: string,
  { files, weight }: ChatMixture,
  { model, seed, onEvent, signal }: ChatMixtureOptions,
): Promise<PretrainingMix & { batch(index: number): TokenBatch }> {
  if (!(weight > 0 && Number.isFinite(weight))) {
    throw new ConfigError(`The weight of the chats mixed in must be above 0, got ${weight}.`);
  }
  const { config, tokenizer, chatFormat, padId } = model;
  const length = Math.min(MAX_LENGTH, config.maxPositionEmbeddings);
  const { train } = await prepareChatSets(folder, files, {
    tokenizer,
    chatFormat,
    onEvent,
    ...(signal && { signal }),
  });
  const batches = new ConversationBatches(train, {
    batchSize: BATCH_SIZE,
    sequenceLength: length,
    seed,
    padId,
    tooLong: 'truncate',
  });
  return {
    weight,
    shape: { batchSize: BATCH_SIZE, length, segments: true },
    batch: (index) => batches.batch(index),
  };
}
