/** The time of one step of next-token prediction on this machine, with fresh weights. */
import type { BatchSource } from '../../data/tokens/token-batch.ts';
import { parameterSpecs, type TransformerConfig } from '../../model/config.ts';
import { initializeWeights } from '../../model/initialize.ts';
import type { Device } from '../../runtime/device.ts';
import { languageModelObjective } from '../../train/objective.ts';
import type { OptimizerSettings } from '../../train/optimizer.ts';
import { measureStepTime } from '../../train/step-time.ts';

export function measureStep(
  device: Device,
  config: TransformerConfig,
  batches: BatchSource,
  optimizer: OptimizerSettings,
  signal?: AbortSignal,
): Promise<{ secondsPerStep: number; flopsPerStep: number }> {
  const { batchSize, sequenceLength: length } = batches;
  return measureStepTime({
    device,
    objective: languageModelObjective(config, { batchSize, length, segments: true }),
    parameters: parameterSpecs(config),
    initial: initializeWeights(config, 0),
    optimizer,
    batch: (step) => batches.batch(step),
    numWarmup: 2,
    numMeasured: 7,
    signal,
  });
}
