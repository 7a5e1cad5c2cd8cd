/** Language identification with the model file found on disk. */
export * from './index.ts';
export { loadLanguageIdentifier } from './load-language-identifier.node.ts';
