/**
 * The settings of a chat by name: those of `plinth generate` as they are called there, and a few of the chat
 * itself. A change is checked as the flags are; a bad one leaves everything as it was.
 */
import { InvalidArgumentError } from 'commander';
import { messageOf, PlinthError } from '../core/errors.ts';
import { nearestName } from '../core/nearest-name.ts';
import { fieldOf, flagNamed, GENERATION_FLAGS, type GenerationFlags } from './generate/generation-flags.ts';
import { generateOptions } from './generation-options.ts';
import { columns } from './terminal/columns.ts';
import { cutText } from './terminal/text-width.ts';
import { visibleLine } from './terminal/visible-text.ts';

export interface ChatSettings {
  readonly system?: string | undefined;
  /** The model sees earlier turns. */
  readonly history: boolean;
  /** What happens when the conversation outgrows the context: leave the oldest turns out, or refuse. */
  readonly trim: 'oldest' | 'error';
  /** Show the probability of every token. */
  readonly probabilities: boolean;
  readonly flags: GenerationFlags;
}

export const DEFAULT_CHAT_SETTINGS: ChatSettings = {
  history: true,
  trim: 'oldest',
  probabilities: false,
  flags: {},
};

const OWN = {
  history: ['on', 'off'],
  trim: ['oldest', 'error'],
  probabilities: ['on', 'off'],
} as const;
type OwnName = keyof typeof OWN;

const FLAG_NAMES = GENERATION_FLAGS.filter(({ group }) => group !== 'log-probabilities').map(
  ({ name }) => name,
);
export const SETTING_NAMES: readonly string[] = [...Object.keys(OWN), ...FLAG_NAMES];
/** Shown even when nothing is set. */
const ALWAYS_SHOWN: readonly string[] = ['max-tokens', 'temperature', 'top-k', 'top-p', 'seed'];
const MAX_VALUE_CELLS = 60;

export interface SettingChange {
  readonly settings: ChatSettings;
  /** What was changed, or why nothing was. */
  readonly text: string;
}

/** @param value text as it is typed; empty: back to the default */
export function changeSetting(settings: ChatSettings, name: string, value: string): SettingChange {
  const known = kebab(name);
  if (Object.hasOwn(OWN, known)) return changeOwn(settings, known as OwnName, value);
  const flag = FLAG_NAMES.find((one) => one === known);
  if (!flag) {
    const near =
      SETTING_NAMES.find((one) => known !== '' && one.startsWith(known)) ?? nearestName(known, SETTING_NAMES);
    const hint = near
      ? `Did you mean ${near}?`
      : `There are ${Object.keys(OWN).join(', ')}, and the flags that "plinth generate --help" lists.`;
    return { settings, text: `There is no setting "${visibleLine(name)}". ${hint}` };
  }
  const flags: Record<string, unknown> = { ...settings.flags };
  try {
    const parsed = value === '' ? undefined : parsedValue(flag, value);
    if (parsed === undefined) delete flags[fieldOf(flag)];
    else flags[fieldOf(flag)] = parsed;
    generateOptions(flags);
  } catch (error) {
    if (error instanceof InvalidArgumentError) return { settings, text: `${flag}: ${error.message}` };
    if (error instanceof PlinthError) return { settings, text: messageOf(error) };
    throw error;
  }
  const next = { ...settings, flags: flags as GenerationFlags };
  return { settings: next, text: `${flag} ${shown(flags[fieldOf(flag)])}` };
}

function changeOwn(settings: ChatSettings, name: OwnName, value: string): SettingChange {
  const words: readonly string[] = OWN[name];
  if (!words.includes(value)) return { settings, text: `${name} is ${words.join(' or ')}.` };
  const next = name === 'trim' ? value : value === 'on';
  return { settings: { ...settings, [name]: next }, text: `${name} ${value}` };
}

/** `topK` as in the library's options is understood as well as `top-k`. */
const kebab = (name: string) =>
  name.replace(/^--/, '').replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Texts may stand in JSON's quotes, for line breaks and for several: "\n" or ["\n","User:"]. */
function parsedValue(name: string, value: string): unknown {
  const { parse, value: placeholder } = flagNamed(name)!;
  if (placeholder === undefined) {
    if (value !== 'on' && value !== 'off') throw new InvalidArgumentError('Expected on or off.');
    return value === 'on' ? true : undefined;
  }
  if (name !== 'stop') return parse(value);
  if (!/^["[]/.test(value)) return [value];
  let texts: unknown;
  try {
    texts = JSON.parse(value);
  } catch {
    throw new InvalidArgumentError('Expected a text, "a text\\n" or ["several","texts"].');
  }
  const list = Array.isArray(texts) ? texts : [texts];
  if (list.every((text) => typeof text === 'string')) return list;
  throw new InvalidArgumentError('Expected texts.');
}

/** Every setting that is set, and the common ones. */
export function settingsTable(settings: ChatSettings): string {
  const flags = settings.flags as Record<string, unknown>;
  const rows = [
    ...Object.keys(OWN).map((name) => {
      const value = settings[name as OwnName];
      return [name, typeof value === 'string' ? value : value ? 'on' : 'off'];
    }),
    [
      'system',
      settings.system === undefined ? 'none' : cutText(visibleLine(settings.system), MAX_VALUE_CELLS),
    ],
    ...FLAG_NAMES.filter((name) => ALWAYS_SHOWN.includes(name) || flags[fieldOf(name)] !== undefined).map(
      (name) => [name, shown(flags[fieldOf(name)])],
    ),
  ];
  return columns(rows, 'll');
}

function shown(value: unknown): string {
  if (value === undefined) return 'default';
  if (value === true) return 'on';
  if (typeof value === 'number' || typeof value === 'string') return String(value);
  return cutText(visibleLine(JSON.stringify(value)), MAX_VALUE_CELLS);
}
