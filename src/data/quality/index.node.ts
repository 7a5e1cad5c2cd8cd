/** Quality of texts, with model files. */
export { loadClassifier, saveClassifier } from './classifier-file.node.ts';
export * from './index.ts';
export { loadPerplexityModel, savePerplexityModel } from './perplexity-file.node.ts';
