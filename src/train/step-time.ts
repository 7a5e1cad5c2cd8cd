/** The time of one training step on a device, by taking a few of them on a state that is thrown away. */
import { CancelledError } from '../core/errors.ts';
import type { Weights } from '../model/initialize.ts';
import type { Device } from '../runtime/device.ts';
import type { Objective } from './objective.ts';
import type { OptimizerSettings } from './optimizer.ts';
import { initialState, type ParameterSpec, TrainingStep } from './training-step.ts';

export interface StepTimeOptions<Batch> {
  readonly device: Device;
  readonly objective: Objective<Batch>;
  readonly parameters: readonly ParameterSpec[];
  readonly initial: Weights;
  readonly optimizer: OptimizerSettings;
  /** Of step 1, 2, ... */
  batch(step: number): Batch;
  /** Steps before those that count. */
  readonly numWarmup: number;
  readonly numMeasured: number;
  readonly signal?: AbortSignal | undefined;
}

/** The median of the measured steps. Throws CancelledError when the signal fires. */
export async function measureStepTime<Batch>(
  options: StepTimeOptions<Batch>,
): Promise<{ secondsPerStep: number; flopsPerStep: number }> {
  const { optimizer, numWarmup, numMeasured, signal } = options;
  const step = await TrainingStep.compile(options.device, options.objective, options.parameters, {
    optimizer,
    clipNorm: 1,
    accumulate: 1,
  });
  const state = initialState(options.initial, optimizer);
  try {
    const seconds: number[] = [];
    for (let i = 1; i <= numWarmup + numMeasured; i++) {
      if (signal?.aborted) throw new CancelledError();
      const start = performance.now();
      await step.run(state, [options.batch(i)], i, 0);
      if (i > numWarmup) seconds.push((performance.now() - start) / 1000);
    }
    seconds.sort((a, b) => a - b);
    return { secondsPerStep: seconds[numMeasured >> 1]!, flopsPerStep: step.flops };
  } finally {
    await step.dispose();
    for (const value of state.values()) if ('dispose' in value) value.dispose();
  }
}
