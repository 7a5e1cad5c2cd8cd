/**
 * What repeated data are worth (Muennighoff et al. 2023, "Scaling Data-Constrained Language Models"). U_D unique
 * tokens seen for R_D more epochs count as D' = U_D + U_D R*_D (1 - exp(-R_D / R*_D)) (eq. 5), parameters beyond what
 * suits U_D likewise as N' (eq. 6), and L = E + A / N'^alpha + B / D'^beta. Fitted on 182 runs of 7 M to 9 B parameters
 * and up to 500 epochs, with dropout and weight decay; the paper prints no intervals. It only levels off: real
 * losses rise again after very many epochs.
 */
import { ConfigError } from '../../core/errors.ts';
import {
  LOSS_LAWS,
  type LossLaw,
  requirePositive,
  TRAINING_FLOPS_PER_PARAMETER_AND_TOKEN,
} from './loss-law.ts';
import { type Optimum, optimalFor } from './optimum.ts';

/** Decay of repetitions: after so many, the tokens of the next epoch are worth 1 / e of new ones. */
export interface RepetitionDecay {
  readonly tokens: number;
  readonly params: number;
}

/** Muennighoff et al. 2023, appendix A: R*_D and R*_N. */
export const REPETITION_DECAY: RepetitionDecay = { tokens: 15.387756, params: 5.309743 };

/** The law that goes with REPETITION_DECAY. */
export const DATA_CONSTRAINED_LAW: LossLaw = LOSS_LAWS.muennighoff;

export interface DataConstrainedOptions {
  readonly law?: LossLaw;
  readonly decay?: RepetitionDecay;
}

export interface DataConstrainedPoint extends Optimum {
  readonly uniqueTokens: number;
  /** Passes over the unique tokens; below 1 when not all are used. */
  readonly epochs: number;
  /** D': new tokens that would give the same loss. */
  readonly effectiveTokens: number;
  /** N'. */
  readonly effectiveParams: number;
  /** What a token of the last epoch is worth against a new one, exp(-R_D / R*_D). */
  readonly lastTokenWorth: number;
}

/** D' for `tokens` seen in total, of which `uniqueTokens` differ. */
export function effectiveTokens(
  { tokens, uniqueTokens }: { readonly tokens: number; readonly uniqueTokens: number },
  decay: RepetitionDecay = REPETITION_DECAY,
): number {
  requirePositive('tokens', tokens);
  requirePositive('uniqueTokens', uniqueTokens);
  return saturate(tokens, Math.min(tokens, uniqueTokens), decay.tokens);
}

/** A model trained for `tokens` of which `uniqueTokens` differ. */
export function dataConstrainedPoint(
  run: { readonly params: number; readonly tokens: number; readonly uniqueTokens: number },
  { law = DATA_CONSTRAINED_LAW, decay = REPETITION_DECAY }: DataConstrainedOptions = {},
): DataConstrainedPoint {
  const { params, tokens, uniqueTokens } = run;
  requirePositive('params', params);
  const enough = effectiveTokens(run, decay);
  const used = Math.min(tokens, uniqueTokens);
  const suited = optimalFor(law, { tokens: used }).params;
  const effectiveParams = saturate(params, Math.min(params, suited), decay.params);
  return {
    params,
    tokens,
    flops: TRAINING_FLOPS_PER_PARAMETER_AND_TOKEN * params * tokens,
    loss: law.E + law.A * effectiveParams ** -law.alpha + law.B * enough ** -law.beta,
    tokensPerParameter: tokens / params,
    uniqueTokens,
    epochs: tokens / uniqueTokens,
    effectiveTokens: enough,
    effectiveParams,
    lastTokenWorth: Math.exp(-(tokens / used - 1) / decay.tokens),
  };
}

/**
 * The size and epochs with the lowest loss when N D = flops / 6 and no more than `uniqueTokens` differ. With plenty
 * of tokens this is `optimalFor(law, { flops })`. Found by search: the sum of two saturating terms has no closed form.
 */
export function dataConstrainedOptimum(
  { flops, uniqueTokens }: { readonly flops: number; readonly uniqueTokens: number },
  options: DataConstrainedOptions = {},
): DataConstrainedPoint {
  const { law = DATA_CONSTRAINED_LAW } = options;
  requirePositive('flops', flops);
  requirePositive('uniqueTokens', uniqueTokens);
  const free = optimalFor(law, { flops });
  const at = (logN: number) => {
    const params = Math.exp(logN);
    const tokens = flops / (TRAINING_FLOPS_PER_PARAMETER_AND_TOKEN * params);
    return dataConstrainedPoint({ params, tokens, uniqueTokens }, options);
  };
  if (free.tokens <= uniqueTokens) return at(Math.log(free.params));
  // Between the best size with endless data and ten times the size that sees every token once.
  const low = Math.log(free.params) - 6;
  const high = Math.log(flops / (TRAINING_FLOPS_PER_PARAMETER_AND_TOKEN * uniqueTokens)) + 3;
  return at(smallestOn((logN) => at(logN).loss, low, high));
}

export interface EpochWorth {
  readonly epochs: number;
  readonly effectiveTokens: number;
  /** Effective tokens over tokens seen. */
  readonly averageWorth: number;
  /** Of a token in the last of these epochs. */
  readonly lastTokenWorth: number;
}

/** What 1, 2, 4 ... epochs over the same tokens are worth. */
export function worthOfEpochs(
  uniqueTokens: number,
  epochs: readonly number[] = [1, 2, 4, 8, 16, 32, 64],
  decay: RepetitionDecay = REPETITION_DECAY,
): EpochWorth[] {
  return epochs.map((num) => {
    if (!(num >= 1)) throw new ConfigError(`'epochs' is ${num}; expected at least 1.`);
    const tokens = num * uniqueTokens;
    const effective = effectiveTokens({ tokens, uniqueTokens }, decay);
    return {
      epochs: num,
      effectiveTokens: effective,
      averageWorth: effective / tokens,
      lastTokenWorth: Math.exp(-(num - 1) / decay.tokens),
    };
  });
}

/** The epochs after which a repeated token is worth less than `worth` (default a half) of a new one. */
export function epochsUntilWorth(worth = 0.5, decay: RepetitionDecay = REPETITION_DECAY): number {
  if (!(worth > 0 && worth <= 1)) throw new ConfigError(`'worth' is ${worth}; expected above 0 and up to 1.`);
  return 1 - decay.tokens * Math.log(worth);
}

/** `total` of which `unique` count in full and the rest ever less. */
function saturate(total: number, unique: number, decay: number): number {
  return unique + unique * decay * (1 - Math.exp(-(total / unique - 1) / decay));
}

/** Where a function with one dip is least: a coarse grid, then a golden section. */
function smallestOn(value: (x: number) => number, from: number, to: number): number {
  const numSteps = 400;
  const step = (to - from) / numSteps;
  let best = from;
  for (let i = 1; i <= numSteps; i++) {
    if (value(from + i * step) < value(best)) best = from + i * step;
  }
  let low = best - step;
  let high = best + step;
  const golden = (Math.sqrt(5) - 1) / 2;
  for (let i = 0; i < 60; i++) {
    const left = high - golden * (high - low);
    const right = low + golden * (high - low);
    if (value(left) < value(right)) high = right;
    else low = left;
  }
  return (low + high) / 2;
}
