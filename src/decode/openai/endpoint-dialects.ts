/**
 * The fields of a request by which endpoints take sampling settings. OpenAI's own are few; vLLM and llama.cpp's
 * server take more, each by its own names. A setting without a field is refused, never dropped, and where a
 * server fills in values of its own for fields left out, the neutral ones are sent.
 *
 * Sources: OpenAI's API reference; vllm/entrypoints/openai/completion/protocol.py; tools/server of llama.cpp.
 */
import { ConfigError } from '../../core/errors.ts';
import { chainOf, type DialectName, type SamplingSettings } from '../../sampling/index.ts';

export type EndpointDialect = 'openai' | 'vllm' | 'llamacpp';
type Name = keyof SamplingSettings;
type Body = Record<string, unknown>;

interface Rules {
  /** Field of each setting that is one value. */
  readonly fields: Readonly<Partial<Record<Name, string>>>;
  /** Settings written in another way. */
  readonly others: Readonly<Partial<Record<Name, (settings: SamplingSettings, body: Body) => void>>>;
  /** Sent unless a setting says otherwise. */
  readonly neutral: Body;
  /** The order in which the server applies settings, if it is known. */
  readonly order: DialectName | undefined;
  readonly maxStopStrings: number;
  readonly takesStopTokens: boolean;
  readonly takesIgnoreEos: boolean;
  /** Of one position, in chats and in continuations of a text. */
  readonly maxLogprobs: { readonly chat: number; readonly text: number };
  readonly maxSeed: number;
  /** The server promises the same answer for the same seed. */
  readonly isSeeded: boolean;
}

const OPENAI_FIELDS = {
  temperature: 'temperature',
  topP: 'top_p',
  presencePenalty: 'presence_penalty',
  frequencyPenalty: 'frequency_penalty',
} as const;

const MANY = Number.MAX_SAFE_INTEGER;

const RULES: Readonly<Record<EndpointDialect, Rules>> = {
  openai: {
    fields: OPENAI_FIELDS,
    others: { logitBias: writeBias },
    neutral: {},
    order: undefined,
    maxStopStrings: 4,
    takesStopTokens: false,
    takesIgnoreEos: false,
    maxLogprobs: { chat: 20, text: 5 },
    maxSeed: MANY,
    isSeeded: false,
  },
  vllm: {
    fields: {
      ...OPENAI_FIELDS,
      topK: 'top_k',
      minP: 'min_p',
      repetitionPenalty: 'repetition_penalty',
      allowedTokens: 'allowed_token_ids',
      minTokens: 'min_tokens',
    },
    others: { logitBias: writeBias },
    neutral: {
      top_p: 1,
      top_k: 0,
      min_p: 0,
      repetition_penalty: 1,
      presence_penalty: 0,
      frequency_penalty: 0,
    },
    order: 'vllm',
    maxStopStrings: MANY,
    takesStopTokens: true,
    takesIgnoreEos: true,
    maxLogprobs: { chat: 1000, text: 1000 },
    maxSeed: MANY,
    isSeeded: true,
  },
  llamacpp: {
    fields: {
      ...OPENAI_FIELDS,
      topK: 'top_k',
      minP: 'min_p',
      typicalP: 'typical_p',
      topNSigma: 'top_n_sigma',
      repetitionPenalty: 'repeat_penalty',
      penaltyLastN: 'repeat_last_n',
    },
    others: {
      dynamicTemperature: ({ dynamicTemperature }, body) => {
        body.dynatemp_range = dynamicTemperature!.range;
        body.dynatemp_exponent = dynamicTemperature!.exponent ?? 1;
      },
      xtc: ({ xtc }, body) => {
        body.xtc_probability = xtc!.probability;
        body.xtc_threshold = xtc!.threshold;
      },
      mirostat: ({ mirostat }, body) => {
        body.mirostat = mirostat!.version;
        body.mirostat_tau = mirostat!.tau ?? 5;
        body.mirostat_eta = mirostat!.eta ?? 0.1;
      },
      logitBias: writeBiasAndBans,
      bannedTokens: writeBiasAndBans,
    },
    neutral: {
      top_k: 0,
      top_p: 1,
      min_p: 0,
      typical_p: 1,
      top_n_sigma: -1,
      repeat_penalty: 1,
      presence_penalty: 0,
      frequency_penalty: 0,
      dry_multiplier: 0,
      xtc_probability: 0,
      dynatemp_range: 0,
      mirostat: 0,
    },
    order: 'llamacpp',
    maxStopStrings: MANY,
    takesStopTokens: false,
    takesIgnoreEos: true,
    maxLogprobs: { chat: 1000, text: 1000 },
    // The next one means a random seed there.
    maxSeed: 2 ** 32 - 2,
    isSeeded: true,
  },
};

export const ENDPOINT_DIALECTS = Object.keys(RULES) as EndpointDialect[];

export const dialectRules = (dialect: EndpointDialect): Rules => RULES[dialect];

/** Settings that an endpoint of the dialect takes. */
export function settingsOf(dialect: EndpointDialect): ReadonlySet<Name> {
  const { fields, others } = RULES[dialect];
  return new Set([...Object.keys(fields), ...Object.keys(others)] as Name[]);
}

/** Limits of OpenAI's API, as its reference gives them. */
const OPENAI_LIMITS = {
  temperature: [0, 2],
  topP: [0, 1],
  presencePenalty: [-2, 2],
  frequencyPenalty: [-2, 2],
} as const;

/**
 * Writes the settings into a request's body. Throws ConfigError for settings that the dialect does not take or
 * that are out of range.
 */
export function writeSampling(settings: SamplingSettings, dialect: EndpointDialect, body: Body): void {
  const { fields, others, neutral, order } = RULES[dialect];
  const given = (Object.keys(settings) as Name[]).filter((name) => settings[name] !== undefined);
  for (const name of given) if (!(name in fields) && !(name in others)) refuse(name, dialect);
  if (order === undefined) checkOpenAi(settings);
  else chainOf(settings, order, { stopTokens: [] });
  checkBias(settings.logitBias, order === 'llamacpp' ? Number.MAX_VALUE : 100);
  // Nothing set means greedy, as everywhere in Plinth; endpoints take it for chance.
  const asksForChance = given.some((name) => CHANCE.includes(name));
  Object.assign(body, neutral, { temperature: asksForChance ? 1 : 0 });
  for (const name of given) {
    const field = fields[name];
    if (field !== undefined) body[field] = settings[name];
    else others[name]!(settings, body);
  }
}

/** Settings that only have a meaning when tokens are drawn. */
const CHANCE: readonly Name[] = [
  'topK',
  'topP',
  'minP',
  'typicalP',
  'topNSigma',
  'xtc',
  'mirostat',
  'dynamicTemperature',
];

function refuse(name: Name, dialect: EndpointDialect): never {
  const takers = ENDPOINT_DIALECTS.filter((other) => settingsOf(other).has(name));
  const hint =
    takers.length === 0
      ? "Use the model's folder or a GGUF file for it"
      : `If the server takes it, say so with dialect ${takers.map((other) => `"${other}"`).join(' or ')}`;
  throw new ConfigError(
    `${name} is not honoured by an endpoint of dialect "${dialect}", which takes ${[...settingsOf(dialect)].join(', ')}. ` +
      `${hint}, or leave it out.`,
  );
}

function checkOpenAi(settings: SamplingSettings): void {
  for (const [name, [least, most]] of Object.entries(OPENAI_LIMITS)) {
    const value = settings[name as keyof typeof OPENAI_LIMITS];
    if (value !== undefined && !(value >= least && value <= most)) {
      throw new ConfigError(`${name} is ${value}; the endpoint takes numbers from ${least} to ${most}.`);
    }
  }
}

function checkBias(bias: SamplingSettings['logitBias'], most: number): void {
  for (const [id, value] of Object.entries(bias ?? {})) {
    if (/^\d+$/.test(id) && Math.abs(value) <= most) continue;
    throw new ConfigError(
      `logitBias of token ${id} is ${value}; the endpoint takes token ids and numbers from ${-most} to ${most}.`,
    );
  }
}

function writeBias({ logitBias }: SamplingSettings, body: Body): void {
  body.logit_bias = { ...logitBias };
}

function writeBiasAndBans({ logitBias = {}, bannedTokens = [] }: SamplingSettings, body: Body): void {
  body.logit_bias = [
    ...Object.entries(logitBias).map(([id, value]) => [Number(id), value]),
    ...bannedTokens.map((id) => [id, false]),
  ];
}
