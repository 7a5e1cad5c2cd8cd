/** Models, with checkpoint folders. */
export {
  type Checkpoint,
  loadCheckpoint,
  type SaveCheckpointInput,
  saveCheckpoint,
  stopTokenIds,
} from './checkpoint.node.ts';
export * from './index.ts';
export { SafetensorsFile, writeSafetensors } from './safetensors.node.ts';
