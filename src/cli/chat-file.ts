/**
 * A conversation as a file: JSON with `messages`, which `plinth generate --messages` reads too, and the settings by
 * name. Never replaces a file that is something else.
 */
import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../core/atomic-file.node.ts';
import { DataError, messageOf } from '../core/errors.ts';
import { wireMessage } from '../tokenizer/chat-wire.ts';
import type { ChatMessage } from '../tokenizer/index.ts';
import { type ChatSettings, changeSetting, SETTING_NAMES } from './chat-settings.ts';
import { fieldOf } from './generate/generation-flags.ts';
import { chatMessages } from './generate/prompt-source.ts';

const FORMAT = 'plinth-chat';

export interface SavedChat {
  readonly messages: readonly ChatMessage[];
  readonly settings: ChatSettings;
}

/** Throws DataError when the path holds something that is not a saved chat, PlinthError `disk`. */
export async function saveChat(path: string, { messages, settings }: SavedChat): Promise<void> {
  const before = await readIfThere(path);
  if (before !== undefined && (before as { format?: unknown }).format !== FORMAT) {
    throw new DataError(
      `${path} is there already and is not a saved chat; it stays as it is. Choose another name.`,
    );
  }
  const { system, flags, ...own } = settings;
  const written = messages.map((message) => wireMessage(message, true));
  const all = [...(system === undefined ? [] : [{ role: 'system', content: system }]), ...written];
  const value = { format: FORMAT, messages: all, settings: { ...own, generation: flags } };
  await writeFileAtomic(path, `${JSON.stringify(value, undefined, 2)}\n`);
}

/**
 * A saved chat, or a list of messages. What the file does not set stays as it is in `settings`.
 * Throws DataError that says what is wrong with the file.
 */
export async function loadChat(path: string, settings: ChatSettings): Promise<SavedChat> {
  const value = await readIfThere(path);
  if (value === undefined) throw new DataError(`There is no file ${path}.`);
  const messages = chatMessages(value, path);
  const [first, ...rest] = messages;
  const system = first?.role === 'system' ? first.content : undefined;
  const shown = system === undefined ? messages : rest;
  if (shown.some(({ role }) => role === 'system')) {
    throw new DataError(`${path}: only the first message may be a system message.`);
  }
  const loaded = { ...settings, ...savedSettings(path, value, settings), system };
  return { messages: shown, settings: loaded };
}

/** Goes through the same checks as typed settings do. */
function savedSettings(path: string, file: unknown, settings: ChatSettings): ChatSettings {
  const saved = (file as { settings?: Record<string, unknown> }).settings;
  if (saved === undefined) return settings;
  const { generation = {}, ...own } = saved;
  let next: ChatSettings = { ...settings, flags: {} };
  const names = new Map(SETTING_NAMES.map((name) => [fieldOf(name) as string, name]));
  const entries = [...Object.entries(own), ...Object.entries(generation as object)];
  for (const [field, value] of entries) {
    const name = names.get(field);
    if (name === undefined) throw new DataError(`${path}: there is no setting "${field}".`);
    const change = changeSetting(next, name, settingText(value));
    if (change.settings === next) throw new DataError(`${path}: ${change.text}`);
    next = change.settings;
  }
  return next;
}

/** A saved value as one would type it. */
function settingText(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (Array.isArray(value))
    return value.every((one) => typeof one === 'number') ? value.join() : JSON.stringify(value);
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value)
    .map(([key, one]) => `${key}=${String(one)}`)
    .join();
}

async function readIfThere(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return undefined;
    throw new DataError(`${path} could not be read (${messageOf(error)}).`, { cause: error });
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new DataError(`${path} is not JSON (${messageOf(error)}).`, { cause: error });
  }
}
