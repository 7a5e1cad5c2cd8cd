/**
 * Checkpoints that training resumes from: a Hugging Face folder `step-000500/` with `optimizer.safetensors`
 * and `training.json` beside the model. A folder is complete or absent (it is filled under a temporary name
 * and renamed), so a kill at any moment leaves the previous one. Data order and random draws are functions
 * of the step, so the step number is all that has to be kept of them.
 */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { removeStaleTemporaries } from '../core/atomic-file.node.ts';
import { FormatError, messageOf } from '../core/errors.ts';
import { loadCheckpoint, type SaveCheckpointInput, saveCheckpoint } from '../model/checkpoint.node.ts';
import type { TransformerConfig } from '../model/config.ts';
import { SafetensorsFile, writeSafetensors } from '../model/safetensors.node.ts';
import type { TensorInput } from '../model/safetensors.ts';
import type { OptimizerSettings } from './optimizer.ts';
import { initialState, readState, type TrainingState } from './training-step.ts';

const OPTIMIZER_FILE = 'optimizer.safetensors';
const TRAINING_FILE = 'training.json';
const FOLDER_NAME = /^step-(\d{6,})$/;

export interface TrainingMeta {
  readonly stage: string;
  readonly step: number;
  readonly numSteps: number;
  /** Identifies the settings; a run with others must not resume from here. */
  readonly fingerprint: string;
}

export interface SavedTraining {
  readonly config: TransformerConfig;
  readonly state: TrainingState;
  readonly meta: TrainingMeta;
  readonly path: string;
}

/** Saves one step and deletes all but the newest `keep` folders. Returns the new folder's path. */
export async function saveTraining(
  folder: string,
  config: TransformerConfig,
  state: TrainingState,
  meta: TrainingMeta,
  options: { keep?: number; files?: SaveCheckpointInput['files'] } = {},
): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, stepName(meta.step));
  const weights = await readState(state, 'parameter/');
  const optimizer: TensorInput[] = [];
  for (const prefix of ['first/', 'second/', 'momentum/']) {
    for (const [name, { shape, data }] of await readState(state, prefix)) {
      optimizer.push({ name: `${prefix}${name}`, dtype: 'F32', shape, data });
    }
  }
  await saveCheckpoint(path, {
    config,
    weights,
    files: new Map([...(options.files ?? []), [TRAINING_FILE, `${JSON.stringify(meta, null, 2)}\n`]]),
    addFiles: (temporary) => writeSafetensors(join(temporary, OPTIMIZER_FILE), optimizer),
    overwrite: true,
  });
  const steps = await savedSteps(folder);
  for (const step of steps.slice(0, -Math.max(1, options.keep ?? 2))) {
    await rm(join(folder, stepName(step)), { recursive: true, force: true });
  }
  return path;
}

const stepName = (step: number) => `step-${String(step).padStart(6, '0')}`;

/** Steps with a folder, ascending. */
export async function savedSteps(folder: string): Promise<number[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch {
    return [];
  }
  return names
    .flatMap((name) => FOLDER_NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

/**
 * The newest checkpoint of a stage with this fingerprint, or undefined. Leftovers of a killed process are
 * cleared first. Throws FormatError when the folder's files do not fit together.
 */
export async function resumeTraining(
  folder: string,
  stage: string,
  fingerprint: string,
  optimizer: OptimizerSettings,
): Promise<SavedTraining | undefined> {
  const steps = await clearedSteps(folder);
  for (const step of steps.reverse()) {
    const path = join(folder, stepName(step));
    const meta = await readMeta(path);
    if (meta.stage !== stage || meta.fingerprint !== fingerprint) continue;
    const { config, weights } = await loadCheckpoint(path);
    const state = initialState(weights, optimizer);
    const file = await SafetensorsFile.open(join(path, OPTIMIZER_FILE));
    try {
      for (const [name, value] of state) {
        if (name.startsWith('parameter/')) continue;
        const info = file.tensors.get(name);
        if (!info || info.shape.join() !== value.shape.join()) {
          throw new FormatError(
            `${path}: ${OPTIMIZER_FILE} lacks "${name}" of shape [${value.shape.join(', ')}]. Delete this folder to start the stage again.`,
          );
        }
        state.set(name, { shape: value.shape, data: await file.readFloat32(name) });
      }
    } finally {
      await file.close();
    }
    return { config, state, meta, path };
  }
  return undefined;
}

async function clearedSteps(folder: string): Promise<number[]> {
  if (await exists(folder)) await removeStaleTemporaries(folder);
  return savedSteps(folder);
}

async function exists(folder: string): Promise<boolean> {
  return readdir(folder).then(
    () => true,
    () => false,
  );
}

async function readMeta(path: string): Promise<TrainingMeta> {
  const file = join(path, TRAINING_FILE);
  try {
    return JSON.parse(await readFile(file, 'utf8')) as TrainingMeta;
  } catch (error) {
    throw new FormatError(`${file}: ${messageOf(error)}. Delete this folder to start the stage again.`, {
      cause: error,
    });
  }
}
