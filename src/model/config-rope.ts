/**
 * Rotary position embeddings: the angle per position of each pair of a head's dimensions. Pair i turns
 * dimensions i and i + headDim/2 (the half-rotating layout of Hugging Face models). Pure numbers in float64;
 * whoever builds cos and sin tables decides when to round.
 */
import type { TransformerConfig } from './config-transformer.ts';

/** What of a config RoPE needs. */
export type RopeConfig = Pick<
  TransformerConfig,
  'headDim' | 'ropeTheta' | 'ropeScaling' | 'maxPositionEmbeddings'
>;

/**
 * Radians per position for each of the headDim/2 pairs.
 *
 * Without scaling: theta^(-2i/d) (Su et al. 2021, "RoFormer", section 3.2.2).
 * - `linear` divides all by the factor (Chen et al. 2023, "Extending context window ... position interpolation").
 * - `dynamic` raises theta with the length of the text (NTK-aware scaling), and changes nothing up to
 *   `maxPositionEmbeddings`; pass the text's length as `sequenceLength`.
 * - `llama3` divides by the factor where a wave is longer than L/lowFreqFactor positions, leaves waves shorter
 *   than L/highFreqFactor alone, and blends in between (Llama 3.1), L = originalMaxPositionEmbeddings.
 */
export function ropeInverseFrequencies(config: RopeConfig, sequenceLength = 0): Float64Array<ArrayBuffer> {
  const { headDim, ropeScaling: scaling, maxPositionEmbeddings } = config;
  let theta = config.ropeTheta;
  if (scaling?.type === 'dynamic') {
    const stretch = Math.max(sequenceLength, maxPositionEmbeddings) / maxPositionEmbeddings;
    theta *= (scaling.factor * stretch - (scaling.factor - 1)) ** (headDim / (headDim - 2));
  }
  const frequencies = new Float64Array(headDim / 2);
  for (let i = 0; i < frequencies.length; i++) {
    const frequency = theta ** ((-2 * i) / headDim);
    if (scaling?.type === 'linear') frequencies[i] = frequency / scaling.factor;
    else if (scaling?.type === 'llama3') {
      const wavesInContext = (scaling.originalMaxPositionEmbeddings * frequency) / (2 * Math.PI);
      const { lowFreqFactor: low, highFreqFactor: high } = scaling;
      const kept = Math.min(1, Math.max(0, (wavesInContext - low) / (high - low)));
      frequencies[i] = kept * frequency + ((1 - kept) * frequency) / scaling.factor;
    } else frequencies[i] = frequency;
  }
  return frequencies;
}
