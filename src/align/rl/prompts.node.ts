/**
 * Prompts in JSON Lines: `{"prompt": "text" or [messages], ...}`. The other fields stay with the prompt: they are what a
 * program needs to judge an answer. Lines that hold no prompt are skipped and counted.
 */
import { CancelledError, DataError, messageOf } from '../../core/errors.ts';
import { ReadReport } from '../../data/index.ts';
import { jsonlRecords } from '../../data/readers/jsonl-reader.node.ts';
import { type ChatFormat, type ChatMessage, encodeChat, type Tokenizer } from '../../tokenizer/index.ts';
import type { RlPrompt } from './rollouts.ts';

export interface ReadPromptsOptions {
  readonly tokenizer: Tokenizer;
  readonly chatFormat: ChatFormat;
  /** Longest prompt in tokens; longer ones are skipped. */
  readonly maxPromptTokens: number;
  readonly signal?: AbortSignal;
}

export interface ReadPrompts {
  readonly prompts: RlPrompt[];
  /** One for each file. */
  readonly reports: ReadReport[];
}

/** Throws DataError when no line holds a prompt, with the first line's fault, and for a file that cannot be read. */
export async function readPrompts(
  files: readonly string[],
  options: ReadPromptsOptions,
): Promise<ReadPrompts> {
  const prompts: RlPrompt[] = [];
  const reports: ReadReport[] = [];
  for (const path of files) {
    const report = new ReadReport(path);
    reports.push(report);
    for await (const { record, position } of jsonlRecords(path, report)) {
      if (options.signal?.aborted)
        throw new CancelledError('Stopped while prompts were read. Nothing was changed.');
      const found = promptIn(record, options);
      if (typeof found === 'string') {
        report.skip(position, found);
        continue;
      }
      report.numRead++;
      prompts.push(found);
    }
  }
  if (prompts.length === 0) {
    const first = reports.flatMap(({ skipped }) => skipped)[0];
    const fault = first ? ` The first line that holds none, ${first.position}: ${first.reason}.` : '';
    throw new DataError(
      `No prompt in ${files.join(', ')}.${fault} Expected lines such as {"prompt":"12+30=","answer":"42"} or ` +
        '{"prompt":[{"role":"user","content":"12+30="}],"answer":"42"}.',
    );
  }
  return { prompts, reports };
}

/** The prompt of a record, or why it has none. */
function promptIn(
  record: Readonly<Record<string, unknown>>,
  { tokenizer, chatFormat, maxPromptTokens }: ReadPromptsOptions,
): RlPrompt | string {
  const { prompt } = record;
  if (typeof prompt !== 'string' && !Array.isArray(prompt))
    return 'no "prompt" that is a text or a list of messages';
  if (prompt.length === 0) return '"prompt" is empty';
  const messages: ChatMessage[] = typeof prompt === 'string' ? [{ role: 'user', content: prompt }] : prompt;
  if (messages.at(-1)?.role === 'assistant') return "the prompt ends with the assistant's turn";
  let ids: readonly number[];
  try {
    ids = encodeChat(tokenizer, chatFormat, messages, { addGenerationPrompt: true }).ids;
  } catch (error) {
    return messageOf(error);
  }
  if (ids.length > maxPromptTokens) {
    return `${ids.length} tokens, more than the ${maxPromptTokens} that leave room for an answer in the context`;
  }
  return { messages, record, ids: Int32Array.from(ids) };
}
