/**
 * What a policy's answer is expected to earn from each place on: a value for every token, from a linear head on the
 * policy's own last states (`head`), or from a second network of the same shape with a head (`separate`, as Ouyang et
 * al. 2022). Critics are trained tensors beside the model's, and are no part of what is saved as the model.
 *
 * Shape suffixes: B rows, T inputs a row, N = B * T, D hidden size.
 */
import { parameterSpecs, type TransformerConfig } from '../../model/config.ts';
import type { WeightArray, Weights } from '../../model/initialize.ts';
import { type ModelParameters, transformer } from '../../model/transformer.ts';
import { linear, reshape, Tensor } from '../../tensor/index.ts';
import type { TokenInputs } from '../../train/token-inputs.ts';
import type { ParameterSpec } from '../../train/training-step.ts';
import type { RowShape } from '../sequence-row.ts';

export type CriticKind = 'head' | 'separate';

const OWN = 'critic.';
const HEAD_WEIGHT = `${OWN}value_head.weight`;
const HEAD_BIAS = `${OWN}value_head.bias`;

/** The trunk of a second network; a critic has no use for scores over the vocabulary. */
function trunkSpecs(config: TransformerConfig) {
  return parameterSpecs({ ...config, tieWordEmbeddings: true });
}

/** Tensors to be trained beside the model's. */
export function criticSpecs(config: TransformerConfig, kind: CriticKind): ParameterSpec[] {
  const head = [
    { name: HEAD_WEIGHT, shape: [1, config.hiddenSize] },
    { name: HEAD_BIAS, shape: [1] },
  ];
  if (kind === 'head') return head;
  return [...trunkSpecs(config).map(({ name, shape }) => ({ name: OWN + name, shape })), ...head];
}

/** A head of zeros, so that nothing is expected at first, on a trunk that begins as the policy's. */
export function initialCritic(config: TransformerConfig, kind: CriticKind, policy: Weights): Weights {
  const weights = new Map<string, WeightArray>();
  for (const { name, shape } of criticSpecs(config, kind)) {
    const own = policy.get(name.slice(OWN.length));
    const size = shape.reduce((product, dim) => product * dim, 1);
    weights.set(name, { shape, data: own ? own.data.slice() : new Float32Array(size) });
  }
  return weights;
}

/** The value after each input, [B, T]. @param hiddenND the policy's last states. */
export function criticValues(
  parameters: ModelParameters,
  config: TransformerConfig,
  kind: CriticKind,
  hiddenND: Tensor,
  tokens: TokenInputs,
  { batchSize, length }: RowShape,
): Tensor {
  const trunkND = kind === 'head' ? hiddenND : separateTrunk(parameters, config, tokens, length);
  const valueN1 = linear(trunkND, vector(parameters, HEAD_WEIGHT), vector(parameters, HEAD_BIAS));
  return reshape(valueN1, [batchSize, length]);
}

function separateTrunk(
  parameters: ModelParameters,
  config: TransformerConfig,
  { idsBT, positionsBT, maskTT }: TokenInputs,
  length: number,
): Tensor {
  const own = Object.fromEntries(trunkSpecs(config).map(({ name }) => [name, parameters[OWN + name]!]));
  return transformer(own, config, { idsBT, positionsBT, maskTT }, { maxPositions: length }).hiddenND;
}

function vector(parameters: ModelParameters, name: string): Tensor {
  const found = parameters[name];
  if (found instanceof Tensor) return found;
  throw new TypeError(`The critic's parameter "${name}" is missing.`);
}
