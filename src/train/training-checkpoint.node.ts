/**
 * Checkpoints that training resumes from: a Hugging Face folder `step-000500/` with `optimizer.safetensors`
 * and `training.json` beside the model. A folder is complete or absent (it is filled under a temporary name
 * and renamed), so a kill at any moment leaves the previous one. Data order and random draws are functions
 * of the step, so the step number is all that has to be kept of them.
 *
 * Trained tensors that are no part of a model (a head, low-rank adapters) stand in optimizer.safetensors too, as
 * `parameter/NAME`; where only such are trained, the folder holds no model.
 */
import { access, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { removeStaleTemporaries, writeFileAtomic, writeFolderAtomic } from '../core/atomic-file.node.ts';
import { FormatError, messageOf, NotFiniteError, PlinthError } from '../core/errors.ts';
import { readJsonFile } from '../core/json-file.node.ts';
import { loadCheckpoint, type SaveCheckpointInput, saveCheckpoint } from '../model/checkpoint.node.ts';
import { parameterSpecs, type TransformerConfig } from '../model/config.ts';
import type { WeightArray } from '../model/initialize.ts';
import { SafetensorsFile, writeSafetensors } from '../model/safetensors.node.ts';
import type { TensorInput } from '../model/safetensors.ts';
import { type OptimizerSettings, STATE_KINDS } from './optimizer.ts';
import { initialState, readState, type TrainingState } from './training-step.ts';

const OPTIMIZER_FILE = 'optimizer.safetensors';
const TRAINING_FILE = 'training.json';
const ADVICE = 'Delete this folder to go on from the checkpoint before it.';
const FOLDER_NAME = /^step-(\d{6,})$/;

export interface TrainingMeta {
  readonly stage: string;
  readonly step: number;
  readonly numSteps: number;
  /** Identifies the settings; a run with others must not resume from here. */
  readonly fingerprint: string;
  /** False where the folder holds trained tensors and no model; set by `saveTraining`. */
  readonly holdsModel?: boolean;
}

export interface SavedTraining {
  readonly state: TrainingState;
  readonly meta: TrainingMeta;
  readonly path: string;
}

/**
 * Saves one step and deletes all but the newest `keep` (default 2) folders up to it; later ones are of another
 * run and stay. Returns the new folder's path. Throws NotFiniteError for a state that training cannot go on
 * from, and PlinthError `disk`; the checkpoints before are then as they were.
 */
export async function saveTraining(
  folder: string,
  config: TransformerConfig,
  state: TrainingState,
  meta: TrainingMeta,
  options: { keep?: number; files?: SaveCheckpointInput['files'] } = {},
): Promise<string> {
  const path = join(folder, stepName(meta.step));
  const weights = await readState(state, 'parameter/');
  checkFinite('parameter/', weights, meta.step);
  const optimizer: TensorInput[] = [];
  const inModel = new Set(parameterSpecs(config).map(({ name }) => name));
  const isModel = [...inModel].every((name) => weights.has(name));
  for (const [name, { shape, data }] of weights) {
    if (isModel && inModel.has(name)) continue;
    optimizer.push({ name: `parameter/${name}`, dtype: 'F32', shape, data });
  }
  for (const prefix of STATE_KINDS.map((kind) => `${kind}/`)) {
    const values = await readState(state, prefix);
    checkFinite(prefix, values, meta.step);
    for (const [name, { shape, data }] of values) {
      optimizer.push({ name: `${prefix}${name}`, dtype: 'F32', shape, data });
    }
  }
  const metaText = `${JSON.stringify(isModel ? meta : { ...meta, holdsModel: false }, null, 2)}\n`;
  const files = new Map([...(options.files ?? []), [TRAINING_FILE, metaText]]);
  const addFiles = (temporary: string) => writeSafetensors(join(temporary, OPTIMIZER_FILE), optimizer);
  if (isModel) {
    const model = new Map([...weights].filter(([name]) => inModel.has(name)));
    await saveCheckpoint(path, { config, weights: model, files, addFiles, overwrite: true });
  } else {
    await writeFolderAtomic(path, async (temporary) => {
      for (const [name, content] of files) await writeFileAtomic(join(temporary, name), content);
      await addFiles(temporary);
    });
  }
  const steps = (await savedSteps(folder)).filter((step) => step <= meta.step);
  for (const step of steps.slice(0, -Math.max(1, options.keep ?? 2))) {
    await deleteCheckpoint(join(folder, stepName(step)));
  }
  return path;
}

/** A step can come out finite and leave weights behind that are not: they show only in the step after. */
function checkFinite(
  prefix: string,
  values: ReadonlyMap<string, { data: Float32Array }>,
  step: number,
): void {
  for (const [name, { data }] of values) {
    // 0 times a value is 0, or NaN if it is not finite: a sum finds any without a branch for each.
    let zero = 0;
    for (let i = 0; i < data.length; i++) zero += 0 * data[i]!;
    if (zero === 0) continue;
    throw new NotFiniteError(
      step,
      `Step ${step} left values in "${prefix}${name}" that are not finite, so it was not saved; the checkpoint ` +
        'before it stays. Lower the learning rate or the clip norm.',
    );
  }
}

/** A folder without training.json is no checkpoint any more, so a kill in between leaves none that is half there. */
async function deleteCheckpoint(path: string): Promise<void> {
  try {
    await rm(join(path, TRAINING_FILE), { force: true });
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    throw new PlinthError('disk', `Could not delete the old checkpoint ${path}: ${messageOf(error)}.`, {
      cause: error,
    });
  }
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
 * cleared first. Throws PlinthError `format` or `disk` that says which folder is damaged.
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
    if (meta?.stage !== stage || meta.fingerprint !== fingerprint) continue;
    try {
      return { state: await readSaved(path, optimizer, meta.holdsModel ?? true), meta, path };
    } catch (error) {
      const isDamage = error instanceof PlinthError && (error.code === 'format' || error.code === 'disk');
      throw isDamage ? new PlinthError(error.code, `${error.message} ${ADVICE}`, { cause: error }) : error;
    }
  }
  return undefined;
}

async function readSaved(
  path: string,
  optimizer: OptimizerSettings,
  holdsModel: boolean,
): Promise<TrainingState> {
  const weights = new Map<string, WeightArray>(holdsModel ? (await loadCheckpoint(path)).weights : []);
  const file = await SafetensorsFile.open(join(path, OPTIMIZER_FILE));
  try {
    for (const [name, { shape }] of file.tensors) {
      if (!name.startsWith('parameter/')) continue;
      weights.set(name.slice('parameter/'.length), { shape, data: await file.readFloat32(name) });
    }
    const state = initialState(weights, optimizer);
    for (const [name, value] of state) {
      if (name.startsWith('parameter/')) continue;
      const info = file.tensors.get(name);
      if (!info || info.shape.join() !== value.shape.join()) {
        throw new FormatError(
          `${path}: ${OPTIMIZER_FILE} lacks "${name}" of shape [${value.shape.join(', ')}].`,
        );
      }
      state.set(name, { shape: value.shape, data: await file.readFloat32(name) });
    }
    return state;
  } finally {
    await file.close();
  }
}

async function clearedSteps(folder: string): Promise<number[]> {
  if (await exists(folder)) await removeStaleTemporaries(folder);
  return savedSteps(folder);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Undefined for a folder that is no checkpoint, or one that was being deleted. */
async function readMeta(path: string): Promise<TrainingMeta | undefined> {
  const file = join(path, TRAINING_FILE);
  const meta = (await readJsonFile(file, ADVICE)) as TrainingMeta | null | undefined;
  if (meta === undefined) return undefined;
  if (Number.isInteger(meta?.step) && basename(path) === stepName(meta!.step)) return meta!;
  throw new FormatError(`${file} is damaged (its step is not that of the folder). ${ADVICE}`);
}
