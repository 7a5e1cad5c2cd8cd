/** Models, with checkpoint folders. */

export { loadAdapter, type SaveAdapterInput, saveAdapter } from './adapter/adapter.node.ts';
export {
  type Checkpoint,
  embeddingNames,
  type LoadCheckpointOptions,
  loadCheckpoint,
  type MixedCheckpoint,
  type SaveCheckpointInput,
  saveCheckpoint,
  stopTokenIds,
} from './checkpoint.node.ts';
export * from './export/index.node.ts';
export * from './index.ts';
export { SafetensorsFile, writeSafetensors } from './safetensors.node.ts';
