/**
 * The same settings in different orders select different tokens. A dialect is the order, the rules (ties, what
 * counts as seen, defaults) and the limits of a known engine, so that settings tuned there mean the same here. A
 * setting that the engine does not have is refused by name.
 */
import { ConfigError } from '../core/errors.ts';
import { didYouMean } from '../core/nearest-name.ts';
import type { PenaltyScope } from './penalties.ts';
import { CHANCE_SETTINGS, givenSettings, type SamplingSettings, type SettingName } from './settings.ts';
import { checkSetting, describe, type SettingRange } from './stage.ts';
import { createStage, type SamplerChain, type StageName, type StageSettings } from './stages.ts';

/** What of a request a chain needs besides its settings. */
export interface ChainRequest {
  /** Tokens that end an answer: what `minTokens` holds back. */
  readonly stopTokens?: Iterable<number>;
}

export interface Dialect {
  /** Stages in the order in which they apply. */
  readonly order: readonly StageName[];
  /** Settings that the engine has. */
  readonly settings: readonly SettingName[];
  /** Keep what ties with the last one at a cut by rank. */
  readonly keepTies: boolean;
  /** What the presence and frequency penalties count as seen. */
  readonly countsOver: PenaltyScope;
  /** What the penalties look back on unless `penaltyLastN` says; -1: all. */
  readonly penaltyLastN: number;
  /** Positive temperatures below are raised to this. */
  readonly leastTemperature: number;
  /** Typical sampling stops when p is reached, not only when it is exceeded. */
  readonly stopTypicalAtP: boolean;
  /** Where the engine takes fewer values than the stage. */
  readonly limits: Partial<Record<SettingName, SettingRange>>;
  /** Settings that still act beside mirostat. */
  readonly besideMirostat: readonly SettingName[];
}

/** llama.cpp's common sampler, vLLM's V1 sampler, transformers' logits processors. */
export const DIALECTS = {
  llamacpp: {
    order: [
      'logit-bias',
      'banned-tokens',
      'penalties',
      'dry',
      'top-n-sigma',
      'top-k',
      'typical',
      'top-p',
      'min-p',
      'xtc',
      'temperature',
      'mirostat',
    ],
    settings: [
      'temperature',
      'dynamicTemperature',
      'topK',
      'topP',
      'minP',
      'typicalP',
      'topNSigma',
      'xtc',
      'dry',
      'mirostat',
      'repetitionPenalty',
      'presencePenalty',
      'frequencyPenalty',
      'penaltyLastN',
      'logitBias',
      'bannedTokens',
    ],
    keepTies: false,
    countsOver: 'all',
    penaltyLastN: 64,
    leastTemperature: 0,
    stopTypicalAtP: false,
    limits: {},
    besideMirostat: ['mirostat', 'temperature', 'logitBias', 'bannedTokens'],
  },
  vllm: {
    order: [
      'allowed-tokens',
      'banned-tokens',
      'min-tokens',
      'logit-bias',
      'penalties',
      'temperature',
      'min-p',
      'top-k',
      'top-p',
    ],
    settings: [
      'temperature',
      'topK',
      'topP',
      'minP',
      'repetitionPenalty',
      'presencePenalty',
      'frequencyPenalty',
      'logitBias',
      'allowedTokens',
      'bannedTokens',
      'minTokens',
    ],
    keepTies: true,
    countsOver: 'generated',
    penaltyLastN: -1,
    leastTemperature: 0.01,
    stopTypicalAtP: false,
    limits: {
      temperature: { least: 0, most: 2 },
      topP: { above: 0, most: 1 },
      presencePenalty: { least: -2, most: 2 },
      frequencyPenalty: { least: -2, most: 2 },
    },
    besideMirostat: [],
  },
  hf: {
    order: [
      'logit-bias',
      'penalties',
      'banned-tokens',
      'min-tokens',
      'allowed-tokens',
      'temperature',
      'top-k',
      'top-p',
      'min-p',
      'typical',
      'epsilon',
      'eta',
    ],
    settings: [
      'temperature',
      'topK',
      'topP',
      'minP',
      'typicalP',
      'epsilonCutoff',
      'etaCutoff',
      'repetitionPenalty',
      'logitBias',
      'allowedTokens',
      'bannedTokens',
      'minTokens',
    ],
    keepTies: true,
    countsOver: 'all',
    penaltyLastN: -1,
    leastTemperature: 0,
    stopTypicalAtP: true,
    limits: { typicalP: { above: 0, most: 1 } },
    besideMirostat: [],
  },
} as const satisfies Readonly<Record<string, Dialect>>;

export type DialectName = keyof typeof DIALECTS;

/**
 * The chain that settings mean in a dialect. Throws ConfigError for an unknown dialect, and names the setting when
 * one is unknown, out of range, not the engine's, without effect beside mirostat, or lacks the stop tokens.
 */
export function chainOf(
  settings: SamplingSettings,
  dialect: DialectName = 'hf',
  request: ChainRequest = {},
): SamplerChain {
  if (!Object.hasOwn(DIALECTS, dialect)) {
    throw new ConfigError(
      `Sampling: unknown dialect ${describe(dialect)}${didYouMean(dialect, Object.keys(DIALECTS))}; expected one of ` +
        `${Object.keys(DIALECTS).join(', ')}.`,
    );
  }
  const rules: Dialect = DIALECTS[dialect];
  const given = givenSettings(settings);
  for (const name of given) {
    if (!rules.settings.includes(name)) refuseForeign(name, dialect);
    const limit = rules.limits[name];
    if (limit) checkSetting(dialect, name, settings[name], limit);
  }
  if (settings.mirostat) {
    const idle = given.find((name) => !rules.besideMirostat.includes(name));
    if (idle !== undefined) {
      throw new ConfigError(
        `Sampling, ${dialect}: ${idle} has no effect beside mirostat, which replaces the other stages there; beside it ` +
          `stand ${rules.besideMirostat.filter((name) => name !== 'mirostat').join(', ')}. Leave one of the two out, or ` +
          'write the chain yourself.',
      );
    }
  }
  const stages = stagesOf(settings, given, rules, dialect, request);
  const chain = rules.order.flatMap((name) => stages[name] ?? []);
  // Settings out of range are refused now, not at the first token.
  for (const stage of chain) checkStage(stage, given);
  return chain;
}

/** The settings that a stage is made from. */
const SETTINGS_OF_STAGE: Readonly<Record<StageName, readonly SettingName[]>> = {
  temperature: ['temperature', 'dynamicTemperature'],
  'top-k': ['topK'],
  'top-p': ['topP'],
  'min-p': ['minP'],
  typical: ['typicalP'],
  'top-n-sigma': ['topNSigma'],
  epsilon: ['epsilonCutoff'],
  eta: ['etaCutoff'],
  xtc: ['xtc'],
  dry: ['dry'],
  mirostat: ['mirostat'],
  penalties: ['repetitionPenalty', 'presencePenalty', 'frequencyPenalty', 'penaltyLastN'],
  'logit-bias': ['logitBias'],
  'allowed-tokens': ['allowedTokens'],
  'banned-tokens': ['bannedTokens'],
  'min-tokens': ['minTokens'],
};

function checkStage(stage: StageSettings, given: readonly SettingName[]): void {
  try {
    createStage(stage, () => 1);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    // The caller wrote settings, not stages: say which.
    const names = SETTINGS_OF_STAGE[stage.stage].filter((name) => given.includes(name)).join(', ');
    const message = error.message.replace(
      `Sampling, ${stage.stage}:`,
      `Sampling, ${names} (stage ${stage.stage}):`,
    );
    throw new ConfigError(message, { cause: error });
  }
}

function refuseForeign(name: SettingName, dialect: DialectName): never {
  const owners = Object.entries<Dialect>(DIALECTS).filter(([, { settings }]) => settings.includes(name));
  throw new ConfigError(
    `Sampling: the dialect ${dialect} has no ${name}; those that have it: ${owners.map(([owner]) => owner).join(', ')}. ` +
      'Choose one of them as dialect, leave the setting out, or write the chain yourself.',
  );
}

function stagesOf(
  settings: SamplingSettings,
  given: readonly SettingName[],
  rules: Dialect,
  dialect: DialectName,
  request: ChainRequest,
): Partial<Record<StageName, StageSettings>> {
  const { keepTies, countsOver } = rules;
  const { topK, topP, minP, typicalP, topNSigma, epsilonCutoff, etaCutoff, xtc, dry, mirostat } = settings;
  const { repetitionPenalty, presencePenalty, frequencyPenalty, penaltyLastN } = settings;
  const { logitBias, allowedTokens, bannedTokens, minTokens } = settings;
  const asksForChance = given.some((name) => CHANCE_SETTINGS.includes(name));
  const temperature = settings.temperature ?? (asksForChance ? 1 : 0);
  checkSetting(dialect, 'temperature', temperature);
  const penalties = [repetitionPenalty, presencePenalty, frequencyPenalty, penaltyLastN];
  return {
    temperature: {
      stage: 'temperature',
      temperature: temperature > 0 ? Math.max(temperature, rules.leastTemperature) : temperature,
      ...settings.dynamicTemperature,
    },
    ...(topK !== undefined && { 'top-k': { stage: 'top-k', k: topK, keepTies } }),
    ...(topP !== undefined && { 'top-p': { stage: 'top-p', p: topP } }),
    ...(minP !== undefined && { 'min-p': { stage: 'min-p', p: minP } }),
    ...(typicalP !== undefined && {
      typical: { stage: 'typical', p: typicalP, stopAtP: rules.stopTypicalAtP, keepTies },
    }),
    ...(topNSigma !== undefined && { 'top-n-sigma': { stage: 'top-n-sigma', n: topNSigma } }),
    ...(epsilonCutoff !== undefined && { epsilon: { stage: 'epsilon', cutoff: epsilonCutoff } }),
    ...(etaCutoff !== undefined && { eta: { stage: 'eta', cutoff: etaCutoff } }),
    ...(xtc && { xtc: { stage: 'xtc', ...xtc } }),
    ...(dry && { dry: { stage: 'dry', ...dry } }),
    ...(mirostat && { mirostat: { stage: 'mirostat', ...mirostat } }),
    ...(penalties.some((value) => value !== undefined) && {
      penalties: {
        stage: 'penalties',
        repetition: repetitionPenalty ?? 1,
        presence: presencePenalty ?? 0,
        frequency: frequencyPenalty ?? 0,
        lastN: penaltyLastN ?? rules.penaltyLastN,
        repetitionOver: 'all',
        countsOver,
      },
    }),
    ...(logitBias !== undefined && { 'logit-bias': { stage: 'logit-bias', bias: logitBias } }),
    ...(allowedTokens !== undefined && {
      'allowed-tokens': { stage: 'allowed-tokens', tokens: allowedTokens },
    }),
    ...(bannedTokens !== undefined && { 'banned-tokens': { stage: 'banned-tokens', tokens: bannedTokens } }),
    ...(minTokens !== undefined && {
      'min-tokens': { stage: 'min-tokens', count: minTokens, stopTokens: stopTokensOf(request, dialect) },
    }),
  };
}

function stopTokensOf({ stopTokens }: ChainRequest, dialect: DialectName): number[] {
  if (stopTokens !== undefined) return [...stopTokens];
  throw new ConfigError(
    `Sampling, ${dialect}: minTokens holds back the request's stop tokens, and they are not given; pass them to ` +
      'chainOf as { stopTokens }.',
  );
}
