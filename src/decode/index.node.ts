/** Decoding in Node. */
export * from './index.ts';
export { type LoadLanguageModelOptions, loadLanguageModel } from './load-model.node.ts';
