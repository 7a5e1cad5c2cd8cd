/** The search that a caller's options ask for. */
import type { AnswerGroup } from '../answer.ts';
import type { ModelFacts } from '../generation-settings.ts';
import type { CompletionChunk, GenerateOptions } from '../language-model.ts';
import { BeamSearch } from './beam-search.ts';
import { ContrastiveSearch } from './contrastive-search.ts';
import { searchSettings } from './search-settings.ts';

/** For options that have `search`. Throws ConfigError for options that a search cannot honour. */
export function startSearch(
  prompt: Int32Array,
  options: GenerateOptions,
  model: ModelFacts,
  seed: number,
  group?: AnswerGroup,
  onChunk?: (chunk: CompletionChunk) => void,
): BeamSearch | ContrastiveSearch {
  const { search, ...settings } = searchSettings(prompt, options, model, seed);
  return search.method === 'beam'
    ? new BeamSearch({ ...settings, search }, group, onChunk)
    : new ContrastiveSearch({ ...settings, search }, group, onChunk);
}
