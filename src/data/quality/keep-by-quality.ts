/**
 * Keep or drop by a quality score in [0, 1]: a plain threshold, or the softer rule of GPT-3 (Brown et al. 2020,
 * arXiv:2005.14165, appendix A), which keeps a share of what scores low so that the data does not narrow to what the
 * classifier likes. Draws are keyed by the document's id: the same document meets the same fate in any order and shard.
 */
import { ConfigError } from '../../core/errors.ts';
import { keyedUniform } from '../keyed-split.ts';

export type QualityRule =
  /** Keep from this score on. FineWeb-Edu keeps from 3 of 5 points on its own scale. */
  | { threshold: number }
  /** Keep when a Pareto (Lomax) draw with shape alpha is above 1 - score; GPT-3 has alpha 9. */
  | { pareto: number; seed: number };

/** GPT-3's shape: a text of score 0 is kept one time in 2^9, one of score .5 one time in 1.5^9 = 38. */
export const GPT3_PARETO_ALPHA = 9;

/**
 * @param id of the document, for the draw; a threshold needs none
 * @throws ConfigError for a rule or score out of range
 */
export function keepByQuality(score: number, rule: QualityRule, id = ''): boolean {
  if (!(score >= 0 && score <= 1)) {
    throw new ConfigError(`The quality score is ${score}; expected a number from 0 to 1.`);
  }
  if ('threshold' in rule) {
    if (!(rule.threshold >= 0 && rule.threshold <= 1)) {
      throw new ConfigError(`threshold is ${rule.threshold}; expected a number from 0 to 1.`);
    }
    return score >= rule.threshold;
  }
  if (!(rule.pareto > 0)) throw new ConfigError(`pareto is ${rule.pareto}; expected a positive shape, as 9.`);
  if (id === '') throw new ConfigError('The Pareto rule draws by document id; got an empty id.');
  // P(draw > x) = (1 + x)^-alpha, so (1 - u)^(-1 / alpha) - 1 is such a draw.
  const draw = (1 - keyedUniform(rule.seed, 'quality', id)) ** (-1 / rule.pareto) - 1;
  return draw > 1 - score;
}
