/** The time of one training step on this machine, by taking a few of them on a throwaway state. */
import { CancelledError } from '../../core/errors.ts';
import type { BatchSource } from '../../data/tokens/token-batch.ts';
import { parameterSpecs, type TransformerConfig } from '../../model/config.ts';
import { initializeWeights } from '../../model/initialize.ts';
import type { Device } from '../../runtime/device.ts';
import { languageModelObjective } from '../../train/objective.ts';
import type { OptimizerSettings } from '../../train/optimizer.ts';
import { initialState, TrainingStep } from '../../train/training-step.ts';

const WARMUP_STEPS = 2;
const MEASURED_STEPS = 7;

export async function measureStep(
  device: Device,
  config: TransformerConfig,
  batches: BatchSource,
  optimizer: OptimizerSettings,
  signal?: AbortSignal,
): Promise<{ secondsPerStep: number; flopsPerStep: number }> {
  const objective = languageModelObjective(config, {
    batchSize: batches.batchSize,
    length: batches.sequenceLength,
    segments: true,
  });
  const step = await TrainingStep.compile(device, objective, parameterSpecs(config), {
    optimizer,
    clipNorm: 1,
    accumulate: 1,
  });
  const state = initialState(initializeWeights(config, 0), optimizer);
  const seconds: number[] = [];
  for (let i = 1; i <= WARMUP_STEPS + MEASURED_STEPS; i++) {
    if (signal?.aborted) throw new CancelledError();
    const start = performance.now();
    await step.run(state, [batches.batch(i)], i, 0);
    if (i > WARMUP_STEPS) seconds.push((performance.now() - start) / 1000);
  }
  await step.dispose();
  for (const value of state.values()) if ('dispose' in value) value.dispose();
  seconds.sort((a, b) => a - b);
  return { secondsPerStep: seconds[MEASURED_STEPS >> 1]!, flopsPerStep: step.flops };
}
