/** `plinth scale memory`: what training and using a model take, in bytes. */
import { Command, Option } from 'commander';
import { formatBytes } from '../../core/units.ts';
import type { Memory, Recomputation } from '../../scaling/count/index.ts';
import { positiveInteger, wholeNumber } from '../option-values.ts';
import {
  type ArchitectureFlags,
  addArchitectureOptions,
  architectureFromFlags,
  tokenLength,
} from '../scale/architecture-options.ts';
import { columns } from '../terminal/columns.ts';

interface MemoryFlags extends ArchitectureFlags {
  batch: number;
  context?: number;
  source?: number;
  precision: string;
  optimizer: string;
  recompute: Recomputation;
  flash: boolean;
  dropout?: boolean;
  zero: number;
  devices: number;
  cacheLength?: number;
  cachePrecision?: string;
  statePrecision: string;
  rolling: boolean;
  json?: boolean;
}

const HELP = `
Training: weights, gradients, optimizer state and what the backward pass needs. bf16 and fp16 mean mixed precision with
a 32-bit master copy (16 bytes a parameter with AdamW); bf16-pure has none. fp8, int8 and int4 are for inference only.
Optimizers: adamw, adamw-8bit, adafactor, muon, lion, momentum, sgd.

Not counted: workspaces, fragmentation and communication buffers of the framework, scales of quantised weights.
K and M in lengths are 1024 and 1048576; 1 GB is 1e9 bytes, 1 GiB is 2^30.

Examples:
  $ plinth scale memory --preset llama-2-7b --context 4096 --recompute full --cache-length 256K
  $ plinth scale memory --preset llama-3-70b --zero 3 --devices 64 --optimizer adafactor
  $ plinth scale memory --preset qwen3-8b --precision int4 --cache-precision int8 --cache-length 32K --batch 8`;

export function memoryCommand(): Command {
  const command = new Command('memory')
    .summary('weights, gradients, optimizer, activations, cache')
    .description(
      'Memory for training and for inference: weights, gradients, optimizer, activations, cache, state.',
    );
  return addArchitectureOptions(command)
    .option('--batch <sequences>', 'sequences at a time on a device', positiveInteger, 1)
    .option(
      '--context <tokens>',
      "tokens in a sequence (4096, 8K); default: the model's own, else 2048",
      tokenLength,
    )
    .option('--source <tokens>', 'tokens that an encoder reads (default: --context)', tokenLength)
    .option('--precision <name>', 'fp32, bf16, fp16, bf16-pure, fp8, int8, int4', 'bf16')
    .option('--optimizer <name>', 'adamw, adamw-8bit, adafactor, muon, lion, momentum, sgd', 'adamw')
    .addOption(
      new Option('--recompute <what>', 'activations computed again: nothing, attention scores, whole layers')
        .choices(['none', 'selective', 'full'])
        .default('none'),
    )
    .option('--no-flash', 'attention that keeps its scores, instead of a fused kernel')
    .option('--dropout', 'train with dropout: masks are kept')
    .option(
      '--zero <stage>',
      'shard over devices: 1 optimizer, 2 and gradients, 3 and weights',
      wholeNumber,
      0,
    )
    .option('--devices <number>', 'devices that share what --zero shards', positiveInteger, 1)
    .option('--cache-length <tokens>', 'tokens in the cache (default: --context)', tokenLength)
    .option(
      '--cache-precision <name>',
      'fp32, bf16, fp16, fp8, int8, int4 (default: bf16; fp32 with --precision fp32)',
    )
    .option('--state-precision <name>', 'of recurrent states', 'fp32')
    .option('--no-rolling', 'a cache that keeps what sliding windows hide')
    .option('--json', 'print one line of JSON')
    .addHelpText('after', HELP)
    .action(memory);
}

async function memory(flags: MemoryFlags): Promise<void> {
  const [architecture, { memoryOf }] = await Promise.all([
    architectureFromFlags(flags),
    import('../../scaling/count/index.ts'),
  ]);
  const result = memoryOf(architecture, {
    precision: flags.precision,
    optimizer: flags.optimizer,
    batch: flags.batch,
    recompute: flags.recompute,
    flashAttention: flags.flash,
    dropout: flags.dropout ?? false,
    zeroStage: flags.zero,
    numDevices: flags.devices,
    statePrecision: flags.statePrecision,
    rollingCache: flags.rolling,
    ...(flags.context === undefined ? {} : { contextLength: flags.context }),
    ...(flags.source === undefined ? {} : { sourceLength: flags.source }),
    ...(flags.cacheLength === undefined ? {} : { cacheLength: flags.cacheLength }),
    ...(flags.cachePrecision === undefined ? {} : { cachePrecision: flags.cachePrecision }),
  });
  if (flags.json) {
    process.stdout.write(
      `${JSON.stringify({ name: architecture.name, ...result, notes: architecture.notes })}\n`,
    );
    return;
  }
  const lines = [
    ...trainingText(architecture.name, result, flags),
    ...inferenceText(architecture.name, result),
    ...architecture.notes.map((note) => `Note: ${note}`),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

function trainingText(
  name: string,
  { training, batch, contextLength, precision }: Memory,
  flags: MemoryFlags,
): string[] {
  if (training === null) {
    return [`No training in ${precision}: choose fp32, bf16, fp16 or bf16-pure for that.\n`];
  }
  const { activations } = training;
  const shared =
    flags.zero > 0 && flags.devices > 1 ? `, on each of ${flags.devices} devices (ZeRO ${flags.zero})` : '';
  const rows: [string, number][] = [
    ['weights', training.weights],
    ['gradients', training.gradients],
    ['32-bit master weights', training.masterWeights],
    [`optimizer (${flags.optimizer})`, training.optimizer],
    [flags.recompute === 'full' ? 'inputs of the layers' : 'activations of the layers', activations.layers],
    ['one layer, computed again', activations.recomputedLayer],
    ['embedding, last norm, head', activations.ends],
    ['logits in 32 bits', activations.logits],
  ];
  return [
    `Training ${name} in ${precision}, ${batch} x ${contextLength} tokens${shared}: ${bothUnits(training.total)}\n`,
    memoryTable(rows, training.total),
    `\n${training.bytesPerParameter.toFixed(2)} bytes a parameter before activations and sharding.\n`,
  ];
}

function inferenceText(name: string, { inference, batch, cacheLength, precision }: Memory): string[] {
  const rows: [string, number][] = [
    ['weights', inference.weights],
    ['key/value cache', inference.cache],
    ['recurrent state', inference.state],
  ];
  return [
    `Using ${name} in ${precision}, ${batch} x ${cacheLength} tokens: ${bothUnits(inference.total)}\n`,
    memoryTable(rows, inference.total),
    inference.cachePerToken > 0
      ? `\nThe cache grows by ${inference.cachePerToken} bytes a token until a sliding window, if any, is full.`
      : '\nThere is no cache that grows with the text.',
  ];
}

function memoryTable(rows: readonly (readonly [string, number])[], total: number): string {
  return columns(
    [...rows.filter(([, bytes]) => bytes > 0), ['total', total] as const].map(([label, bytes]) => [
      label,
      formatBytes(Math.round(bytes)),
      gibibytes(bytes),
    ]),
    'lrr',
  );
}

function bothUnits(bytes: number): string {
  return `${formatBytes(Math.round(bytes))} (${gibibytes(bytes)})`;
}

function gibibytes(bytes: number): string {
  const gib = bytes / 2 ** 30;
  return gib >= 0.1 ? `${gib.toFixed(2)} GiB` : `${(bytes / 2 ** 20).toFixed(2)} MiB`;
}
