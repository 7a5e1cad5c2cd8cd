/**
 * The cost of GPT-3 as it is often worked out, and the same with the peak that training has. Both are arithmetic on
 * the same 3.14e23 FLOPs (Brown et al. 2020, table D.1) and 256 H100 at $2 an hour; they differ by a factor of 16.4.
 */
import { findAccelerator, peakOf } from './accelerator.ts';
import { trainingCost } from './training-cost.ts';

const FLOPS = 3.14e23;
const NUM_ACCELERATORS = 256;
const PRICE_PER_HOUR = 2;
const UTILIZATION = 0.7;
/** What the usual reading takes an H100 to do in a day. */
const FLOPS_PER_DAY = 5.2e18;
const HOURS_PER_DAY = 24;
const SECONDS_PER_DAY = 86_400;

export interface Gpt3Reading {
  /** FLOP/s that the reading takes as the peak of one H100. */
  readonly peakFlops: number;
  readonly utilization: number;
  /** Days at the full peak, and at the utilization. */
  readonly daysAtPeak: number;
  readonly days: number;
  readonly dollars: number;
}

export interface Gpt3Example {
  readonly flops: number;
  readonly numAccelerators: number;
  readonly pricePerHour: number;
  /** Days rounded to whole ones before the price, as in the usual text; then unrounded. */
  readonly usual: Gpt3Reading & {
    readonly dollarsUnrounded: number;
    /** Days at the full peak, rounded: 236. */
    readonly roundedDays: number;
    /** The day on which a run of the rounded days ends at the utilization: 338. */
    readonly lastDay: number;
  };
  readonly densePeak: Gpt3Reading;
  readonly explanation: readonly string[];
}

export function gpt3Example(): Gpt3Example {
  const usualDays = FLOPS / (NUM_ACCELERATORS * FLOPS_PER_DAY);
  const roundedDays = Math.round(usualDays);
  const dollars = (days: number) => (PRICE_PER_HOUR * NUM_ACCELERATORS * HOURS_PER_DAY * days) / UTILIZATION;
  const { flopsPerSecond } = peakOf(findAccelerator('h100-sxm'));
  const densePeak = trainingCost({
    flops: FLOPS,
    accelerator: 'h100-sxm',
    numAccelerators: NUM_ACCELERATORS,
    utilization: UTILIZATION,
    pricePerHour: PRICE_PER_HOUR,
  });
  const usualPeak = FLOPS_PER_DAY / SECONDS_PER_DAY;
  return {
    flops: FLOPS,
    numAccelerators: NUM_ACCELERATORS,
    pricePerHour: PRICE_PER_HOUR,
    usual: {
      roundedDays,
      lastDay: Math.ceil(roundedDays / UTILIZATION),
      peakFlops: usualPeak,
      utilization: UTILIZATION,
      daysAtPeak: usualDays,
      // The price divides the rounded days by the utilization; only unrounded days are a duration.
      days: usualDays / UTILIZATION,
      dollars: dollars(roundedDays),
      dollarsUnrounded: dollars(usualDays),
    },
    densePeak: {
      peakFlops: flopsPerSecond,
      utilization: UTILIZATION,
      daysAtPeak: densePeak.days.typical * UTILIZATION,
      days: densePeak.days.typical,
      dollars: densePeak.dollars!.typical,
    },
    explanation: [
      `5.2e18 FLOPs a day are ${(usualPeak / 1e12).toFixed(1)} TFLOP/s: an H100 in plain FP32 (60 in its first data sheet, 67 now).`,
      `Models are trained in BF16 on tensor cores: ${flopsPerSecond / 1e12} TFLOP/s for dense matrices, ${(flopsPerSecond / usualPeak).toFixed(1)} times that.`,
      `"${roundedDays} days" is at 100 % utilization; the price is at 70 %, at which it takes ${roundedDays} / 0.7 = ${(roundedDays / UTILIZATION).toFixed(1)} days, into day ${Math.ceil(roundedDays / UTILIZATION)}.`,
      'The days are rounded before they are priced, which adds $2,152.09.',
      '70 % is more than published large runs reach: Llama 3 405B 38 to 43 %, PaLM 46 %. At 40 % the dense reading is 1.75 times as long and dear.',
    ],
  };
}
