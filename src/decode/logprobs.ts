/** Log-probabilities of the tokens at one place, from the model's own scores. */
import { Candidates } from '../sampling/index.ts';
import type { PositionLogprobs } from './language-model.ts';

const candidates = new Candidates();

/** Of the token that was chosen, and of the `count` best. Throws PlinthError `not-finite` as sampling does. */
export function positionLogprobs(logits: Float32Array, token: number, count: number): PositionLogprobs {
  candidates.load(logits);
  const total = candidates.maximum + Math.log(candidates.totalWeight());
  const top: { token: number; logprob: number }[] = [];
  if (count > 0) {
    candidates.keepBestWhile((_, taken) => taken < count);
    for (let i = 0; i < candidates.size; i++) {
      top.push({ token: candidates.ids[i]!, logprob: candidates.scores[i]! - total });
    }
  }
  return { token, logprob: logits[token]! - total, top };
}
