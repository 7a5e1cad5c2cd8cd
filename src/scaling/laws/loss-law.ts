/**
 * The parametric law of a language model's loss, L(N, D) = E + A / N^alpha + B / D^beta (Hoffmann et al. 2022,
 * eq. 2), with the constants that papers printed. N is the number of parameters (Hoffmann: all of them, embeddings
 * too), D the number of tokens of one pass, L in nats a token of the paper's own tokenizer and text. So a loss is
 * comparable within one law only, and a law says nothing about text unlike the one it was fitted on.
 */
import { ConfigError } from '../../core/errors.ts';
import { nearestName } from '../../core/nearest-name.ts';
import { EPOCH_RESAMPLES } from './epoch-resamples.ts';

/** One finished training run: parameters N, tokens D, loss in nats a token. Compute is 6 N D. */
export interface ScalingPoint {
  readonly params: number;
  readonly tokens: number;
  readonly loss: number;
}

/** The five numbers of L(N, D) = E + A / N^alpha + B / D^beta. */
export interface LawConstants {
  /** Loss of an infinite model on infinite text: the entropy of the text under its tokenizer. */
  readonly E: number;
  readonly A: number;
  readonly B: number;
  readonly alpha: number;
  readonly beta: number;
}

export interface LossLaw extends LawConstants {
  readonly name: string;
  /** Where the constants come from, for people. */
  readonly source: string;
}

/** A law with other laws that the same data allow (bootstrap resamples): intervals come from them. */
export interface UncertainLaw {
  readonly law: LossLaw;
  readonly resamples: readonly LawConstants[];
}

/** Training FLOPs of a parameter and token: 2 forward, 4 backward (Kaplan et al. 2020, section 2.1). */
export const TRAINING_FLOPS_PER_PARAMETER_AND_TOKEN = 6;

export const LOSS_LAWS = {
  epoch: {
    name: 'epoch',
    E: 1.8172,
    A: 482.01,
    B: 2085.43,
    alpha: 0.3478,
    beta: 0.3658,
    source: 'Besiroglu et al. 2024 (arXiv:2404.10102), section 3: approach 3 of Hoffmann et al. fitted again',
  },
  hoffmann: {
    name: 'hoffmann',
    E: 1.69,
    A: 406.4,
    B: 410.7,
    alpha: 0.34,
    beta: 0.28,
    source: 'Hoffmann et al. 2022 (arXiv:2203.15556), eq. 10: approach 3 as printed, rounded',
  },
  'hoffmann-unrounded': {
    name: 'hoffmann-unrounded',
    E: Math.exp(0.5267228),
    A: Math.exp(6.0073404),
    B: Math.exp(6.0179186),
    alpha: 0.33917084,
    beta: 0.2849083,
    source: "Hoffmann et al. 2022: the constants of eq. 10 before rounding, from the arXiv source's comments",
  },
  muennighoff: {
    name: 'muennighoff',
    E: Math.exp(0.6254804),
    A: Math.exp(6.255414),
    B: Math.exp(7.3049974),
    alpha: 0.3526596,
    beta: 0.3526596,
    source: 'Muennighoff et al. 2023 (arXiv:2305.16264), appendix A: fitted on C4, alpha and beta tied',
  },
} as const satisfies Record<string, LossLaw>;

export type LossLawName = keyof typeof LOSS_LAWS;

/** The law that everything here uses unless told otherwise. */
export const DEFAULT_LAW: LossLawName = 'epoch';

/** Standard errors that Besiroglu et al. 2024 print beside their constants (table 1). Strongly correlated. */
export const EPOCH_STANDARD_ERRORS: LawConstants = {
  E: 0.026,
  A: 124.5,
  B: 1293.3,
  alpha: 0.015,
  beta: 0.021,
};

/**
 * A law by name. `epoch` comes with 200 resamples of our own fit on the 245 points that its authors read off
 * Hoffmann's figure 4 (fitLossLaw, seed 1, the 5 highest losses left out), because the printed standard errors
 * without their correlations would give intervals many times too wide. The others come with none.
 * Throws ConfigError for a name that is not in `LOSS_LAWS`.
 */
export function namedLaw(name: string): UncertainLaw {
  const law = Object.hasOwn(LOSS_LAWS, name) ? LOSS_LAWS[name as LossLawName] : undefined;
  if (law === undefined) {
    const names = Object.keys(LOSS_LAWS);
    const near = nearestName(name, names);
    throw new ConfigError(
      `There is no scaling law '${name}'.${near ? ` Did you mean '${near}'?` : ''} Known laws: ${names.join(', ')}.`,
    );
  }
  return { law, resamples: law.name === DEFAULT_LAW ? EPOCH_RESAMPLES : [] };
}

/** The law alone or with its resamples, as one form. */
export function withResamples(law: LossLaw | UncertainLaw): UncertainLaw {
  return 'law' in law ? law : { law, resamples: [] };
}

/** Loss in nats a token at N parameters and D tokens. Throws ConfigError unless both are above 0. */
export function lossOf(
  law: LawConstants,
  { params, tokens }: { readonly params: number; readonly tokens: number },
): number {
  requirePositive('params', params);
  requirePositive('tokens', tokens);
  return law.E + law.A * params ** -law.alpha + law.B * tokens ** -law.beta;
}

/** Throws ConfigError unless `value` is a finite number above 0. */
export function requirePositive(name: string, value: number): void {
  if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return;
  throw new ConfigError(`'${name}' is ${String(value)}; expected a number above 0, such as 1e9.`);
}
