/**
 * Names and shapes of a model's parameters, as Hugging Face checkpoints call them. Linear layers are stored
 * [out, in]. One list serves the graph, the optimizer, the loader and the parameter count.
 */
import type { TransformerConfig } from './config-transformer.ts';

export interface ParameterSpec {
  name: string;
  shape: number[];
}

/**
 * What stands on top of the layers: scores of next tokens, or `score.weight` [1, D], one number for the whole text,
 * read at its last token (Hugging Face's `...ForSequenceClassification` with one label; reward models).
 */
export type ModelHead = 'language-model' | 'score';

export const SCORE_WEIGHT = 'score.weight';
/** Of the names in `architectures` of config.json. */
export const SCORE_SUFFIX = 'ForSequenceClassification';

/**
 * Every stored parameter of a model with a head. One with a score has no output matrix; its config says
 * `tieWordEmbeddings`, which asks for none.
 */
export function headedSpecs(config: TransformerConfig, head: ModelHead): ParameterSpec[] {
  const specs = parameterSpecs(config);
  return head === 'score' ? [...specs, { name: SCORE_WEIGHT, shape: [1, config.hiddenSize] }] : specs;
}

/** Every stored parameter, embeddings first, layer by layer, in the order of the computation. */
export function parameterSpecs(config: TransformerConfig): ParameterSpec[] {
  const { hiddenSize, numHeads, numKvHeads, headDim, intermediateSize, vocabSize } = config;
  const specs: ParameterSpec[] = [];
  const add = (name: string, ...shape: number[]): void => {
    specs.push({ name, shape });
  };
  const addLinear = (name: string, outSize: number, inSize: number, bias: boolean | undefined): void => {
    add(`${name}.weight`, outSize, inSize);
    if (bias === true) add(`${name}.bias`, outSize);
  };
  add('model.embed_tokens.weight', vocabSize, hiddenSize);
  for (let layer = 0; layer < config.numLayers; layer++) {
    const block = `model.layers.${layer}`;
    add(`${block}.input_layernorm.weight`, hiddenSize);
    addLinear(`${block}.self_attn.q_proj`, numHeads * headDim, hiddenSize, config.attentionBias);
    addLinear(`${block}.self_attn.k_proj`, numKvHeads * headDim, hiddenSize, config.attentionBias);
    addLinear(`${block}.self_attn.v_proj`, numKvHeads * headDim, hiddenSize, config.attentionBias);
    if (config.architecture === 'qwen3') {
      add(`${block}.self_attn.q_norm.weight`, headDim);
      add(`${block}.self_attn.k_norm.weight`, headDim);
    }
    addLinear(`${block}.self_attn.o_proj`, hiddenSize, numHeads * headDim, config.attentionOutputBias);
    add(`${block}.post_attention_layernorm.weight`, hiddenSize);
    addLinear(`${block}.mlp.gate_proj`, intermediateSize, hiddenSize, config.mlpBias);
    addLinear(`${block}.mlp.up_proj`, intermediateSize, hiddenSize, config.mlpBias);
    addLinear(`${block}.mlp.down_proj`, hiddenSize, intermediateSize, config.mlpBias);
  }
  add('model.norm.weight', hiddenSize);
  if (!config.tieWordEmbeddings) add('lm_head.weight', vocabSize, hiddenSize);
  return specs;
}

/** Stored numbers in all parameters; tied embeddings count once. */
export function numParameters(config: TransformerConfig): number {
  let total = 0;
  for (const { shape } of parameterSpecs(config)) total += shape.reduce((product, size) => product * size, 1);
  return total;
}
