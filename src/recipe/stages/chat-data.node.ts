/**
 * Chats in JSON Lines to a token set on disk. A line is `{"messages": [{"role", "content"}, ...]}` with at least
 * one assistant's turn; the loss counts on what the assistant wrote. Other lines are skipped and counted.
 */
import { DataError, messageOf } from '../../core/errors.ts';
import type { EventSink } from '../../core/events.ts';
import {
  openTokenShards,
  ReadReport,
  readTokenSetEntries,
  type SourcedTokenDocument,
  type TokenDataset,
  writeTokenShards,
} from '../../data/index.node.ts';
import { jsonlRecords } from '../../data/readers/jsonl-reader.node.ts';
import {
  CHAT_ROLES,
  type ChatFormat,
  type ChatMessage,
  encodeChat,
  type Tokenizer,
} from '../../tokenizer/index.ts';

export interface ChatSetOptions {
  tokenizer: Tokenizer;
  chatFormat: ChatFormat;
  onEvent: EventSink;
  signal?: AbortSignal;
}

/** Throws DataError when no line is a chat, with the first line's fault. */
export async function prepareChatSet(
  folder: string,
  files: readonly string[],
  { tokenizer, chatFormat, onEvent, signal }: ChatSetOptions,
): Promise<TokenDataset> {
  if (!(await readTokenSetEntries(folder)).sft) {
    const reports: ReadReport[] = [];
    const options = { vocabSize: tokenizer.vocabSize, ...(signal && { signal }) };
    try {
      await writeTokenShards(folder, 'sft', chatsOf(files, tokenizer, chatFormat, reports), options);
    } catch (error) {
      const first = reports.flatMap(({ skipped }) => skipped)[0];
      if (!(error instanceof DataError) || !first || reports.some(({ numRead }) => numRead > 0)) throw error;
      throw new DataError(
        `No chat in ${files.join(', ')}. The first line that is none, ${first.position}: ${first.reason}. ` +
          'Expected lines such as {"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}]}.',
        { cause: error },
      );
    }
    for (const { source, numSkipped, skipped } of reports) {
      if (numSkipped === 0) continue;
      onEvent({
        type: 'note',
        level: 'warning',
        message: `${source}: ${numSkipped} lines skipped; the first, ${skipped[0]?.position}: ${skipped[0]?.reason}.`,
      });
    }
  }
  return openTokenShards(folder, 'sft');
}

async function* chatsOf(
  files: readonly string[],
  tokenizer: Tokenizer,
  chatFormat: ChatFormat,
  reports: ReadReport[],
): AsyncGenerator<SourcedTokenDocument> {
  for (const path of files) {
    const report = new ReadReport(path);
    reports.push(report);
    for await (const { record, position } of jsonlRecords(path, report)) {
      const messages = messagesOf(record);
      if (typeof messages === 'string') {
        report.skip(position, messages);
        continue;
      }
      let encoded: ReturnType<typeof encodeChat>;
      try {
        encoded = encodeChat(tokenizer, chatFormat, messages);
      } catch (error) {
        // A model's own template may refuse a chat, such as one that does not alternate.
        report.skip(position, messageOf(error));
        continue;
      }
      report.numRead++;
      yield { tokens: encoded.ids, lossMask: encoded.lossMask, source: path };
    }
  }
}

/** The messages of a record, or why it has none. */
export function messagesOf(record: Record<string, unknown>): ChatMessage[] | string {
  const { messages } = record;
  if (!Array.isArray(messages) || messages.length === 0) return 'no list "messages"';
  const checked: ChatMessage[] = [];
  for (const [i, message] of messages.entries()) {
    const { role, content } = (message ?? {}) as { role?: unknown; content?: unknown };
    const known = CHAT_ROLES.find((one) => one === role);
    if (!known)
      return `messages[${i}].role is ${JSON.stringify(role)}, expected one of ${CHAT_ROLES.join(', ')}`;
    if (typeof content !== 'string') return `messages[${i}].content is not text`;
    checked.push({ role: known, content });
  }
  const hasAnswer = checked.some(({ role, content }) => role === 'assistant' && content.trim() !== '');
  return hasAnswer ? checked : 'no message of the assistant to learn from';
}
