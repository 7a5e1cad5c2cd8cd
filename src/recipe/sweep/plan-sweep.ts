/**
 * Minutes in, a ladder and its token counts out. All sizes read the same token counts, so that size and tokens vary
 * independently and the held-back size lies beyond the others in one direction only. Pure functions of measured times.
 */
import { ConfigError } from '../../core/errors.ts';
import type { Schedule } from '../../train/schedule.ts';
import { totalSteps } from './branches.ts';
import { chooseLadder } from './ladder.ts';
import type { SweepShape } from './sweep.ts';

export const SWEEP_RULES = {
  /** Token counts of a size, as shares of the most: a factor of 1.6 apart. */
  tokenShares: [0.244, 0.39, 0.625, 1],
  /** Passes over the text. Four are worth nearly as much as new text (Muennighoff et al. 2023, section 6). */
  maxEpochs: 4,
  /** The largest size of a ladder reads so many tokens for each of its weights, or is not chosen. */
  minTokensPerParameter: 4,
  /** Steps of the longest training: below the first no ladder is planned, below the second no larger one is chosen. */
  minSteps: 40,
  minLargestSteps: 250,
  /** Part of the budget that is planned for, and that a machine that slows down may use. */
  plannedShare: 0.92,
  settledShare: 0.97,
  /** Seconds for the fit and the report. */
  finalSeconds: 8,
  /** Seconds of each size beside its steps: compiling, saving. */
  secondsPerSize: 2,
  /** Time of a batch without its backward pass, in parts of a training step. */
  forwardShare: 0.35,
  /** Held-out tokens, and the part of the time that reading them may take. */
  heldOutTokens: 131_072,
  minHeldOutTokens: 16_384,
  heldOutShare: 0.12,
  /** How far token counts may be cut when the machine turns out slower than measured. */
  leastSettled: 0.4,
} as const;

/** A size with what was measured of it. */
export interface MeasuredSize {
  readonly shape: SweepShape;
  readonly total: number;
  readonly nonEmbedding: number;
  readonly secondsPerStep: number;
  readonly flopsPerStep: number;
}

export interface BranchPlan {
  /** Steps of each branch of every size, rising. */
  readonly ends: readonly number[];
  readonly schedule: Schedule;
  readonly numHeldOutTokens: number;
  /** Training and evaluation of all sizes that are trained. */
  readonly seconds: number;
}

export interface BranchBudget {
  /** Times of one step of the sizes that are trained. */
  readonly secondsPerStep: readonly number[];
  /** For all of it, compiling included. */
  readonly seconds: number;
  readonly schedule: Schedule;
  /** False keeps the warm-up as it is. */
  readonly shortenWarmup: boolean;
  readonly tokensPerStep: number;
  /** Different tokens of training text, and tokens of held-out text. */
  readonly numTokens: number;
  readonly numHeldOutTokens: number;
}

/**
 * The longest trainings that fit. Throws ConfigError, with the minutes that would do, when even the shortest do not,
 * or when the text is too small for them.
 */
export function planBranches(budget: BranchBudget): BranchPlan {
  const { tokensPerStep, numTokens, schedule } = budget;
  const most = Math.floor((SWEEP_RULES.maxEpochs * numTokens) / tokensPerStep);
  if (most < SWEEP_RULES.minSteps) {
    throw new ConfigError(
      `The training text has ${numTokens} tokens: even ${SWEEP_RULES.maxEpochs} passes over it are only ${most} steps of ` +
        `${tokensPerStep} tokens, and a sweep needs ${SWEEP_RULES.minSteps}. Give more text or a smaller batch size.`,
    );
  }
  const numHeldOutTokens = heldOutTokensFor(budget);
  const plan = (steps: number): BranchPlan => {
    const ends = endsOf(steps);
    const fitted = budget.shortenWarmup ? shortWarmup(schedule, ends[0]!) : schedule;
    return {
      ends,
      schedule: fitted,
      numHeldOutTokens,
      seconds: secondsOf(budget, fitted, ends, numHeldOutTokens),
    };
  };
  const least = plan(SWEEP_RULES.minSteps);
  if (least.seconds > budget.seconds) {
    throw new ConfigError(
      `There are ${budget.seconds.toFixed(0)} s left to train this ladder, and the shortest sweep of it takes ` +
        `${least.seconds.toFixed(0)} s on this machine. Give ${minutesMore(least.seconds - budget.seconds)} more minutes, fewer --sizes or a smaller batch size.`,
    );
  }
  let low: number = SWEEP_RULES.minSteps;
  let high = most;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (plan(middle).seconds <= budget.seconds) low = middle;
    else high = middle - 1;
  }
  return plan(low);
}

const minutesMore = (seconds: number) => Math.ceil(seconds / 6) / 10;

/** Different, rising, and the last one `steps`. */
function endsOf(steps: number): number[] {
  return SWEEP_RULES.tokenShares.map((share) => Math.round(share * steps));
}

/** A warm-up that leaves the shortest training most of its steps. */
function shortWarmup(schedule: Schedule, shortest: number): Schedule {
  return { ...schedule, warmupSteps: Math.min(schedule.warmupSteps, Math.floor(shortest / 5)) };
}

function secondsOf(
  { secondsPerStep, tokensPerStep }: Pick<BranchBudget, 'secondsPerStep' | 'tokensPerStep'>,
  schedule: Schedule,
  ends: readonly number[],
  numHeldOutTokens: number,
): number {
  const evaluations = ends.length * Math.ceil(numHeldOutTokens / tokensPerStep) * SWEEP_RULES.forwardShare;
  const steps = totalSteps(schedule, ends) + evaluations;
  return secondsPerStep.reduce((sum, one) => sum + SWEEP_RULES.secondsPerSize + steps * one, 0);
}

function heldOutTokensFor({
  secondsPerStep,
  seconds,
  tokensPerStep,
  numHeldOutTokens,
}: BranchBudget): number {
  const { heldOutTokens, minHeldOutTokens, heldOutShare, forwardShare, tokenShares } = SWEEP_RULES;
  const perBatch = secondsPerStep.reduce((sum, one) => sum + one, 0) * forwardShare * tokenShares.length;
  const affordable = Math.floor((heldOutShare * seconds) / perBatch) * tokensPerStep;
  return Math.min(numHeldOutTokens, Math.max(minHeldOutTokens, Math.min(heldOutTokens, affordable)));
}

/** Seconds that a plan gives to one size. */
export function plannedSecondsOf(
  plan: Pick<BranchPlan, 'ends' | 'schedule' | 'numHeldOutTokens'>,
  secondsPerStep: number,
  tokensPerStep: number,
): number {
  const times = { secondsPerStep: [secondsPerStep], tokensPerStep };
  return secondsOf(times, plan.schedule, plan.ends, plan.numHeldOutTokens);
}

/**
 * The ends that fit into the time left for the sizes that are still to be trained: those planned, or fewer tokens when
 * the machine has become slow. Never below `leastSettled` of the plan, even if that takes longer.
 */
export function settleEnds(
  plan: Pick<BranchPlan, 'ends' | 'schedule' | 'numHeldOutTokens'>,
  left: {
    readonly seconds: number;
    /** Of each remaining size, at the speed that the machine has now. */
    readonly secondsPerStep: readonly number[];
    readonly tokensPerStep: number;
  },
): readonly number[] {
  const { ends, schedule, numHeldOutTokens } = plan;
  const last = ends.at(-1)!;
  const cut = (share: number): readonly number[] => {
    const end = Math.round(share * last);
    // Token counts that the other sizes have too stay where they are; only the last one moves.
    return share === 1 ? ends : [...ends.filter((one) => one < 0.9 * end), end];
  };
  for (let percent = 100; percent > 100 * SWEEP_RULES.leastSettled; percent--) {
    const some = cut(percent / 100);
    if (secondsOf(left, schedule, some, numHeldOutTokens) <= left.seconds) return some;
  }
  return cut(SWEEP_RULES.leastSettled);
}

/** Measures a shape when asked; the same shape is asked for once. */
export type MeasureShape = (shape: SweepShape) => Promise<MeasuredSize>;

export interface LadderRequest {
  readonly menu: readonly SweepShape[];
  readonly numSizes: number;
  readonly trainLargest: boolean;
  /** Weights of a shape, all of them. */
  readonly total: (shape: SweepShape) => number;
  readonly measure: MeasureShape;
  readonly budget: () => Omit<BranchBudget, 'secondsPerStep'>;
}

/**
 * The ladder with the largest last size that still reads enough tokens for its weights, all sizes measured. Times of
 * sizes that were not measured yet are guessed from the nearest one that was, by their operations.
 */
export async function measureLadder(request: LadderRequest): Promise<MeasuredSize[]> {
  const { menu, numSizes } = request;
  const measured = new Map<SweepShape, MeasuredSize>();
  const measure = async (shape: SweepShape) => {
    if (!measured.has(shape)) measured.set(shape, await request.measure(shape));
    return measured.get(shape)!;
  };
  const smallestTop = numSizes - 1;
  await measure(menu[Math.min(2, smallestTop)]!);
  let top = smallestTop;
  for (;;) {
    const rate = guessRate(request.total, [...measured.values()]);
    top = largestTop(request, rate);
    const shape = menu[top]!;
    if (measured.has(shape)) break;
    await measure(shape);
  }
  const sizes: MeasuredSize[] = [];
  for (const shape of chooseLadder(menu, top, numSizes)) sizes.push(await measure(shape));
  return sizes;
}

function largestTop(request: LadderRequest, secondsPerStep: (shape: SweepShape) => number): number {
  const { menu, numSizes, trainLargest, total } = request;
  const budget = request.budget();
  for (let top = menu.length - 1; top > numSizes - 1; top--) {
    const ladder = chooseLadder(menu, top, numSizes);
    const trained = trainLargest ? ladder : ladder.slice(0, -1);
    const largest = menu[top]!;
    try {
      const plan = planBranches({ ...budget, secondsPerStep: trained.map(secondsPerStep) });
      const steps = plan.ends.at(-1)!;
      const tokensPerParameter = (steps * budget.tokensPerStep) / total(largest);
      if (steps >= SWEEP_RULES.minLargestSteps && tokensPerParameter >= SWEEP_RULES.minTokensPerParameter)
        return top;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
    }
  }
  return numSizes - 1;
}

/** Seconds of a step of any shape: as measured, or as fast for each weight as the nearest measured one. */
function guessRate(
  total: (shape: SweepShape) => number,
  measured: readonly MeasuredSize[],
): (shape: SweepShape) => number {
  return (shape) => {
    const size = total(shape);
    const distance = (one: MeasuredSize) => Math.abs(Math.log(one.total / size));
    const nearest = measured.reduce((best, one) => (distance(one) < distance(best) ? one : best));
    return (nearest.secondsPerStep * size) / nearest.total;
  };
}
