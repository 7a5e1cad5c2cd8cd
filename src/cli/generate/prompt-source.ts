/**
 * Where prompts come from: the command line, a file, a file of many, or stdin. Exactly one source counts; what is
 * wrong with it is said with the flag, the file and the line.
 */
import { readFile } from 'node:fs/promises';
import { DataError, messageOf, PlinthError } from '../../core/errors.ts';
import { parseJsonLines } from '../../core/json-lines.ts';
import { nearestName } from '../../core/nearest-name.ts';
import { chatMessageOf, toolDefinitionsOf } from '../../data/chats/chat-record.ts';
import type { Prompt } from '../../decode/language-model.ts';
import type { ToolDefinition } from '../../tokenizer/chat-tools.ts';
import { CHAT_ROLES, type ChatMessage } from '../../tokenizer/index.ts';
import { fieldOf, GENERATION_FLAGS } from './generation-flags.ts';

export interface PromptFlags {
  prompt?: string;
  promptFile?: string;
  promptTokens?: number[];
  prompts?: string;
  chat?: string;
  messages?: string;
  system?: string;
}

/** A prompt of a file of prompts. */
export interface NamedPrompt {
  /** The line's own `id`, or its number from 1. */
  readonly id: string | number;
  readonly prompt: Prompt;
}

export type PromptSource =
  | { readonly kind: 'one'; readonly prompt: Prompt }
  | { readonly kind: 'many'; readonly prompts: readonly NamedPrompt[]; readonly notes: readonly string[] };

/** What is read where no terminal is: all of stdin as text. */
export interface TextInput {
  readonly isTTY?: boolean;
  text(): Promise<string>;
}

export const STDIN: TextInput = {
  get isTTY() {
    return process.stdin.isTTY;
  },
  async text() {
    const pieces: Uint8Array[] = [];
    for await (const piece of process.stdin) pieces.push(piece as Uint8Array);
    return utf8(Buffer.concat(pieces), 'stdin');
  },
};

const SOURCES = ['prompt', 'prompt-file', 'prompts', 'prompt-tokens', 'chat', 'messages'] as const;

/** Throws PlinthError `usage` for no source or several, DataError for files that cannot be used. */
export async function readPrompts(
  text: string | undefined,
  flags: PromptFlags,
  stdin: TextInput = STDIN,
): Promise<PromptSource> {
  const fields = { ...flags } as Record<string, unknown>;
  const given: string[] = SOURCES.filter((name) => fields[fieldOf(name)] !== undefined).map(
    (name) => `--${name}`,
  );
  if (text !== undefined) given.unshift('PROMPT');
  if (given.length > 1) {
    throw usage(
      `Give exactly one of PROMPT, ${SOURCES.map((name) => `--${name}`).join(', ')}; got ${given.join(' and ')}.`,
    );
  }
  if (flags.system !== undefined && !given.some((name) => /--(chat|messages|prompts)$/.test(name))) {
    throw usage('--system is the first message of a chat; it needs --chat, --messages or --prompts.');
  }
  if (flags.promptTokens) return one(flags.promptTokens);
  if (flags.chat !== undefined) {
    return one({ messages: [...systemMessage(flags.system), { role: 'user', content: flags.chat }] });
  }
  if (flags.messages !== undefined) {
    const source = `--messages ${flags.messages}`;
    const value = parsed(await readText(flags.messages, '--messages', stdin), source);
    const messages = withSystem(chatMessages(value, source), flags.system, source);
    return one({ messages, ...toolsOf(value, source) });
  }
  if (flags.prompts !== undefined) {
    return manyPrompts(
      await readText(flags.prompts, '--prompts', stdin),
      `--prompts ${flags.prompts}`,
      flags.system,
    );
  }
  if (flags.promptFile !== undefined) {
    return one(withoutLastBreak(await readText(flags.promptFile, '--prompt-file', stdin)));
  }
  const written = text ?? flags.prompt;
  if (written !== undefined) return one(written);
  if (stdin.isTTY) {
    throw usage(
      `Give exactly one of PROMPT, ${SOURCES.map((name) => `--${name}`).join(', ')}, or pipe a text into stdin; got none.`,
    );
  }
  const piped = withoutLastBreak(await stdin.text());
  if (piped === '') {
    throw usage(
      `There is no prompt: stdin is empty. Give one of PROMPT, ${SOURCES.map((name) => `--${name}`).join(', ')}.`,
    );
  }
  return one(piped);
}

const one = (prompt: Prompt): PromptSource => ({ kind: 'one', prompt });
const usage = (message: string) => new PlinthError('usage', `${message} See "plinth generate --help".`);

const systemMessage = (system: string | undefined): ChatMessage[] =>
  system === undefined ? [] : [{ role: 'system', content: system }];

/** Editors end a file with a line break that nobody means. */
const withoutLastBreak = (text: string) => text.replace(/\r?\n$/, '');

async function readText(path: string, flag: string, stdin: TextInput): Promise<string> {
  if (path === '-') return stdin.text();
  try {
    return utf8(await readFile(path), path);
  } catch (error) {
    if (error instanceof PlinthError) throw error;
    throw new DataError(`${flag} ${path}: the file could not be read (${messageOf(error)}).`, {
      cause: error,
    });
  }
}

function utf8(bytes: Uint8Array, source: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new DataError(`${source} is not UTF-8 text. Convert it first.`);
  }
}

function parsed(text: string, source: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new DataError(`${source} is not JSON (${messageOf(error)}).`, { cause: error });
  }
}

/** Messages out of a list of them, or out of an object that has one. Throws DataError that says what is wrong. */
export function chatMessages(value: unknown, source: string): ChatMessage[] {
  const list = Array.isArray(value) ? value : (value as { messages?: unknown } | null)?.messages;
  if (!Array.isArray(list) || list.length === 0) {
    throw new DataError(
      `${source}: expected [{"role":"user","content":"..."}, ...] or {"messages":[...]} with at least one message.`,
    );
  }
  return list.map((value: unknown, i) => {
    const message = chatMessageOf(value, `message ${i + 1}`);
    if (typeof message !== 'string') return message;
    throw new DataError(
      `${source}: ${message}; it is ${JSON.stringify(value)?.slice(0, 80)}. Expected a "role" (${CHAT_ROLES.join(', ')}) ` +
        'and a "content" that is a text.',
    );
  });
}

/** The functions that stand beside messages in an object, to be spread into the prompt. */
function toolsOf(value: unknown, source: string): { tools?: ToolDefinition[] } {
  const { tools } = (Array.isArray(value) ? {} : (value ?? {})) as { tools?: unknown };
  if (tools === undefined || tools === null) return {};
  const definitions = toolDefinitionsOf(tools);
  if (typeof definitions === 'string') throw new DataError(`${source}: ${definitions}.`);
  return { tools: definitions };
}

function withSystem(messages: ChatMessage[], system: string | undefined, source: string): ChatMessage[] {
  if (system !== undefined && messages.some(({ role }) => role === 'system')) {
    throw new DataError(
      `${source} has a system message already; leave --system out, or take it from the file.`,
    );
  }
  return [...systemMessage(system), ...messages];
}

function manyPrompts(text: string, source: string, system: string | undefined): PromptSource {
  const options = new Set<string>(GENERATION_FLAGS.flatMap(({ name, option }) => [fieldOf(name), option]));
  const unused = new Map<string, number>();
  const ids = new Set<string | number>();
  const prompts: NamedPrompt[] = [];
  for (const { value, line } of jsonLines(text, source)) {
    const where = `${source}, line ${line}`;
    const fields: Record<string, unknown> =
      typeof value === 'string' ? { prompt: value } : ((value as Record<string, unknown> | null) ?? {});
    const { id = line, prompt, messages, tools, ...others } = fields;
    for (const name of Object.keys(others)) {
      if (options.has(name)) {
        throw new DataError(
          `${where}: "${name}" is an option of generation; give it on the command line, for all lines.`,
        );
      }
      const near =
        prompt === undefined && messages === undefined && nearestName(name, ['prompt', 'messages']);
      if (near) throw new DataError(`${where}: there is no field "${name}". Did you mean "${near}"?`);
      unused.set(name, (unused.get(name) ?? 0) + 1);
    }
    if (typeof id !== 'string' && typeof id !== 'number') {
      throw new DataError(`${where}: "id" is ${JSON.stringify(id)}; expected a text or a number.`);
    }
    if (ids.has(id))
      throw new DataError(
        `${where}: the id ${JSON.stringify(id)} stands twice. Ids must differ; a line without one has its number.`,
      );
    ids.add(id);
    prompts.push({ id, prompt: promptOf({ prompt, messages, tools }, system, where) });
  }
  if (prompts.length === 0)
    throw new DataError(`${source} has no prompts: one JSON value a line is expected.`);
  const notes = [...unused].map(
    ([name, count]) => `The field "${name}" of ${count === 1 ? 'one line' : `${count} lines`} is not used.`,
  );
  return { kind: 'many', prompts, notes };
}

function* jsonLines(text: string, source: string): Generator<{ value: unknown; line: number }> {
  const lines = text.split('\n');
  for (const [i, line] of lines.entries()) {
    if (line.trim() === '') continue;
    const [value] = parseJsonLines('\n'.repeat(i) + line, source);
    yield { value, line: i + 1 };
  }
}

function promptOf(
  fields: { prompt: unknown; messages: unknown; tools: unknown },
  system: string | undefined,
  where: string,
): Prompt {
  const { prompt, messages } = fields;
  if ((prompt === undefined) === (messages === undefined)) {
    throw new DataError(
      `${where}: expected {"prompt":"..."} or {"messages":[...]}, with an "id" if you like; ` +
        `got ${prompt === undefined ? 'neither' : 'both'}.`,
    );
  }
  if (messages !== undefined) {
    return {
      messages: withSystem(chatMessages(messages, where), system, where),
      ...toolsOf(fields, where),
    };
  }
  if (fields.tools !== undefined) {
    throw new DataError(
      `${where}: "tools" belong to a chat, and this is a text to continue. Use "messages".`,
    );
  }
  if (system !== undefined) {
    throw new DataError(`${where}: --system needs a chat, and this is a text to continue. Use "messages".`);
  }
  if (typeof prompt === 'string') return prompt;
  if (Array.isArray(prompt) && prompt.every((id) => Number.isInteger(id))) return prompt as number[];
  throw new DataError(`${where}: "prompt" is a text or a list of token ids.`);
}
