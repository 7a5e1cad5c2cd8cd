/** How much of a model's scores a request looks at, so that the others need not be copied out of llama.cpp. */
import { Sampler } from '../../sampling/index.ts';
import type { GenerationSettings } from '../generation-settings.ts';

/** All scores, so many of the best, or only which one is the first best. */
export type WantedScores = 'all' | 'best' | { readonly top: number };

/**
 * The scores that choosing tokens by these settings depends on. Temperature keeps their order, so a chain whose
 * next stage is top-k never looks beyond the k best.
 */
export function wantedScores({ chain, logprobs }: GenerationSettings): WantedScores {
  if (logprobs !== undefined) return 'all';
  if (new Sampler(chain).isGreedy) return 'best';
  for (const stage of chain) {
    if (stage.stage === 'top-k') return { top: stage.k };
    const isPlain = Object.keys(stage).every((name) => name === 'stage' || name === 'temperature');
    if (stage.stage !== 'temperature' || !isPlain) return 'all';
  }
  return 'all';
}
