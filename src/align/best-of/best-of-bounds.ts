/**
 * How far the best of n samples is from the model that they come from. Ties are broken by chance, as if rewards were
 * made strict by a tiny random addition. Pure functions; KL in nats.
 */
import { ConfigError } from '../../core/errors.ts';

function checkN(n: number): void {
  if (Number.isSafeInteger(n) && n >= 1) return;
  throw new ConfigError(`Best of n needs a whole number n of at least 1, got ${n}.`);
}

/**
 * log n - (n - 1) / n. Widely given as the KL divergence itself (Stiennon et al. 2020, appendix G.3); it is an upper
 * bound, far off where single answers have much probability (Beirami et al. 2024, theorem 1).
 */
export function bestOfKlBound(n: number): number {
  checkN(n);
  return Math.log(n) - (n - 1) / n;
}

/** n / (n + 1): how often the best of n can win against a single sample at most (Beirami et al. 2024, section 5). */
export function bestOfWinRateBound(n: number): number {
  checkN(n);
  return n / (n + 1);
}

/**
 * The probability that each outcome is the best of n: of an outcome with probability p, at q or below with all that
 * are worse, it is q^n - (q - p)^n.
 * @param probabilities of the outcomes, from the worst to the best; their sum is 1.
 */
export function bestOfProbabilities(probabilities: readonly number[], n: number): number[] {
  checkN(n);
  let below = 0;
  return probabilities.map((probability) => {
    const before = below;
    below = Math.min(1, below + probability);
    return below ** n - before ** n;
  });
}

/** The exact KL divergence of best-of-n from its model, over outcomes from the worst to the best. */
export function bestOfKl(probabilities: readonly number[], n: number): number {
  const best = bestOfProbabilities(probabilities, n);
  return best.reduce((sum, q, i) => (q > 0 ? sum + q * Math.log(q / probabilities[i]!) : sum), 0);
}

/**
 * An estimate of the KL divergence from the probability e of the answer that was best (Beirami et al. 2024, section 4):
 * (1 - e)^n (log n + (n - 1) log(1 - e) - (n - 1) / n) + (1 - (1 - e)^n) log((1 - (1 - e)^n) / e). It is the KL where
 * that answer is the best of all and the others are so many that each has no probability of its own; the bound where e
 * is 0, never above it. Take the mean over best answers.
 * @param bestLogprob log e, of the whole answer with its end; NaN gives NaN.
 */
export function bestOfKlEstimate(bestLogprob: number, n: number): number {
  checkN(n);
  if (Number.isNaN(bestLogprob)) return Number.NaN;
  const e = Math.min(1, Math.exp(bestLogprob));
  const logRest = Math.log1p(-e);
  const rest = Math.exp(n * logRest);
  // As e goes to 0 or to 1, one of the two terms vanishes, though its factors do not.
  const ofRest = rest > 0 ? rest * (bestOfKlBound(n) + (n - 1) * logRest) : 0;
  const ofBest = e > 0 ? -Math.expm1(n * logRest) * Math.log(-Math.expm1(n * logRest) / e) : 0;
  return Math.max(0, ofRest + ofBest);
}
