/**
 * The training loop. It owns the order of things (batch, step, validation, checkpoint, events) and nothing
 * else: what a step computes is the objective's, where state is saved is the caller's. Every step is a pure
 * function of the state before it and its number, so a run that resumes from a saved state goes on exactly
 * as if it had never stopped.
 */
import { CancelledError } from '../core/errors.ts';
import { type EventSink, ignoreEvents, type ValidationEvent } from '../core/events.ts';
import type { Device, OperatorTime } from '../runtime/device.ts';
import type { Objective } from './objective.ts';
import { type Schedule, scheduleFactor } from './schedule.ts';
import { type ParameterSpec, type StepSettings, type TrainingState, TrainingStep } from './training-step.ts';

export interface TrainOptions<Batch> {
  /** Name of the stage in events: 'pretrain', 'sft' ... */
  readonly stage: string;
  readonly device: Device;
  readonly objective: Objective<Batch>;
  readonly parameters: readonly ParameterSpec[];
  /** Changed in place, step by step. */
  readonly state: TrainingState;
  /** Steps already done; the first one taken is startStep + 1. */
  readonly startStep?: number;
  readonly numSteps: number;
  /**
   * Batch number `index` (0, 1, ...); step s uses `accumulate` of them. A function of `index` and the state at its
   * step alone (and of what it made at steps since a `checkpoint.isBoundary`), so that a resumed run repeats it.
   * May reject with CancelledError when the signal fires.
   */
  batch(index: number): Batch | Promise<Batch>;
  readonly schedule: Schedule;
  readonly settings: StepSettings;
  /** The machine's measured SGEMM rate, for the share of the peak. */
  readonly peakGflops?: number;
  /** Called after these steps and after the last one. */
  readonly validation?: {
    everySteps: number;
    run(step: number): Promise<ValidationFigures>;
  };
  /** Called when this many steps or seconds have passed, after the last step and when stopped. */
  readonly checkpoint?: {
    everySteps?: number;
    everySeconds?: number;
    /** Steps after which the run can be taken up again; it is saved and stopped after no other. Default: all. */
    isBoundary?(step: number): boolean;
    /** Returns where it was saved. */
    save(step: number): Promise<string>;
  };
  readonly onEvent?: EventSink;
  readonly signal?: AbortSignal;
}

export type ValidationFigures = Pick<ValidationEvent, 'loss' | 'bitsPerByte' | 'metrics'>;

export interface TrainResult {
  readonly steps: number;
  readonly loss: number;
  /** Of this call, without validation and checkpoints. */
  readonly tokensPerSecond: number;
  readonly gflops: number;
  readonly seconds: number;
  readonly tokens: number;
  readonly operatorTimes?: OperatorTime[];
}

/** Weight of a new measurement in the running speed. */
const SPEED_SMOOTHING = 0.1;

/**
 * Trains to `numSteps`. Throws CancelledError after saving when the signal fires, and NotFiniteError
 * (state and checkpoints of the last good step untouched) when a loss is not finite.
 */
export async function train<Batch>(options: TrainOptions<Batch>): Promise<TrainResult> {
  const { stage, objective, state, numSteps, settings, signal } = options;
  const onEvent = options.onEvent ?? ignoreEvents;
  const startStep = options.startStep ?? 0;
  const compiled = await TrainingStep.compile(options.device, objective, options.parameters, settings);
  const checkpoints = new CheckpointClock(options.checkpoint);
  let busySeconds = 0;
  let tokens = 0;
  let loss = Number.NaN;
  let smoothedSeconds = 0;
  try {
    for (let step = startStep + 1; step <= numSteps; step++) {
      if (signal?.aborted && options.checkpoint?.isBoundary?.(step - 1) !== false) {
        await checkpoints.save(step - 1, onEvent, stage);
        throw new CancelledError(
          `Stopped after step ${step - 1} of ${numSteps}. The same command goes on from here.`,
        );
      }
      const start = performance.now();
      const batches: Batch[] = [];
      try {
        for (let k = 0; k < settings.accumulate; k++)
          batches.push(await options.batch((step - 1) * settings.accumulate + k));
      } catch (error) {
        // A batch that takes long may give up at once: nothing of this step has happened yet.
        if (signal?.aborted) await checkpoints.save(step - 1, onEvent, stage);
        throw error;
      }
      const learningRate = settings.optimizer.learningRate * scheduleFactor(options.schedule, step, numSteps);
      const result = await compiled.run(state, batches, step, learningRate);
      const seconds = (performance.now() - start) / 1000;
      const stepTokens = batches.reduce((total, batch) => total + objective.numTokens(batch), 0);
      loss = result.loss;
      busySeconds += seconds;
      tokens += stepTokens;
      smoothedSeconds =
        smoothedSeconds === 0 ? seconds : smoothedSeconds + SPEED_SMOOTHING * (seconds - smoothedSeconds);
      const gflops = compiled.flops / smoothedSeconds / 1e9;
      const metrics = { ...result.metrics, ...objective.figures?.(batches) };
      onEvent({
        type: 'train-step',
        stage,
        step,
        numSteps,
        loss,
        learningRate,
        gradientNorm: result.gradientNorm,
        ...(Object.keys(metrics).length > 0 && { metrics }),
        tokens: step * stepTokens,
        tokensPerSecond: stepTokens / smoothedSeconds,
        gflops,
        shareOfPeak: options.peakGflops ? gflops / options.peakGflops : Number.NaN,
        secondsLeft: (numSteps - step) * smoothedSeconds,
      });
      const { validation } = options;
      if (validation && (step % validation.everySteps === 0 || step === numSteps)) {
        onEvent({ type: 'validation', stage, step, ...(await validation.run(step)) });
      }
      if (checkpoints.isDue(step) || step === numSteps) await checkpoints.save(step, onEvent, stage);
    }
    return {
      steps: numSteps - startStep,
      loss,
      tokensPerSecond: busySeconds > 0 ? tokens / busySeconds : 0,
      gflops: busySeconds > 0 ? (compiled.flops * (numSteps - startStep)) / busySeconds / 1e9 : 0,
      seconds: busySeconds,
      tokens,
      ...(settings.profile && { operatorTimes: await compiled.endProfiling() }),
    };
  } finally {
    await compiled.dispose();
  }
}

/** Decides when a checkpoint is due and remembers the last one, so that no step is saved twice. */
class CheckpointClock {
  readonly #settings: TrainOptions<unknown>['checkpoint'];
  #lastMs = performance.now();
  #lastStep = -1;

  constructor(settings: TrainOptions<unknown>['checkpoint']) {
    this.#settings = settings;
  }

  isDue(step: number): boolean {
    const { everySteps, everySeconds, isBoundary } = this.#settings ?? {};
    if (isBoundary?.(step) === false) return false;
    if (everySteps !== undefined && step % everySteps === 0) return true;
    return everySeconds !== undefined && performance.now() - this.#lastMs >= everySeconds * 1000;
  }

  async save(step: number, onEvent: EventSink, stage: string): Promise<void> {
    if (!this.#settings || step === this.#lastStep || step < 1) return;
    if (this.#settings.isBoundary?.(step) === false) return;
    const path = await this.#settings.save(step);
    this.#lastMs = performance.now();
    this.#lastStep = step;
    onEvent({ type: 'checkpoint', stage, step, path });
  }
}
