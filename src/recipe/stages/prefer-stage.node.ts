/**
 * The preference stage of a run: DPO on pairs made from the finetuned model's own answers, the finetuned model being
 * the reference. Only the gains of the last norm are trained. They decide how far apart the scores of tokens stand, and
 * with which directions of the last layer; facts are in the matrices before it and stay there. With all parameters
 * pairs of this kind took twenty points of right answers from a small model (lab/LOG.md).
 */
import type { PreferencePair } from '../../align/preference/preference-data.ts';
import { preferenceSettings } from '../../align/preference/preference-loss.ts';
import type { PreferenceBatch } from '../../align/preference/preference-objective.ts';
import { pairRows } from '../../align/preference/preference-rows.ts';
import { preparePreferences } from '../../align/preference/prepare-preferences.ts';
import { parameterSpecs, type TransformerConfig } from '../../model/config.ts';
import type { Weights } from '../../model/initialize.ts';
import type { ChatFormat, Tokenizer } from '../../tokenizer/index.ts';
import {
  type ResumableTrainingOptions,
  type ResumableTrainingResult,
  trainResumably,
} from '../../train/resumable-training.node.ts';
import type { Schedule } from '../../train/schedule.ts';
import { onTrainable, type Trainable } from '../../train/trainable.ts';

const LAST_NORM = 'model.norm.weight';
/** Tokens of a pair's rows at most; longer answers are left out and counted. */
const MAX_PAIR_LENGTH = 64;
const SCHEDULE: Schedule = {
  kind: 'warmup-stable-decay',
  warmupSteps: 5,
  decayShare: 0.9,
  finalShare: 0,
  decay: 'linear',
};

export interface PreferStageOptions
  extends Omit<
    ResumableTrainingOptions<PreferenceBatch>,
    'objective' | 'parameters' | 'initial' | 'batch' | 'isBoundary' | 'validate' | 'schedule'
  > {
  readonly config: TransformerConfig;
  /** The finetuned model. */
  readonly weights: Weights;
  readonly tokenizer: Tokenizer;
  readonly chatFormat: ChatFormat;
  readonly pairs: readonly PreferencePair[];
  /** Pairs of a step. */
  readonly batchSize: number;
  readonly seed: number;
}

export interface PreferStageResult extends ResumableTrainingResult {
  /** Pairs that were trained on. */
  readonly numPairs: number;
  /** Tokens of each of their answers with its prompt: what the reference read. */
  readonly lengths: readonly number[];
}

/** Undefined when no pair fits the model's rows: there is nothing to train on. `weights` are the whole model's. */
export async function preferStage(options: PreferStageOptions): Promise<PreferStageResult | undefined> {
  const { config, weights, tokenizer, chatFormat, pairs, batchSize, seed, ...common } = options;
  const length = Math.min(MAX_PAIR_LENGTH, config.maxPositionEmbeddings);
  const rows = pairs.map((pair) => pairRows(pair, { tokenizer, chatFormat, length }));
  const fitting = pairs.filter((_, i) => typeof rows[i] !== 'string');
  if (fitting.length < pairs.length) {
    options.onEvent({
      type: 'note',
      level: 'info',
      message: `${pairs.length - fitting.length} of ${pairs.length} pairs are longer than ${length} tokens and were left out.`,
    });
  }
  if (fitting.length === 0) {
    options.onEvent({
      type: 'note',
      level: 'warning',
      message: 'No answer of the finetuned model makes a pair: it stays as it is, without preferences.',
    });
    return undefined;
  }
  const { objective, batches } = await preparePreferences(
    fitting.map((pair) => ({ kind: 'pair', ...pair })),
    {
      model: { config, weights, tokenizer, chatFormat, padId: config.padTokenId! },
      settings: preferenceSettings('dpo'),
      batchSize,
      length,
      seed,
      device: options.device,
    },
  );
  const trainable = lastNorm(config, weights);
  const result = await trainResumably<PreferenceBatch>({
    ...common,
    config,
    objective: onTrainable(objective, trainable),
    parameters: trainable.specs,
    initial: () => trainable.initial,
    batch: (index) => batches.batch(index),
    schedule: SCHEDULE,
  });
  return {
    ...result,
    weights: trainable.merge(result.weights),
    numPairs: fitting.length,
    lengths: rows.flatMap((row) =>
      typeof row === 'string' ? [] : [row.chosen.tokens.length, row.rejected.tokens.length],
    ),
  };
}

/** The gains of the last norm; everything else is frozen. */
function lastNorm(config: TransformerConfig, weights: Weights): Trainable {
  const specs = parameterSpecs(config);
  const split = (isTrained: boolean) => specs.filter(({ name }) => (name === LAST_NORM) === isTrained);
  const valuesOf = (some: typeof specs) => new Map(some.map(({ name }) => [name, weights.get(name)!]));
  return {
    config,
    specs: split(true),
    initial: valuesOf(split(true)),
    frozen: valuesOf(split(false)),
    parameters: (trained, frozen) => ({ ...frozen, ...trained }),
    merge: (trained) => new Map(specs.map(({ name }) => [name, trained.get(name) ?? weights.get(name)!])),
  };
}
