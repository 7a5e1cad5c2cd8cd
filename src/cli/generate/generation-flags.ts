/**
 * Every option of generation by the name it has on the command line and after `/set` in a chat: what it takes,
 * what it does, and which field of `GenerateOptions` it becomes. The one list that flags, help, settings of a
 * chat and their errors come from.
 */
import type { GenerateOptions } from '../../decode/language-model.ts';
import { DIALECTS, type Dialect, type DialectName, type SamplingSettings } from '../../sampling/index.ts';
import { collect, notNegative, positiveInteger, share, tokenIds, wholeNumber } from '../option-values.ts';
import {
  aboveZero,
  anyNumber,
  logitBias,
  lookBack,
  numLogprobs,
  oneOf,
  probability,
  samplers,
} from './flag-values.ts';

export type FlagGroup = 'length' | 'sampling' | 'repetition' | 'tokens' | 'search' | 'log-probabilities';

export const GROUP_HEADINGS: Readonly<Record<FlagGroup, string>> = {
  length: 'Length and end:',
  sampling: 'Sampling:',
  repetition: 'Repetition:',
  tokens: 'Single tokens:',
  search: 'Search instead of sampling:',
  'log-probabilities': 'Log-probabilities:',
};

interface FlagOf<Name extends string, Value> {
  readonly name: Name;
  readonly group: FlagGroup;
  /** What stands for the value in help; none: a switch. */
  readonly value?: string;
  readonly help: string;
  /** Throws commander's InvalidArgumentError. Gets the value so far of a flag that may be repeated. */
  readonly parse: (text: string, before?: Value) => Value;
  readonly option: keyof GenerateOptions;
  /** The field of the option, where that has several. */
  readonly field?: string;
  /** Without this flag it means nothing. */
  readonly needs?: string;
  readonly isRepeatable?: boolean;
}

const flag = <const Name extends string, Value>(definition: FlagOf<Name, Value>) => definition;
const isOn = () => true;

export const GENERATION_FLAGS = [
  flag({
    name: 'max-tokens',
    group: 'length',
    value: '<number>',
    help: 'longest answer in tokens (default: 256)',
    parse: positiveInteger,
    option: 'maxTokens',
  }),
  flag({
    name: 'min-tokens',
    group: 'length',
    value: '<number>',
    help: 'no stop token before so many tokens',
    parse: wholeNumber,
    option: 'minTokens',
  }),
  flag({
    name: 'stop',
    group: 'length',
    value: '<text>',
    help: 'end the answer before this text; may be repeated',
    parse: collect,
    option: 'stop',
    isRepeatable: true,
  }),
  flag({
    name: 'stop-tokens',
    group: 'length',
    value: '<ids>',
    help: "token ids that end the answer, besides the model's own",
    parse: tokenIds,
    option: 'stopTokens',
  }),
  flag({
    name: 'ignore-stop-tokens',
    group: 'length',
    help: "do not end at the model's own stop tokens",
    parse: isOn,
    option: 'ignoreStopTokens',
  }),
  flag({
    name: 'temperature',
    group: 'sampling',
    value: '<number>',
    help: '0 always takes the likeliest token (default: 0; 1 when another of these asks for chance)',
    parse: notNegative,
    option: 'temperature',
  }),
  flag({
    name: 'dynamic-temperature',
    group: 'sampling',
    value: '<range>',
    help: 'let the temperature follow the entropy, up to RANGE below and above it',
    parse: notNegative,
    option: 'dynamicTemperature',
    field: 'range',
  }),
  flag({
    name: 'dynamic-temperature-exponent',
    group: 'sampling',
    value: '<number>',
    help: 'power of the normalised entropy in that (default: 1)',
    parse: aboveZero,
    option: 'dynamicTemperature',
    field: 'exponent',
    needs: 'dynamic-temperature',
  }),
  flag({
    name: 'top-k',
    group: 'sampling',
    value: '<number>',
    help: 'draw among the K likeliest tokens',
    parse: positiveInteger,
    option: 'topK',
  }),
  flag({
    name: 'top-p',
    group: 'sampling',
    value: '<number>',
    help: 'draw among the likeliest tokens that together have probability P',
    parse: share,
    option: 'topP',
  }),
  flag({
    name: 'min-p',
    group: 'sampling',
    value: '<number>',
    help: 'draw among tokens at least so probable as this share of the likeliest',
    parse: probability,
    option: 'minP',
  }),
  flag({
    name: 'typical-p',
    group: 'sampling',
    value: '<number>',
    help: 'draw among the most typical tokens that together have probability P',
    parse: share,
    option: 'typicalP',
  }),
  flag({
    name: 'top-n-sigma',
    group: 'sampling',
    value: '<number>',
    help: 'draw among tokens whose score is within N standard deviations of the best',
    parse: aboveZero,
    option: 'topNSigma',
  }),
  flag({
    name: 'epsilon-cutoff',
    group: 'sampling',
    value: '<number>',
    help: 'drop tokens less probable than this',
    parse: probability,
    option: 'epsilonCutoff',
  }),
  flag({
    name: 'eta-cutoff',
    group: 'sampling',
    value: '<number>',
    help: 'the same with a threshold that follows the entropy',
    parse: probability,
    option: 'etaCutoff',
  }),
  flag({
    name: 'xtc',
    group: 'sampling',
    value: '<probability>',
    help: 'so often, drop all top choices but the least probable of them',
    parse: probability,
    option: 'xtc',
    field: 'probability',
  }),
  flag({
    name: 'xtc-threshold',
    group: 'sampling',
    value: '<number>',
    help: 'probability of a top choice (default: 0.1)',
    parse: probability,
    option: 'xtc',
    field: 'threshold',
    needs: 'xtc',
  }),
  flag({
    name: 'mirostat',
    group: 'sampling',
    value: '<version>',
    help: 'hold the surprise of the text constant (1 or 2); replaces the cuts above',
    parse: oneOf(1, 2),
    option: 'mirostat',
    field: 'version',
  }),
  flag({
    name: 'mirostat-tau',
    group: 'sampling',
    value: '<bits>',
    help: 'the surprise it holds (default: 5)',
    parse: aboveZero,
    option: 'mirostat',
    field: 'tau',
    needs: 'mirostat',
  }),
  flag({
    name: 'mirostat-eta',
    group: 'sampling',
    value: '<number>',
    help: 'how fast it corrects (default: 0.1)',
    parse: aboveZero,
    option: 'mirostat',
    field: 'eta',
    needs: 'mirostat',
  }),
  flag({
    name: 'seed',
    group: 'sampling',
    value: '<number>',
    help: 'seed of the draws: same seed, same answer',
    parse: wholeNumber,
    option: 'seed',
  }),
  flag({
    name: 'dialect',
    group: 'sampling',
    value: '<name>',
    help: `order of the settings, as in ${Object.keys(DIALECTS).join(', ')} (default: hf)`,
    parse: oneOf(...(Object.keys(DIALECTS) as DialectName[])),
    option: 'dialect',
  }),
  flag({
    name: 'sampler',
    group: 'sampling',
    value: '<stages>',
    help: 'the whole chain instead, in this order: top-k=40,typical=0.9,temperature=0.8',
    parse: samplers,
    option: 'chain',
  }),
  flag({
    name: 'repetition-penalty',
    group: 'repetition',
    value: '<number>',
    help: 'divide the scores of tokens seen before by this, in prompt and answer (1: none)',
    parse: aboveZero,
    option: 'repetitionPenalty',
  }),
  flag({
    name: 'presence-penalty',
    group: 'repetition',
    value: '<number>',
    help: 'take this from the score of every token seen before',
    parse: anyNumber,
    option: 'presencePenalty',
  }),
  flag({
    name: 'frequency-penalty',
    group: 'repetition',
    value: '<number>',
    help: 'the same, times how often it was seen',
    parse: anyNumber,
    option: 'frequencyPenalty',
  }),
  flag({
    name: 'penalty-last-n',
    group: 'repetition',
    value: '<number>',
    help: 'tokens that these three look back on; -1: all',
    parse: lookBack,
    option: 'penaltyLastN',
  }),
  flag({
    name: 'dry',
    group: 'repetition',
    value: '<multiplier>',
    help: 'penalty on tokens that would lengthen a repetition',
    parse: notNegative,
    option: 'dry',
    field: 'multiplier',
  }),
  flag({
    name: 'dry-base',
    group: 'repetition',
    value: '<number>',
    help: 'growth of that penalty with every repeated token (default: 1.75)',
    parse: aboveZero,
    option: 'dry',
    field: 'base',
    needs: 'dry',
  }),
  flag({
    name: 'dry-allowed-length',
    group: 'repetition',
    value: '<number>',
    help: 'repetitions up to so many tokens are free (default: 2)',
    parse: wholeNumber,
    option: 'dry',
    field: 'allowedLength',
    needs: 'dry',
  }),
  flag({
    name: 'dry-last-n',
    group: 'repetition',
    value: '<number>',
    help: 'tokens it looks back on; -1: all (default: -1)',
    parse: lookBack,
    option: 'dry',
    field: 'lastN',
    needs: 'dry',
  }),
  flag({
    name: 'dry-breakers',
    group: 'repetition',
    value: '<ids>',
    help: 'token ids over which no repetition reaches',
    parse: tokenIds,
    option: 'dry',
    field: 'breakers',
    needs: 'dry',
  }),
  flag({
    name: 'logit-bias',
    group: 'tokens',
    value: '<id=number>',
    help: 'add this to the score of a token; may be repeated',
    parse: logitBias,
    option: 'logitBias',
    isRepeatable: true,
  }),
  flag({
    name: 'ban-tokens',
    group: 'tokens',
    value: '<ids>',
    help: 'token ids that may never be chosen',
    parse: tokenIds,
    option: 'bannedTokens',
  }),
  flag({
    name: 'allow-tokens',
    group: 'tokens',
    value: '<ids>',
    help: 'the only token ids that may be chosen',
    parse: tokenIds,
    option: 'allowedTokens',
  }),
  flag({
    name: 'num-beams',
    group: 'search',
    value: '<number>',
    help: 'the likeliest sequence that so many running candidates find',
    parse: positiveInteger,
    option: 'search',
    field: 'numBeams',
  }),
  flag({
    name: 'length-penalty',
    group: 'search',
    value: '<number>',
    help: 'exponent of the length by which the score of a sequence is divided (default: 1)',
    parse: anyNumber,
    option: 'search',
    field: 'lengthPenalty',
    needs: 'num-beams',
  }),
  flag({
    name: 'early-stopping',
    group: 'search',
    help: 'end as soon as there are so many whole sequences',
    parse: isOn,
    option: 'search',
    field: 'earlyStopping',
    needs: 'num-beams',
  }),
  flag({
    name: 'contrastive-alpha',
    group: 'search',
    value: '<number>',
    help: 'of the --top-k likeliest tokens (default: 4) the one least like the text before it',
    parse: probability,
    option: 'search',
    field: 'alpha',
  }),
  flag({
    name: 'logprobs',
    group: 'log-probabilities',
    value: '<number>',
    help: 'with --json: log-probability of each token and of so many likeliest ones',
    parse: numLogprobs,
    option: 'logprobs',
  }),
  flag({
    name: 'logprobs-mode',
    group: 'log-probabilities',
    value: '<mode>',
    help: 'raw: of the model itself (default); processed: of what the sampling settings left',
    parse: oneOf('raw', 'processed'),
    option: 'logprobsMode',
  }),
  flag({
    name: 'prompt-logprobs',
    group: 'log-probabilities',
    value: '<number>',
    help: "with --json: the same for the prompt's own tokens",
    parse: numLogprobs,
    option: 'promptLogprobs',
  }),
] as const;

type CamelCase<Name extends string> = Name extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Name;
type AnyFlag = (typeof GENERATION_FLAGS)[number];
/** What commander makes of the flags. */
export type GenerationFlags = {
  -readonly [Flag in AnyFlag as CamelCase<Flag['name']>]?: ReturnType<Flag['parse']>;
};
export type GenerationFlag = FlagOf<string, unknown>;

/** `top-k` -> `topK`, the name of the field in `GenerationFlags`. */
export function fieldOf(name: string): keyof GenerationFlags {
  return name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase()) as keyof GenerationFlags;
}

export const flagNamed = (name: string): GenerationFlag | undefined =>
  (GENERATION_FLAGS as readonly unknown[] as readonly GenerationFlag[]).find((one) => one.name === name);

/** What help says of a flag: its own text, and the dialects that have it where the default one has not. */
export function helpOf({ help, option }: GenerationFlag): string {
  const setting = option as keyof SamplingSettings;
  const owners = Object.entries<Dialect>(DIALECTS).filter(([, { settings }]) => settings.includes(setting));
  if (owners.length === 0 || owners.some(([name]) => name === 'hf')) return help;
  return `${help} [--dialect ${owners.map(([name]) => name).join(' or ')}]`;
}
