/**
 * How far a policy has moved from another one, estimated from the log-probabilities of what it chose itself (Schulman
 * 2020, "Approximating KL divergence"), and the weight that holds it near. All in nats; pure functions.
 */

/** Unbiased, and often below 0 for one token: log pi - log pi_ref. */
export function k1(logprob: number, referenceLogprob: number): number {
  return logprob - referenceLogprob;
}

/** Biased, never below 0: (log pi - log pi_ref)^2 / 2. */
export function k2(logprob: number, referenceLogprob: number): number {
  return 0.5 * (logprob - referenceLogprob) ** 2;
}

/** Unbiased and never below 0: e^x - x - 1 with x = log pi_ref - log pi. */
export function k3(logprob: number, referenceLogprob: number): number {
  const x = referenceLogprob - logprob;
  return Math.expm1(x) - x;
}

/** A KL weight that follows a target: Ziegler et al. 2019, section 2.2. */
export interface KlTarget {
  /** KL of an answer that the weight is steered to, in nats. */
  readonly target: number;
}

const MAX_ERROR = 0.2;
const GAIN = 0.1;

/** The weight after an iteration whose answers had a mean KL of `kl`: w (1 + 0.1 clip(kl / target - 1, -0.2, 0.2)). */
export function nextKlWeight(weight: number, kl: number, { target }: KlTarget): number {
  const error = Math.min(MAX_ERROR, Math.max(-MAX_ERROR, kl / target - 1));
  return weight * (1 + GAIN * error);
}
