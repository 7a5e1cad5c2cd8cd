/** Decoding in Node. */

export { type LoadGgufOptions, loadGgufLanguageModel } from './gguf/gguf-language-model.node.ts';
export * from './index.ts';
export { type LoadLanguageModelOptions, loadLanguageModel } from './load-model.node.ts';
export {
  backendOf,
  type ModelBackend,
  type OpenModelOptions,
  openLanguageModel,
} from './open-model.node.ts';
