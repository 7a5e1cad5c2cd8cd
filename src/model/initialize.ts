/** Fresh weights for a model, a pure function of the configuration, a seed and the parametrisation. */
import { KeyedRandom } from '../core/random.ts';
import { parameterSpecs, type TransformerConfig } from './config.ts';
import { type Parametrisation, parameterScaling } from './parametrisation.ts';

export interface WeightArray {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export type Weights = ReadonlyMap<string, WeightArray>;

/**
 * Weights with the initial values of `parameterScaling`. Each tensor draws from its own key, so adding one never
 * changes another, and the same tensor under two parametrisations differs by a factor only.
 */
export function initializeWeights(
  config: TransformerConfig,
  seed: number,
  parametrisation?: Parametrisation,
): Map<string, WeightArray> {
  const random = new KeyedRandom(seed).fork('weights');
  const weights = new Map<string, WeightArray>();
  for (const { name, shape } of parameterSpecs(config)) {
    const size = shape.reduce((product, dim) => product * dim, 1);
    const { initial } = parameterScaling(name, config, parametrisation);
    const data =
      'value' in initial
        ? new Float32Array(size).fill(initial.value)
        : random.fork(name).normals(size, initial.standardDeviation);
    weights.set(name, { shape, data });
  }
  return weights;
}
