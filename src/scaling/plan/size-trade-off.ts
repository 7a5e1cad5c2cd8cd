/**
 * A smaller model trained for longer reaches the same loss and is cheaper to serve (Sardana and Frankle 2024): here
 * over the shapes that can be built and with the arithmetic that their steps really take.
 */
import { ConfigError } from '../../core/errors.ts';
import { chooseSize, type PlanRequest, type SizePlan } from './choose-size.ts';

/** FLOPs of serving a parameter and token: one multiplication and one addition (Kaplan et al. 2020). */
const SERVING_FLOPS = 2;

export interface SizeChoice {
  readonly plan: SizePlan;
  readonly servingFlops: number;
  readonly totalFlops: number;
  /** Served tokens above which this size is cheaper in all than the plan's own; 0 when it always is. */
  readonly breakEvenTokens: number;
}

export interface SizeTradeOff {
  /** The loss that all of them reach. */
  readonly loss: number;
  readonly servedTokens: number;
  /** The plan's own size first, then smaller ones. */
  readonly choices: readonly SizeChoice[];
  readonly best: SizeChoice;
}

/**
 * Sizes that reach the loss of `chosen`, with what training and serving so many tokens take together. Throws
 * ConfigError unless `servedTokens` is a number of at least 0.
 */
export function sizeTradeOff(request: PlanRequest, chosen: SizePlan, servedTokens: number): SizeTradeOff {
  if (!(servedTokens >= 0 && Number.isFinite(servedTokens))) {
    throw new ConfigError(`servedTokens must be a number of at least 0, got ${servedTokens}.`);
  }
  const loss = chosen.loss.loss;
  const others = chooseSize({ ...request, budget: { loss } }).sizes.filter(
    ({ params }) => params < chosen.params,
  );
  const choiceOf = (plan: SizePlan): SizeChoice => {
    const servingFlops = SERVING_FLOPS * plan.params * servedTokens;
    return {
      plan,
      servingFlops,
      totalFlops: plan.flops + servingFlops,
      breakEvenTokens:
        plan === chosen
          ? 0
          : Math.max(0, (plan.flops - chosen.flops) / (SERVING_FLOPS * (chosen.params - plan.params))),
    };
  };
  const choices = [chosen, ...others.toReversed()].map(choiceOf);
  const best = choices.reduce((least, choice) => (choice.totalFlops < least.totalFlops ? choice : least));
  return { loss, servedTokens, choices, best };
}
