/**
 * What a cleaning rule is. A rule either judges a document (keep it, or drop it with a detail such as
 * "mean word length 12.3 > 10") or goes through its lines (keep, change or remove each one, or drop the document).
 * Its thresholds are named settings with defaults from its source. Rules see one page at a time and remember
 * nothing from one to the next.
 */
import { ConfigError } from '../../core/errors.ts';
import { nearestNames } from '../../core/nearest-name.ts';
import type { Page } from './page.ts';

export type Setting = number | string | boolean | null | readonly string[];
export type Settings = Readonly<Record<string, Setting>>;

/** A line as it stays (the same or changed), null for a line to remove, or the end of the whole document. */
export type LineOutcome = string | null | DocumentDrop;
export type LineCheck = (line: string) => LineOutcome;

export interface DocumentDrop {
  readonly detail: string;
}

export type RuleBody =
  | {
      readonly kind: 'document';
      /** Why the document is dropped; null keeps it. */
      check(page: Page): string | null;
    }
  | {
      /** Neighbouring rules of this kind see each line one after the other, as C4's loop over lines does. */
      readonly kind: 'lines';
      /** The lines that stay are joined by \n and stripped, whatever line ends the text had. */
      readonly stripsText?: boolean;
      /** Called once a page; null when no line of this page can be touched. */
      begin(page: Page): LineCheck | null;
    };

/** Whether a rule needs `identifyLanguage`; with 'if-given' it is left out of a cleaner that has none. */
export type LanguageNeed = 'never' | 'if-given' | 'always';

export interface Rule {
  readonly name: string;
  readonly description: string;
  /** Paper and section, or public code, that the rule and its defaults are from. */
  readonly source: string;
  readonly thresholds: Settings;
  readonly needsLanguage: LanguageNeed;
  readonly body: RuleBody;
}

/** The type of a setting whose default is T. */
type Widened<T> = T extends number
  ? number
  : T extends boolean
    ? boolean
    : T extends string
      ? string
      : T extends null
        ? string | null
        : T extends readonly string[]
          ? readonly string[]
          : T;

export interface RuleTemplate<S extends Settings> {
  name: string;
  description: string;
  source: string;
  settings: S;
  /** Allowed values of settings that are words. */
  choices?: { readonly [K in keyof S]?: readonly string[] };
  /** Settings that may be null besides those whose default is. */
  nullable?: readonly (keyof S)[];
  needsLanguage?: LanguageNeed | ((settings: { [K in keyof S]: Widened<S[K]> }) => LanguageNeed);
  create(settings: { [K in keyof S]: Widened<S[K]> }): RuleBody;
}

export interface RuleDefinition {
  readonly name: string;
  readonly description: string;
  readonly source: string;
  readonly settings: Settings;
  /** @throws ConfigError for a setting that is unknown or of the wrong kind. */
  create(overrides: Settings): Rule;
}

export function defineRule<const S extends Settings>(template: RuleTemplate<S>): RuleDefinition {
  const { name, description, source, settings: defaults } = template;
  return {
    name,
    description,
    source,
    settings: defaults,
    create(overrides) {
      for (const [key, value] of Object.entries(overrides)) checkSetting(template, key, value);
      const settings = { ...defaults, ...overrides } as { [K in keyof S]: Widened<S[K]> };
      const needs = template.needsLanguage ?? 'never';
      return {
        name,
        description,
        source,
        thresholds: settings as Settings,
        needsLanguage: typeof needs === 'function' ? needs(settings) : needs,
        body: template.create(settings),
      };
    },
  };
}

function checkSetting<S extends Settings>(template: RuleTemplate<S>, key: string, value: unknown): void {
  const { name, settings } = template;
  const fallback = Object.hasOwn(settings, key) ? settings[key] : undefined;
  if (fallback === undefined) {
    const names = Object.keys(settings);
    const known = names.length === 0 ? 'It has no settings.' : `It has ${nearestNames(key, names)}.`;
    throw new ConfigError(`Rule ${name} has no setting "${key}". ${known}`);
  }
  const wrong = (expected: string): ConfigError =>
    new ConfigError(
      `Setting ${key} of rule ${name}: expected ${expected}, got ${JSON.stringify(value) ?? String(value)}.`,
    );
  if (value === null && (fallback === null || template.nullable?.includes(key))) return;
  const choices = template.choices?.[key];
  if (choices !== undefined) {
    if (typeof value !== 'string' || !choices.includes(value)) throw wrong(`one of ${choices.join(', ')}`);
  } else if (fallback === null || typeof fallback === 'string') {
    if (typeof value !== 'string') throw wrong('a text');
  } else if (Array.isArray(fallback)) {
    if (!Array.isArray(value) || !value.every((item) => typeof item === 'string'))
      throw wrong('a list of texts');
  } else if (typeof fallback === 'number') {
    if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) throw wrong('a number from 0 up');
  } else if (typeof value !== 'boolean') {
    throw wrong('true or false');
  }
}

/** A number for a detail: three significant figures, counts in full. */
export function figure(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)));
}

/** "label value > max" when it is; else null. */
export function above(label: string, value: number, max: number): string | null {
  return value > max ? `${label} ${figure(value)} > ${max}` : null;
}

export function below(label: string, value: number, min: number): string | null {
  return value < min ? `${label} ${figure(value)} < ${min}` : null;
}

/** 0 for nothing of nothing. */
export function share(part: number, whole: number): number {
  return whole === 0 ? (part === 0 ? 0 : Number.POSITIVE_INFINITY) : part / whole;
}
