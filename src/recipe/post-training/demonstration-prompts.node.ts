/** What demonstrations are made for: prompts from JSON Lines, or from templates that a table's rows fill. */
import type { SampledPrompt } from '../../align/best-of/best-of.ts';
import { DataError } from '../../core/errors.ts';
import { chatMessageOf } from '../../data/chats/chat-record.ts';
import { ReadReport } from '../../data/index.ts';
import { jsonlRecords } from '../../data/readers/jsonl-reader.node.ts';
import { readTable } from '../../data/readers/read-table.node.ts';
import type { ChatMessage } from '../../tokenizer/index.ts';
import { checkTemplate, fillTemplate } from './row-templates.ts';

/** A prompt with the answers that templates give to it; none where a model is to answer. */
export interface DemonstrationPrompt extends SampledPrompt {
  readonly written: readonly string[];
}

export interface PromptSource {
  /** JSON Lines with "prompt" (a text or messages) or "messages"; other fields stay with it for validators. */
  readonly files?: readonly string[];
  /** A table whose rows fill the templates. */
  readonly table?: string;
  /** With `{column}` in them; each gives a prompt for each row. */
  readonly promptTemplates?: readonly string[];
  /** With `{column}` in them: answers that need no model. */
  readonly answerTemplates?: readonly string[];
  /** A system message before each prompt that has none; a template where there is a table. */
  readonly system?: string;
}

export interface FoundPrompts {
  readonly prompts: readonly DemonstrationPrompt[];
  /** Why lines and rows gave none, with their number. */
  readonly skipped: ReadonlyMap<string, number>;
}

/** Throws DataError when there is no prompt, ConfigError for templates that name no column. */
export async function findPrompts(source: PromptSource): Promise<FoundPrompts> {
  const skipped = new Map<string, number>();
  const skip = (reason: string) => skipped.set(reason, (skipped.get(reason) ?? 0) + 1);
  const found =
    source.table === undefined
      ? await promptsOfFiles(source.files ?? [], source, skip)
      : await promptsOfTable(source.table, source, skip);
  const prompts = withoutTwins(found, skip);
  if (prompts.length > 0) return { prompts, skipped };
  const [reason] = skipped.keys();
  throw new DataError(
    `There is no prompt in ${source.table ?? source.files?.join(', ')}.${reason ? ` The first reason: ${reason}.` : ''} ` +
      'Expected lines such as {"prompt":"What is 2 + 3?","answer":"5"}, or a table with --prompt-template.',
  );
}

async function promptsOfFiles(
  files: readonly string[],
  { answerTemplates = [], system }: PromptSource,
  skip: (reason: string) => void,
): Promise<DemonstrationPrompt[]> {
  const prompts: DemonstrationPrompt[] = [];
  for (const path of files) {
    const report = new ReadReport(path);
    for await (const { record } of jsonlRecords(path, report)) {
      const messages = messagesOf(record);
      if (typeof messages === 'string') {
        skip(messages);
        continue;
      }
      for (const template of answerTemplates) checkTemplate(template, Object.keys(record));
      const row = Object.fromEntries(
        Object.entries(record).map(([name, value]) => [
          name,
          typeof value === 'object' ? JSON.stringify(value) : value,
        ]),
      ) as Record<string, string | number | boolean | null>;
      const written = answerTemplates.map((template) => fillTemplate(template, row));
      prompts.push({
        messages: withSystem(messages, system),
        record,
        written: written.filter((text) => text !== undefined),
      });
    }
    for (const { reason } of report.skipped) skip(reason);
  }
  return prompts;
}

function messagesOf(record: Readonly<Record<string, unknown>>): ChatMessage[] | string {
  const given = record.prompt ?? record.messages;
  if (typeof given === 'string' && given.trim() !== '') return [{ role: 'user', content: given }];
  if (!Array.isArray(given) || given.length === 0) return 'no "prompt" that is a text or a list of messages';
  const messages: ChatMessage[] = [];
  for (const [i, value] of given.entries()) {
    const message = chatMessageOf(value, `messages[${i}]`);
    if (typeof message === 'string') return message;
    messages.push(message);
  }
  return messages.at(-1)!.role === 'assistant' ? "the prompt ends with the assistant's turn" : messages;
}

async function promptsOfTable(
  path: string,
  { promptTemplates = [], answerTemplates = [], system }: PromptSource,
  skip: (reason: string) => void,
): Promise<DemonstrationPrompt[]> {
  const { table, report } = await readTable(path);
  for (const template of [
    ...promptTemplates,
    ...answerTemplates,
    ...(system === undefined ? [] : [system]),
  ]) {
    checkTemplate(template, table.columns);
  }
  for (const { reason } of report.skipped) skip(reason);
  return table.rows.flatMap((row) =>
    promptTemplates.flatMap((template) => {
      const content = fillTemplate(template, row);
      const about = system === undefined ? '' : fillTemplate(system, row);
      if (content === undefined || about === undefined) {
        skip('a cell that the template needs is empty');
        return [];
      }
      const written = answerTemplates.map((answer) => fillTemplate(answer, row));
      const messages = withSystem([{ role: 'user', content }], about || undefined);
      return [{ messages, record: row, written: written.filter((text) => text !== undefined) }];
    }),
  );
}

function withSystem(messages: readonly ChatMessage[], system: string | undefined): readonly ChatMessage[] {
  if (system === undefined || messages.some(({ role }) => role === 'system')) return messages;
  return [{ role: 'system', content: system }, ...messages];
}

/** The first of prompts that are the same and are judged by the same record. */
function withoutTwins(
  prompts: readonly DemonstrationPrompt[],
  skip: (reason: string) => void,
): DemonstrationPrompt[] {
  const seen = new Set<string>();
  return prompts.filter(({ messages, record }) => {
    const key = JSON.stringify([messages, record]);
    if (!seen.has(key)) {
      seen.add(key);
      return true;
    }
    skip('the same prompt with the same record stands before it');
    return false;
  });
}
