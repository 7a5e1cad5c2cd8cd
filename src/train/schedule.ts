/** Learning rates by step: warm-up, constant, decay (WSD; Hu et al. 2024), or a cosine. Pure functions. */
import { ConfigError } from '../core/errors.ts';

export interface Schedule {
  readonly kind: 'warmup-stable-decay' | 'cosine' | 'constant';
  /** Steps of linear warm-up from 0. In a run that is no longer than this, the rate only rises. */
  readonly warmupSteps: number;
  /** Share of all steps at the end over which the rate falls (warmup-stable-decay); never before the warm-up ends. */
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

const KINDS: readonly Schedule['kind'][] = ['warmup-stable-decay', 'cosine', 'constant'];
const DECAYS: readonly Schedule['decay'][] = ['linear', '1-sqrt'];

/** Throws ConfigError that names the field (as `name.field`) and what it may be. */
export function checkSchedule(schedule: Schedule, name = 'schedule'): void {
  const refuse = (field: keyof Schedule, expected: string) => {
    throw new ConfigError(`${name}.${field} must be ${expected}, got ${JSON.stringify(schedule[field])}.`);
  };
  if (!KINDS.includes(schedule.kind)) refuse('kind', `one of ${KINDS.join(', ')}`);
  if (!DECAYS.includes(schedule.decay)) refuse('decay', `one of ${DECAYS.join(', ')}`);
  if (!(Number.isInteger(schedule.warmupSteps) && schedule.warmupSteps >= 0))
    refuse('warmupSteps', 'a whole number of at least 0');
  for (const field of ['decayShare', 'finalShare'] as const) {
    if (!(schedule[field] >= 0 && schedule[field] <= 1)) refuse(field, 'within 0..1');
  }
}

/** The factor on the peak learning rate at step 1..numSteps. Throws ConfigError for an impossible schedule. */
export function scheduleFactor(schedule: Schedule, step: number, numSteps: number): number {
  checkSchedule(schedule);
  const { warmupSteps, decayShare, finalShare } = schedule;
  if (step < warmupSteps) return step / warmupSteps;
  if (schedule.kind === 'constant') return 1;
  const decaySteps = schedule.kind === 'cosine' ? numSteps : Math.round(numSteps * decayShare);
  const decayStart = Math.max(warmupSteps, numSteps - decaySteps);
  if (step <= decayStart) return 1;
  const progress = Math.min(1, (step - decayStart) / (numSteps - decayStart));
  return finalShare + (1 - finalShare) * fallAt(schedule, progress);
}

/** From 1 at progress 0 to 0 at progress 1. */
function fallAt({ kind, decay }: Schedule, progress: number): number {
  if (kind === 'cosine') return 0.5 * (1 + Math.cos(Math.PI * progress));
  return decay === 'linear' ? 1 - progress : 1 - Math.sqrt(progress);
}
