/**
 * A `LanguageModel` on compiled programs: weights and a config become a model that answers on any device.
 * Browser-safe; `load-model.node.ts` reads a model's folder.
 */
import { ConfigError } from '../core/errors.ts';
import type { TransformerConfig } from '../model/config.ts';
import { validateTransformerConfig } from '../model/config.ts';
import type { Weights } from '../model/initialize.ts';
import type { Device } from '../runtime/device.ts';
import { SAMPLING_SETTINGS } from '../sampling/index.ts';
import type { ChatFormat, Tokenizer } from '../tokenizer/index.ts';
import { completionStream } from './completion-stream.ts';
import { Decoder } from './decoder.ts';
import { DecodeEngine, type EngineLimits } from './engine.ts';
import { Generation } from './generation.ts';
import { generationSettings, type ModelFacts, promptTokens } from './generation-settings.ts';
import type {
  Completion,
  CompletionStream,
  GenerateOptions,
  LanguageModel,
  LanguageModelCapabilities,
  Prompt,
} from './language-model.ts';

export interface CreateLanguageModelOptions extends Partial<EngineLimits> {
  readonly config: TransformerConfig;
  /** float32 by Hugging Face name. Kept, not copied, where the device computes in host memory. */
  readonly weights: Weights;
  readonly tokenizer?: Tokenizer | undefined;
  readonly chatFormat?: ChatFormat | null | undefined;
  /** Tokens that end an answer. Default: the config's. */
  readonly stopTokens?: readonly number[];
  readonly device: Device;
}

const DEFAULT_LIMITS: EngineLimits = { maxBatchSize: 64, maxCacheBytes: 2 ** 30, chunkLength: 256 };

class OnnxLanguageModel implements LanguageModel {
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
    const generation = new Generation(this.#settings(prompt, options, freshSeed()));
    this.#engine.submit([generation]);
    return generation.completion;
  }

  stream(prompt: Prompt, options: GenerateOptions = {}): CompletionStream {
    const group = { isAbandoned: false };
    return completionStream(
      async (push) => {
        const generation = new Generation(this.#settings(prompt, options, freshSeed()), group, push);
        this.#engine.submit([generation]);
        return generation.completion;
      },
      () => {
        group.isAbandoned = true;
      },
    );
  }

  async generateMany(
    prompts: readonly Prompt[],
    options: GenerateOptions | readonly GenerateOptions[] = {},
  ): Promise<Completion[]> {
    const listed = Array.isArray(options) ? (options as readonly GenerateOptions[]) : undefined;
    if (listed && listed.length !== prompts.length) {
      throw new ConfigError(
        `generateMany: ${prompts.length} prompts and ${listed.length} options; give one for each, or one for all.`,
      );
    }
    const seed = freshSeed();
    const group = { isAbandoned: false };
    const generations = prompts.map(
      (prompt, i) =>
        new Generation(this.#settings(prompt, listed?.[i] ?? (options as GenerateOptions), seed), group),
    );
    this.#engine.submit(generations);
    try {
      return await Promise.all(generations.map((generation) => generation.completion));
    } catch (error) {
      // Nobody will see the others.
      group.isAbandoned = true;
      throw error;
    }
  }

  dispose(): Promise<void> {
    return this.#engine.dispose();
  }

  #settings(prompt: Prompt, options: GenerateOptions, seed: number) {
    return generationSettings(promptTokens(prompt, this.#facts), options, this.#facts, seed);
  }
}

/** A seed for callers who gave none: 32 bits, so that it is easily typed again. */
function freshSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]!;
}

function checkedLimits(options: Partial<EngineLimits>): EngineLimits {
  const limits = {
    maxBatchSize: options.maxBatchSize ?? DEFAULT_LIMITS.maxBatchSize,
    maxCacheBytes: options.maxCacheBytes ?? DEFAULT_LIMITS.maxCacheBytes,
    chunkLength: options.chunkLength ?? DEFAULT_LIMITS.chunkLength,
  };
  const most = { maxBatchSize: 4096, maxCacheBytes: Number.MAX_SAFE_INTEGER, chunkLength: 2048 };
  for (const name of ['maxBatchSize', 'maxCacheBytes', 'chunkLength'] as const) {
    const value = limits[name];
    if (!(Number.isSafeInteger(value) && value >= 1 && value <= most[name])) {
      throw new ConfigError(`${name} is ${value}; expected a whole number from 1 to ${most[name]}.`);
    }
  }
  return limits;
}

/**
 * Makes a model that answers. Throws ConfigError when the config, the weights, the stop tokens or the limits
 * do not fit.
 */
export async function createLanguageModel(options: CreateLanguageModelOptions): Promise<LanguageModel> {
  const config = validateTransformerConfig(options.config);
  const limits = checkedLimits(options);
  const stopTokens = options.stopTokens ?? config.eosTokenIds;
  const strange = stopTokens.find((id) => !(Number.isInteger(id) && id >= 0 && id < config.vocabSize));
  if (strange !== undefined) {
    throw new ConfigError(`Stop token ${strange} is not in the vocabulary of ${config.vocabSize} tokens.`);
  }
  const decoder = await Decoder.create(config, options.weights, options.device);
  const facts: ModelFacts = {
    vocabSize: config.vocabSize,
    contextLength: config.maxPositionEmbeddings,
    tokenizer: options.tokenizer,
    chatFormat: options.chatFormat ?? undefined,
    stopTokens,
  };
  return new OnnxLanguageModel(facts, new DecodeEngine(decoder, limits));
}
