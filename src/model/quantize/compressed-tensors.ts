/**
 * Quantised matrices as the public format `compressed-tensors` holds them under `pack-quantized`, which transformers
 * and vLLM load: for a linear layer X, `X.weight_packed` int32 [out, in * bits / 32] with codes from the lowest bits
 * up, `X.weight_scale` [out, in / blockSize] and `X.weight_shape` int64 [2]. Little-endian int32 of codes are byte for
 * byte the codes in memory, so nothing is repacked. The format holds linear layers only: embeddings stay floats.
 * Source: github.com/vllm-project/compressed-tensors (pack_quantized compressor, QuantizationConfig).
 */
import { ConfigError, FormatError } from '../../core/errors.ts';
import { QUANTIZED_BLOCK_SIZES } from '../../tensor/index.ts';
import type { QuantizedWeight } from '../quantized.ts';
import type { TensorInput } from '../safetensors.ts';
import { decodeFloat32, encodeFloat32 } from '../safetensors-float.ts';
import { quoteName, type TensorInfo } from '../safetensors-header.ts';

export const QUANTIZATION_KEY = 'quantization_config';
const METHOD = 'compressed-tensors';
const FORMAT = 'pack-quantized';

/** How a folder's linear layers are quantised. */
export interface PackedScheme {
  readonly bits: 4 | 8;
  /** null: one scale a row. */
  readonly blockSize: number | null;
}

/**
 * The value of `quantization_config`. `ignore` lists the linear layers that stay floats, by module name.
 */
export function toQuantizationConfig(
  scheme: { readonly bits: 4 | 8; readonly blockSize: number },
  ignore: readonly string[],
): Record<string, unknown> {
  return {
    quant_method: METHOD,
    format: FORMAT,
    quantization_status: 'compressed',
    config_groups: {
      group_0: {
        targets: ['Linear'],
        weights: {
          num_bits: scheme.bits,
          type: 'int',
          symmetric: true,
          strategy: 'group',
          group_size: scheme.blockSize,
          dynamic: false,
          actorder: null,
        },
        input_activations: null,
        output_activations: null,
      },
    },
    ignore: [...ignore],
    kv_cache_scheme: null,
  };
}

type Json = Record<string, unknown>;
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Reads `quantization_config`. Throws ConfigError that names a method, format or setting that is not read.
 * @param file the file's path, for errors.
 */
export function parseQuantizationConfig(file: string, value: unknown): PackedScheme {
  const refuse = (what: string): never => {
    throw new ConfigError(
      `${file}: ${QUANTIZATION_KEY} ${what}. Read are ${METHOD} with format ${FORMAT}, symmetric, 4 or 8 bits; ` +
        'take the unquantised model and quantise it with "plinth quantize".',
    );
  };
  if (!isObject(value)) return refuse('is no object');
  if (value.quant_method !== METHOD) return refuse(`has quant_method ${shown(value.quant_method)}`);
  const groups = isObject(value.config_groups) ? Object.values(value.config_groups) : [];
  const [group] = groups;
  if (groups.length !== 1 || !isObject(group)) return refuse(`has ${groups.length} config_groups, not one`);
  const format = group.format ?? value.format;
  if (format !== FORMAT) return refuse(`has format ${shown(format)}`);
  for (const key of ['input_activations', 'output_activations']) {
    if ((group[key] ?? null) !== null) return refuse(`quantises activations (${key})`);
  }
  if ((value.kv_cache_scheme ?? null) !== null) return refuse('quantises the cache (kv_cache_scheme)');
  if (!isObject(group.weights)) return refuse('quantises no weights');
  const { num_bits, type, symmetric, strategy, group_size, actorder, dynamic } = group.weights;
  if (num_bits !== 4 && num_bits !== 8) return refuse(`has num_bits ${shown(num_bits)}`);
  if ((type ?? 'int') !== 'int') return refuse(`has weights of type ${shown(type)}`);
  if ((symmetric ?? true) !== true) return refuse('is not symmetric (it has zero points)');
  if ((dynamic ?? false) !== false) return refuse('has dynamic weights');
  if (actorder === 'group' || actorder === true) return refuse(`has actorder ${shown(actorder)}`);
  if (strategy === 'channel') return { bits: num_bits, blockSize: null };
  if (strategy !== 'group') return refuse(`has strategy ${shown(strategy)}`);
  if (!QUANTIZED_BLOCK_SIZES.includes(group_size as number)) {
    return refuse(
      `has group_size ${shown(group_size)}, which no kernel here knows (${QUANTIZED_BLOCK_SIZES.join(', ')})`,
    );
  }
  return { bits: num_bits, blockSize: group_size as number };
}

const shown = (value: unknown) => (value === undefined ? 'missing' : JSON.stringify(value).slice(0, 80));

const PARTS = ['packed', 'scale', 'shape'] as const;

/** Names of the tensors that hold a parameter `X.weight`. */
export function packedNames(name: string): Record<(typeof PARTS)[number], string> {
  return { packed: `${name}_packed`, scale: `${name}_scale`, shape: `${name}_shape` };
}

/** The tensors to store for a parameter `X.weight`. */
export function packedTensors(name: string, weight: QuantizedWeight): TensorInput[] {
  const [rows, columns] = weight.shape;
  const names = packedNames(name);
  const shape = new Uint8Array(BigInt64Array.from(weight.shape, BigInt).buffer);
  return [
    { name: names.packed, dtype: 'I32', shape: [rows, (columns * weight.bits) / 32], data: weight.data },
    { name: names.scale, dtype: 'F16', shape: [rows, columns / weight.blockSize], data: weight.scales },
    { name: names.shape, dtype: 'I64', shape: [2], data: shape },
  ];
}

export interface PackedSource {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readBytes(name: string): Promise<Uint8Array>;
  readFloat32(name: string): Promise<Float32Array>;
}

/** Is the parameter stored in packed form? */
export function isPacked(source: Pick<PackedSource, 'tensors'>, name: string): boolean {
  return source.tensors.has(packedNames(name).packed);
}

/**
 * Checks shapes and types of a packed parameter without reading its data; gives the block size.
 * @throws FormatError naming what is missing or does not fit.
 */
export function checkPacked(
  folder: string,
  { tensors }: Pick<PackedSource, 'tensors'>,
  { name, shape }: { readonly name: string; readonly shape: readonly number[] },
  scheme: PackedScheme,
): number {
  const fail = (text: string): never => {
    throw new FormatError(`${folder}: ${text}`);
  };
  const names = packedNames(name);
  const [rows, columns] = shape as [number, number];
  const blockSize = scheme.blockSize ?? QUANTIZED_BLOCK_SIZES.findLast((size) => columns % size === 0);
  if (blockSize === undefined || columns % blockSize !== 0) {
    return fail(
      `tensor ${quoteName(name)} has rows of ${columns}, which blocks of ${blockSize ?? 16} do not fill.`,
    );
  }
  for (const extra of [`${name}_zero_point`, `${name}_g_idx`]) {
    if (tensors.has(extra))
      fail(`tensor ${quoteName(extra)} belongs to a form of quantisation that is not read.`);
  }
  const scales = scheme.blockSize === null ? 1 : columns / blockSize;
  const expected = {
    packed: { shape: [rows, (columns * scheme.bits) / 32], dtypes: ['I32'] },
    scale: { shape: [rows, scales], dtypes: ['F16', 'BF16', 'F32'] },
    shape: { shape: [2], dtypes: ['I64', 'I32'] },
  };
  for (const part of PARTS) {
    const info = tensors.get(names[part]) ?? fail(`tensor ${quoteName(names[part])} is missing.`);
    const want = expected[part];
    if (info.shape.join() !== want.shape.join() || !want.dtypes.includes(info.dtype)) {
      fail(
        `tensor ${quoteName(names[part])} is ${info.dtype} [${info.shape.join(', ')}]; with ${scheme.bits} bits and ` +
          `the config's [${rows}, ${columns}] expected ${want.dtypes.join(' or ')} [${want.shape.join(', ')}].`,
      );
    }
  }
  return blockSize;
}

/**
 * Reads a parameter that `checkPacked` has passed. `exact` demands scales that float16 holds, as `QuantizedWeight`
 * promises; without it other scales are taken as they are, to be dequantised.
 * @throws FormatError for contents that contradict the config.
 */
export async function readPacked(
  folder: string,
  source: PackedSource,
  { name, shape }: { readonly name: string; readonly shape: readonly number[] },
  { bits, blockSize, isChannel }: { bits: 4 | 8; blockSize: number; isChannel: boolean },
  exact: boolean,
): Promise<QuantizedWeight> {
  const names = packedNames(name);
  const [rows, columns] = shape as [number, number];
  const shapeBytes = await source.readBytes(names.shape);
  const stored =
    source.tensors.get(names.shape)!.dtype === 'I64'
      ? Array.from(new BigInt64Array(shapeBytes.buffer, 0, 2), Number)
      : Array.from(new Int32Array(shapeBytes.buffer, 0, 2));
  if (stored.join() !== shape.join()) {
    throw new FormatError(
      `${folder}: ${quoteName(names.shape)} says [${stored.join(', ')}], the config asks for [${shape.join(', ')}].`,
    );
  }
  const read = await source.readFloat32(names.scale);
  const at = read.findIndex((scale) => !Number.isFinite(scale));
  if (at >= 0)
    throw new FormatError(`${folder}: ${quoteName(names.scale)} holds ${read[at]} at place ${at}.`);
  if (exact && source.tensors.get(names.scale)!.dtype !== 'F16') requireHalves(folder, names.scale, read);
  const perRow = columns / blockSize;
  const scales = isChannel
    ? Float32Array.from({ length: rows * perRow }, (_, i) => read[Math.floor(i / perRow)]!)
    : read;
  return { shape: [rows, columns], bits, blockSize, data: await source.readBytes(names.packed), scales };
}

function requireHalves(folder: string, name: string, scales: Float32Array): void {
  const rounded = new Float32Array(scales.length);
  decodeFloat32(encodeFloat32(scales, 'F16'), 'F16', rounded);
  const at = scales.findIndex((scale, i) => scale !== rounded[i]);
  if (at < 0) return;
  throw new FormatError(
    `${folder}: ${quoteName(name)} holds ${scales[at]}, which is no float16 number; scales are kept in float16. ` +
      "Load the folder with quantized: 'dequantize'.",
  );
}
