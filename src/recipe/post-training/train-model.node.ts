/**
 * What every post-training does with a model's folder: train with one objective, resumably, in a `TrainingFolder`,
 * with the optimizer and the schedule that finetuning uses.
 */
import type { EventSink } from '../../core/events.ts';
import type { Device } from '../../runtime/device.ts';
import { measureSgemm } from '../../runtime/index.ts';
import { LossEvaluator } from '../../train/evaluate-loss.ts';
import type { Objective } from '../../train/objective.ts';
import { DEFAULT_OPTIMIZER } from '../../train/optimizer.ts';
import {
  type ResumableTrainingOptions,
  type ResumableTrainingResult,
  trainResumably,
} from '../../train/resumable-training.node.ts';
import type { Schedule } from '../../train/schedule.ts';
import type { ValidationFigures } from '../../train/train.ts';
import { onTrainable, type Trainable } from '../../train/trainable.ts';
import type { TrainingState } from '../../train/training-step.ts';
import type { TrainingFolder } from '../training-folder.node.ts';
import type { ChatModel } from './chat-model.node.ts';
import { accountForTraining, addToReport } from './training-report.node.ts';

export interface TrainModelOptions<Batch>
  extends Pick<
    ResumableTrainingOptions<Batch>,
    'batch' | 'isBoundary' | 'validate' | 'numSteps' | 'checkpointSeconds'
  > {
  readonly stage: string;
  readonly folder: TrainingFolder;
  readonly device: Device;
  readonly model: ChatModel;
  readonly trainable: Trainable;
  /** On the model's parameters. */
  readonly objective: Objective<Batch>;
  /** Kept aside: the objective's figures on them are told eight times and at the end. Default: none. */
  readonly validation?: () => Iterable<Batch>;
  /** The peak. */
  readonly learningRate: number;
  readonly weightDecay?: number;
  /** Default: a cosine down to a tenth after a short warm-up. */
  readonly schedule?: Schedule;
  readonly clipNorm?: number;
  readonly accumulate?: number;
  readonly onEvent: EventSink;
  readonly signal?: AbortSignal;
}

const MAX_WARMUP_STEPS = 10;

export function finetuningSchedule(numSteps: number): Schedule {
  return {
    kind: 'cosine',
    warmupSteps: Math.min(MAX_WARMUP_STEPS, Math.ceil(numSteps / 10)),
    decayShare: 0,
    finalShare: 0.1,
    decay: 'linear',
  };
}

/** Call after `folder.decide`: its fingerprint is that of the checkpoints. The weights are those that were trained. */
export async function trainModel<Batch>(options: TrainModelOptions<Batch>): Promise<ResumableTrainingResult> {
  const { stage, folder, device, model, trainable, numSteps, validation } = options;
  const objective = onTrainable(options.objective, trainable);
  const evaluator = validation && (await LossEvaluator.compile(device, objective, trainable.specs));
  const validate =
    options.validate ??
    (evaluator &&
      (async (state: TrainingState): Promise<ValidationFigures> => {
        const { loss, metrics } = await evaluator.run(state, validation());
        return { loss, ...(Object.keys(metrics).length > 0 && { metrics }) };
      }));
  const result = await trainResumably<Batch>({
    stage,
    checkpoints: folder.file('checkpoints', stage),
    fingerprint: folder.fingerprint,
    device,
    objective,
    parameters: trainable.specs,
    initial: () => trainable.initial,
    config: model.config,
    files: model.files,
    batch: (index, state) => options.batch(index, state),
    ...(options.isBoundary && { isBoundary: (step: number) => options.isBoundary!(step) }),
    ...(validate && { validate }),
    numSteps,
    ...(options.checkpointSeconds !== undefined && { checkpointSeconds: options.checkpointSeconds }),
    settings: {
      optimizer: {
        ...DEFAULT_OPTIMIZER,
        learningRate: options.learningRate,
        ...(options.weightDecay !== undefined && { weightDecay: options.weightDecay }),
      },
      clipNorm: options.clipNorm ?? 1,
      accumulate: options.accumulate ?? 1,
    },
    schedule: options.schedule ?? finetuningSchedule(numSteps),
    peakGflops: await measureSgemm(device),
    onEvent: options.onEvent,
    ...(options.signal && { signal: options.signal }),
    onResume: (step) => folder.cutMetrics(step),
    keepEvents: (events) => folder.appendMetrics(events),
  }).finally(() => evaluator?.dispose());
  await addToReport(folder, { accounting: await accountForTraining(folder, stage) });
  return result;
}
