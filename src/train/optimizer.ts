/**
 * Optimizers as graphs: each turns a parameter, its gradient and its state into their next values with the
 * compiler's operators, so that a whole training step is one program. Numbers that change every step
 * (learning rate, bias corrections) come in as scalars, so one program serves the whole run.
 */
import { ConfigError } from '../core/errors.ts';
import type { ParameterScaling } from '../model/parametrisation.ts';
import {
  add,
  div,
  matmul,
  mul,
  scalar,
  scale,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  transpose,
} from '../tensor/index.ts';

export interface OptimizerSettings {
  readonly name: 'adamw' | 'muon';
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** Muon's momentum; its matrices only. */
  readonly momentum: number;
  /** Muon's learning rate as a multiple of `learningRate`. */
  readonly muonFactor: number;
}

export const DEFAULT_OPTIMIZER: OptimizerSettings = {
  name: 'adamw',
  learningRate: 3e-3,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0.1,
  momentum: 0.95,
  muonFactor: 5,
};

/** Throws ConfigError that names the field (as `name.field`), its value and its range. */
export function checkOptimizer(settings: OptimizerSettings, name = 'optimizer'): void {
  const check = (field: keyof OptimizerSettings, isRight: (value: number) => boolean, range: string) => {
    const value = settings[field];
    if (typeof value === 'number' && isRight(value)) return;
    throw new ConfigError(`${name}.${field} must be ${range}, got ${JSON.stringify(value)}.`);
  };
  if (settings.name !== 'adamw' && settings.name !== 'muon') {
    throw new ConfigError(`${name}.name must be adamw or muon, got ${JSON.stringify(settings.name)}.`);
  }
  for (const field of ['learningRate', 'epsilon', 'muonFactor'] as const)
    check(field, (value) => value > 0 && Number.isFinite(value), 'a number above 0');
  for (const field of ['beta1', 'beta2', 'momentum'] as const)
    check(field, (value) => value >= 0 && value < 1, 'at least 0 and below 1');
  check('weightDecay', (value) => value >= 0 && Number.isFinite(value), 'a number of at least 0');
}

/** Scalars that the host feeds every step, float32 each. */
export const STEP_SCALARS = ['learningRate', 'correction1', 'correction2'] as const;
export type StepScalar = (typeof STEP_SCALARS)[number];

/** Bias corrections 1 - beta^t for step t = 1, 2, ... (Kingma and Ba 2015, algorithm 1). */
export function stepScalars(
  settings: OptimizerSettings,
  step: number,
  learningRate: number,
): Record<StepScalar, number> {
  return {
    learningRate,
    correction1: 1 - settings.beta1 ** step,
    correction2: 1 - settings.beta2 ** step,
  };
}

/** Kinds of state tensors; a parameter has those of its rule. */
export const STATE_KINDS = ['first', 'second', 'momentum'] as const;

/** How a parameter is updated: matrices of the layers may use Muon, everything decays only if it is a matrix. */
export interface ParameterRule {
  readonly rule: 'adamw' | 'muon';
  /** Taken off a step as `decay` times the run's learning rate. */
  readonly decay: number;
  /** On the run's learning rate, for the update and not for the decay. */
  readonly rateFactor: number;
  readonly epsilon: number;
  /** Names of the state tensors, each of the parameter's shape. */
  readonly state: readonly (typeof STATE_KINDS)[number][];
}

/** @param scaling what the parametrisation puts on this parameter; left out, all factors are 1. */
export function ruleFor(
  name: string,
  shape: readonly number[],
  settings: OptimizerSettings,
  scaling?: ParameterScaling,
): ParameterRule {
  const isMatrix = shape.length === 2;
  const isEmbedding = name.includes('embed_tokens') || name.includes('lm_head');
  // Decay pulls matrices only; gains and biases keep their scale (GPT-3, Brown et al. 2020, appendix B).
  const decay = isMatrix ? settings.weightDecay : 0;
  const isMuon = settings.name === 'muon' && isMatrix && !isEmbedding;
  const factors = isMuon ? scaling?.muon : scaling?.adam;
  const numbers = {
    // A parameter decays by its own rate times its own decay.
    decay: factors ? decay * (factors.learningRate * factors.weightDecay) : decay,
    rateFactor: factors?.learningRate ?? 1,
    epsilon: settings.epsilon * (factors?.epsilon ?? 1),
  };
  return isMuon
    ? { rule: 'muon', ...numbers, state: ['momentum'] }
    : { rule: 'adamw', ...numbers, state: ['first', 'second'] };
}

export interface Update {
  readonly parameter: Tensor;
  readonly state: Readonly<Record<string, Tensor>>;
}

/** What an update starts from. */
export interface UpdateInput {
  readonly rule: ParameterRule;
  readonly settings: OptimizerSettings;
  readonly parameter: Tensor;
  readonly gradient: Tensor;
  readonly state: Readonly<Record<string, Tensor>>;
  /** The factor that clipping puts on the gradient, a scalar. */
  readonly clip: Tensor;
  readonly scalars: Readonly<Record<StepScalar, Tensor>>;
}

/** The next value of one parameter. */
export function update(input: UpdateInput): Update {
  return input.rule.rule === 'muon' ? muon(input) : adamw(input);
}

/**
 * AdamW (Loshchilov and Hutter 2019): m and v are moving averages of g and g^2, bias-corrected;
 * p <- p (1 - lr decay) - lr mhat / (sqrt(vhat) + eps). Arranged so that scalars are combined first and
 * each tensor is passed over as few times as possible.
 */
function adamw({ rule, settings, parameter, gradient, state, clip, scalars }: UpdateInput): Update {
  const { learningRate, correction1, correction2 } = scalars;
  const { beta1, beta2 } = settings;
  const { rateFactor, epsilon } = rule;
  const first = add(scale(state.first!, beta1), mul(gradient, scale(clip, 1 - beta1)));
  const second = add(scale(state.second!, beta2), mul(square(gradient), scale(square(clip), 1 - beta2)));
  // lr mhat / (sqrt(vhat) + eps) = (lr sqrt(c2) / c1) m / (sqrt(v) + eps sqrt(c2)).
  const root2 = sqrt(correction2);
  const direction = div(first, add(sqrt(second), scale(root2, epsilon)));
  const rate = div(mul(learningRate, root2), correction1);
  const stepped = mul(direction, rateFactor === 1 ? rate : scale(rate, rateFactor));
  return { parameter: sub(decayed(parameter, rule, learningRate), stepped), state: { first, second } };
}

function decayed(parameter: Tensor, rule: ParameterRule, learningRate: Tensor): Tensor {
  return rule.decay === 0 ? parameter : mul(parameter, sub(scalar(1), scale(learningRate, rule.decay)));
}

/**
 * Muon (Jordan et al. 2024): the momentum of a matrix, orthogonalised by five Newton-Schulz iterations,
 * Nesterov form, scaled by sqrt(max(1, rows / columns)).
 */
function muon({ rule, settings, parameter, gradient, state, clip, scalars }: UpdateInput): Update {
  const { learningRate } = scalars;
  const clipped = mul(gradient, clip);
  const momentum = add(scale(state.momentum!, settings.momentum), clipped);
  const nesterov = add(clipped, scale(momentum, settings.momentum));
  const [rows, columns] = parameter.shape as [number, number];
  const rate = scale(
    learningRate,
    settings.muonFactor * Math.sqrt(Math.max(1, rows / columns)) * rule.rateFactor,
  );
  const shaped = orthogonalise(nesterov);
  return { parameter: sub(decayed(parameter, rule, learningRate), mul(shaped, rate)), state: { momentum } };
}

/** The nearest matrix with all singular values near 1: quintic Newton-Schulz, coefficients of Jordan et al. */
export function orthogonalise(matrix: Tensor): Tensor {
  const [rows, columns] = matrix.shape as [number, number];
  const tall = rows > columns;
  let x = tall ? transpose(matrix) : matrix;
  x = div(x, add(sqrt(sum(square(x))), scalar(1e-7)));
  const [a, b, c] = [3.4445, -4.775, 2.0315];
  for (let i = 0; i < 5; i++) {
    const gram = matmul(x, x, { transposeB: true });
    const polynomial = add(scale(gram, b), scale(matmul(gram, gram), c));
    x = add(scale(x, a), matmul(polynomial, x));
  }
  return tall ? transpose(x) : x;
}
