/**
 * Log-probabilities (nats) of a token and of the best ones: `raw`, the model's own before any stage, or
 * `processed`, under what a chain leaves, where a dropped token has -Infinity.
 */
import { Candidates } from './candidates.ts';
import { Sampler } from './chain.ts';
import { checkSetting, checkVocabulary, type SamplingPlace } from './stage.ts';
import type { SamplerChain } from './stages.ts';

export interface TokenLogprob {
  readonly token: number;
  readonly logprob: number;
}

export interface Logprobs extends TokenLogprob {
  /** The best tokens, falling; lower ids first among equals. */
  readonly top: readonly TokenLogprob[];
}

/** Which distribution log-probabilities are taken from. */
export type LogprobsMode =
  | { readonly mode: 'raw' }
  | ({ readonly mode: 'processed'; readonly sampler: Sampler | SamplerChain } & SamplingPlace);

const scratch = new Candidates();

/**
 * Of `token` and of the `count` best. With a sampler that has state (mirostat) ask before it draws the token, or
 * take `logprobsOf` in the observer of `Sampler.sample`, which costs no second run. Throws as `Sampler.sample` does.
 */
export function logprobs(
  logits: ArrayLike<number>,
  token: number,
  count: number,
  mode: LogprobsMode = { mode: 'raw' },
): Logprobs {
  checkVocabulary('logprobs', token, logits.length);
  if (mode.mode === 'raw') scratch.load(logits);
  else {
    const sampler = mode.sampler instanceof Sampler ? mode.sampler : new Sampler(mode.sampler);
    sampler.run(scratch, logits, mode);
  }
  return logprobsOf(scratch, token, count);
}

/** The same under candidates that a chain left. Leaves them as they are. */
export function logprobsOf(candidates: Candidates, token: number, count: number): Logprobs {
  checkSetting('logprobs', 'token', token, { least: 0, whole: true });
  checkSetting('logprobs', 'count', count, { least: 0, whole: true });
  const { scores, maximum } = candidates;
  const logTotal = Math.log(candidates.totalWeight());
  const place = candidates.placeOf(token);
  return {
    token,
    logprob: place < 0 ? Number.NEGATIVE_INFINITY : scores[place]! - maximum - logTotal,
    top: candidates
      .bestPlaces(count)
      .map((i) => ({ token: candidates.ids[i]!, logprob: scores[i]! - maximum - logTotal })),
  };
}
