/**
 * A `LanguageModel` on a GGUF file, run by llama.cpp through the optional package node-llama-cpp. llama.cpp
 * gives the scores; tokens are chosen here, so seeds, chains, dialects and log-probabilities mean what they mean
 * for any other model.
 */
import { availableParallelism } from 'node:os';
import { ConfigError } from '../../core/errors.ts';
import { SAMPLING_SETTINGS } from '../../sampling/index.ts';
import { type ChatFormat, chatFormatOf } from '../../tokenizer/index.ts';
import type { AnswerGroup } from '../answer.ts';
import { Generation } from '../generation.ts';
import { generationSettings, type ModelFacts, promptTokens } from '../generation-settings.ts';
import type {
  Completion,
  CompletionChunk,
  CompletionStream,
  GenerateOptions,
  LanguageModel,
  LanguageModelCapabilities,
  Prompt,
} from '../language-model.ts';
import { abandonableStream, allOrNone, freshSeed, optionsOfEach } from '../language-model-calls.ts';
import { GgufEngine } from './gguf-engine.node.ts';
import { wantedScores } from './gguf-sampling.ts';
import { type OpenGgufFile, openGgufFile } from './open-gguf-file.node.ts';

export interface LoadGgufOptions {
  /** Positions of a sequence, prompt and answer. Default: the model's, at most 4096. */
  readonly contextLength?: number;
  /** Sequences decoded together; each has a cache of `contextLength` positions. Default 4. */
  readonly maxBatchSize?: number;
  /** Default: half of the processors. More threads than idle cores make llama.cpp crawl. */
  readonly numThreads?: number;
  /** Numbers of the cache. Default F32, as Plinth's own engine; F16, llama.cpp's default, takes half the memory. */
  readonly cacheType?: 'F32' | 'F16';
  /** Instead of the file's chat template; null for none. */
  readonly chatFormat?: ChatFormat | null;
}

class GgufLanguageModel implements LanguageModel {
  readonly contextLength: number;
  readonly tokenizer;
  readonly chatFormat: ChatFormat | undefined;
  readonly capabilities: LanguageModelCapabilities;
  readonly #facts: ModelFacts;
  readonly #file: OpenGgufFile;
  readonly #engine: GgufEngine;

  constructor(file: OpenGgufFile, chatFormat: ChatFormat | undefined) {
    const { contextLength, tokenizer, vocabSize, stopTokens } = file;
    this.contextLength = contextLength;
    this.tokenizer = tokenizer;
    this.chatFormat = chatFormat;
    this.#facts = { vocabSize, contextLength, tokenizer, chatFormat, stopTokens };
    this.#file = file;
    this.#engine = new GgufEngine(file.context, vocabSize, tokenizer.vocabSize);
    this.capabilities = {
      tokens: true,
      chat: chatFormat !== undefined,
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
    return this.#start(prompt, options, freshSeed(), { isAbandoned: false });
  }

  stream(prompt: Prompt, options: GenerateOptions = {}): CompletionStream {
    return abandonableStream((group, push) => this.#start(prompt, options, freshSeed(), group, push));
  }

  async generateMany(
    prompts: readonly Prompt[],
    options: GenerateOptions | readonly GenerateOptions[] = {},
  ): Promise<Completion[]> {
    const each = optionsOfEach(prompts, options);
    const seed = freshSeed();
    const group = { isAbandoned: false };
    const runs = prompts.map((prompt, i) => this.#run(prompt, each[i]!, seed, group));
    this.#engine.submit(runs);
    return allOrNone(
      runs.map(({ sequence }) => sequence.completion),
      group,
    );
  }

  async dispose(): Promise<void> {
    await this.#engine.dispose();
    await this.#file.model.dispose();
  }

  #start(
    prompt: Prompt,
    options: GenerateOptions,
    seed: number,
    group: AnswerGroup,
    push?: (chunk: CompletionChunk) => void,
  ): Promise<Completion> {
    const run = this.#run(prompt, options, seed, group, push);
    this.#engine.submit([run]);
    return run.sequence.completion;
  }

  #run(
    prompt: Prompt,
    options: GenerateOptions,
    seed: number,
    group: AnswerGroup,
    push?: (chunk: CompletionChunk) => void,
  ) {
    if (options.search !== undefined) {
      throw new ConfigError(
        'search is not honoured by the gguf backend: llama.cpp does not give the states it needs. Use the ' +
          "model's folder, or leave it out.",
      );
    }
    const settings = generationSettings(this.#promptTokens(prompt), options, this.#facts, seed);
    return { sequence: new Generation(settings, group, push), wanted: wantedScores(settings) };
  }

  /** With the token that the file wants in front of texts, unless a chat template wrote it already. */
  #promptTokens(prompt: Prompt): Int32Array {
    const ids = promptTokens(prompt, this.#facts);
    const { startToken } = this.#file;
    const isIds = Array.isArray(prompt) || prompt instanceof Int32Array;
    if (isIds || startToken === undefined || ids[0] === startToken) return ids;
    return promptTokens([startToken, ...ids], this.#facts);
  }
}

/**
 * Loads a GGUF file. Throws ConfigError when node-llama-cpp is not installed or an option is out of range,
 * DataError, FormatError or LimitError for a file that cannot be read, run or held.
 */
export async function loadGgufLanguageModel(
  path: string,
  options: LoadGgufOptions = {},
): Promise<LanguageModel> {
  const { contextLength, maxBatchSize = 4, cacheType = 'F32' } = options;
  const { numThreads = Math.max(1, Math.floor(availableParallelism() / 2)) } = options;
  checkOptions({ ...options, maxBatchSize, numThreads, cacheType });
  const file = await openGgufFile(path, { contextLength, maxBatchSize, numThreads, cacheType });
  try {
    return new GgufLanguageModel(file, chatFormatFor(file, options.chatFormat));
  } catch (error) {
    await file.model.dispose();
    throw error;
  }
}

const RANGES = { contextLength: 2 ** 24, maxBatchSize: 256, numThreads: 512 } as const;
const OPTION_NAMES: readonly string[] = [...Object.keys(RANGES), 'cacheType', 'chatFormat'];

function checkOptions(options: LoadGgufOptions): void {
  const unknown = Object.keys(options).find((name) => !OPTION_NAMES.includes(name));
  if (unknown !== undefined) {
    throw new ConfigError(
      `Unknown option "${unknown}" of the gguf backend; expected ${OPTION_NAMES.join(', ')}.`,
    );
  }
  for (const name of ['contextLength', 'maxBatchSize', 'numThreads'] as const) {
    const value = options[name];
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1 && value <= RANGES[name])) {
      throw new ConfigError(`${name} is ${value}; expected a whole number from 1 to ${RANGES[name]}.`);
    }
  }
  if (options.cacheType !== 'F32' && options.cacheType !== 'F16') {
    throw new ConfigError(`cacheType is ${JSON.stringify(options.cacheType)}; expected "F32" or "F16".`);
  }
}

function chatFormatFor(file: OpenGgufFile, given: ChatFormat | null | undefined): ChatFormat | undefined {
  if (given !== undefined) return given ?? undefined;
  const { tokenizer, model, chatTemplate } = file;
  const { bosString, eosString } = model.tokens;
  const config = { chatTemplate, bosToken: bosString, eosToken: eosString, padToken: null, unkToken: null };
  return chatFormatOf(tokenizer, { ...config, modelMaxLength: null }) ?? undefined;
}
