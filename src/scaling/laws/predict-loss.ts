/** The loss of a run that was not made, with an interval from the resamples and the scatter of the points. */
import { KeyedRandom } from '../../core/random.ts';
import { widening } from './bootstrap-laws.ts';
import type { LossLawFit } from './fit-loss-law.ts';
import { lossOf, type UncertainLaw } from './loss-law.ts';
import { type Interval, percentileInterval } from './percentile-interval.ts';

export interface LossPrediction {
  /** Of the fitted law. */
  readonly loss: number;
  /** Middle 95 % for the loss that a new run shows: uncertainty of the law and scatter of single runs. */
  readonly interval: Interval | undefined;
  /** Middle 95 % for the law's own value, without the scatter of a run. */
  readonly lawInterval: Interval | undefined;
}

/** Each resample is met with so many drawn residuals. */
const RESIDUALS_PER_RESAMPLE = 8;

/** Intervals are undefined when the law has no resamples. Throws ConfigError unless both numbers are above 0. */
export function predictLoss(
  fit: UncertainLaw & Partial<Pick<LossLawFit, 'residuals' | 'numFree' | 'seed'>>,
  at: { readonly params: number; readonly tokens: number },
): LossPrediction {
  const loss = lossOf(fit.law, at);
  const { resamples, residuals = [], numFree = 0, seed = 0 } = fit;
  if (resamples.length === 0) return { loss, interval: undefined, lawInterval: undefined };
  const losses = resamples.map((law) => lossOf(law, at));
  const lawInterval = percentileInterval(losses);
  if (residuals.length === 0) return { loss, interval: lawInterval, lawInterval };
  const random = new KeyedRandom(seed).fork('scatter of a new run');
  const wider = widening(residuals.length, numFree);
  const scattered = new Float64Array(losses.length * RESIDUALS_PER_RESAMPLE);
  for (let i = 0; i < scattered.length; i++) {
    const residual = residuals[random.integer(i, residuals.length)]!;
    scattered[i] = losses[i % losses.length]! * Math.exp(wider * residual);
  }
  return { loss, interval: percentileInterval(scattered), lawInterval };
}
