/**
 * Chats in JSON Lines to token sets on disk: `sft`, and `validation` where chats are kept aside. Who wrote each token
 * is kept beside it; the loss mask marks what the assistant wrote. Lines that are no chats are skipped and counted.
 */
import { DataError, messageOf } from '../../core/errors.ts';
import type { EventSink } from '../../core/events.ts';
import { noChatError, readChats, skipNotes } from '../../data/chats/read-chats.node.ts';
import {
  openTokenShards,
  type ReadReport,
  readTokenSetEntries,
  type SourcedTokenDocument,
  splitOf,
  type TokenDataset,
  writeTokenShards,
} from '../../data/index.node.ts';
import { type ChatFormat, type ChatMessage, encodeChat, type Tokenizer } from '../../tokenizer/index.ts';

/** Chats kept aside: a share of the files', by the seed, or those of a file of their own. */
export type ChatValidation =
  | { readonly share: number; readonly seed: number }
  | { readonly files: readonly string[] };

export interface ChatSetOptions {
  tokenizer: Tokenizer;
  chatFormat: ChatFormat;
  validation?: ChatValidation | undefined;
  onEvent: EventSink;
  signal?: AbortSignal;
}

export interface ChatSets {
  readonly train: TokenDataset;
  /** Absent where none were asked for, or the share of few chats was none. */
  readonly validation: TokenDataset | undefined;
}

type Split = 'train' | 'validation';

/** Throws DataError when no line is a chat, with the first line's fault. */
export async function prepareChatSets(
  folder: string,
  files: readonly string[],
  options: ChatSetOptions,
): Promise<ChatSets> {
  const { validation, onEvent } = options;
  // The training set is written last: where it is listed, nothing is missing.
  if (!(await readTokenSetEntries(folder)).sft) {
    if (validation && 'files' in validation) {
      await writeSet(folder, 'validation', validation.files, () => true, options, true);
    } else if (validation && validation.share > 0) {
      const isIn = (messages: readonly ChatMessage[]) => sideOf(messages, validation) === 'validation';
      await writeSet(folder, 'validation', files, isIn, options, false).catch((error: unknown) => {
        if (!(error instanceof DataError)) throw error;
        onEvent({
          type: 'note',
          level: 'warning',
          message: `A share of ${validation.share} of these chats is none; there will be no validation loss.`,
        });
      });
    }
    const isTraining = (messages: readonly ChatMessage[]) =>
      validation === undefined || 'files' in validation || sideOf(messages, validation) === 'train';
    await writeSet(folder, 'sft', files, isTraining, options, true);
  }
  const isAside = (await readTokenSetEntries(folder)).validation !== undefined;
  return {
    train: await openTokenShards(folder, 'sft'),
    validation: isAside ? await openTokenShards(folder, 'validation') : undefined,
  };
}

/** What comes before the first answer decides, so a question never stands on both sides. */
function sideOf(messages: readonly ChatMessage[], { share, seed }: { share: number; seed: number }): Split {
  const end = messages.findIndex(({ role }) => role === 'assistant');
  const key = messages.slice(0, end).map(({ role, content }) => `${role}\n${content}`);
  return splitOf(key.join('\n'), { validation: share, test: 0 }, seed) === 'validation'
    ? 'validation'
    : 'train';
}

async function writeSet(
  folder: string,
  name: string,
  files: readonly string[],
  isIn: (messages: readonly ChatMessage[]) => boolean,
  { tokenizer, chatFormat, onEvent, signal }: ChatSetOptions,
  tellsSkips: boolean,
): Promise<void> {
  const reports: ReadReport[] = [];
  async function* chats(): AsyncGenerator<SourcedTokenDocument> {
    for await (const { chat, source, position, report } of readChats(files, reports)) {
      const { messages, tools } = chat;
      if (!isIn(messages)) continue;
      let encoded: ReturnType<typeof encodeChat>;
      try {
        encoded = encodeChat(tokenizer, chatFormat, messages, { tools });
      } catch (error) {
        // A model's own template may refuse a chat, such as one that does not alternate.
        report.skip(position, messageOf(error));
        continue;
      }
      report.numRead++;
      const { ids, lossMask, roles } = encoded;
      yield { tokens: ids, lossMask, roles, source };
    }
  }
  try {
    await writeTokenShards(folder, name, chats(), {
      vocabSize: tokenizer.vocabSize,
      ...(signal && { signal }),
    });
  } catch (error) {
    throw (tellsSkips && error instanceof DataError && noChatError(reports, error)) || error;
  }
  if (!tellsSkips) return;
  for (const message of skipNotes(reports)) onEvent({ type: 'note', level: 'warning', message });
}
