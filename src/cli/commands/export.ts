/** `plinth export`: a model in the files of other programs. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { formatBytes } from '../../core/units.ts';
import type { ExportReport } from '../../model/export/export-report.ts';
import {
  EXPORT_DTYPES,
  EXPORT_FORMATS,
  EXPORT_QUANTIZATIONS,
  type ExportDtype,
  type ExportFormat,
  type ExportQuantization,
} from '../../model/export/export-settings.ts';
import { findModel, shownPath } from '../model-folder.ts';

interface ExportFlags {
  to: ExportFormat;
  out: string;
  dtype?: ExportDtype[];
  quantize?: ExportQuantization[];
  name?: string;
  overwrite?: boolean;
  json?: boolean;
}

const HELP = `
MODEL is a model's folder, a run's folder or a run's name.

  onnx         a folder for transformers.js, in Node and in browsers: config.json, the tokenizer and
               onnx/model.onnx (f32), model_fp16.onnx (f16), model_quantized.onnx (q8), model_q4.onnx (q4).
               --dtype and --quantize take several, separated by commas: a file each.
  gguf         one file for llama.cpp, Ollama and LM Studio: F32, F16, BF16, Q8_0 (q8) or Q4_0 (q4). With
               --quantize, --dtype is the type of what stays unquantised.
  safetensors  a Hugging Face folder for transformers and vLLM; with --quantize in the form of
               compressed-tensors, embeddings unquantised.

Without --dtype and --quantize numbers are written as they are, in 32 bits. Quantised files hold the same numbers
in all three formats, in blocks of 32. What is written appears in one piece or not at all.

Examples:
  $ plinth export atlas --to gguf --quantize q8 --out atlas.gguf
  $ plinth export runs/atlas/model --to onnx --dtype f32 --quantize q8,q4 --out web/models/atlas`;

function listOf<T extends string>(known: readonly T[]) {
  return (text: string): T[] => {
    const words = text.split(',').map((word) => word.trim());
    const wrong = words.find((word) => !(known as readonly string[]).includes(word));
    if (wrong !== undefined) {
      throw new InvalidArgumentError(`"${wrong}" is none of ${known.join(', ')}.`);
    }
    return words as T[];
  };
}

export function exportCommand(): Command {
  return new Command('export')
    .summary('write a model for transformers.js, llama.cpp or vLLM')
    .description('Write a model in the files of other programs: ONNX, GGUF or safetensors.')
    .argument('<model>', "a model's folder, a run's folder or a run's name")
    .addOption(
      new Option('--to <format>', 'format of the files').choices(EXPORT_FORMATS).makeOptionMandatory(),
    )
    .requiredOption('--out <path>', 'folder to write; for gguf the file')
    .option('--dtype <types>', `${EXPORT_DTYPES.join(', ')} (default: f32)`, listOf(EXPORT_DTYPES))
    .option('--quantize <forms>', `${EXPORT_QUANTIZATIONS.join(' or ')}`, listOf(EXPORT_QUANTIZATIONS))
    .option('--name <text>', "the model's name in a GGUF file (default: its folder's)")
    .option('--overwrite', 'replace the file, or a folder that an earlier export wrote')
    .option('--json', 'print {"to","out","files","weights","notes"} as one line of JSON')
    .addHelpText('after', HELP)
    .action(exportTo);
}

async function exportTo(model: string, flags: ExportFlags): Promise<void> {
  const folder = await findModel(model);
  const { exportModel } = await import('../../model/export/index.node.ts');
  const report = await exportModel(folder, {
    to: flags.to,
    out: flags.out,
    ...(flags.dtype && { dtypes: flags.dtype }),
    ...(flags.quantize && { quantize: flags.quantize }),
    ...(flags.name !== undefined && { name: flags.name }),
    overwrite: flags.overwrite ?? false,
  });
  process.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : reportText(report));
}

/** Files with their sizes, how weights are stored, and what to know. */
export function reportText({ files, weights, notes }: ExportReport): string {
  const lines = files.map(
    ({ path, sizeBytes }) => `${formatBytes(sizeBytes).padStart(9)}  ${shownPath(path)}`,
  );
  for (const { file, types, unquantized } of weights) {
    const counts = Object.entries(types).map(([type, count]) => `${count} ${type}`);
    lines.push('', `${shownPath(file)}: ${counts.join(', ')} tensors`);
    if (unquantized.length > 0) {
      const shown = unquantized.slice(0, 3).join(', ');
      const more = unquantized.length > 3 ? ` and ${unquantized.length - 3} more` : '';
      lines.push(`not quantised: ${shown}${more}`);
    }
  }
  if (notes.length > 0) lines.push('', ...notes.map((note) => `Note: ${note}`));
  return `${lines.join('\n')}\n`;
}
