/** Quality of texts, the browser-safe part: a trained classifier, rules that keep by score, perplexity. */
export type { ClassifierReport, HeldOutReport, LabelReport } from './classifier-report.ts';
export { GPT3_PARETO_ALPHA, keepByQuality, type QualityRule } from './keep-by-quality.ts';
export { type Classification, type ClassifierParameters, LinearClassifier } from './linear-classifier.ts';
export {
  DEFAULT_CLASSIFIER_OPTIONS,
  type LabelledText,
  type TrainClassifierOptions,
  trainClassifier,
} from './train-classifier.ts';
