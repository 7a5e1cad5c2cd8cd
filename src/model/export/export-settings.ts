/**
 * What can be exported: for each format, the types that its files know. A setting that a format does not have is
 * refused by name. Pure.
 */
import { ConfigError } from '../../core/errors.ts';

export const EXPORT_FORMATS = ['onnx', 'gguf', 'safetensors'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];
export const EXPORT_DTYPES = ['f32', 'f16', 'bf16'] as const;
export type ExportDtype = (typeof EXPORT_DTYPES)[number];
export const EXPORT_QUANTIZATIONS = ['q8', 'q4'] as const;
export type ExportQuantization = (typeof EXPORT_QUANTIZATIONS)[number];

export interface ExportSettings {
  readonly to: ExportFormat;
  /**
   * Type of the stored float weights. For ONNX each one is a file of its own. Default: f32, or for ONNX no float
   * file where something is quantised.
   */
  readonly dtypes?: readonly ExportDtype[];
  /** Quantised forms: each one is a file of its own (ONNX), or the form of the one file. */
  readonly quantize?: readonly ExportQuantization[];
}

/** One model file to write. */
export interface ExportVariant {
  readonly dtype: ExportDtype;
  /** Quantise to so many bits. */
  readonly bits?: 4 | 8;
  /** What the model's matrices have already. */
  readonly storedBits?: 4 | 8;
}

/** Which files these settings ask for. @throws ConfigError naming what the format does not have. */
export function exportVariants({ to, dtypes = [], quantize = [] }: ExportSettings): ExportVariant[] {
  if (!EXPORT_FORMATS.includes(to)) {
    throw new ConfigError(`Format ${JSON.stringify(to)}; expected one of ${EXPORT_FORMATS.join(', ')}.`);
  }
  requireKnown('dtype', dtypes, EXPORT_DTYPES);
  requireKnown('quantize', quantize, EXPORT_QUANTIZATIONS);
  const bitsOf = (form: ExportQuantization) => (form === 'q8' ? 8 : 4);
  if (to === 'onnx') {
    if (dtypes.includes('bf16')) {
      throw new ConfigError('transformers.js has no bf16 files; expected --dtype f32 or f16 for ONNX.');
    }
    const floats = dtypes.length === 0 && quantize.length === 0 ? (['f32'] as const) : dtypes;
    return [
      ...floats.map((dtype): ExportVariant => ({ dtype })),
      ...quantize.map((form): ExportVariant => ({ dtype: 'f32', bits: bitsOf(form) })),
    ];
  }
  if (dtypes.length > 1 || quantize.length > 1) {
    const what = to === 'gguf' ? 'A GGUF file' : 'A safetensors folder';
    throw new ConfigError(
      `${what} has one type, got ${[...dtypes, ...quantize].join(', ')}. Give one --dtype and one --quantize; export twice for two files.`,
    );
  }
  const [dtype = 'f32'] = dtypes;
  return [{ dtype, ...(quantize[0] && { bits: bitsOf(quantize[0]) }) }];
}

function requireKnown(setting: string, values: readonly string[], known: readonly string[]): void {
  const wrong = values.find((value, i) => !known.includes(value) || values.indexOf(value) !== i);
  if (wrong === undefined) return;
  const reason = known.includes(wrong) ? 'is given twice' : `is none of ${known.join(', ')}`;
  throw new ConfigError(`--${setting}: ${JSON.stringify(wrong)} ${reason}.`);
}
