/**
 * Options of a search, checked before anything runs. A search draws nothing: settings that only shape chance are
 * refused by name, those that change scores (penalties, biases, bans) act on the logits before the softmax.
 */
import { ConfigError } from '../../core/errors.ts';
import {
  SAMPLING_SETTINGS,
  type SamplerChain,
  type SamplingSettings,
  type StageName,
} from '../../sampling/index.ts';
import type { GenerationSettings } from '../generation-settings.ts';
import { generationSettings, type ModelFacts } from '../generation-settings.ts';
import type { GenerateOptions, SearchMethod } from '../language-model.ts';

export interface BeamMethod {
  readonly method: 'beam';
  readonly numBeams: number;
  readonly lengthPenalty: number;
  readonly earlyStopping: boolean | 'never';
}

export type ContrastiveMethod = Extract<SearchMethod, { method: 'contrastive' }>;

/** As of one answer, with a chain of stages that only change scores. */
export interface SearchSettings<Method = BeamMethod | ContrastiveMethod> extends GenerationSettings {
  readonly search: Method;
}

/** Sampling settings that mean something without chance. */
const SCORE_SETTINGS: readonly (keyof SamplingSettings)[] = [
  'repetitionPenalty',
  'presencePenalty',
  'frequencyPenalty',
  'penaltyLastN',
  'dry',
  'logitBias',
  'allowedTokens',
  'bannedTokens',
  'minTokens',
];

const SCORE_STAGES: readonly StageName[] = [
  'penalties',
  'dry',
  'logit-bias',
  'allowed-tokens',
  'banned-tokens',
  'min-tokens',
];

const PARTS = {
  beam: ['method', 'numBeams', 'lengthPenalty', 'earlyStopping'],
  contrastive: ['method', 'topK', 'alpha'],
} as const;

/** Settings of a search. Throws ConfigError as `generationSettings` does, and for what a search cannot honour. */
export function searchSettings(
  prompt: Int32Array,
  options: GenerateOptions,
  model: ModelFacts,
  seed: number,
): SearchSettings {
  const search = checkedMethod(options.search);
  const ofChance = SAMPLING_SETTINGS.find(
    (name) => options[name] !== undefined && !SCORE_SETTINGS.includes(name),
  );
  if (ofChance !== undefined) {
    const hint =
      ofChance === 'topK' && search.method === 'contrastive' ? ' (the search has a topK of its own)' : '';
    throw new ConfigError(
      `${ofChance} has no effect beside search${hint}: a search draws nothing. Leave it out; beside search stand ` +
        `${SCORE_SETTINGS.join(', ')}.`,
    );
  }
  if (options.choice !== undefined && options.choice !== 0) {
    throw new ConfigError(
      `choice is ${options.choice} beside search, which has one answer to a prompt; leave it out.`,
    );
  }
  const settings = generationSettings(prompt, options, model, seed);
  return { ...settings, search, chain: scoringChain(settings.chain, options.chain !== undefined) };
}

function scoringChain(chain: SamplerChain, isWritten: boolean): SamplerChain {
  // Without a written chain the only other stage is the one that would choose: the temperature of 0.
  const scoring = chain.filter(({ stage }) => SCORE_STAGES.includes(stage));
  const other = chain.find(({ stage }) => !SCORE_STAGES.includes(stage));
  if (isWritten && other) {
    throw new ConfigError(
      `The chain's stage ${other.stage} has no effect beside search: a search draws nothing. Leave it out; beside ` +
        `search stand ${SCORE_STAGES.join(', ')}.`,
    );
  }
  return scoring;
}

function checkedMethod(search: SearchMethod | undefined): BeamMethod | ContrastiveMethod {
  const given = search as Readonly<Record<string, unknown>> | null | undefined;
  const method = typeof given === 'object' && given !== null ? given.method : undefined;
  if (method !== 'beam' && method !== 'contrastive') {
    throw new ConfigError(
      `search is ${JSON.stringify(search)}; expected { method: "beam", numBeams } or ` +
        '{ method: "contrastive", topK, alpha }.',
    );
  }
  const known: readonly string[] = PARTS[method];
  const unknown = Object.keys(given!).find((part) => !known.includes(part));
  if (unknown !== undefined) {
    throw new ConfigError(
      `search (${method}): unknown part "${unknown}"; expected ${known.slice(1).join(', ')}.`,
    );
  }
  if (method === 'beam') {
    const { numBeams, lengthPenalty = 1, earlyStopping = false } = given!;
    checkNumber('numBeams', numBeams, 'a whole number of at least 1', (n) => Number.isInteger(n) && n >= 1);
    checkNumber('lengthPenalty', lengthPenalty, 'a finite number', Number.isFinite);
    if (typeof earlyStopping !== 'boolean' && earlyStopping !== 'never') {
      throw new ConfigError(
        `search.earlyStopping is ${JSON.stringify(earlyStopping)}; expected true, false or "never".`,
      );
    }
    return { method, numBeams, lengthPenalty, earlyStopping };
  }
  const { topK, alpha } = given!;
  checkNumber('topK', topK, 'a whole number of at least 1', (n) => Number.isInteger(n) && n >= 1);
  checkNumber('alpha', alpha, 'a number from 0 to 1', (n) => n >= 0 && n <= 1);
  return { method, topK, alpha };
}

function checkNumber(
  name: string,
  value: unknown,
  expected: string,
  fits: (value: number) => boolean,
): asserts value is number {
  if (typeof value === 'number' && fits(value)) return;
  throw new ConfigError(`search.${name} is ${JSON.stringify(value) ?? 'missing'}; expected ${expected}.`);
}
