/**
 * What a plan believes about a text: a loss law with its uncertainty, and whether the law saw repeated passes over
 * the same tokens or single ones only. The two laws at the bottom are our own, for texts of which nothing is known.
 */
import { ConfigError } from '../../core/errors.ts';
import { effectiveTokens } from '../laws/data-constrained.ts';
import type { LossLawFit } from '../laws/fit-loss-law.ts';
import { type LossLaw, lossOf, type UncertainLaw } from '../laws/loss-law.ts';
import { type LossPrediction, predictLoss } from '../laws/predict-loss.ts';

export interface DataLaw {
  readonly law: LossLaw;
  /** Resamples and residuals of a fit, for intervals. */
  readonly fit?: UncertainLaw & Partial<Pick<LossLawFit, 'residuals' | 'numFree' | 'seed'>>;
  /** Half of the 95 % interval as a share of the loss, where there is no fit. */
  readonly spread?: number;
  /** The law's tokens are those trained on, repeats included; otherwise repeats count less (Muennighoff et al. 2023). */
  readonly countsRepeats: boolean;
}

export interface TrainingAmount {
  readonly params: number;
  /** Trained on, repeats included. */
  readonly tokens: number;
  /** Different tokens that there are; Infinity when there are always more. */
  readonly uniqueTokens?: number;
}

/** The loss that the law expects. Throws ConfigError for amounts that are not above 0. */
export function expectedLoss(
  data: DataLaw,
  { params, tokens, uniqueTokens }: TrainingAmount,
): LossPrediction {
  const at = { params, tokens: data.countsRepeats ? tokens : tokensThatCount(tokens, uniqueTokens) };
  if (data.fit) return predictLoss(data.fit, at);
  const loss = lossOf(data.law, at);
  if (data.spread === undefined) return { loss, interval: undefined, lawInterval: undefined };
  const interval = [loss * (1 - data.spread), loss * (1 + data.spread)] as const;
  return { loss, interval, lawInterval: interval };
}

function tokensThatCount(tokens: number, uniqueTokens = Number.POSITIVE_INFINITY): number {
  return tokens <= uniqueTokens ? tokens : effectiveTokens({ tokens, uniqueTokens });
}

/**
 * Tokens that a model of this size needs to reach a loss; Infinity when it never does. Found by bisection, since
 * repeats bend the law.
 */
export function tokensToReach(
  data: DataLaw,
  loss: number,
  { params, uniqueTokens }: { readonly params: number; readonly uniqueTokens?: number },
): number {
  if (!(loss > 0 && Number.isFinite(loss))) {
    throw new ConfigError(`The loss to reach must be a number above 0, got ${loss}.`);
  }
  const at = (tokens: number) =>
    expectedLoss(
      { law: data.law, countsRepeats: data.countsRepeats },
      { params, tokens, ...(uniqueTokens !== undefined && { uniqueTokens }) },
    ).loss;
  let low = Math.log(1e3);
  let high = Math.log(1e15);
  if (at(Math.exp(high)) > loss) return Number.POSITIVE_INFINITY;
  for (let i = 0; i < 80; i++) {
    const middle = (low + high) / 2;
    if (at(Math.exp(middle)) > loss) low = middle;
    else high = middle;
  }
  return Math.exp(high);
}
