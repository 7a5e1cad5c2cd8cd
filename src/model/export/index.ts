/** A model in the files of other programs, as chunks in memory. Browser-safe; writing: `index.node.ts`. */
export { type ExportGgufInput, exportGguf, type GgufExport } from './export-gguf.ts';
export { type ExportOnnxInput, exportOnnx, type OnnxExport } from './export-onnx.ts';
export type { ExportedFile, ExportedWeights, ExportReport } from './export-report.ts';
export {
  EXPORT_DTYPES,
  EXPORT_FORMATS,
  EXPORT_QUANTIZATIONS,
  type ExportDtype,
  type ExportFormat,
  type ExportQuantization,
  type ExportSettings,
} from './export-settings.ts';
export type { StoredTensor } from './stored-tensor.ts';
