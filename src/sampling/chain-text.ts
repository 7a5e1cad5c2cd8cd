/**
 * Sampler chains as text, for command lines: stages in order, separated by commas, such as
 * `top-k=40,typical=0.9,temperature=0.8`. A stage is its name, `=` and its first setting; further settings follow
 * after colons: `xtc=0.5:threshold=0.1`. Lists are separated by slashes (`banned-tokens=5/7`), and a bias stands
 * after `@` (`logit-bias=5@-2.5/7@1`). `formatSamplers` is the inverse.
 */
import { ConfigError } from '../core/errors.ts';
import { didYouMean } from '../core/nearest-name.ts';
import { describe, type SettingForm } from './stage.ts';
import { createStage, type SamplerChain, STAGE_NAMES, type StageSettings, settingsOf } from './stages.ts';

/** A piece of the text and where it starts. */
interface Piece {
  readonly text: string;
  /** From 0. */
  readonly at: number;
}

const EXAMPLE = '"top-k=40,top-p=0.95,temperature=0.8"';

/** Throws ConfigError that tells the column, from 1, what stands there, and the nearest name for one that is unknown. */
export function parseSamplers(text: string): SamplerChain {
  if (text.trim() === '') {
    throw new ConfigError(`Sampler chain: the text is empty; expected stages such as ${EXAMPLE}.`);
  }
  return split({ text, at: 0 }, ',').map(parseStage);
}

function parseStage(piece: Piece): StageSettings {
  const [head, ...rest] = split(piece, ':').map((part) => assignment(part));
  const stage = STAGE_NAMES.find((name) => name === head!.name.text);
  if (!stage) {
    if (piece.text === '') fail(piece, `a stage is missing; expected one such as ${EXAMPLE}`);
    const nearest = didYouMean(head!.name.text, STAGE_NAMES);
    fail(
      head!.name,
      `unknown stage ${describe(head!.name.text)}${nearest}; expected one of ${STAGE_NAMES.join(', ')}`,
    );
  }
  const known = settingsOf(stage);
  const settings: Record<string, unknown> = {};
  if (head!.value) settings[known[0]![0]] = parseValue(head!.value, known[0]![1]);
  for (const { name, value } of rest) {
    const setting = known.find(([key]) => key === name.text);
    if (!setting) {
      const names = known.map(([key]) => key);
      const what =
        name.text === '' ? 'a setting is missing' : `unknown setting ${describe(name.text)} of ${stage}`;
      fail(name, `${what}${didYouMean(name.text, names)}; expected ${names.join(', ')}`);
    }
    const [key, form] = setting;
    if (Object.hasOwn(settings, key)) fail(name, `${stage} has ${key} twice; leave one out`);
    if (!value && form !== 'flag') fail(name, `${key} has no value; expected ${key}=${hint(form)}`);
    settings[key] = value ? parseValue(value, form) : true;
  }
  const made = { stage, ...settings } as StageSettings;
  try {
    createStage(made, () => 1);
  } catch (error) {
    if (error instanceof ConfigError) fail(piece, error.message.replace(/\.$/, ''));
    throw error;
  }
  return made;
}

/** The inverse of `parseSamplers`. Throws ConfigError for a chain that no sampler takes. */
export function formatSamplers(chain: SamplerChain): string {
  return chain
    .map((settings) => {
      createStage(settings, () => 1);
      const { stage, ...values } = settings as StageSettings & Record<string, unknown>;
      const parts = settingsOf(stage).flatMap(([key, form], i) => {
        const value = values[key as keyof typeof values];
        return value === undefined ? [] : `${i === 0 ? stage : key}=${formatValue(value, form)}`;
      });
      const hasFirst = values[settingsOf(stage)[0]![0] as keyof typeof values] !== undefined;
      return (hasFirst ? parts : [stage, ...parts]).join(':');
    })
    .join(',');
}

function parseValue(piece: Piece, form: SettingForm): unknown {
  if (form === 'number') return parseNumber(piece);
  if (form === 'flag') {
    if (piece.text === 'true' || piece.text === 'false') return piece.text === 'true';
    fail(piece, `${describe(piece.text)} is neither true nor false`);
  }
  if (form === 'ids') return piece.text === '' ? [] : split(piece, '/').map(parseNumber);
  if (form === 'biases') {
    if (piece.text === '') return {};
    const biases: Record<number, number> = {};
    for (const entry of split(piece, '/')) {
      const [id, bias, ...more] = split(entry, '@');
      if (!bias || more.length > 0) fail(entry, `${describe(entry.text)} is no bias; expected ${hint(form)}`);
      const token = parseNumber(id!);
      if (Object.hasOwn(biases, token)) fail(entry, `token ${token} has two biases; leave one out`);
      biases[token] = parseNumber(bias);
    }
    return biases;
  }
  if (form.includes(piece.text)) return piece.text;
  fail(piece, `${describe(piece.text)}${didYouMean(piece.text, form)}; expected ${form.join(' or ')}`);
}

function formatValue(value: unknown, form: SettingForm): string {
  if (form === 'ids') return (value as readonly number[]).join('/');
  if (form !== 'biases') return String(value);
  const biases = Object.entries(value as Readonly<Record<number, number>>);
  return biases.map(([id, bias]) => `${id}@${bias}`).join('/');
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

function parseNumber(piece: Piece): number {
  if (!NUMBER.test(piece.text)) {
    fail(piece, piece.text === '' ? 'a number is missing' : `${describe(piece.text)} is no number`);
  }
  return Number(piece.text);
}

/** How a value of a form looks. */
function hint(form: SettingForm): string {
  if (form === 'number') return '0.5';
  if (form === 'flag') return 'true';
  if (form === 'ids') return '5/7';
  return form === 'biases' ? '5@-2.5/7@1' : form.join(' or ');
}

function assignment(piece: Piece): { name: Piece; value: Piece | undefined } {
  const equals = piece.text.indexOf('=');
  if (equals < 0) return { name: piece, value: undefined };
  return {
    name: trimmed({ text: piece.text.slice(0, equals), at: piece.at }),
    value: trimmed({ text: piece.text.slice(equals + 1), at: piece.at + equals + 1 }),
  };
}

function split({ text, at }: Piece, separator: string): Piece[] {
  let start = at;
  return text.split(separator).map((part) => {
    const piece = trimmed({ text: part, at: start });
    start += part.length + separator.length;
    return piece;
  });
}

function trimmed({ text, at }: Piece): Piece {
  return { text: text.trim(), at: at + (text.length - text.trimStart().length) };
}

function fail({ at }: Piece, message: string): never {
  throw new ConfigError(`Sampler chain, column ${at + 1}: ${message}.`);
}
