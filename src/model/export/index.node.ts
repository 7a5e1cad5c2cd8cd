/** Writing a model in the files of other programs. */
export { type ExportModelOptions, exportModel } from './export-model.node.ts';
