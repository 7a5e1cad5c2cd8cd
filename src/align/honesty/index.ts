/** What a model knows, data that follows it, and how well its probabilities come true. Browser-safe. */
export {
  type AbstentionData,
  type AbstentionOptions,
  abstentionData,
  type LabelledQuestion,
  type ProbedQuestion,
} from './abstention-data.ts';
export { type AnswerCount, answerEntropy, countAnswers, isAnswer, normalAnswer } from './answer-text.ts';
export { expectedCalibrationError, type JudgedProbability } from './calibration.ts';
export {
  type AnsweredQuestion,
  type FaultPairOptions,
  type FaultPairs,
  faultPairs,
  type GivenAnswer,
  honestyPairs,
  type ProbedAnswer,
} from './fault-pairs.ts';
export {
  countKnowledge,
  KNOWLEDGE_CLASSES,
  type Knowledge,
  type KnowledgeClass,
  type KnowledgeQuestion,
  knowledgeFrom,
  type ProbeOptions,
  probeKnowledge,
} from './probe-knowledge.ts';
export { answerProbability, type SampleOptions, sampleAnswers } from './sample-answers.ts';
