/**
 * What each stage of a chain does to one distribution: the tokens that are left with their probabilities, and the
 * tokens that are dropped. For people who tune a chain; sampling itself never runs this.
 */

import { ConfigError } from '../core/errors.ts';
import { Candidates } from './candidates.ts';
import { Sampler } from './chain.ts';
import type { Draws } from './draws.ts';
import { checkSetting } from './stage.ts';
import type { SamplerChain, StageSettings } from './stages.ts';

export interface ExplainOptions {
  readonly history?: ArrayLike<number>;
  readonly promptLength?: number;
  /** Needed where a stage draws (XTC). When given, the token drawn is told too. */
  readonly draws?: Draws;
  /** Tokens listed for each step; the counts are of all. Default 20. */
  readonly count?: number;
}

export interface ExplainedToken {
  readonly token: number;
  readonly score: number;
  /** Of all that are left; for dropped tokens, of all that were there before the stage. */
  readonly probability: number;
}

export interface ExplainedStep {
  /** Undefined for the first step: the model's own distribution. */
  readonly stage: StageSettings | undefined;
  /** Candidates left. */
  readonly numLeft: number;
  readonly numDropped: number;
  /** Probability that the dropped ones had before the stage. */
  readonly droppedProbability: number;
  /** Entropy of what is left, in nats. */
  readonly entropy: number;
  /** The best that are left, by falling score, lower ids first among equals. */
  readonly top: readonly ExplainedToken[];
  /** The most probable that the stage dropped. */
  readonly dropped: readonly ExplainedToken[];
}

export interface Explanation {
  readonly steps: readonly ExplainedStep[];
  /** The token that is drawn, where draws are given. */
  readonly token?: number;
}

const NO_DRAWS: Draws = {
  uniform() {
    throw new ConfigError(
      'Sampling, explain: a stage of this chain draws, and draws are not given; pass new KeyedDraws(seed, choice) set to ' +
        'the position.',
    );
  },
};

/**
 * The distribution before the first stage and after each one. A `Sampler` with state (mirostat) is explained as it
 * stands now and not moved on. Throws as `Sampler.sample` does.
 */
export function explain(
  logits: ArrayLike<number>,
  chain: SamplerChain | Sampler,
  options: ExplainOptions = {},
): Explanation {
  const { draws, count = 20, ...place } = options;
  checkSetting('explain', 'count', count, { least: 0, whole: true });
  const sampler = chain instanceof Sampler ? chain : new Sampler(chain);
  const candidates = new Candidates();
  const steps: ExplainedStep[] = [];
  let before = new Map<number, ExplainedToken>();
  sampler.runStepwise(candidates, logits, { draws: draws ?? NO_DRAWS, ...place }, (index) => {
    const left = tokensOf(candidates);
    const dropped = [...before.values()].filter(({ token }) => !left.has(token));
    steps.push({
      stage: sampler.chain[index],
      numLeft: candidates.size,
      numDropped: dropped.length,
      droppedProbability: dropped.reduce((sum, { probability }) => sum + probability, 0),
      entropy: candidates.entropy(),
      top: candidates.bestPlaces(count).map((i) => left.get(candidates.ids[i]!)!),
      dropped: dropped.sort((a, b) => b.score - a.score || a.token - b.token).slice(0, count),
    });
    before = left;
  });
  return { steps, ...(draws && { token: candidates.ids[candidates.placeAt(draws.uniform(0))]! }) };
}

function tokensOf(candidates: Candidates): Map<number, ExplainedToken> {
  const { ids, scores, size, maximum } = candidates;
  const total = candidates.totalWeight();
  const tokens = new Map<number, ExplainedToken>();
  for (let i = 0; i < size; i++) {
    const score = scores[i]!;
    tokens.set(ids[i]!, { token: ids[i]!, score, probability: Math.exp(score - maximum) / total });
  }
  return tokens;
}
