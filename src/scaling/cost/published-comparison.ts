/** Published runs beside what this folder computes for them: the utilization that their hours mean, and the rest. */
import { findAccelerator, peakOf } from './accelerator.ts';
import { PUBLISHED_RUNS, type PublishedRun } from './published-runs.ts';
import { type TrainingCost, trainingCost } from './training-cost.ts';

export interface PublishedComparison {
  readonly run: PublishedRun;
  /** Of the whole run against the dense BF16 (or FP16) peak, restarts and idle hours included. */
  readonly impliedUtilization: number;
  /** By default terms: what one would have estimated before the run. */
  readonly estimate: TrainingCost;
  /** By the source's own terms: hours, price, power, PUE, grid. */
  readonly recomputed: { dollars: number | null; energyKWh: number | null; carbonKg: number | null };
}

export function publishedComparisons(): PublishedComparison[] {
  return PUBLISHED_RUNS.map((run) => {
    const { flopsPerSecond } = peakOf(findAccelerator(run.accelerator));
    const impliedUtilization = run.flops / (run.acceleratorHours * 3600 * flopsPerSecond);
    const theirs = trainingCost({
      flops: run.flops,
      accelerator: run.accelerator,
      utilization: impliedUtilization,
      hostFactor: 1,
      ...(run.pricePerHour !== undefined && { pricePerHour: run.pricePerHour }),
      ...(run.powerWatts !== undefined && { powerWatts: run.powerWatts }),
      ...(run.pue !== undefined && { pue: run.pue }),
      ...(run.carbonGramsPerKWh !== undefined && { carbonGramsPerKWh: run.carbonGramsPerKWh }),
    });
    return {
      run,
      impliedUtilization,
      estimate: trainingCost({ flops: run.flops, accelerator: run.accelerator }),
      recomputed: {
        dollars: run.pricePerHour === undefined ? null : theirs.dollars!.typical,
        energyKWh: run.powerWatts === undefined ? null : theirs.energyKWh!.typical,
        carbonKg: run.carbonGramsPerKWh === undefined ? null : theirs.carbonKg!.typical,
      },
    };
  });
}
