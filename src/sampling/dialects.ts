/**
 * The same settings in different orders select different tokens. A dialect is the order (and the rule for
 * ties) of a known engine, so that settings tuned there mean the same here.
 */
import { ConfigError } from '../core/errors.ts';
import type { SamplerChain, StageSettings } from './chain.ts';

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
  /** Taken from the score of every token that was generated before. */
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
] as const satisfies readonly (keyof SamplingSettings)[];

/** What of a request a chain needs besides its settings. */
export interface ChainRequest {
  /** Tokens that end an answer: what `minTokens` holds back. */
  readonly stopTokens?: Iterable<number>;
}

type StageName = StageSettings['stage'];

interface Dialect {
  readonly order: readonly StageName[];
  readonly keepTies: boolean;
}

/** llama.cpp's common sampler, vLLM's V1 sampler, transformers' logits processors. */
export const DIALECTS = {
  llamacpp: { order: ['top-k', 'top-p', 'min-p', 'temperature'], keepTies: false },
  vllm: { order: ['temperature', 'min-p', 'top-k', 'top-p'], keepTies: true },
  hf: { order: ['temperature', 'top-k', 'top-p', 'min-p'], keepTies: true },
} as const satisfies Readonly<Record<string, Dialect>>;

export type DialectName = keyof typeof DIALECTS;

/** The chain that settings mean in a dialect. Throws ConfigError for an unknown dialect. */
export function chainOf(
  settings: SamplingSettings,
  dialect: DialectName = 'hf',
  _request: ChainRequest = {},
): SamplerChain {
  if (!Object.hasOwn(DIALECTS, dialect)) {
    throw new ConfigError(
      `Sampling: unknown dialect ${JSON.stringify(dialect)}; expected one of ${Object.keys(DIALECTS).join(', ')}.`,
    );
  }
  const { order, keepTies } = DIALECTS[dialect];
  const { topK, topP, minP } = settings;
  const asksForChance = topK !== undefined || topP !== undefined || minP !== undefined;
  const temperature = settings.temperature ?? (asksForChance ? 1 : 0);
  const stages: Record<StageName, StageSettings | undefined> = {
    temperature: { stage: 'temperature', temperature },
    'top-k': topK === undefined ? undefined : { stage: 'top-k', k: topK, keepTies },
    'top-p': topP === undefined ? undefined : { stage: 'top-p', p: topP },
    'min-p': minP === undefined ? undefined : { stage: 'min-p', p: minP },
  };
  return order.flatMap((name) => stages[name] ?? []);
}
