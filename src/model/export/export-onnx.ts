/**
 * A trained model as the ONNX files that transformers.js loads, in memory only as chunks. Browser-safe:
 * `export-model.node.ts` writes the folder.
 */
import { ConfigError } from '../../core/errors.ts';
import { type ChunkedFile, input, lowerProgram, onnxFiles } from '../../tensor/index.ts';
import { type TransformerConfig, validateTransformerConfig } from '../config.ts';
import type { MixedWeights } from '../quantized.ts';
import { rotaryTableData } from '../transformer.ts';
import { exportedGraph } from './onnx-graph.ts';
import { floatWeight, type OnnxFloatType, type OnnxQuantizer, onnxWeights } from './onnx-weights.ts';
import type { StoredTensor } from './stored-tensor.ts';

export interface ExportOnnxInput {
  readonly config: TransformerConfig;
  /** By Hugging Face name; matrices may be quantised already. */
  readonly weights: MixedWeights;
  /** Name of the model's file, such as `model.onnx`. */
  readonly name: string;
  /** Type of the matrices that are not quantised. Default float32. */
  readonly floatType?: OnnxFloatType;
  /** Quantises the matrices that are not yet and whose rows it can cut into blocks. */
  readonly quantize?: OnnxQuantizer;
  /** Above it, weights go into data files beside the model's. Default: what protobuf allows, 2 GB. */
  readonly maxFileBytes?: number;
}

export interface OnnxExport {
  /** The model's file first, then its data files. */
  readonly files: readonly ChunkedFile[];
  readonly tensors: readonly StoredTensor[];
}

const COSINE = 'rotary.cosine';
const SINE = 'rotary.sine';

/**
 * Lays out the files of a model.
 * @throws ConfigError for dynamic RoPE scaling, FormatError for weights that do not fit the config.
 */
export function exportOnnx(options: ExportOnnxInput): OnnxExport {
  const config = validateTransformerConfig(options.config);
  if (config.ropeScaling?.type === 'dynamic') {
    throw new ConfigError(
      'Dynamic RoPE scaling changes with the length of the text, which an exported graph does not do: set rope_scaling to null (the same up to max_position_embeddings) or to linear.',
    );
  }
  const { floatType = 'float32', quantize, name, maxFileBytes } = options;
  const { parameters, stored, types } = onnxWeights(config, options.weights, {
    floatType,
    ...(quantize && { quantize }),
  });
  const { shape, keys } = rotaryTableData(config, config.maxPositionEmbeddings);
  const tables = { cosine: input(COSINE, shape), sine: input(SINE, shape) };
  const graph = exportedGraph(parameters, config, tables);
  // These lowerings have kernels on WebGPU and lose nothing on the CPU.
  const program = lowerProgram(graph.outputs, { target: 'webgpu', inputs: graph.inputs });
  const files = onnxFiles(
    program.model,
    [
      ...stored,
      floatWeight(COSINE, { shape, data: keys.cosine }, 'float32'),
      floatWeight(SINE, { shape, data: keys.sine }, 'float32'),
    ],
    { name, ...(maxFileBytes !== undefined && { maxFileBytes }) },
  );
  return {
    files,
    tensors: [...types].map(([tensor, type]) => ({
      name: tensor,
      type,
      shape: options.weights.get(tensor)!.shape,
    })),
  };
}
