/** Learning rates by step: warm-up, constant, decay (WSD; Hu et al. 2024), or a cosine. Pure functions. */
import { ConfigError } from '../core/errors.ts';

export interface Schedule {
  readonly kind: 'warmup-stable-decay' | 'cosine' | 'constant';
  /** Steps of linear warm-up from 0. */
  readonly warmupSteps: number;
  /** Share of all steps at the end over which the rate falls (warmup-stable-decay). */
  readonly decayShare: number;
  /** The rate at the end as a share of the peak. */
  readonly finalShare: number;
  /** Form of the fall. */
  readonly decay: 'linear' | '1-sqrt';
}

export const DEFAULT_SCHEDULE: Schedule = {
  kind: 'warmup-stable-decay',
  warmupSteps: 20,
  decayShare: 0.4,
  finalShare: 0,
  decay: 'linear',
};

/** The factor on the peak learning rate at step 1..numSteps. */
export function scheduleFactor(schedule: Schedule, step: number, numSteps: number): number {
  const { warmupSteps, decayShare, finalShare } = schedule;
  if (!(decayShare >= 0 && decayShare <= 1))
    throw new ConfigError(`schedule.decayShare must be within 0..1, got ${decayShare}.`);
  if (step <= warmupSteps) return step / Math.max(1, warmupSteps);
  if (schedule.kind === 'constant') return 1;
  if (schedule.kind === 'cosine') {
    const progress = (step - warmupSteps) / Math.max(1, numSteps - warmupSteps);
    return finalShare + (1 - finalShare) * 0.5 * (1 + Math.cos(Math.PI * Math.min(1, progress)));
  }
  const decaySteps = Math.max(1, Math.round(numSteps * decayShare));
  const into = step - (numSteps - decaySteps);
  if (into <= 0) return 1;
  const progress = Math.min(1, into / decaySteps);
  const fall = schedule.decay === 'linear' ? 1 - progress : 1 - Math.sqrt(progress);
  return finalShare + (1 - finalShare) * fall;
}
