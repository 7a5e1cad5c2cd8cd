/** Decoding: language models that answer. Browser-safe; `index.node.ts` adds loading from a folder. */
export type { EngineLimits } from './engine.ts';
export type {
  Completion,
  CompletionChunk,
  CompletionStream,
  FinishReason,
  GenerateOptions,
  LanguageModel,
  LanguageModelCapabilities,
  PositionLogprobs,
  Prompt,
  TokenLogprob,
} from './language-model.ts';
export { type CreateLanguageModelOptions, createLanguageModel } from './onnx-language-model.ts';
