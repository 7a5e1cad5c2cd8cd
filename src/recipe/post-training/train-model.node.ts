/**
 * What every post-training does with a model's folder: train with one objective, resumably, in a `TrainingFolder`,
 * with the optimizer and the schedule that finetuning uses.
 */
import type { EventSink } from '../../core/events.ts';
import type { Device } from '../../runtime/device.ts';
import { measureSgemm } from '../../runtime/index.ts';
import type { Objective } from '../../train/objective.ts';
import { DEFAULT_OPTIMIZER } from '../../train/optimizer.ts';
import {
  type ResumableTrainingOptions,
  type ResumableTrainingResult,
  trainResumably,
} from '../../train/resumable-training.node.ts';
import type { Schedule } from '../../train/schedule.ts';
import { onTrainable, type Trainable } from '../../train/trainable.ts';
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

const BASE_WIDTH = 128;
const MAX_WARMUP_STEPS = 10;

/** A rate for a width of 128, falling with the width of a wider model. */
export function rateForWidth(rate: number, hiddenSize: number): number {
  return rate * Math.min(1, BASE_WIDTH / hiddenSize);
}

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
  const { stage, folder, device, model, trainable, numSteps } = options;
  const result = await trainResumably<Batch>({
    stage,
    checkpoints: folder.file('checkpoints', stage),
    fingerprint: folder.fingerprint,
    device,
    objective: onTrainable(options.objective, trainable),
    parameters: trainable.specs,
    initial: () => trainable.initial,
    config: model.config,
    files: model.files,
    batch: (index, state) => options.batch(index, state),
    ...(options.isBoundary && { isBoundary: (step: number) => options.isBoundary!(step) }),
    ...(options.validate && { validate: options.validate }),
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
  });
  await addToReport(folder, { accounting: await accountForTraining(folder, stage) });
  return result;
}
