/**
 * Contrastive search (Su et al. 2022, arXiv 2202.06417): of the `topK` most probable tokens the one that
 * maximises (1 - alpha) p(v) - alpha max_j cos(h_v, h_j), where h_v is the hidden state of the token when it is read
 * after the text so far, and h_j those of all tokens before it, the prompt's included. Every candidate is a row.
 */
import { PlinthError } from '../../core/errors.ts';
import type { AnswerGroup } from '../answer.ts';
import type { CompletionChunk } from '../language-model.ts';
import type { Branch, BranchRow } from '../sequence.ts';
import { HiddenStates } from './hidden-states.ts';
import { type ScoredToken, Search } from './search.ts';
import type { ContrastiveMethod, SearchSettings } from './search-settings.ts';

export class ContrastiveSearch extends Search<SearchSettings<ContrastiveMethod>> {
  readonly width: number;
  /** Of the prompt and the tokens chosen so far. */
  readonly #context = new HiddenStates();
  readonly #tokens: number[] = [];
  /** What the rows hold, and the scores that it was taken from. */
  #candidates: readonly ScoredToken[] = [];
  #logits: Float32Array | undefined;

  constructor(
    settings: SearchSettings<ContrastiveMethod>,
    group?: AnswerGroup,
    onChunk?: (chunk: CompletionChunk) => void,
  ) {
    super(settings, group, onChunk);
    this.width = settings.search.topK;
  }

  override get readsPrompt(): boolean {
    return true;
  }

  override readPlace(row: BranchRow): void {
    this.#context.add(row.hidden);
    super.readPlace(row);
  }

  advance(rows: readonly BranchRow[]): readonly Branch[] | undefined {
    const parent = this.#logits ? this.#choose(rows) : 0;
    if (this.#logits && !this.#take(this.#candidates[parent]!.token)) return undefined;
    const { logits, hidden } = rows[parent]!;
    this.#context.add(hidden);
    this.#logits = logits;
    this.#candidates = this.best(logits, this.#tokens, this.settings.search.topK);
    return this.#candidates.map(({ token }) => ({ parent, token }));
  }

  cancel(): void {
    this.finish('cancelled');
  }

  /** The row of the best candidate; the more probable one among equals. */
  #choose(rows: readonly BranchRow[]): number {
    const { alpha } = this.settings.search;
    let best = 0;
    let bestScore = Number.NEGATIVE_INFINITY;
    for (const [row, { hidden }] of rows.entries()) {
      const { token, logprob } = this.#candidates[row]!;
      const score = (1 - alpha) * Math.exp(logprob) - alpha * this.#context.maxCosine(hidden);
      if (Number.isNaN(score)) {
        throw new PlinthError(
          'not-finite',
          `Contrastive search: the hidden state of token ${token} is not finite. The weights are damaged, or ` +
            'training diverged: check the checkpoint.',
        );
      }
      if (score > bestScore) {
        bestScore = score;
        best = row;
      }
    }
    return best;
  }

  /** Adds a token to the answer; false when the answer ended. */
  #take(token: number): boolean {
    if (this.settings.stopTokens.has(token)) {
      this.finish('stop', token);
      return false;
    }
    this.answer.add(token, this.logprobsOf(this.#logits!, this.#tokens, token));
    this.#tokens.push(token);
    this.answer.give();
    if (this.answer.isStopped) this.finish('stop');
    else if (this.#tokens.length >= this.maxTokens) this.finish('length');
    else return true;
    return false;
  }
}
