/**
 * Whether stated probabilities come true: the expected calibration error (Naeini et al. 2015; Guo et al. 2017, eq. 3)
 * over bins of equal width.
 */
export interface JudgedProbability {
  readonly probability: number;
  readonly isRight: boolean;
}

const NUM_BINS = 10;

/** Answers whose stated probability lies in [low, high), the last bin with its upper end. */
export interface ReliabilityBin {
  readonly low: number;
  readonly high: number;
  readonly count: number;
  /** Mean stated probability and share of right answers; NaN for no answers. */
  readonly probability: number;
  readonly share: number;
}

export function reliabilityBins(judged: readonly JudgedProbability[], numBins = NUM_BINS): ReliabilityBin[] {
  const sums = Array.from({ length: numBins }, () => ({ count: 0, probability: 0, numRight: 0 }));
  for (const { probability, isRight } of judged) {
    const bin = sums[Math.min(numBins - 1, Math.floor(probability * numBins))]!;
    bin.count++;
    bin.probability += probability;
    bin.numRight += isRight ? 1 : 0;
  }
  return sums.map(({ count, probability, numRight }, i) => ({
    low: i / numBins,
    high: (i + 1) / numBins,
    count,
    probability: probability / count,
    share: numRight / count,
  }));
}

/** Mean distance between probability and share of right answers, weighted by bin; NaN for no answers. */
export function expectedCalibrationError(judged: readonly JudgedProbability[], numBins = NUM_BINS): number {
  const bins = reliabilityBins(judged, numBins).filter(({ count }) => count > 0);
  const distance = bins.reduce((sum, bin) => sum + bin.count * Math.abs(bin.probability - bin.share), 0);
  return distance / judged.length;
}
