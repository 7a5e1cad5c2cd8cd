/** Names of the preference losses and of what can be set of them. */

export const PREFERENCE_LOSS_NAMES = ['dpo', 'ipo', 'kto', 'orpo', 'simpo', 'hinge'] as const;
export type PreferenceLossName = (typeof PREFERENCE_LOSS_NAMES)[number];

export interface PreferenceValues {
  /** How strongly the model is held to its reference; of SimPO the scale of the reward. */
  readonly beta: number;
  /** ORPO: weight of the odds ratio beside the likelihood. */
  readonly lambda: number;
  /** SimPO: how far apart the two rewards should be. */
  readonly gamma: number;
  /** Share of pairs that are taken to be the wrong way round. */
  readonly labelSmoothing: number;
  /** IPO: log-ratios are averaged over the answer's tokens, not summed. */
  readonly perToken: boolean;
  /** KTO: weight of good answers, and of bad ones. */
  readonly desirableWeight: number;
  readonly undesirableWeight: number;
  /** Weight of the chosen or good answers' mean negative log-likelihood beside the loss (Pang et al. 2024, RPO). */
  readonly sftWeight: number;
}

export interface PreferenceSettings {
  readonly loss: PreferenceLossName;
  /** The loss's own settings and no others. */
  readonly values: Readonly<Partial<PreferenceValues>>;
}
