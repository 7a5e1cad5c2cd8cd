/**
 * Several token counts from one training (Haegele et al. 2024, section 4): the trunk runs at the constant rate; where
 * the run of `end` steps would begin to decay, a branch leaves it, decays and ends. A branch's model is the very one
 * that a run of its own with this schedule would give, since both take the same steps. Pure functions.
 */
import { type Schedule, scheduleFactor } from '../../train/schedule.ts';

/** The factor on the peak rate in the trunk: warm-up, then 1. */
export function trunkFactor(schedule: Schedule, step: number): number {
  return scheduleFactor({ ...schedule, kind: 'constant' }, step, 1);
}

/** Steps that a run of `end` steps shares with the trunk. */
export function branchStart(schedule: Schedule, end: number): number {
  let low = 0;
  let high = end;
  // Once a schedule has left the trunk it stays away, so the last shared step can be bisected.
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    const isShared = scheduleFactor(schedule, middle, end) === trunkFactor(schedule, middle);
    if (isShared) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Steps to take for all ends together: the trunk once and each branch. */
export function totalSteps(schedule: Schedule, ends: readonly number[]): number {
  const starts = ends.map((end) => branchStart(schedule, end));
  const branches = ends.reduce((sum, end, i) => sum + end - starts[i]!, 0);
  return Math.max(0, ...starts) + branches;
}
