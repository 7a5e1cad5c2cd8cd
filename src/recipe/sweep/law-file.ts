/** `law.json`: a fitted law with its resamples and the points behind it, for whatever plans with it later. */
import type { LossLawFit } from '../../scaling/index.ts';
import { scalingPoints } from './extrapolate.ts';
import { SWEEP_PARAMETERS, type SweepPoint } from './sweep.ts';

export function formatLawFile(fit: LossLawFit, points: readonly SweepPoint[]): object {
  const { law, resamples, intervals, residuals, numFree, objective, warnings } = fit;
  return {
    kind: 'loss-law',
    law,
    parameters: SWEEP_PARAMETERS,
    intervals,
    objective,
    numFree,
    warnings,
    residuals,
    resamples,
    points: scalingPoints(points),
  };
}
