/**
 * What a language model is for everything above it: text or token ids in, text and tokens out. Backends
 * differ in what they can do; `capabilities` says so, and an option that a backend cannot honour is refused.
 */
import type {
  DialectName,
  Logprobs,
  SamplerChain,
  SamplingSettings,
  TokenLogprob,
} from '../sampling/index.ts';
import type { ToolDefinition } from '../tokenizer/chat-tools.ts';
import type { ChatFormat, ChatMessage, Tokenizer } from '../tokenizer/index.ts';

export interface ChatPrompt {
  readonly messages: readonly ChatMessage[];
  /** Functions that the answer may call; `parseToolCalls` reads its calls. */
  readonly tools?: readonly ToolDefinition[] | undefined;
}

/** A text to continue (ordinary text: names of control tokens in it stay text), token ids, or a chat to answer. */
export type Prompt = string | readonly number[] | Int32Array | ChatPrompt;

/** One prompt's options. What sampling can do stands in `SamplingSettings`. */
export interface GenerateOptions extends SamplingSettings {
  /** At most so many tokens. Default 256. The model's context may end the text earlier (`length`). */
  maxTokens?: number;
  /** The order in which the sampling settings apply, named after the engine that has it. Default `hf`. */
  dialect?: DialectName;
  /** The whole chain as data, instead of the sampling settings. */
  chain?: SamplerChain;
  /** The same seed gives the same answer. Default: a new one each time; `Completion.seed` tells it. */
  seed?: number;
  /** Number of this answer among several to one prompt; each has draws of its own. Default 0. */
  choice?: number;
  /** Texts that end the answer and are not part of it. */
  stop?: readonly string[];
  /** Tokens that end the answer, besides the model's own. */
  stopTokens?: readonly number[];
  /** Do not end at the model's own stop tokens. Default false. */
  ignoreStopTokens?: boolean;
  /** Also give the log-probabilities of so many best tokens at each place (0: only of the token chosen). */
  logprobs?: number;
  /** Log-probabilities of the model itself (`raw`, default), or of what the sampler chain left (`processed`). */
  logprobsMode?: 'raw' | 'processed';
  /** Log-probabilities of the prompt's own tokens, with so many best ones a place. */
  promptLogprobs?: number;
  /** Not one draw a place but a search: see `SearchMethod`. Excludes settings of chance; penalties and bans act. */
  search?: SearchMethod;
  signal?: AbortSignal;
}

/**
 * `beam`: the sequence of highest length-normalised log-probability that `numBeams` running candidates find
 * (score / length^lengthPenalty). `contrastive` (Su et al. 2022): of the `topK` best tokens the one that
 * maximises (1 - alpha) probability - alpha similarity to the hidden states before it.
 */
export type SearchMethod =
  | {
      readonly method: 'beam';
      readonly numBeams: number;
      readonly lengthPenalty?: number;
      /**
       * When to stop once `numBeams` candidates have ended. true: at once; false (default): when the best running one
       * would not be among them if it ended now; 'never': when it could not be at any length.
       */
      readonly earlyStopping?: boolean | 'never';
    }
  | { readonly method: 'contrastive'; readonly topK: number; readonly alpha: number };

/** In nats. Of the token at a place and of the best ones there; `logprobsMode` says of which distribution. */
export type PositionLogprobs = Logprobs;
export type { TokenLogprob };

export type FinishReason = 'stop' | 'length' | 'cancelled';

export interface Completion {
  /** Empty when the model has no tokenizer. */
  text: string;
  /** Tokens chosen, without a stop token at the end; those of a stop string are among them. */
  tokens: number[];
  /** The token that ended the answer, if one did. */
  stopToken?: number;
  finishReason: FinishReason;
  /** `completionTokens` counts the stop token too. */
  usage: { promptTokens: number; completionTokens: number };
  seed: number;
  /** One entry for each of `tokens`, when asked for. */
  logprobs?: PositionLogprobs[];
  /** One entry for each token of the prompt but the first, when asked for. */
  promptLogprobs?: PositionLogprobs[];
}

/** A piece of an answer. Joined, the texts are the completion's text; none holds half a character. */
export interface CompletionChunk {
  text: string;
  /** Tokens since the chunk before. */
  tokens: number[];
}

/** Pieces as they come. Leaving the loop early cancels the rest. */
export interface CompletionStream extends AsyncIterable<CompletionChunk> {
  readonly completion: Promise<Completion>;
}

export interface LanguageModelCapabilities {
  /** Takes and gives token ids. */
  readonly tokens: boolean;
  readonly chat: boolean;
  readonly logprobs: boolean;
  /** `generateMany` decodes together. */
  readonly batching: boolean;
  /** Answers can be held to a grammar. */
  readonly constrained: boolean;
  /** The same seed gives the same answer. */
  readonly seeded: boolean;
  /** The scores of the whole vocabulary are at hand: any chain, `processed` log-probabilities, searches. */
  readonly fullLogits: boolean;
  readonly promptLogprobs: boolean;
  /** Sampling settings that are honoured; any other is refused by name. */
  readonly sampling: ReadonlySet<keyof SamplingSettings>;
}

export interface LanguageModel {
  readonly contextLength: number;
  readonly tokenizer: Tokenizer | undefined;
  readonly chatFormat: ChatFormat | undefined;
  readonly capabilities: LanguageModelCapabilities;
  /**
   * Rejects with ConfigError for options out of range or not supported, DataError for prompts that cannot be
   * read, LimitError for a prompt that leaves no room in the context. An abort is no error: the completion so
   * far has the finish reason `cancelled`.
   */
  generate(prompt: Prompt, options?: GenerateOptions): Promise<Completion>;
  stream(prompt: Prompt, options?: GenerateOptions): CompletionStream;
  /** Completions in the order of the prompts, each as `generate` gives it. Options for all or one each. */
  generateMany(
    prompts: readonly Prompt[],
    options?: GenerateOptions | readonly GenerateOptions[],
  ): Promise<Completion[]>;
  /** Ends what runs with an error and frees memory. */
  dispose(): Promise<void>;
}
