/**
 * Whether stated probabilities come true: the expected calibration error (Naeini et al. 2015; Guo et al. 2017, eq. 3)
 * over bins of equal width.
 */
export interface JudgedProbability {
  readonly probability: number;
  readonly isRight: boolean;
}

const NUM_BINS = 10;

/** Mean distance between probability and share of right answers, weighted by bin; NaN for no answers. */
export function expectedCalibrationError(judged: readonly JudgedProbability[], numBins = NUM_BINS): number {
  const bins = Array.from({ length: numBins }, () => ({ count: 0, probability: 0, numRight: 0 }));
  for (const { probability, isRight } of judged) {
    const bin = bins[Math.min(numBins - 1, Math.floor(probability * numBins))]!;
    bin.count++;
    bin.probability += probability;
    bin.numRight += isRight ? 1 : 0;
  }
  const distance = bins.reduce((sum, bin) => sum + Math.abs(bin.probability - bin.numRight), 0);
  return distance / judged.length;
}
