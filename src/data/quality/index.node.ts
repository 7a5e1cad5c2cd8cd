/** Quality of texts, with model files. */
export * from './index.ts';
export {
  loadClassifier,
  loadPerplexityModel,
  loadQualityModel,
  saveClassifier,
  savePerplexityModel,
} from './model-files.node.ts';
