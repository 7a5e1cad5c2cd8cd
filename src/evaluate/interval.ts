/** Confidence intervals for shares. */

/** Two-sided 95 % quantile of the normal distribution. */
const Z95 = 1.959963984540054;

/**
 * Wilson's score interval for `numCorrect` of `numTrials` (Wilson 1927): keeps its coverage at shares near 0
 * and 1, where the normal approximation fails. [0, 1] when nothing was tried.
 */
export function wilsonInterval(numCorrect: number, numTrials: number, z = Z95): [low: number, high: number] {
  if (numTrials === 0) return [0, 1];
  const share = numCorrect / numTrials;
  const z2 = (z * z) / numTrials;
  const centre = (share + z2 / 2) / (1 + z2);
  const half = (z * Math.sqrt((share * (1 - share)) / numTrials + z2 / (4 * numTrials))) / (1 + z2);
  return [
    numCorrect === 0 ? 0 : Math.max(0, centre - half),
    numCorrect === numTrials ? 1 : Math.min(1, centre + half),
  ];
}
