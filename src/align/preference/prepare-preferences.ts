/**
 * Everything a preference training needs that is not a file: from preferences in memory to an objective and its batches,
 * and how long a step of it takes. A pipeline that makes preferences itself begins here.
 */
import type { ReadReport } from '../../data/index.ts';
import type { TransformerConfig } from '../../model/config.ts';
import type { Weights } from '../../model/initialize.ts';
import type { Device } from '../../runtime/device.ts';
import type { ChatFormat, Tokenizer } from '../../tokenizer/index.ts';
import type { Objective } from '../../train/objective.ts';
import { DEFAULT_OPTIMIZER } from '../../train/optimizer.ts';
import { measureStepTime } from '../../train/step-time.ts';
import { onTrainable, type Trainable } from '../../train/trainable.ts';
import { SequenceScorer } from '../sequence-logprobs.ts';
import { PreferenceBatches, referenceLogprobs } from './preference-batches.ts';
import type { PreferenceRecord } from './preference-data.ts';
import { type PreferenceItem, preferenceItems } from './preference-items.ts';
import { PREFERENCE_LOSSES } from './preference-loss.ts';
import { type PreferenceBatch, preferenceObjective } from './preference-objective.ts';
import type { PreferenceSettings } from './preference-settings.ts';

/** The model that is trained, as it is before; it is the reference too. */
export interface PreferenceModel {
  readonly config: TransformerConfig;
  readonly weights: Weights;
  readonly tokenizer: Tokenizer;
  readonly chatFormat: ChatFormat;
  readonly padId: number;
}

export interface PreparePreferencesOptions {
  readonly model: PreferenceModel;
  readonly settings: PreferenceSettings;
  /** Items of a step: pairs, or labelled answers. */
  readonly batchSize: number;
  /** T: tokens of a row. */
  readonly length: number;
  readonly seed: number;
  readonly device: Device;
  /**
   * How the items' log-probabilities under the reference are got; they are computed when this is left out. Not asked
   * for by a loss that uses no reference.
   */
  readonly reference?: (items: readonly PreferenceItem[]) => Promise<Float32Array>;
}

export interface PreparedPreferences {
  readonly objective: Objective<PreferenceBatch>;
  readonly batches: PreferenceBatches;
  /** Preferences that were left out, with reasons. */
  readonly report: ReadReport;
}

/** Throws ConfigError for a shape that is none, DataError for preferences that the loss cannot be trained on. */
export async function preparePreferences(
  records: readonly PreferenceRecord[],
  options: PreparePreferencesOptions,
): Promise<PreparedPreferences> {
  const { model, settings, batchSize, length, seed, device } = options;
  const loss = PREFERENCE_LOSSES[settings.loss];
  const objective = preferenceObjective(model.config, { batchSize, length }, settings);
  const { items, report } = preferenceItems(records, loss, { ...model, length, seed });
  const scored = options.reference ?? ((rows) => scoreReference(device, model, rows, { batchSize, length }));
  const batches = new PreferenceBatches(items, {
    batchSize,
    length,
    seed,
    padId: model.padId,
    ...(loss.usesReference && { reference: await scored(items) }),
  });
  return { objective, batches, report };
}

async function scoreReference(
  device: Device,
  { config, weights }: PreferenceModel,
  items: readonly PreferenceItem[],
  shape: { readonly batchSize: number; readonly length: number },
): Promise<Float32Array> {
  const scorer = await SequenceScorer.compile(device, config, shape);
  try {
    return await referenceLogprobs(scorer, weights, items);
  } finally {
    await scorer.dispose();
  }
}

/** Seconds that a step takes on this device: the median of three after the first, on a state that is thrown away. */
export async function secondsPerPreferenceStep(
  { objective, batches }: PreparedPreferences,
  trainable: Trainable,
  device: Device,
): Promise<number> {
  const { secondsPerStep } = await measureStepTime({
    device,
    objective: onTrainable(objective, trainable),
    parameters: trainable.specs,
    initial: trainable.initial,
    optimizer: DEFAULT_OPTIMIZER,
    batch: (step) => batches.batch(step - 1),
    numWarmup: 1,
    numMeasured: 3,
  });
  return secondsPerStep;
}
