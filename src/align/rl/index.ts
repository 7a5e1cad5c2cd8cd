/** Reinforcement: PPO and GRPO on programs, models or both as rewards. Browser-safe. */
export {
  COLLAPSE_LIMITS,
  CollapseError,
  type CollapseLimits,
  collapseOf,
  type IterationFigures,
  signsOfCollapse,
} from './collapse-guard.ts';
export type { CriticKind } from './critic.ts';
export type { KlTarget } from './divergence.ts';
export type { ClipRange } from './policy-losses.ts';
export { type Iteration, Reinforcement, type ReinforcementOptions } from './reinforcement.ts';
export { PromptDeck, type RlPrompt, type Rollout, type RolloutGroup, sampleRollouts } from './rollouts.ts';
export {
  GRPO_DEFAULTS,
  type GrpoSettings,
  LOSS_NORMALISERS,
  type LossNormaliser,
  PPO_DEFAULTS,
  type PpoSettings,
  type RlSettings,
  rlSettings,
} from './settings.ts';
