/**
 * Utilization: the share of the peak that useful work reaches. Model FLOPs utilization (MFU) counts what the model
 * needs, hardware FLOPs utilization (HFU) also what is computed twice to save memory, so HFU is at least MFU.
 * PaLM (Chowdhery et al. 2022, section 4.1 and appendix B): MFU 46.2 %, HFU 57.8 %.
 */
import { checkCount, checkNumber, type Range } from './range.ts';

/**
 * What large runs reach of the dense BF16 peak while they run: Llama 3 405B 38 to 43 % (Dubey et al. 2024, table 4),
 * PaLM 46 %, GPT-3 on V100 20 % (Patterson et al. 2021). Over a whole run, restarts included, it is lower:
 * Llama 3.1 405B 35 %, DeepSeek-V3 33 % (published-runs.ts). A run on one chip or with small matrices has to be measured.
 */
export const TYPICAL_UTILIZATION: Range = { low: 0.3, typical: 0.4, high: 0.5 };

export interface MeasuredSpeed {
  /** FLOPs that training on one token needs: 6 x parameters, plus attention. */
  readonly flopsPerToken: number;
  /** Of all accelerators together. */
  readonly tokensPerSecond: number;
  /** Dense peak of one accelerator, FLOP/s. */
  readonly peakFlops: number;
  /** Default 1. */
  readonly numAccelerators?: number;
}

/**
 * Model FLOPs utilization of a measured speed. A result above 1 is returned as it is: then the peak is for another
 * format, or the FLOPs per token are too many.
 * @throws ConfigError for values that are not above 0
 */
export function mfu({
  flopsPerToken,
  tokensPerSecond,
  peakFlops,
  numAccelerators = 1,
}: MeasuredSpeed): number {
  checkNumber('The FLOPs per token', flopsPerToken);
  checkNumber('The tokens per second', tokensPerSecond);
  checkNumber('The peak in FLOP/s', peakFlops);
  checkCount('The number of accelerators', numAccelerators);
  return (flopsPerToken * tokensPerSecond) / (peakFlops * numAccelerators);
}

/**
 * Hardware FLOPs utilization: the backward pass costs two forward passes, so computing the forward pass again for a
 * share of the layers makes 3 units of work into 3 + share.
 * @param speed as for `mfu`
 * @param recomputedShare of the forward pass: 0 nothing, 1 full recomputation of activations
 */
export function hfu(speed: MeasuredSpeed, recomputedShare: number): number {
  checkNumber('The recomputed share', recomputedShare, { atLeast: 0, atMost: 1 });
  return mfu(speed) * (1 + recomputedShare / 3);
}
