/**
 * How initial values and update rates follow from a model's size, so that rates found on a small model serve a
 * larger one: muP for width (Yang et al. 2022, "Tensor Programs V", table 8) and CompleteP for width and depth
 * (Dey et al. 2025, table 1, alpha = 1). Pure functions of a parameter's name and the model's config.
 *
 * Both papers put multipliers into the forward pass (logits / m, residual branches / m_L, attention 1 / d). Here
 * there are none: a weight W that is used as c W equals a weight c W with c times the initial value and, because
 * Adam's and Muon's updates do not depend on the gradient's scale, c times the learning rate, 1/c of the epsilon
 * and 1/c of the decay (abc-symmetry; Yang and Littwin 2023, "Tensor Programs IVb"). So the graph, the checkpoint
 * and everything that loads it stay those of the standard model. Holds for AdamW and Muon, not for plain SGD.
 *
 * Assumes that intermediateSize and the number of heads grow with the width in proportion.
 */
import { ConfigError } from '../core/errors.ts';
import type { TransformerConfig } from './config-transformer.ts';

/**
 * `standard`: one initial spread and one rate for all sizes. `mup`: rates are those of a model of `baseWidth`.
 * `completep`: of `baseWidth` and `baseDepth` layers. `baseHeadDim` is for families whose heads grow with the width;
 * left out, the head size is that of the base model.
 */
export type Parametrisation =
  | { readonly kind: 'standard' }
  | { readonly kind: 'mup'; readonly baseWidth: number; readonly baseHeadDim?: number }
  | {
      readonly kind: 'completep';
      readonly baseWidth: number;
      readonly baseDepth: number;
      readonly baseHeadDim?: number;
    };

export const STANDARD: Parametrisation = { kind: 'standard' };

export type ParameterRole =
  | 'embedding'
  | 'head'
  /** Matrices that read the residual stream: q, k, v, gate, up. */
  | 'hidden'
  /** Matrices that write into the residual stream: o, down. */
  | 'residual'
  /** Gains of the two norms of a block. */
  | 'norm'
  | 'query-norm'
  | 'key-norm'
  | 'final-norm'
  | 'bias'
  | 'residual-bias';

/** Factors on the optimizer's settings for one parameter. */
export interface UpdateFactors {
  readonly learningRate: number;
  /** On the decay that is multiplied by this parameter's own learning rate. */
  readonly weightDecay: number;
  readonly epsilon: number;
}

export interface ParameterScaling {
  readonly role: ParameterRole;
  /** Normal with this standard deviation, or the same value everywhere. */
  readonly initial: { readonly standardDeviation: number } | { readonly value: number };
  /** The multiplier of the papers' forward pass that this parameter carries; 1 for most. */
  readonly multiplier: number;
  readonly adam: UpdateFactors;
  /** Muon's update has a spectral norm that fits any width already, so only the multiplier is left. */
  readonly muon: UpdateFactors;
}

/** Throws ConfigError that names the field (as `name.field`), what it is and what it must be. */
export function checkParametrisation(parametrisation: Parametrisation, name = 'parametrisation'): void {
  const { kind } = parametrisation;
  if (kind === 'standard') return;
  if (kind !== 'mup' && kind !== 'completep') {
    throw new ConfigError(`${name}.kind must be standard, mup or completep, got ${JSON.stringify(kind)}.`);
  }
  const check = (field: string, value: unknown): void => {
    if (Number.isSafeInteger(value) && (value as number) >= 1) return;
    throw new ConfigError(
      `${name}.${field} must be a whole number of at least 1, got ${JSON.stringify(value)}.`,
    );
  };
  check('baseWidth', parametrisation.baseWidth);
  if (kind === 'completep') check('baseDepth', parametrisation.baseDepth);
  if (parametrisation.baseHeadDim !== undefined) check('baseHeadDim', parametrisation.baseHeadDim);
}

/** What a parameter is in the model. Throws ConfigError for a name that `parameterSpecs` does not give. */
export function parameterRole(name: string): ParameterRole {
  if (name === 'model.embed_tokens.weight') return 'embedding';
  if (name === 'lm_head.weight') return 'head';
  if (name === 'model.norm.weight') return 'final-norm';
  if (name.endsWith('q_norm.weight')) return 'query-norm';
  if (name.endsWith('k_norm.weight')) return 'key-norm';
  if (name.endsWith('norm.weight')) return 'norm';
  const projection = /\.([a-z]+)_proj\.(weight|bias)$/.exec(name);
  if (!projection) {
    throw new ConfigError(
      `No parameter of the transformer is called "${name}"; parameterSpecs(config) has them all.`,
    );
  }
  const writesResidual = projection[1] === 'o' || projection[1] === 'down';
  if (projection[2] === 'bias') return writesResidual ? 'residual-bias' : 'bias';
  return writesResidual ? 'residual' : 'hidden';
}

/** How much larger than its base model a model is; 1 everywhere under the standard parametrisation. */
function multipliersOf(config: TransformerConfig, parametrisation: Parametrisation) {
  if (parametrisation.kind === 'standard')
    return { width: 1, depth: 1, scores: 1, initialDepth: config.numLayers };
  const { baseWidth, baseHeadDim = config.headDim } = parametrisation;
  const baseDepth = parametrisation.kind === 'completep' ? parametrisation.baseDepth : config.numLayers;
  return {
    width: config.hiddenSize / baseWidth,
    depth: config.numLayers / baseDepth,
    // The graph divides scores by sqrt(d); 1/d (Yang et al. 2022, definition 4.1) is this much more.
    scores: Math.sqrt(baseHeadDim / config.headDim),
    initialDepth: baseDepth,
  };
}

/** The multiplier that a parameter carries for the forward pass. */
function carriedMultiplier(
  name: string,
  role: ParameterRole,
  config: TransformerConfig,
  { width, depth, scores }: { width: number; depth: number; scores: number },
): number {
  switch (role) {
    // logits / m. The last norm's gain has it, tied or not: a tied matrix cannot, it is the embedding as well.
    case 'final-norm':
      return 1 / width;
    case 'residual':
    case 'residual-bias':
      return 1 / depth;
    case 'query-norm':
      return scores;
    case 'hidden':
    case 'bias':
      return config.architecture === 'llama' && name.includes('.q_proj.') ? scores : 1;
    default:
      return 1;
  }
}

/**
 * Initial value and update factors of one parameter. At the base size (m = 1, m_L = 1) they are those of the
 * standard parametrisation exactly. Throws ConfigError for an unknown name or impossible sizes.
 */
export function parameterScaling(
  name: string,
  config: TransformerConfig,
  parametrisation: Parametrisation = STANDARD,
): ParameterScaling {
  checkParametrisation(parametrisation);
  const role = parameterRole(name);
  const multipliers = multipliersOf(config, parametrisation);
  const { width, depth, initialDepth } = multipliers;
  const multiplier = carriedMultiplier(name, role, config, multipliers);
  const isHidden = role === 'hidden' || role === 'residual';
  const isInBlock = role !== 'embedding' && role !== 'head' && role !== 'final-norm';
  // Gradients shrink with logits / m, and in blocks with the branch / m_L; epsilon must shrink with them.
  const epsilon = 1 / (isInBlock ? width * depth : width);
  return {
    role,
    initial: initialOf(role, config.initializerRange, { width, initialDepth, multiplier }),
    multiplier,
    adam: {
      learningRate: isHidden ? multiplier / width : multiplier,
      weightDecay: isHidden ? width / multiplier : 1 / multiplier,
      epsilon: epsilon / multiplier,
    },
    muon: { learningRate: multiplier, weightDecay: 1 / multiplier, epsilon: 1 },
  };
}

/**
 * Norms at 1, biases at 0, matrices normal with `initializerRange`; the two projections that write into the
 * residual stream are smaller by sqrt(2 numLayers) (GPT-2, Radford et al. 2019, section 2.3), of the base model
 * where the depth is scaled. Hidden matrices shrink with sqrt(m).
 */
function initialOf(
  role: ParameterRole,
  range: number,
  sizes: { width: number; initialDepth: number; multiplier: number },
): ParameterScaling['initial'] {
  const { width, initialDepth, multiplier } = sizes;
  switch (role) {
    case 'bias':
    case 'residual-bias':
      return { value: 0 };
    case 'norm':
    case 'query-norm':
    case 'key-norm':
    case 'final-norm':
      return { value: multiplier };
    case 'residual':
      return { standardDeviation: (range / Math.sqrt(2 * initialDepth) / Math.sqrt(width)) * multiplier };
    case 'hidden':
      return { standardDeviation: (range / Math.sqrt(width)) * multiplier };
    default:
      return { standardDeviation: range };
  }
}

/** `parameterScaling` by name, for a training step; undefined where every factor is 1. */
export function scalingOf(
  config: TransformerConfig,
  parametrisation: Parametrisation = STANDARD,
): ((name: string) => ParameterScaling) | undefined {
  checkParametrisation(parametrisation);
  if (parametrisation.kind === 'standard') return undefined;
  return (name) => parameterScaling(name, config, parametrisation);
}
