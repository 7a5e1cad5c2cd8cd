/**
 * The losses of Kaplan et al. 2020 ("Scaling Laws for Neural Language Models", arXiv:2001.08361), in nats a token of
 * WebText2 under GPT-2's tokenizer. N leaves embeddings out. For splitting compute see ALLOCATION_LAWS.kaplan; its
 * N ~ C^0.73 came from small models, a count without embeddings and a schedule that was not fitted to each run.
 */
import { FLOPS_PER_PETAFLOP_DAY } from './allocation-law.ts';
import { requirePositive } from './loss-law.ts';

export const KAPLAN = {
  /** L(N) = (N_c / N)^alpha_N, endless data, trained to convergence (eq. 1.1). */
  params: { scale: 8.8e13, exponent: 0.076 },
  /** L(D) = (D_c / D)^alpha_D, large models stopped early (eq. 1.2). */
  tokens: { scale: 5.4e13, exponent: 0.095 },
  /** L(C_min) = (C_c / C_min)^alpha_C, best size, small batches, in PF-days (eq. 1.3). */
  petaflopDays: { scale: 3.1e8, exponent: 0.05 },
  /** L(N, D) = ((N_c / N)^(alpha_N / alpha_D) + D_c / D)^alpha_D (eq. 1.5, constants of table 2). */
  both: { paramScale: 6.4e13, paramExponent: 0.076, tokenScale: 1.8e13, tokenExponent: 0.103 },
} as const;

export type KaplanInput =
  | { readonly params: number; readonly tokens?: undefined }
  | { readonly tokens: number; readonly params?: undefined }
  | { readonly params: number; readonly tokens: number }
  | { readonly flops: number };

/**
 * Loss when parameters without embeddings, tokens, both, or FLOPs at the best size are what limits a model. Throws
 * ConfigError unless they are above 0.
 */
export function kaplanLoss(input: KaplanInput): number {
  for (const [name, value] of Object.entries(input)) if (value !== undefined) requirePositive(name, value);
  if ('flops' in input) {
    const { scale, exponent } = KAPLAN.petaflopDays;
    return ((scale * FLOPS_PER_PETAFLOP_DAY) / input.flops) ** exponent;
  }
  const { params, tokens } = input;
  if (params !== undefined && tokens !== undefined) {
    const { paramScale, paramExponent, tokenScale, tokenExponent } = KAPLAN.both;
    const ofParams = (paramScale / params) ** (paramExponent / tokenExponent);
    return (ofParams + tokenScale / tokens) ** tokenExponent;
  }
  const [{ scale, exponent }, value] =
    params !== undefined ? [KAPLAN.params, params] : [KAPLAN.tokens, tokens as number];
  requirePositive('params or tokens', value);
  return (scale / value) ** exponent;
}
