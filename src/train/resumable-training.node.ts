/**
 * A training that can be stopped or killed at any moment and goes on from its newest checkpoint: what pre-training,
 * finetuning, reward models, preferences and reinforcement have in common. It trains to its last step with
 * validation, checkpoints and metrics, and hands the trained tensors on.
 */
import type { EventSink, PlinthEvent, ValidationEvent } from '../core/events.ts';
import type { SaveCheckpointInput } from '../model/checkpoint.node.ts';
import type { TransformerConfig } from '../model/config.ts';
import type { Weights } from '../model/initialize.ts';
import type { Device } from '../runtime/device.ts';
import { formatOperatorTimes } from '../runtime/index.ts';
import type { Objective } from './objective.ts';
import type { Schedule } from './schedule.ts';
import { type TrainResult, train, type ValidationFigures } from './train.ts';
import { resumeTraining, savedSteps, saveTraining } from './training-checkpoint.node.ts';
import {
  initialState,
  type ParameterSpec,
  readState,
  type StepSettings,
  type TrainingState,
} from './training-step.ts';

const CHECKPOINT_SECONDS = 30;
/** Validations in one training. */
const NUM_VALIDATIONS = 8;

export interface ResumableTrainingOptions<Batch> {
  readonly stage: string;
  /** Where `step-000500/` folders go. */
  readonly checkpoints: string;
  /** Identifies the settings; checkpoints of others are not resumed from. */
  readonly fingerprint: string;
  readonly device: Device;
  readonly objective: Objective<Batch>;
  /** The tensors that are trained. */
  readonly parameters: readonly ParameterSpec[];
  /** Their values to start from when there is no checkpoint. */
  readonly initial: () => Promise<Weights> | Weights;
  /** Of the model that a checkpoint's folder is to hold. */
  readonly config: TransformerConfig;
  /** tokenizer.json and the like, put into each checkpoint. */
  readonly files?: SaveCheckpointInput['files'];
  /** As `TrainOptions.batch`; `state` is that before the step. */
  batch(index: number, state: TrainingState): Batch | Promise<Batch>;
  /** As `TrainOptions.checkpoint.isBoundary`. */
  isBoundary?(step: number): boolean;
  /** Called eight times a training and after the last step. */
  readonly validate?: (state: TrainingState) => Promise<ValidationFigures>;
  readonly numSteps: number;
  readonly settings: StepSettings;
  readonly schedule: Schedule;
  /** Seconds between checkpoints: what a kill can cost at most. 30 when left out. */
  readonly checkpointSeconds?: number;
  readonly peakGflops?: number;
  readonly onEvent: EventSink;
  readonly signal?: AbortSignal;
  /** Called when training resumes after `step` (0 for a fresh start), before the first event. */
  readonly onResume?: (step: number) => Promise<void>;
  /** Keeps events; called in batches, before each checkpoint. */
  readonly keepEvents?: (events: readonly PlinthEvent[]) => Promise<void>;
}

export interface ResumableTrainingResult extends TrainResult {
  /** The trained tensors by name. */
  readonly weights: Weights;
  /** True when the training had been finished before and nothing was trained. */
  readonly wasFinished: boolean;
  /** The last one, after the last step. */
  readonly validation?: ValidationFigures;
}

/**
 * Trains or resumes. Throws as `train` does: CancelledError after saving, NotFiniteError and disk errors with the last
 * good checkpoint kept.
 */
export async function trainResumably<Batch>(
  options: ResumableTrainingOptions<Batch>,
): Promise<ResumableTrainingResult> {
  const { stage, device, numSteps, settings, checkpoints, fingerprint, validate } = options;
  const saved = await resumeTraining(checkpoints, stage, fingerprint, settings.optimizer);
  if (!saved && (await savedSteps(checkpoints)).length > 0) {
    options.onEvent({
      type: 'note',
      level: 'warning',
      message: `The checkpoints in ${checkpoints} are of other settings; ${stage} starts at step 0.`,
    });
  }
  const startStep = saved?.meta.step ?? 0;
  const state = saved?.state ?? initialState(await options.initial(), settings.optimizer);
  await options.onResume?.(startStep);
  if (startStep >= numSteps) {
    const nothing = { steps: 0, loss: Number.NaN, tokensPerSecond: 0, gflops: 0, seconds: 0, tokens: 0 };
    return { ...nothing, weights: await readState(state, 'parameter/'), wasFinished: true };
  }
  const pending: PlinthEvent[] = [];
  let last: ValidationEvent | undefined;
  const onEvent: EventSink = (event) => {
    pending.push(event);
    if (event.type === 'validation') last = event;
    options.onEvent(event);
  };
  const flush = async () => options.keepEvents?.(pending.splice(0));
  try {
    const result = await train<Batch>({
      stage,
      device,
      objective: options.objective,
      parameters: options.parameters,
      state,
      startStep,
      numSteps,
      batch: (index) => options.batch(index, state),
      schedule: options.schedule,
      settings,
      ...(options.peakGflops && { peakGflops: options.peakGflops }),
      ...(validate && {
        validation: {
          everySteps: Math.max(1, Math.ceil(numSteps / NUM_VALIDATIONS)),
          run: () => validate(state),
        },
      }),
      checkpoint: {
        everySeconds: options.checkpointSeconds ?? CHECKPOINT_SECONDS,
        ...(options.isBoundary && { isBoundary: (step: number) => options.isBoundary!(step) }),
        save: async (step) => {
          await flush();
          const meta = { stage, step, numSteps, fingerprint };
          return saveTraining(
            checkpoints,
            options.config,
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
      ...(last && { validation: last }),
    };
  } catch (error) {
    // What went wrong first is what must be told.
    await flush().catch(() => {});
    throw error;
  }
}
