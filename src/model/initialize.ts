/** Fresh weights for a model, a pure function of the configuration and a seed. */
import { KeyedRandom } from '../core/random.ts';
import { parameterSpecs, type TransformerConfig } from './config.ts';

export interface WeightArray {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export type Weights = ReadonlyMap<string, WeightArray>;

/**
 * Norms at 1, biases at 0, matrices normal with `initializerRange`; the two projections that write into the
 * residual stream are smaller by sqrt(2 numLayers) (GPT-2, Radford et al. 2019, section 2.3). Each tensor
 * draws from its own key, so adding one never changes another.
 */
export function initializeWeights(config: TransformerConfig, seed: number): Map<string, WeightArray> {
  const random = new KeyedRandom(seed).fork('weights');
  const weights = new Map<string, WeightArray>();
  for (const { name, shape } of parameterSpecs(config)) {
    const size = shape.reduce((product, dim) => product * dim, 1);
    let data: Float32Array;
    if (name.endsWith('norm.weight')) data = new Float32Array(size).fill(1);
    else if (name.endsWith('.bias')) data = new Float32Array(size);
    else data = random.fork(name).normals(size, standardDeviation(name, config));
    weights.set(name, { shape, data });
  }
  return weights;
}

function standardDeviation(name: string, config: TransformerConfig): number {
  const writesResidual = name.endsWith('o_proj.weight') || name.endsWith('down_proj.weight');
  return writesResidual ? config.initializerRange / Math.sqrt(2 * config.numLayers) : config.initializerRange;
}
