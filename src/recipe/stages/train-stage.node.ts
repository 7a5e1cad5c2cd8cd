/**
 * One training stage of a run (pre-training or finetuning): resumes from its newest checkpoint, trains to its
 * last step with validation, checkpoints and metrics, and hands the weights on.
 */
import type { EventSink, PlinthEvent, ValidationEvent } from '../../core/events.ts';
import type { BatchSource, TokenBatch } from '../../data/tokens/token-batch.ts';
import { bitsPerByte, targetBytes } from '../../evaluate/index.ts';
import type { SaveCheckpointInput } from '../../model/checkpoint.node.ts';
import { parameterSpecs, type TransformerConfig } from '../../model/config.ts';
import type { Weights } from '../../model/initialize.ts';
import { type Parametrisation, scalingOf } from '../../model/parametrisation.ts';
import type { Device } from '../../runtime/device.ts';
import { formatOperatorTimes } from '../../runtime/index.ts';
import type { Tokenizer } from '../../tokenizer/index.ts';
import { LossEvaluator } from '../../train/evaluate-loss.ts';
import { languageModelObjective, type Objective } from '../../train/objective.ts';
import type { OptimizerSettings } from '../../train/optimizer.ts';
import type { Schedule } from '../../train/schedule.ts';
import { type TrainResult, train } from '../../train/train.ts';
import { resumeTraining, savedSteps, saveTraining } from '../../train/training-checkpoint.node.ts';
import { initialState, readState } from '../../train/training-step.ts';

const CHECKPOINT_SECONDS = 30;
/** Validations in one stage. */
const NUM_VALIDATIONS = 8;
const NUM_VALIDATION_BATCHES = 4;

export interface TrainStageOptions {
  readonly stage: string;
  /** Where `step-000500/` folders go. */
  readonly checkpoints: string;
  /** Identifies the settings; checkpoints of others are not resumed from. */
  readonly fingerprint: string;
  readonly device: Device;
  readonly config: TransformerConfig;
  /** Weights to start from when there is no checkpoint. */
  readonly weights: () => Promise<Weights> | Weights;
  readonly tokenizer?: Tokenizer;
  /** tokenizer.json and the like, put into each checkpoint. */
  readonly files?: SaveCheckpointInput['files'];
  readonly batches: BatchSource;
  readonly validation?: BatchSource;
  readonly numSteps: number;
  readonly optimizer: OptimizerSettings;
  /** What `weights` were initialised under; standard when left out. Part of what a checkpoint must agree with. */
  readonly parametrisation?: Parametrisation | undefined;
  readonly schedule: Schedule;
  readonly clipNorm: number;
  readonly accumulate?: number;
  /** Seconds between checkpoints: what a kill can cost at most. 30 when left out. */
  readonly checkpointSeconds?: number;
  readonly peakGflops?: number;
  readonly profile?: boolean;
  readonly onEvent: EventSink;
  readonly signal?: AbortSignal;
  /** Called when training resumes after `step` (0 for a fresh start), before the first event. */
  readonly onResume?: (step: number) => Promise<void>;
  /** Keeps events; called in batches, before each checkpoint. */
  readonly keepEvents?: (events: readonly PlinthEvent[]) => Promise<void>;
}

export interface TrainStageResult extends TrainResult {
  readonly weights: Weights;
  /** True when the stage had been finished before and nothing was trained. */
  readonly wasFinished: boolean;
  /** The last one, after the last step. */
  readonly validation?: { readonly loss: number; readonly bitsPerByte: number };
}

export async function trainStage(options: TrainStageOptions): Promise<TrainStageResult> {
  const { stage, config, device, numSteps, optimizer, batches } = options;
  const specs = parameterSpecs(config);
  const scaling = scalingOf(config, options.parametrisation);
  const fingerprint = scaling
    ? `${options.fingerprint} ${JSON.stringify(options.parametrisation)}`
    : options.fingerprint;
  const saved = await resumeTraining(options.checkpoints, stage, fingerprint, optimizer);
  if (!saved && (await savedSteps(options.checkpoints)).length > 0) {
    options.onEvent({
      type: 'note',
      level: 'warning',
      message: `The checkpoints in ${options.checkpoints} are of other settings; ${stage} starts at step 0.`,
    });
  }
  const startStep = saved?.meta.step ?? 0;
  const state = saved?.state ?? initialState(await options.weights(), optimizer);
  await options.onResume?.(startStep);
  if (startStep >= numSteps) {
    const nothing = { steps: 0, loss: Number.NaN, tokensPerSecond: 0, gflops: 0, seconds: 0, tokens: 0 };
    return { ...nothing, weights: await readState(state, 'parameter/'), wasFinished: true };
  }
  const objective = objectiveFor(config, batches);
  const pending: PlinthEvent[] = [];
  let last: ValidationEvent | undefined;
  const onEvent: EventSink = (event) => {
    pending.push(event);
    if (event.type === 'validation') last = event;
    options.onEvent(event);
  };
  const flush = async () => options.keepEvents?.(pending.splice(0));
  const evaluator =
    options.validation &&
    (await LossEvaluator.compile(device, objectiveFor(config, options.validation), specs));
  const validation = options.validation && fixedBatches(options.validation);
  const validationBytes = validation && totalBytes(options.tokenizer, validation);
  try {
    const result = await train<TokenBatch>({
      stage,
      device,
      objective,
      parameters: specs,
      state,
      startStep,
      numSteps,
      batch: (index) => batches.batch(index),
      schedule: options.schedule,
      settings: {
        optimizer,
        clipNorm: options.clipNorm,
        accumulate: options.accumulate ?? 1,
        ...(scaling && { scaling }),
        ...(options.profile && { profile: true }),
      },
      ...(options.peakGflops && { peakGflops: options.peakGflops }),
      ...(evaluator &&
        validation &&
        validationBytes !== undefined && {
          validation: {
            everySteps: Math.max(1, Math.ceil(numSteps / NUM_VALIDATIONS)),
            run: async () => {
              const { loss, numItems } = await evaluator.run(state, validation);
              return { loss, bitsPerByte: bitsPerByte(loss, numItems, validationBytes) };
            },
          },
        }),
      checkpoint: {
        everySeconds: options.checkpointSeconds ?? CHECKPOINT_SECONDS,
        save: async (step) => {
          await flush();
          const meta = { stage, step, numSteps, fingerprint };
          return saveTraining(
            options.checkpoints,
            config,
            state,
            meta,
            options.files ? { files: options.files } : {},
          );
        },
      },
      onEvent,
      ...(options.signal && { signal: options.signal }),
    });
    if (result.operatorTimes) {
      onEvent({
        type: 'note',
        level: 'info',
        message: `Time by operator:\n${formatOperatorTimes(result.operatorTimes)}`,
      });
    }
    await flush();
    return {
      ...result,
      weights: await readState(state, 'parameter/'),
      wasFinished: false,
      ...(last && { validation: { loss: last.loss, bitsPerByte: last.bitsPerByte } }),
    };
  } catch (error) {
    // What went wrong first is what must be told.
    await flush().catch(() => {});
    throw error;
  } finally {
    await evaluator?.dispose();
  }
}

function objectiveFor(config: TransformerConfig, batches: BatchSource): Objective<TokenBatch> {
  return languageModelObjective(config, {
    batchSize: batches.batchSize,
    length: batches.sequenceLength,
    segments: true,
  });
}

function fixedBatches(source: BatchSource): TokenBatch[] {
  const numBatches = Math.min(
    NUM_VALIDATION_BATCHES,
    Math.max(1, Math.floor(source.rowsPerEpoch / source.batchSize)),
  );
  return Array.from({ length: numBatches }, (_, i) => source.batch(i));
}

function totalBytes(tokenizer: Tokenizer | undefined, batches: readonly TokenBatch[]): number {
  if (!tokenizer) return Number.NaN;
  return batches.reduce(
    (total, { targets, lossMask }) => total + targetBytes(tokenizer, targets, lossMask),
    0,
  );
}
