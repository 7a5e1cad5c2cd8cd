/**
 * Writes a model's folder in the files of other programs: an ONNX folder for transformers.js, one GGUF file for
 * llama.cpp, or a Hugging Face folder of safetensors. Everything appears in one piece or not at all; weights are
 * converted while they are written, so memory holds the loaded model and a chunk.
 */
import { mkdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { writeFileAtomic, writeFolderAtomic } from '../../core/atomic-file.node.ts';
import { ConfigError } from '../../core/errors.ts';
import { BpeTokenizer, formatTokenizerConfig, formatTokenizerJson } from '../../tokenizer/index.ts';
import { embeddingNames, saveCheckpoint } from '../checkpoint.node.ts';
import { formatHuggingFaceJson, toHuggingFaceConfig, toHuggingFaceGenerationConfig } from '../config.ts';
import type { WeightArray } from '../initialize.ts';
import { quantizeMatrix } from '../quantize/quantize-matrix.ts';
import { quantizeWeights } from '../quantize/quantize-weights.ts';
import { isQuantized } from '../quantized.ts';
import { exportGguf } from './export-gguf.ts';
import { exportOnnx } from './export-onnx.ts';
import { type ExportedFile, type ExportReport, exportedWeights } from './export-report.ts';
import { type ExportSettings, type ExportVariant, exportVariants } from './export-settings.ts';
import { GGML_BLOCK_SIZE } from './gguf-types.ts';
import { type ModelFiles, readModelFiles } from './model-files.node.ts';
import { checkFilePlace, checkFolderPlace, EXPORT_MARK } from './output-place.node.ts';

export interface ExportModelOptions extends ExportSettings {
  /** The folder to write, or for GGUF the file. */
  readonly out: string;
  /** Replace the file, or the folder if it is an earlier export. Default false: that is an error. */
  readonly overwrite?: boolean;
  /** The model's name in a GGUF file. Default: its folder's. */
  readonly name?: string;
}

/** GGUF and ONNX share blocks of this size, so that both hold the same numbers. */
const BLOCK_SIZE = GGML_BLOCK_SIZE;
const STORED_DTYPES = { f32: 'F32', f16: 'F16', bf16: 'BF16' } as const;

/**
 * Exports the model in `folder`.
 * @throws ConfigError for settings that the format does not have, for what the other program cannot do, and for an
 *   output that is already there; FormatError for a broken model; PlinthError `disk`, with nothing half written.
 */
export async function exportModel(folder: string, options: ExportModelOptions): Promise<ExportReport> {
  const asked = exportVariants(options);
  if (options.name !== undefined && options.to !== 'gguf') {
    throw new ConfigError(`A name is written into GGUF files only, not for ${options.to}; leave it out.`);
  }
  const out = resolve(options.out);
  const { overwrite = false } = options;
  await (options.to === 'gguf' ? checkFilePlace : checkFolderPlace)(out, overwrite);
  const model = await readModelFiles(folder);
  const bits = storedBits(model);
  const wrong = asked.find((variant) => bits && variant.bits && variant.bits !== bits);
  if (wrong) {
    throw new ConfigError(
      `${model.folder} is quantised to ${bits} bits already; make ${wrong.bits} bits from the unquantised model.`,
    );
  }
  // There is one file to make of it; what is float there stays so unless its bits are asked for.
  const one = asked.find((variant) => variant.bits) ?? asked[0]!;
  const variants = bits ? [{ ...one, storedBits: bits }] : asked;
  if (options.to === 'gguf') return writeGguf(model, variants[0]!, out, options.name ?? model.name);
  if (options.to === 'onnx') return writeOnnxFolder(model, variants, out);
  return writeSafetensorsFolder(model, variants[0]!, out);
}

/** The bits of a model that is quantised already. */
function storedBits({ weights }: ModelFiles): 4 | 8 | undefined {
  for (const weight of weights.values()) if (isQuantized(weight)) return weight.bits;
  return undefined;
}

const quantizer = (bits: 4 | 8) => (weight: WeightArray) =>
  quantizeMatrix(weight, { bits, blockSize: BLOCK_SIZE });

async function writeGguf(
  { folder, config, weights, loaded }: ModelFiles,
  { dtype, bits }: ExportVariant,
  out: string,
  name: string,
): Promise<ExportReport> {
  if (!loaded) {
    throw new ConfigError(
      `${folder} holds no tokenizer.json, and llama.cpp loads no model without a tokenizer.`,
    );
  }
  const file = exportGguf({
    config,
    weights,
    tokenizer: loaded.tokenizer,
    tokenizerConfig: loaded.config,
    floatType: STORED_DTYPES[dtype],
    ...(bits && { quantize: { type: bits === 8 ? 'Q8_0' : 'Q4_0', matrix: quantizer(bits) } }),
    name,
  });
  await mkdir(dirname(out), { recursive: true });
  await writeFileAtomic(out, file.chunks(), { sizeBytes: file.sizeBytes });
  return {
    to: 'gguf',
    out,
    files: [{ path: out, sizeBytes: file.sizeBytes }],
    weights: [exportedWeights(out, file.tensors)],
    notes: file.notes,
  };
}

/** transformers.js finds a file by the ending that stands for its `dtype`. */
function onnxName({ dtype, storedBits, bits = storedBits }: ExportVariant): {
  suffix: string;
  dtype: string;
} {
  if (bits === 8) return { suffix: '_quantized', dtype: 'q8' };
  if (bits === 4) return { suffix: '_q4', dtype: 'q4' };
  return dtype === 'f16' ? { suffix: '_fp16', dtype: 'fp16' } : { suffix: '', dtype: 'fp32' };
}

async function writeOnnxFolder(
  model: ModelFiles,
  variants: readonly ExportVariant[],
  out: string,
): Promise<ExportReport> {
  const { config, weights } = model;
  const exports = variants.map((variant) => {
    const { bits, dtype } = variant;
    const { suffix, dtype: name } = onnxName(variant);
    const made = exportOnnx({
      config,
      weights,
      name: `model${suffix}.onnx`,
      floatType: dtype === 'f16' ? 'float16' : 'float32',
      ...(bits && { quantize: { bits, blockSize: BLOCK_SIZE, matrix: quantizer(bits) } }),
    });
    return { ...made, name };
  });
  const dataFiles = exports
    .filter(({ files }) => files.length > 1)
    .map(({ files }) => [files[0]!.name, files.length - 1] as const);
  const settings = {
    // What is loaded when nobody asks for a type.
    dtype: exports[0]!.name,
    ...(dataFiles.length > 0 && { use_external_data_format: Object.fromEntries(dataFiles) }),
  };
  const texts = new Map<string, string>([
    [
      'config.json',
      formatHuggingFaceJson({ ...toHuggingFaceConfig(config), 'transformers.js_config': settings }),
    ],
    ['generation_config.json', generationConfigText(model)],
    ...tokenizerTexts(model),
  ]);
  const files: ExportedFile[] = [];
  await writeFolderAtomic(out, async (temporary) => {
    for (const [name, text] of texts) {
      await writeFileAtomic(join(temporary, name), text);
      files.push({ path: join(out, name), sizeBytes: Buffer.byteLength(text) });
    }
    await mkdir(join(temporary, 'onnx'));
    for (const file of exports.flatMap((one) => one.files)) {
      await writeFileAtomic(join(temporary, 'onnx', file.name), file.chunks(), { sizeBytes: file.sizeBytes });
      files.push({ path: join(out, 'onnx', file.name), sizeBytes: file.sizeBytes });
    }
    await writeFileAtomic(join(temporary, EXPORT_MARK), markText('onnx', model, files, out));
  });
  return {
    to: 'onnx',
    out,
    files,
    weights: exports.map((one) => exportedWeights(join(out, 'onnx', one.files[0]!.name), one.tensors)),
    notes: onnxNotes(model),
  };
}

function onnxNotes({ loaded, config }: ModelFiles): string[] {
  const notes: string[] = [];
  if (!loaded) {
    notes.push('The model has no tokenizer.json: transformers.js then takes and gives token ids only.');
  } else if (addsTokens(loaded.tokenizer)) {
    notes.push(
      "The tokenizer's post_processor puts further tokens around texts in transformers.js; Plinth encodes without them (there: add_special_tokens: false).",
    );
  }
  if (config.padTokenId === null) {
    notes.push('No token is named for padding: transformers.js then cannot read several prompts at once.');
  }
  return notes;
}

function addsTokens(tokenizer: unknown): boolean {
  const processor = tokenizer instanceof BpeTokenizer ? tokenizer.postProcessor : undefined;
  return JSON.stringify(processor ?? null).includes('TemplateProcessing');
}

async function writeSafetensorsFolder(
  model: ModelFiles,
  { dtype, bits }: ExportVariant,
  out: string,
): Promise<ExportReport> {
  const { config } = model;
  const weights = bits
    ? // Matrices that are quantised already stay as they are.
      quantizeWeights(config, model.weights, { bits, blockSize: BLOCK_SIZE, keep: embeddingNames(config) })
        .weights
    : model.weights;
  const stored = STORED_DTYPES[dtype];
  const texts = tokenizerTexts(model);
  const tensors = [...weights].map(([name, weight]) => ({
    name,
    type: isQuantized(weight) ? `q${weight.bits}` : stored,
    shape: weight.shape,
  }));
  const files: ExportedFile[] = [];
  // Checked before: a folder that is there is empty, or may be replaced.
  const isThere = await stat(out).then(
    () => true,
    () => false,
  );
  await saveCheckpoint(out, {
    config,
    weights,
    dtype: stored,
    files: texts,
    overwrite: isThere,
    addFiles: async (temporary) => {
      const generation = generationConfigText(model);
      await writeFileAtomic(join(temporary, 'generation_config.json'), generation);
      const names = ['config.json', 'generation_config.json', ...texts.keys(), 'model.safetensors'];
      for (const name of names) {
        files.push({ path: join(out, name), sizeBytes: (await stat(join(temporary, name))).size });
      }
      await writeFileAtomic(join(temporary, EXPORT_MARK), markText('safetensors', model, files, out));
    },
  });
  return {
    to: 'safetensors',
    out,
    files,
    weights: [exportedWeights(join(out, 'model.safetensors'), tensors)],
    notes: model.loaded
      ? []
      : ['The model has no tokenizer.json: other programs need one beside the weights.'],
  };
}

/** How the model wants to be sampled, with every token that ends a text. */
function generationConfigText({ config, rawGenerationConfig }: ModelFiles): string {
  return formatHuggingFaceJson({ ...rawGenerationConfig, ...toHuggingFaceGenerationConfig(config) });
}

function tokenizerTexts({ loaded }: ModelFiles): Map<string, string> {
  if (!loaded) return new Map();
  return new Map([
    ['tokenizer.json', formatTokenizerJson(loaded.tokenizer)],
    ['tokenizer_config.json', formatTokenizerConfig(loaded.tokenizer, loaded.config)],
  ]);
}

function markText(
  to: ExportSettings['to'],
  { name }: ModelFiles,
  files: readonly ExportedFile[],
  out: string,
): string {
  const listed = files.map(({ path, sizeBytes }) => ({ name: path.slice(out.length + 1), sizeBytes }));
  return `${JSON.stringify({ writtenBy: 'plinth export', to, model: name, files: listed }, null, 2)}\n`;
}
