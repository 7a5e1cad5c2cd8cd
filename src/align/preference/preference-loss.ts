/**
 * The losses by name: what each one reads (pairs or labelled answers, with or without a reference), its settings with
 * their defaults, and what it makes of the answers' log-probabilities. Everything else asks here.
 */
import { ConfigError } from '../../core/errors.ts';
import { add, div, maximum, scalar, scale, sub, type Tensor } from '../../tensor/index.ts';
import { dpoLoss, hingeLoss, ipoLoss, klOfMismatched, ktoLoss, orpoLoss, simpoLoss } from './losses.ts';
import {
  PREFERENCE_LOSS_NAMES,
  type PreferenceLossName,
  type PreferenceSettings,
  type PreferenceValues,
} from './preference-settings.ts';

/** B answers' log-probabilities. */
export interface ScoredAnswers {
  /** Of all of an answer's tokens together under the model that is trained, in nats [B]. */
  readonly policyB: Tensor;
  /** The same under the reference; 0 for a loss that uses none. */
  readonly referenceB: Tensor;
  /** Number of the answer's tokens [B], as float32; 0 for a row of padding. */
  readonly numTokensB: Tensor;
}

/** What a loss makes of B items, each [B]. */
export interface LossTerms {
  readonly lossB: Tensor;
  /** The implicit reward of the chosen answer of a pair, or of a labelled answer: what the loss pulls apart. */
  readonly rewardB: Tensor;
  /** What it is held against: the rejected answer's reward, or for labels what good answers should be above. */
  readonly againstB: Tensor;
  /** An estimate of the divergence from the reference in nats, one for each item or one for all. */
  readonly kl?: Tensor;
}

export interface PreferenceLoss {
  readonly usesReference: boolean;
  /** What an item is: a chosen and a rejected answer, or one good or bad answer beside a mismatched one. */
  readonly items: 'pairs' | 'labels';
  readonly defaults: Readonly<Partial<PreferenceValues>>;
  /**
   * @param other the rejected answers of pairs; of labels the mismatched ones, through which no gradient flows.
   * @param labels [B] as 1 and 0: the answer is good; there is an item at all.
   * @param values at least those of `defaults`.
   */
  terms(
    answers: ScoredAnswers,
    other: ScoredAnswers,
    labels: { readonly isGoodB: Tensor; readonly maskB: Tensor },
    values: PreferenceValues,
  ): LossTerms;
}

const logRatio = ({ policyB, referenceB }: ScoredAnswers) => sub(policyB, referenceB);
const perTokenOf = (valueB: Tensor, { numTokensB }: ScoredAnswers) =>
  div(valueB, maximum(numTokensB, scalar(1)));
/** The mean log-probability of an answer's tokens [B]. */
export const meanLogprob = (answers: ScoredAnswers): Tensor => perTokenOf(answers.policyB, answers);

/** A loss of the margin between two answers' log-ratios. */
function onMargin(
  defaults: Partial<PreferenceValues>,
  lossOf: (marginB: Tensor, values: PreferenceValues) => Tensor,
): PreferenceLoss {
  return {
    usesReference: true,
    items: 'pairs',
    defaults: { beta: 0.1, ...defaults, sftWeight: 0 },
    terms: (chosen, rejected, _, values) => {
      const ratioOf = (answers: ScoredAnswers) =>
        values.perToken ? perTokenOf(logRatio(answers), answers) : logRatio(answers);
      const [chosenB, rejectedB] = [ratioOf(chosen), ratioOf(rejected)];
      return {
        lossB: lossOf(sub(chosenB, rejectedB), values),
        rewardB: scale(chosenB, values.beta),
        againstB: scale(rejectedB, values.beta),
        // Of KL(reference || policy), where both answers were drawn from the reference.
        kl: scale(add(logRatio(chosen), logRatio(rejected)), -1 / 2),
      };
    },
  };
}

export const PREFERENCE_LOSSES: Readonly<Record<PreferenceLossName, PreferenceLoss>> = {
  dpo: onMargin({ labelSmoothing: 0 }, (marginB, { beta, labelSmoothing }) =>
    dpoLoss(marginB, beta, labelSmoothing),
  ),
  hinge: onMargin({}, (marginB, { beta }) => hingeLoss(marginB, beta)),
  // Per token as in TRL: sums of long answers are far from 1 / (2 beta), whatever their order.
  ipo: onMargin({ perToken: true }, (marginB, { beta }) => ipoLoss(marginB, beta)),
  kto: {
    usesReference: true,
    items: 'labels',
    defaults: { beta: 0.1, desirableWeight: 1, undesirableWeight: 1, sftWeight: 0 },
    terms: (answers, mismatched, { isGoodB, maskB }, values) => {
      const ratioB = logRatio(answers);
      const z = klOfMismatched(logRatio(mismatched), maskB);
      return {
        lossB: ktoLoss(ratioB, isGoodB, z, values.beta, values),
        rewardB: scale(ratioB, values.beta),
        againstB: scale(z, values.beta),
        kl: z,
      };
    },
  },
  orpo: {
    usesReference: false,
    items: 'pairs',
    defaults: { lambda: 0.1 },
    terms: (chosen, rejected, _, { lambda }) => {
      const [rewardB, againstB] = [meanLogprob(chosen), meanLogprob(rejected)];
      return { lossB: orpoLoss(rewardB, againstB, lambda), rewardB, againstB };
    },
  },
  simpo: {
    usesReference: false,
    items: 'pairs',
    defaults: { beta: 2, gamma: 1, labelSmoothing: 0, sftWeight: 0 },
    terms: (chosen, rejected, _, { beta, gamma, labelSmoothing }) => {
      const [chosenB, rejectedB] = [meanLogprob(chosen), meanLogprob(rejected)];
      return {
        lossB: simpoLoss(chosenB, rejectedB, beta, gamma, labelSmoothing),
        rewardB: scale(chosenB, beta),
        againstB: scale(rejectedB, beta),
      };
    },
  },
};

/** Fills in a loss's defaults. Throws ConfigError for an unknown loss, a setting that it has not, and one out of range. */
export function preferenceSettings(
  loss: string,
  given: Readonly<Partial<PreferenceValues>> = {},
): PreferenceSettings {
  const name = PREFERENCE_LOSS_NAMES.find((one) => one === loss);
  if (!name) {
    throw new ConfigError(`There is no loss "${loss}"; expected one of ${PREFERENCE_LOSS_NAMES.join(', ')}.`);
  }
  const { defaults } = PREFERENCE_LOSSES[name];
  const set = Object.entries(given).filter(([, value]) => value !== undefined);
  for (const [setting, value] of set) {
    if (!(setting in defaults)) {
      throw new ConfigError(
        `The loss ${name} has no setting ${setting}; it has ${Object.keys(defaults).join(', ')}.`,
      );
    }
    if (typeof value === 'number') checkRange(setting, value);
  }
  return { loss: name, values: { ...defaults, ...Object.fromEntries(set) } };
}

const ABOVE_ZERO: ReadonlySet<string> = new Set(['beta', 'lambda']);
const MAX_SMOOTHING = 0.5;

function checkRange(name: string, value: number): void {
  const isAbove = ABOVE_ZERO.has(name);
  if (!(Number.isFinite(value) && (isAbove ? value > 0 : value >= 0))) {
    throw new ConfigError(`${name} must be ${isAbove ? 'above' : 'at least'} 0, got ${value}.`);
  }
  if (name === 'labelSmoothing' && value >= MAX_SMOOTHING) {
    throw new ConfigError(`labelSmoothing must be below ${MAX_SMOOTHING}, got ${value}.`);
  }
}
