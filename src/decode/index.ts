/** Decoding: language models that answer. Browser-safe; `index.node.ts` adds loading from a folder. */
export type { Determinism } from './decoder.ts';
export type { EngineLimits, EngineUse } from './engine.ts';
export { type FetchLanguageModelOptions, type FetchProgress, fetchLanguageModel } from './fetch-model.ts';
export type {
  ChatPrompt,
  Completion,
  CompletionChunk,
  CompletionStream,
  FinishReason,
  GenerateOptions,
  LanguageModel,
  LanguageModelCapabilities,
  PositionLogprobs,
  Prompt,
  SearchMethod,
} from './language-model.ts';
export {
  type CreateLanguageModelOptions,
  createLanguageModel,
  type DraftModel,
  OnnxLanguageModel,
} from './onnx-language-model.ts';
export type { RemotePositionLogprobs, RemoteTokenLogprob } from './openai/answer-chunk.ts';
export type { EndpointDialect } from './openai/endpoint-dialects.ts';
export { createOpenAiLanguageModel, type OpenAiModelOptions } from './openai/openai-language-model.ts';
export { continueTranscript, numEvidence, type Transcript, transcriptOf } from './transcript.ts';
