/**
 * The losses of preference finetuning as functions of log-probabilities in nats, one value for each pair or answer.
 * They know nothing of models: every tensor is [B].
 *
 * A log-ratio is log pi(y|x) - log pi_ref(y|x), summed over the answer's tokens; a margin is the chosen answer's
 * log-ratio less the rejected one's.
 */
import {
  add,
  div,
  exp,
  less,
  log,
  logSigmoid,
  maximum,
  minimum,
  mul,
  neg,
  relu,
  scalar,
  scale,
  sigmoid,
  square,
  stopGradient,
  sub,
  sum,
  type Tensor,
  where,
} from '../../tensor/index.ts';

/**
 * Direct preference optimisation (Rafailov et al. 2023, eq. 7): -log sigmoid(beta * margin). `labelSmoothing` is the
 * share of pairs that are taken to be the wrong way round (Mitchell 2023, conservative DPO).
 */
export function dpoLoss(marginB: Tensor, beta: number, labelSmoothing = 0): Tensor {
  return smoothed(scale(marginB, beta), labelSmoothing);
}

/** The hinge on DPO's margin (Zhao et al. 2023, SLiC): max(0, 1 - beta * margin). */
export function hingeLoss(marginB: Tensor, beta: number): Tensor {
  return relu(sub(scalar(1), scale(marginB, beta)));
}

/** Identity preference optimisation (Azar et al. 2023, eq. 17): (margin - 1 / (2 beta))^2. */
export function ipoLoss(marginB: Tensor, beta: number): Tensor {
  return square(sub(marginB, scalar(1 / (2 * beta))));
}

export interface KtoWeights {
  readonly desirableWeight: number;
  readonly undesirableWeight: number;
}

/**
 * Kahneman-Tversky optimisation (Ethayarajh et al. 2024, eq. 8) of single answers:
 * weight * (1 - sigmoid(+-beta * (log-ratio - z))), plus for good answers, minus for bad ones.
 *
 * @param isGoodB 1 for a good answer, 0 for a bad one.
 * @param z from `klOfMismatched`.
 */
export function ktoLoss(
  logRatioB: Tensor,
  isGoodB: Tensor,
  z: Tensor,
  beta: number,
  { desirableWeight, undesirableWeight }: KtoWeights,
): Tensor {
  const signB = sub(scale(isGoodB, 2), scalar(1));
  const weightB = add(scale(isGoodB, desirableWeight - undesirableWeight), scalar(undesirableWeight));
  return mul(weightB, sigmoid(mul(signB, scale(sub(z, logRatioB), beta))));
}

/**
 * KTO's z [], an estimate of KL(pi || pi_ref) (ibid., section 4.2): the mean log-ratio of answers to other prompts'
 * answers, no less than 0. No gradient flows through it.
 *
 * @param maskB 1 where there is an answer.
 */
export function klOfMismatched(logRatioB: Tensor, maskB: Tensor): Tensor {
  const meanRatio = div(sum(mul(logRatioB, maskB)), maximum(sum(maskB), scalar(1)));
  return stopGradient(relu(meanRatio));
}

/**
 * Odds-ratio preference optimisation (Hong et al. 2024, eq. 6): the chosen answer's negative log-likelihood and
 * -lambda * log sigmoid(log-odds of the chosen answer - log-odds of the rejected one), both of mean log-probabilities.
 */
export function orpoLoss(chosenMeanB: Tensor, rejectedMeanB: Tensor, lambda: number): Tensor {
  const logOddsRatio = sub(logOdds(chosenMeanB), logOdds(rejectedMeanB));
  return sub(neg(chosenMeanB), scale(logSigmoid(logOddsRatio), lambda));
}

/** Simple preference optimisation (Meng et al. 2024, eq. 6): -log sigmoid(beta * difference of means - gamma). */
export function simpoLoss(
  chosenMeanB: Tensor,
  rejectedMeanB: Tensor,
  beta: number,
  gamma: number,
  labelSmoothing = 0,
): Tensor {
  return smoothed(sub(scale(sub(chosenMeanB, rejectedMeanB), beta), scalar(gamma)), labelSmoothing);
}

function smoothed(scoreB: Tensor, labelSmoothing: number): Tensor {
  const right = neg(logSigmoid(scoreB));
  if (labelSmoothing === 0) return right;
  const wrong = neg(logSigmoid(neg(scoreB)));
  return add(scale(right, 1 - labelSmoothing), scale(wrong, labelSmoothing));
}

/** Below this, 1 - e^-x in float32 has lost digits that the series still has. */
const SERIES_BELOW = 0.1;
/** An answer that is as good as certain: keeps the log-odds finite. */
const SMALLEST = 1e-12;

/** log(p / (1 - p)) of a log-probability log p <= 0. */
function logOdds(logProbabilityB: Tensor): Tensor {
  const x = maximum(neg(logProbabilityB), scalar(SMALLEST));
  // Each branch is kept where it is finite: a gradient of 0 times infinity would be none.
  const low = minimum(x, scalar(SERIES_BELOW));
  const high = maximum(x, scalar(SERIES_BELOW));
  // 1 - e^-x = x (1 - x/2 + x^2/6 - x^3/24 + ...)
  const series = sub(
    scalar(1),
    mul(low, sub(scalar(1 / 2), mul(low, sub(scalar(1 / 6), scale(low, 1 / 24))))),
  );
  const logLow = add(log(low), log(series));
  const logHigh = log(sub(scalar(1), exp(neg(high))));
  return sub(neg(x), where(less(x, scalar(SERIES_BELOW)), logLow, logHigh));
}
