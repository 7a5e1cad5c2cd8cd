/** Training, with checkpoints on disk. */
export * from './index.ts';
export {
  resumeTraining,
  type SavedTraining,
  saveTraining,
  type TrainingMeta,
} from './training-checkpoint.node.ts';
