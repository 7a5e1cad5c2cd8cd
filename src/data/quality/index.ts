/** Quality of texts, the browser-safe part: a trained classifier, rules that keep by score, perplexity. */
export type { ClassifierReport, HeldOutReport, LabelReport } from './classifier-report.ts';
export { GPT3_PARETO_ALPHA, keepByQuality, type QualityRule } from './keep-by-quality.ts';
export { type Classification, type ClassifierParameters, LinearClassifier } from './linear-classifier.ts';
export {
  type BucketShares,
  bucketOf,
  DEFAULT_BUCKET_SHARES,
  type LanguageThresholds,
  type PerplexityBucket,
  PerplexitySample,
  type PerplexityThresholds,
  perplexityBuckets,
  type ScoredText,
} from './perplexity-buckets.ts';
export { PerplexityModel, type PerplexityScorer, type TextSurprise } from './perplexity-model.ts';
export {
  DEFAULT_CLASSIFIER_OPTIONS,
  type LabelledText,
  type TrainClassifierOptions,
  trainClassifier,
} from './train-classifier.ts';
export {
  DEFAULT_PERPLEXITY_OPTIONS,
  type PerplexityModelOptions,
  type PerplexityTrainingReport,
  trainPerplexityModel,
} from './train-perplexity-model.ts';
