/** Training, with checkpoints on disk. */
export * from './index.ts';
export {
  type ResumableTrainingOptions,
  type ResumableTrainingResult,
  trainResumably,
} from './resumable-training.node.ts';
export {
  resumeTraining,
  type SavedTraining,
  saveTraining,
  type TrainingMeta,
} from './training-checkpoint.node.ts';
