/**
 * Trains one size to all its token counts: the trunk, and from it a branch for each (`branches.ts`). Each finished
 * branch is measured on held-out text and handed on at once. Trunk and branch are saved every half minute, so a kill
 * costs little, and what comes after it is bit for bit what would have come without it.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CancelledError } from '../../core/errors.ts';
import type { EventSink } from '../../core/events.ts';
import type { BatchSource, TokenBatch } from '../../data/tokens/token-batch.ts';
import { parameterSpecs, type TransformerConfig } from '../../model/config.ts';
import { initializeWeights, type Weights } from '../../model/initialize.ts';
import { type Parametrisation, scalingOf } from '../../model/parametrisation.ts';
import type { Device } from '../../runtime/device.ts';
import { languageModelObjective } from '../../train/objective.ts';
import type { OptimizerSettings } from '../../train/optimizer.ts';
import { type Schedule, scheduleFactor } from '../../train/schedule.ts';
import { resumeTraining, saveTraining } from '../../train/training-checkpoint.node.ts';
import { initialState, readState, type TrainingState, TrainingStep } from '../../train/training-step.ts';
import { branchStart, totalSteps, trunkFactor } from './branches.ts';
import { type HeldOutBatches, HeldOutEvaluator, type HeldOutResult } from './held-out.ts';

export interface TrainSizeOptions {
  /** Name of the stage in events. */
  readonly stage: string;
  /** Where checkpoints go while this size is not finished. */
  readonly folder: string;
  /** Identifies everything that decides the weights; checkpoints of others are not resumed from. */
  readonly fingerprint: string;
  readonly device: Device;
  readonly config: TransformerConfig;
  readonly seed: number;
  readonly optimizer: OptimizerSettings;
  readonly parametrisation?: Parametrisation | undefined;
  readonly schedule: Schedule;
  readonly clipNorm: number;
  readonly batches: BatchSource;
  readonly heldOut: HeldOutBatches;
  /** Steps of each branch, rising. */
  readonly ends: readonly number[];
  /** Ends that were finished before. */
  readonly finished: ReadonlySet<number>;
  readonly checkpointSeconds: number;
  readonly peakGflops: number;
  readonly onEvent: EventSink;
  readonly signal?: AbortSignal;
  /** A branch is finished; called in order. The weights are those at its end. */
  readonly onBranch: (branch: FinishedBranch) => Promise<void>;
}

export interface FinishedBranch {
  readonly end: number;
  readonly heldOut: HeldOutResult;
  /** Of the matrix products of all its steps, those in the trunk included. */
  readonly flops: number;
  readonly seconds: number;
  readonly weights: () => Promise<Weights>;
}

const STOPPED = 'Stopped. The same command goes on from here.';
/** Weight of a new measurement in the running speed. */
const SPEED_SMOOTHING = 0.1;

/** Throws CancelledError after saving when the signal fires, NotFiniteError when training diverges. */
export async function trainSize(options: TrainSizeOptions): Promise<void> {
  const { ends, finished, schedule } = options;
  const open = ends.filter((end) => !finished.has(end));
  if (open.length === 0) return;
  const run = await SizeRun.open(options);
  try {
    // The trunk may be resumed only where no open branch has left it yet.
    let { state, step } = await run.resume(
      'trunk',
      Math.min(...open.map((end) => branchStart(schedule, end))),
    );
    for (const end of open) {
      const start = branchStart(schedule, end);
      step = await run.advance('trunk', state, { from: step, to: start, end: undefined });
      const isLast = end === open.at(-1);
      const trunk = isLast ? state : await copyOf(state);
      const branch = await run.resume(`branch-${end}`, end, { state, step: start });
      await run.advance(`branch-${end}`, branch.state, { from: branch.step, to: end, end });
      await run.finish(end, branch.state);
      state = trunk;
    }
    await rm(options.folder, { recursive: true, force: true });
  } finally {
    await run.dispose();
  }
}

/** Host copies: the program may write the next state over a buffer, and a branch must not change the trunk. */
async function copyOf(state: TrainingState): Promise<TrainingState> {
  const copy: TrainingState = new Map();
  for (const [name, value] of state) {
    const data = 'read' in value ? await value.read() : value.data;
    copy.set(name, { shape: value.shape, data: data.slice() });
  }
  return copy;
}

/** One size's compiled programs and clocks. */
class SizeRun {
  readonly #options: TrainSizeOptions;
  readonly #step: TrainingStep<TokenBatch>;
  readonly #evaluator: HeldOutEvaluator;
  readonly #totalSteps: number;
  readonly #ended = new Set<number>();
  #doneSteps = 0;
  #branchSeconds = performance.now();
  #secondsPerStep = 0;
  #savedMs = performance.now();

  private constructor(
    options: TrainSizeOptions,
    step: TrainingStep<TokenBatch>,
    evaluator: HeldOutEvaluator,
  ) {
    this.#options = options;
    this.#step = step;
    this.#evaluator = evaluator;
    this.#totalSteps = totalSteps(options.schedule, options.ends);
  }

  static async open(options: TrainSizeOptions): Promise<SizeRun> {
    const { device, config, batches, optimizer, clipNorm } = options;
    const shape = { batchSize: batches.batchSize, length: batches.sequenceLength, segments: true };
    const step = await TrainingStep.compile(
      device,
      languageModelObjective(config, shape),
      parameterSpecs(config),
      { optimizer, clipNorm, accumulate: 1, scaling: scalingOf(config, options.parametrisation) },
    );
    return new SizeRun(options, step, await HeldOutEvaluator.compile(device, config, batches));
  }

  /** The newest state of a part that is not beyond `latest`, or `fresh` (new weights when left out). */
  async resume(
    part: string,
    latest: number,
    fresh?: { state: TrainingState; step: number },
  ): Promise<{ state: TrainingState; step: number }> {
    const { folder, fingerprint, optimizer, config, seed, parametrisation } = this.#options;
    const saved = await resumeTraining(join(folder, part), part, fingerprint, optimizer);
    if (saved && saved.meta.step <= latest) return { state: saved.state, step: saved.meta.step };
    if (saved) await rm(join(folder, part), { recursive: true, force: true });
    return (
      fresh ?? { state: initialState(initializeWeights(config, seed, parametrisation), optimizer), step: 0 }
    );
  }

  /** Takes steps `from` + 1 to `to` and saves; rates are the trunk's, or those of a run of `end` steps. */
  async advance(
    part: string,
    state: TrainingState,
    { from, to, end }: { from: number; to: number; end: number | undefined },
  ): Promise<number> {
    const { batches, optimizer, schedule, signal, checkpointSeconds } = this.#options;
    this.#doneSteps = this.#stepsBefore(end) + from - (end === undefined ? 0 : branchStart(schedule, end));
    for (let step = from + 1; step <= to; step++) {
      if (signal?.aborted) {
        if (step > from + 1) await this.#save(part, state, step - 1);
        throw new CancelledError(STOPPED);
      }
      const startMs = performance.now();
      const factor = end === undefined ? trunkFactor(schedule, step) : scheduleFactor(schedule, step, end);
      const learningRate = optimizer.learningRate * factor;
      const batch = batches.batch(step - 1);
      const { loss, gradientNorm } = await this.#step.run(state, [batch], step, learningRate);
      this.#tell(step, loss, gradientNorm, learningRate, (performance.now() - startMs) / 1000);
      const isDue = performance.now() - this.#savedMs >= checkpointSeconds * 1000;
      if (isDue || (end === undefined && step === to)) await this.#save(part, state, step);
    }
    return Math.max(from, to);
  }

  /** Steps of all parts that come before a branch, or before the trunk goes on. */
  #stepsBefore(end: number | undefined): number {
    const { schedule, ends, finished } = this.#options;
    if (end === undefined) {
      const done = ends.filter((one) => finished.has(one) || this.#ended.has(one));
      return done.reduce((sum, one) => sum + one - branchStart(schedule, one), 0);
    }
    const before = ends.filter((one) => one < end);
    return (
      branchStart(schedule, end) + before.reduce((sum, one) => sum + one - branchStart(schedule, one), 0)
    );
  }
  #tell(step: number, loss: number, gradientNorm: number, learningRate: number, seconds: number): void {
    const { stage, batches, peakGflops, onEvent } = this.#options;
    this.#doneSteps++;
    const before = this.#secondsPerStep;
    this.#secondsPerStep = before === 0 ? seconds : before + SPEED_SMOOTHING * (seconds - before);
    const gflops = this.#step.flops / this.#secondsPerStep / 1e9;
    const stepTokens = batches.batchSize * batches.sequenceLength;
    onEvent({
      type: 'train-step',
      stage,
      step: this.#doneSteps,
      numSteps: this.#totalSteps,
      loss,
      learningRate,
      gradientNorm,
      tokens: step * stepTokens,
      tokensPerSecond: stepTokens / this.#secondsPerStep,
      gflops,
      shareOfPeak: gflops / peakGflops,
      secondsLeft: (this.#totalSteps - this.#doneSteps) * this.#secondsPerStep,
    });
  }

  async #save(part: string, state: TrainingState, step: number): Promise<void> {
    const { folder, fingerprint, config, stage, onEvent } = this.#options;
    const meta = { stage: part, step, numSteps: this.#totalSteps, fingerprint };
    const path = await saveTraining(join(folder, part), config, state, meta, { keep: 1 });
    this.#savedMs = performance.now();
    onEvent({ type: 'checkpoint', stage, step: this.#doneSteps, path });
  }

  /** Measures a branch's model and hands it on; then its checkpoints are of no use. */
  async finish(end: number, state: TrainingState): Promise<void> {
    const { heldOut, signal, onEvent, stage, folder, onBranch } = this.#options;
    const measured = await this.#evaluator.run(state, heldOut, signal);
    const { loss, bitsPerByte } = measured;
    onEvent({ type: 'validation', stage, step: this.#doneSteps, loss, bitsPerByte });
    const now = performance.now();
    await onBranch({
      end,
      heldOut: measured,
      flops: this.#step.flops * end,
      seconds: (now - this.#branchSeconds) / 1000,
      weights: () => readState(state, 'parameter/'),
    });
    this.#branchSeconds = now;
    this.#ended.add(end);
    await rm(join(folder, `branch-${end}`), { recursive: true, force: true });
  }

  async dispose(): Promise<void> {
    await this.#step.dispose();
    await this.#evaluator.dispose();
  }
}
