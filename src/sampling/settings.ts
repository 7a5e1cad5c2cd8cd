/** The sampling settings of a request: what a caller may set, by name and type. Dialects turn them into chains. */
import { ConfigError } from '../core/errors.ts';
import { didYouMean } from '../core/nearest-name.ts';
import { describe } from './stage.ts';

/** What a caller may set; a dialect turns it into a chain. Nothing set means greedy. */
export interface SamplingSettings {
  /** 0 or below: greedy. Default 1 when another setting asks for chance, else 0. */
  readonly temperature?: number;
  /** Temperature that follows the entropy: from temperature - range to temperature + range. */
  readonly dynamicTemperature?: { readonly range: number; readonly exponent?: number };
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  /** Locally typical sampling (Meister et al. 2022). */
  readonly typicalP?: number;
  /** Keep scores within so many standard deviations of the best (Tang et al. 2024). */
  readonly topNSigma?: number;
  /** Probabilities below this are cut (Hewitt et al. 2022). */
  readonly epsilonCutoff?: number;
  readonly etaCutoff?: number;
  /** Exclude top choices: with `probability`, all but the last token of at least `threshold` are dropped. */
  readonly xtc?: { readonly probability: number; readonly threshold: number };
  /** Do not repeat yourself: penalty on tokens that would lengthen a repetition. */
  readonly dry?: {
    readonly multiplier: number;
    readonly base?: number;
    readonly allowedLength?: number;
    /** Tokens looked back on; 0: none, -1 (default): all. */
    readonly lastN?: number;
    /** Token ids over which no repetition reaches. */
    readonly breakers?: readonly number[];
  };
  /** Keeps the surprise of tokens at tau bits (Basu et al. 2021); replaces the cuts of the dialect. */
  readonly mirostat?: { readonly version: 1 | 2; readonly tau?: number; readonly eta?: number };
  /** Scores of tokens seen before: divided by this when positive, multiplied when not. 1: none. */
  readonly repetitionPenalty?: number;
  /** Taken from the score of every token that was seen before; what counts as seen is the dialect's. */
  readonly presencePenalty?: number;
  /** The same, times how often. */
  readonly frequencyPenalty?: number;
  /** Tokens that the three penalties look back on; -1: all. Default: the dialect's. */
  readonly penaltyLastN?: number;
  /** Added to the scores of token ids. */
  readonly logitBias?: Readonly<Record<number, number>>;
  /** Only these may be chosen. */
  readonly allowedTokens?: readonly number[];
  /** These may never be chosen. */
  readonly bannedTokens?: readonly number[];
  /** No stop token before so many tokens. */
  readonly minTokens?: number;
}

export type SettingName = keyof SamplingSettings;

/** The names of all settings; an option list that takes them refuses everything else by name. */
export const SAMPLING_SETTINGS = [
  'temperature',
  'dynamicTemperature',
  'topK',
  'topP',
  'minP',
  'typicalP',
  'topNSigma',
  'epsilonCutoff',
  'etaCutoff',
  'xtc',
  'dry',
  'mirostat',
  'repetitionPenalty',
  'presencePenalty',
  'frequencyPenalty',
  'penaltyLastN',
  'logitBias',
  'allowedTokens',
  'bannedTokens',
  'minTokens',
] as const satisfies readonly SettingName[];

/** Settings that draw, so that the temperature is 1 unless given. */
export const CHANCE_SETTINGS: readonly SettingName[] = [
  'dynamicTemperature',
  'topK',
  'topP',
  'minP',
  'typicalP',
  'topNSigma',
  'epsilonCutoff',
  'etaCutoff',
  'xtc',
  'mirostat',
];

/** Settings with parts, and the names of the parts; the first one must be given. */
const PARTS: Partial<Record<SettingName, readonly string[]>> = {
  dynamicTemperature: ['range', 'exponent'],
  xtc: ['probability', 'threshold'],
  dry: ['multiplier', 'base', 'allowedLength', 'lastN', 'breakers'],
  mirostat: ['version', 'tau', 'eta'],
};

/** Names of the settings that are given. Throws ConfigError for unknown settings and unknown parts. */
export function givenSettings(settings: SamplingSettings): SettingName[] {
  const given = Object.keys(settings).filter((name) => settings[name as SettingName] !== undefined);
  for (const name of given) {
    if (!(SAMPLING_SETTINGS as readonly string[]).includes(name)) {
      throw new ConfigError(
        `Sampling: unknown setting ${describe(name)}${didYouMean(name, SAMPLING_SETTINGS)}; expected ` +
          `${SAMPLING_SETTINGS.join(', ')}.`,
      );
    }
    if (settings[name as SettingName] === null) {
      throw new ConfigError(`Sampling: ${name} is null; expected a value, or leave it out.`);
    }
    const parts = PARTS[name as SettingName];
    if (parts) checkParts(name, settings[name as SettingName], parts);
  }
  return given as SettingName[];
}

function checkParts(name: string, value: unknown, parts: readonly string[]): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ConfigError(
      `Sampling: ${name} is ${describe(value)}; expected an object with ${parts.join(', ')}.`,
    );
  }
  const unknown = Object.keys(value).find((part) => !parts.includes(part));
  if (unknown === undefined) {
    if ((value as Record<string, unknown>)[parts[0]!] !== undefined) return;
    throw new ConfigError(`Sampling: ${name} has no ${parts[0]}; expected { ${parts[0]}: ... }.`);
  }
  throw new ConfigError(
    `Sampling: ${name} has an unknown part ${describe(unknown)}${didYouMean(unknown, parts)}; ` +
      `expected ${parts.join(', ')}.`,
  );
}
