/** Post-training: finetuning, reward models, preferences, reinforcement. Browser-safe. */
export { rowTokenShape, SequenceScorer, sequenceForward, totalLogprob } from './sequence-logprobs.ts';
export { answeredRow, numActions, type RowShape, rowBatch, type SequenceRow } from './sequence-row.ts';
