/** What an export has written, for people and for programs. */
import type { ExportFormat } from './export-settings.ts';
import type { StoredTensor } from './stored-tensor.ts';

export interface ExportedFile {
  readonly path: string;
  readonly sizeBytes: number;
}

/** How the weights of one model file are stored. */
export interface ExportedWeights {
  readonly file: string;
  /** Number of tensors by stored type, such as Q8_0 or float32. */
  readonly types: Readonly<Record<string, number>>;
  /** In a quantised file: matrices that are not, because blocks of 32 do not fill their rows or the format has no place. */
  readonly unquantized: readonly string[];
}

export interface ExportReport {
  readonly to: ExportFormat;
  readonly out: string;
  readonly files: readonly ExportedFile[];
  readonly weights: readonly ExportedWeights[];
  /** Where other programs will do something else than Plinth. */
  readonly notes: readonly string[];
}

const QUANTIZED_TYPE = /^q\d/i;

export function exportedWeights(file: string, tensors: readonly StoredTensor[]): ExportedWeights {
  const types: Record<string, number> = {};
  for (const { type } of tensors) types[type] = (types[type] ?? 0) + 1;
  const isQuantized = tensors.some(({ type }) => QUANTIZED_TYPE.test(type));
  const unquantized = tensors.filter(({ type, shape }) => shape.length === 2 && !QUANTIZED_TYPE.test(type));
  return { file, types, unquantized: isQuantized ? unquantized.map(({ name }) => name) : [] };
}
