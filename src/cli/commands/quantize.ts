/** `plinth quantize`: a model's weights in 8 or 4 bits, as a folder of its own, and what that costs. */
import { copyFile, readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { ConfigError } from '../../core/errors.ts';
import { formatBytes } from '../../core/units.ts';
import type { QuantizationDifference } from '../../evaluate/quantization-difference.ts';
import type { KeptMatrix, WeightError } from '../../model/quantize/quantize-weights.ts';
import { generationDefaults, TOKENIZER_FILES } from '../derived-model.ts';
import { addDeviceOptions, type DeviceFlags, openDevice } from '../generation-options.ts';
import { findModel, shownPath } from '../model-folder.ts';
import { collect, positiveInteger, quantity } from '../option-values.ts';
import { withSession } from '../session.ts';

interface QuantizeFlags extends DeviceFlags {
  bits: 4 | 8;
  blockSize: number;
  out: string;
  keep?: string[];
  dtype: 'F16' | 'BF16' | 'F32';
  evaluate?: string[];
  textColumn?: string;
  maxBytes?: number;
  overwrite?: boolean;
  json?: boolean;
}

interface QuantizeResult {
  model: string;
  out: string;
  bits: 4 | 8;
  blockSize: number;
  numQuantized: number;
  kept: readonly KeptMatrix[];
  /** Bytes of the weights' files. */
  sizeBefore: number;
  sizeAfter: number;
  weightError: WeightError | null;
  evaluation: QuantizationDifference | null;
  notes: string[];
}

/** Text to measure on unless --max-bytes says otherwise. */
const DEFAULT_MAX_BYTES = 1e6;
const MEASURING_FLAGS = [
  ['maxBytes', '--max-bytes'],
  ['textColumn', '--text-column'],
  ['device', '--device'],
  ['threads', '--threads'],
] as const;
const HELP = `
The projections of every layer are quantised in blocks that share a scale; norms, biases, the embedding and the
output matrix stay floats (--dtype), because the folder's format (compressed-tensors, as transformers and vLLM read
it) holds linear layers only. Matrices whose rows blocks do not fill stay floats too, and are listed.

--evaluate reads texts as the data commands do and says how many bits a byte the model needs before and after, with
a 95 % interval over documents, and how often both choose the same next token.

Examples:
  $ plinth quantize runs/atlas --bits 8 --out models/atlas-8
  $ plinth quantize runs/atlas --bits 4 --out models/atlas-4 --evaluate held-out.jsonl
  $ plinth chat --model models/atlas-4`;

export function quantizeCommand(): Command {
  const command = new Command('quantize')
    .summary("a model's weights in 8 or 4 bits, and what that costs")
    .description('Write a model with its weights in 8 or 4 bits; with --evaluate, measure what that costs.')
    .argument('<model>', "a model's folder, a run's folder or a run's name")
    .requiredOption('--bits <number>', '8 or 4', bits)
    .option(
      '--block-size <number>',
      'neighbours that share a scale: 16, 32, 64, 128 or 256',
      positiveInteger,
      32,
    )
    .requiredOption('--out <folder>', 'where the quantised model goes')
    .option('--keep <name>', 'a matrix to leave unquantised, by name; may be repeated', collect)
    .option('--dtype <type>', 'type of the weights that stay floats: F16, BF16 or F32', dtype, 'F16')
    .option('--overwrite', 'replace a folder that is already there')
    .option('--evaluate <files...>', 'measure the loss before and after on these texts')
    .option('--text-column <name>', 'field with the text in tables (default: text, else content)')
    .option('--max-bytes <number>', 'measure on about so much text at most (default: 1M)', quantity)
    .option('--json', 'print the result as one line of JSON');
  return addDeviceOptions(command).addHelpText('after', HELP).action(quantize);
}

function bits(text: string): 4 | 8 {
  if (text === '8') return 8;
  if (text === '4') return 4;
  throw new InvalidArgumentError('Expected 8 or 4.');
}

function dtype(text: string): QuantizeFlags['dtype'] {
  if (text === 'F16' || text === 'BF16' || text === 'F32') return text;
  throw new InvalidArgumentError('Expected F16, BF16 or F32.');
}

async function quantize(name: string, flags: QuantizeFlags): Promise<void> {
  for (const [option, flag] of MEASURING_FLAGS) {
    if (flags[option] === undefined || flags.evaluate !== undefined) continue;
    throw new ConfigError(`${flag} is about measuring; give --evaluate and its files too, or leave it out.`);
  }
  const model = await findModel(name);
  const out = resolve(flags.out);
  const result = await withSession(`plinth quantize ${name}`, 'Stopping after this batch.', (session) =>
    quantizeFolder(model, out, flags, session.signal),
  );
  process.stdout.write(flags.json ? `${JSON.stringify(result)}\n` : `${resultText(result)}\n`);
}

async function quantizeFolder(
  model: string,
  out: string,
  flags: QuantizeFlags,
  signal: AbortSignal,
): Promise<QuantizeResult> {
  const [{ embeddingNames, loadCheckpoint, saveCheckpoint, stopTokenIds }, quantizing] = await Promise.all([
    import('../../model/checkpoint.node.ts'),
    import('../../model/quantize/quantize-weights.ts'),
  ]);
  if (model === out) throw new ConfigError('--out is the model itself; choose another folder.');
  const { config, weights, rawGenerationConfig, ignoredTensors } = await loadCheckpoint(model);
  const options = {
    bits: flags.bits,
    blockSize: flags.blockSize,
    keep: [...embeddingNames(config), ...(flags.keep ?? [])],
  };
  const { weights: mixed, quantized, ...rest } = quantizing.quantizeWeights(config, weights, options);
  const kept = rest.kept.map(({ name, why }) =>
    embeddingNames(config).includes(name)
      ? { name, why: "the folder's format has no place for it" }
      : { name, why },
  );
  if (quantized.length === 0) {
    throw new ConfigError(
      `No matrix can be quantised: ${kept.map(({ name, why }) => `${name} (${why})`).join(', ')}. Choose another --block-size.`,
    );
  }
  const present = new Set(await readdir(model));
  const files = TOKENIZER_FILES.filter((file) => present.has(file));
  await saveCheckpoint(out, {
    config: { ...config, eosTokenIds: stopTokenIds(config, rawGenerationConfig) },
    weights: mixed,
    dtype: flags.dtype,
    generation: generationDefaults(rawGenerationConfig),
    overwrite: flags.overwrite ?? false,
    addFiles: async (folder) => {
      for (const file of files) await copyFile(join(model, file), join(folder, file));
    },
  });
  const notes = ignoredTensors.map(
    (tensor) => `${tensor} of the model was left out: it follows from others.`,
  );
  // What was written is what is measured: the floats that stay are rounded to --dtype there.
  const written = flags.evaluate ? await loadCheckpoint(out, { quantized: 'keep' }) : undefined;
  const evaluation = written
    ? await evaluate({ model, config, weights, quantized: written.weights }, flags, notes, signal)
    : null;
  return {
    model,
    out,
    bits: flags.bits,
    blockSize: flags.blockSize,
    numQuantized: quantized.length,
    kept,
    sizeBefore: await weightFileBytes(model),
    sizeAfter: await weightFileBytes(out),
    weightError: quantizing.weightError(weights, mixed) ?? null,
    evaluation,
    notes,
  };
}

type Models = Pick<
  import('../../evaluate/quantization-difference.ts').QuantizationDifferenceInput,
  'config' | 'weights' | 'quantized'
> & { model: string };

async function evaluate(
  { model, ...models }: Models,
  flags: QuantizeFlags,
  notes: string[],
  signal: AbortSignal,
): Promise<QuantizationDifference> {
  const [{ measureQuantization }, { targetBytes }, { loadTokenizer }, { readTexts }] = await Promise.all([
    import('../../evaluate/quantization-difference.ts'),
    import('../../evaluate/index.ts'),
    import('../../tokenizer/index.node.ts'),
    import('../read-texts.ts'),
  ]);
  const { tokenizer } = await loadTokenizer(model);
  const read = await readTexts(flags.evaluate!, {
    maxBytes: flags.maxBytes ?? DEFAULT_MAX_BYTES,
    ...(flags.textColumn !== undefined && { textColumn: flags.textColumn }),
  });
  notes.push(...read.notes);
  const documents = read.texts.map((text) => {
    const tokens = tokenizer.encode(text);
    const targets = tokens.slice(1);
    return { tokens, bytes: targetBytes(tokenizer, targets, new Uint8Array(targets.length).fill(1)) };
  });
  return measureQuantization({ ...models, documents, device: await openDevice(flags), signal });
}

async function weightFileBytes(folder: string): Promise<number> {
  const names = (await readdir(folder)).filter((file) => /^model.*\.safetensors$/.test(file));
  const sizes = await Promise.all(names.map(async (file) => (await stat(join(folder, file))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

function resultText(result: QuantizeResult): string {
  const { evaluation: cost, weightError: error, kept, notes } = result;
  const signed = (value: number, digits: number) => `${value < 0 ? '' : '+'}${value.toFixed(digits)}`;
  const rows = [
    ['', 'before', 'after', 'difference'],
    [
      'size of the weights',
      formatBytes(result.sizeBefore),
      formatBytes(result.sizeAfter),
      `${((100 * result.sizeAfter) / result.sizeBefore).toFixed(0)} %`,
    ],
  ];
  if (cost) {
    const [low, high] = cost.difference.interval;
    const sure = Number.isNaN(low) ? '' : ` (${signed(low, 4)} to ${signed(high, 4)})`;
    rows.push(
      [
        `bits a ${cost.unit}`,
        cost.before.toFixed(4),
        cost.after.toFixed(4),
        `${signed(cost.difference.value, 4)}${sure}`,
      ],
      [
        'loss, nats a token',
        cost.lossBefore.toFixed(4),
        cost.lossAfter.toFixed(4),
        signed(cost.lossAfter - cost.lossBefore, 4),
      ],
    );
  }
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  const table = rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd(),
  );
  const lines = [
    `${result.numQuantized} matrices to ${result.bits} bits in blocks of ${result.blockSize}; ${kept.length} stay floats.`,
    ...kept.map(({ name, why }) => `  ${name}: ${why}`),
    '',
    ...table,
    '',
  ];
  if (error) {
    lines.push(
      `Weights: relative error ${(100 * error.relative).toFixed(2)} %; the largest, ${error.largest.toPrecision(3)}, in ${error.name}.`,
    );
  }
  if (cost) {
    const [low, high] = cost.sameGreedy.interval;
    const percent = (share: number) => (100 * share).toFixed(2);
    lines.push(
      `Same most likely token at ${percent(cost.sameGreedy.share)} % (${percent(low)} to ${percent(high)}) of ` +
        `${cost.numTokens} places in ${cost.numDocuments} documents` +
        `${cost.numSkipped > 0 ? `; ${cost.numSkipped} documents were too short to count` : ''}.`,
    );
  }
  return [...lines, ...notes, `Model    ${shownPath(result.out)}`].join('\n');
}
