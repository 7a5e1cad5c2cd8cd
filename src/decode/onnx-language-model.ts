/**
 * A `LanguageModel` on compiled programs: weights and a config become a model that answers on any device.
 * Browser-safe; `load-model.node.ts` reads a model's folder.
 */
import { ConfigError } from '../core/errors.ts';
import type { TransformerConfig } from '../model/config.ts';
import { validateTransformerConfig } from '../model/config.ts';
import type { MixedWeights } from '../model/quantized.ts';
import type { Device } from '../runtime/device.ts';
import { SAMPLING_SETTINGS } from '../sampling/index.ts';
import type { ChatFormat, Tokenizer } from '../tokenizer/index.ts';
import type { AnswerGroup } from './answer.ts';
import { Decoder, type Determinism, defaultDeterminism } from './decoder.ts';
import { DecodeEngine, type EngineLimits, type EngineUse } from './engine.ts';
import { Generation } from './generation.ts';
import { generationSettings, type ModelFacts, promptTokens } from './generation-settings.ts';
import type {
  Completion,
  CompletionChunk,
  CompletionStream,
  GenerateOptions,
  LanguageModel,
  LanguageModelCapabilities,
  Prompt,
} from './language-model.ts';
import { abandonableStream, allOrNone, freshSeed, optionsOfEach } from './language-model-calls.ts';
import { startSearch } from './search/start-search.ts';
import type { DraftOptions } from './speculation.ts';

export interface CreateLanguageModelOptions extends Partial<EngineLimits> {
  readonly config: TransformerConfig;
  /** By Hugging Face name, float32 or quantised. */
  readonly weights: MixedWeights;
  readonly tokenizer?: Tokenizer | undefined;
  readonly chatFormat?: ChatFormat | null | undefined;
  /** Tokens that end an answer. Default: the config's. */
  readonly stopTokens?: readonly number[];
  readonly device: Device;
  /**
   * Default `strict`: an answer never depends, to the bit, on what else runs or what was read before. Weights of more
   * than 1.9 GB in float32 can only be `fast`, which is then the default.
   */
  readonly determinism?: Determinism;
  /** A small model with the same vocabulary that guesses ahead; answers stay the same. */
  readonly draft?: DraftModel;
}

export interface DraftModel {
  readonly config: TransformerConfig;
  readonly weights: MixedWeights;
  /** Tokens guessed ahead at most; fewer while guesses are often wrong. Default 8. */
  readonly maxTokens?: number;
}

const DEFAULT_LIMITS: EngineLimits = {
  maxBatchSize: 64,
  maxQueueLength: 100_000,
  maxCacheBytes: 2 ** 30,
  prefixCacheBytes: 64 * 2 ** 20,
  chunkLength: 256,
};
const DEFAULT_DRAFT_TOKENS = 8;
const MAX_DRAFT_TOKENS = 64;

/** A model on Plinth's own engine; `createLanguageModel` and `loadLanguageModel` make one. */
export class OnnxLanguageModel implements LanguageModel {
  readonly contextLength: number;
  readonly tokenizer: Tokenizer | undefined;
  readonly chatFormat: ChatFormat | undefined;
  readonly capabilities: LanguageModelCapabilities;
  readonly #facts: ModelFacts;
  readonly #engine: DecodeEngine;

  constructor(facts: ModelFacts, engine: DecodeEngine) {
    this.contextLength = facts.contextLength;
    this.tokenizer = facts.tokenizer;
    this.chatFormat = facts.chatFormat;
    this.#facts = facts;
    this.#engine = engine;
    this.capabilities = {
      tokens: true,
      chat: facts.tokenizer !== undefined && facts.chatFormat !== undefined,
      logprobs: true,
      batching: true,
      constrained: false,
      seeded: true,
      fullLogits: true,
      promptLogprobs: true,
      sampling: new Set(SAMPLING_SETTINGS),
    };
  }

  async generate(prompt: Prompt, options: GenerateOptions = {}): Promise<Completion> {
    const generation = this.#start(prompt, options, freshSeed());
    this.#engine.submit([generation]);
    return generation.completion;
  }

  stream(prompt: Prompt, options: GenerateOptions = {}): CompletionStream {
    return abandonableStream((group, push) => {
      const generation = this.#start(prompt, options, freshSeed(), group, push);
      this.#engine.submit([generation]);
      return generation.completion;
    });
  }

  async generateMany(
    prompts: readonly Prompt[],
    options: GenerateOptions | readonly GenerateOptions[] = {},
  ): Promise<Completion[]> {
    const each = optionsOfEach(prompts, options);
    const seed = freshSeed();
    const group = { isAbandoned: false };
    const generations = prompts.map((prompt, i) => this.#start(prompt, each[i]!, seed, group));
    this.#engine.submit(generations);
    return allOrNone(
      generations.map((generation) => generation.completion),
      group,
    );
  }

  /** What runs, waits and is kept just now. */
  get use(): EngineUse {
    return this.#engine.use;
  }

  /** Forgets the texts whose keys and values are kept for prompts that begin alike. */
  clearPrefixCache(): void {
    this.#engine.clearPrefixCache();
  }

  dispose(): Promise<void> {
    return this.#engine.dispose();
  }

  #start(
    prompt: Prompt,
    options: GenerateOptions,
    seed: number,
    group?: AnswerGroup,
    push?: (chunk: CompletionChunk) => void,
  ) {
    const facts = this.#facts;
    const ids = promptTokens(prompt, facts);
    if (options.search !== undefined) return startSearch(ids, options, facts, seed, group, push);
    return new Generation(generationSettings(ids, options, facts, seed), group, push);
  }
}

/** [least, most] of every limit. */
const LIMIT_RANGES: Readonly<Record<keyof EngineLimits, readonly [number, number]>> = {
  maxBatchSize: [1, 4096],
  maxQueueLength: [1, Number.MAX_SAFE_INTEGER],
  maxCacheBytes: [1, Number.MAX_SAFE_INTEGER],
  prefixCacheBytes: [0, Number.MAX_SAFE_INTEGER],
  chunkLength: [1, 2048],
};

function checkedLimits(options: Partial<EngineLimits>): EngineLimits {
  const limits: Record<keyof EngineLimits, number> = { ...DEFAULT_LIMITS };
  for (const name of Object.keys(LIMIT_RANGES) as (keyof EngineLimits)[]) {
    const [least, most] = LIMIT_RANGES[name];
    const value = options[name] ?? DEFAULT_LIMITS[name];
    if (!(Number.isSafeInteger(value) && value >= least && value <= most)) {
      throw new ConfigError(`${name} is ${value}; expected a whole number from ${least} to ${most}.`);
    }
    limits[name] = value;
  }
  return limits;
}

function draftOptions(draft: DraftModel, config: TransformerConfig, device: Device): DraftOptions {
  const own = validateTransformerConfig(draft.config);
  if (own.vocabSize !== config.vocabSize) {
    throw new ConfigError(
      `The draft model has a vocabulary of ${own.vocabSize} tokens, the model one of ${config.vocabSize}; ` +
        'a draft model must have the same tokenizer.',
    );
  }
  const maxTokens = draft.maxTokens ?? DEFAULT_DRAFT_TOKENS;
  if (!(Number.isInteger(maxTokens) && maxTokens >= 1 && maxTokens <= MAX_DRAFT_TOKENS)) {
    throw new ConfigError(
      `draft.maxTokens is ${maxTokens}; expected a whole number from 1 to ${MAX_DRAFT_TOKENS}.`,
    );
  }
  return { decoder: new Decoder(own, draft.weights, device, 'fast'), maxTokens };
}

/**
 * Makes a model that answers. Throws ConfigError when the config, the weights, the stop tokens or the limits
 * do not fit.
 */
export async function createLanguageModel(options: CreateLanguageModelOptions): Promise<OnnxLanguageModel> {
  const config = validateTransformerConfig(options.config);
  const limits = checkedLimits(options);
  const { determinism = defaultDeterminism(options.weights), device, draft } = options;
  if (determinism !== 'strict' && determinism !== 'fast') {
    throw new ConfigError(`determinism is ${JSON.stringify(determinism)}; expected "strict" or "fast".`);
  }
  const stopTokens = options.stopTokens ?? config.eosTokenIds;
  const strange = stopTokens.find((id) => !(Number.isInteger(id) && id >= 0 && id < config.vocabSize));
  if (strange !== undefined) {
    throw new ConfigError(`Stop token ${strange} is not in the vocabulary of ${config.vocabSize} tokens.`);
  }
  const decoder = new Decoder(config, options.weights, device, determinism);
  const engine = new DecodeEngine(decoder, limits, draft && draftOptions(draft, config, device));
  const facts: ModelFacts = {
    vocabSize: config.vocabSize,
    contextLength: config.maxPositionEmbeddings,
    tokenizer: options.tokenizer,
    chatFormat: options.chatFormat ?? undefined,
    stopTokens,
  };
  return new OnnxLanguageModel(facts, engine);
}
