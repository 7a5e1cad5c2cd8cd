/** A look at finetuning data before it is trained on, with the tokenizer and the chat format of the model. */
import { messageOf } from '../../core/errors.ts';
import { ChatInspector } from '../../data/chats/chat-inspector.ts';
import type { ChatDataReport } from '../../data/chats/chat-report.ts';
import { noChatError, readChats } from '../../data/chats/read-chats.node.ts';
import { loadLanguageIdentifier, type ReadReport } from '../../data/index.node.ts';
import { type EncodedChat, encodeChat } from '../../tokenizer/index.ts';
import { openChatReader } from './chat-model.node.ts';
import { rowLength } from './training-defaults.ts';

export interface InspectChatsOptions {
  /** The model's folder, with tokenizer.json. */
  readonly model: string;
  /** JSON Lines of chats. */
  readonly files: readonly string[];
  /** Tokens of a row of the training; as of `finetuneOnChats` when left out. */
  readonly length?: number;
  readonly signal?: AbortSignal;
}

/** Throws DataError when no line is a chat, with the first line's fault; ConfigError for a model without a chat format. */
export async function inspectChats(options: InspectChatsOptions): Promise<ChatDataReport> {
  const { tokenizer, chatFormat, contextLength } = await openChatReader(options.model);
  const cutAt = rowLength(options.length, contextLength);
  const inspector = new ChatInspector(cutAt, await loadLanguageIdentifier());
  const reports: ReadReport[] = [];
  for await (const { chat, position, report } of readChats(options.files, reports)) {
    options.signal?.throwIfAborted();
    let encoded: EncodedChat;
    try {
      encoded = encodeChat(tokenizer, chatFormat, chat.messages, { tools: chat.tools });
    } catch (error) {
      report.skip(position, messageOf(error));
      continue;
    }
    report.numRead++;
    inspector.add(chat, encoded);
  }
  const error = noChatError(reports);
  if (error) throw error;
  return inspector.report(reports);
}
