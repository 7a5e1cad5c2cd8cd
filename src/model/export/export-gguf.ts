/**
 * A trained model as one GGUF file, in memory only as chunks. Browser-safe: `export-model.node.ts` writes it.
 */
import { ConfigError } from '../../core/errors.ts';
import type { Tokenizer, TokenizerConfig } from '../../tokenizer/index.ts';
import { type TransformerConfig, validateTransformerConfig } from '../config.ts';
import type { WeightArray } from '../initialize.ts';
import { isQuantized, type MixedWeights, type QuantizedWeight } from '../quantized.ts';
import { type GgufFile, ggufFile } from './gguf-file.ts';
import { modelMetadata, modelTensors } from './gguf-model.ts';
import { ggufTokenizer } from './gguf-tokenizer.ts';
import { blockTypeOf, type GgmlFloatType, type GgmlType } from './gguf-types.ts';
import type { StoredTensor } from './stored-tensor.ts';

export interface ExportGgufInput {
  readonly config: TransformerConfig;
  /** By Hugging Face name. Matrices may be quantised already, in blocks of 32. */
  readonly weights: MixedWeights;
  readonly tokenizer: Tokenizer;
  readonly tokenizerConfig: TokenizerConfig;
  /** Tokens that end a text. Default: the config's. */
  readonly stopTokens?: readonly number[];
  /** Type of the matrices that are not quantised. Default F32, which is exact. */
  readonly floatType?: GgmlFloatType;
  /** Quantises the matrices that are not yet: Q8_0 or Q4_0. */
  readonly quantize?: { readonly type: 'Q8_0' | 'Q4_0'; matrix(weight: WeightArray): QuantizedWeight };
  /** Shown by other programs. */
  readonly name?: string;
}

export interface GgufExport extends GgufFile {
  readonly tensors: readonly StoredTensor[];
  /** Where other programs will do something else than Plinth. */
  readonly notes: readonly string[];
}

/**
 * Lays out the file of a model that llama.cpp loads.
 * @throws ConfigError for what llama.cpp cannot do (dynamic RoPE scaling, biases of qwen3, a pre-tokenizer
 *   without a name there), FormatError for weights that do not fit the config.
 */
export function exportGguf(input: ExportGgufInput): GgufExport {
  const config = validateTransformerConfig(input.config);
  const { weights, floatType = 'F32', quantize, name } = input;
  if (quantize && quantize.type !== 'Q8_0' && quantize.type !== 'Q4_0') {
    throw new ConfigError(`quantize.type is ${JSON.stringify(quantize.type)}; expected Q8_0 or Q4_0.`);
  }
  const tensors = modelTensors(config, weights, { floatType, ...(quantize && { quantize }) });
  const { metadata: tokenizerMetadata, notes } = ggufTokenizer({
    tokenizer: input.tokenizer,
    tokenizerConfig: input.tokenizerConfig,
    vocabSize: config.vocabSize,
    stopTokens: input.stopTokens ?? config.eosTokenIds,
    bosTokenId: config.bosTokenId,
    padTokenId: config.padTokenId,
  });
  const type = quantize?.type ?? quantizedType(weights) ?? floatType;
  const metadata = modelMetadata(config, { type, ...(name !== undefined && { name }) });
  const file = ggufFile(new Map([...metadata, ...tokenizerMetadata]), tensors);
  return {
    ...file,
    tensors: tensors.map(({ name: tensorName, type: tensorType, shape }) => ({
      name: tensorName,
      type: tensorType,
      shape,
    })),
    notes,
  };
}

function quantizedType(weights: MixedWeights): GgmlType | undefined {
  for (const weight of weights.values()) if (isQuantized(weight)) return blockTypeOf(weight);
  return undefined;
}
