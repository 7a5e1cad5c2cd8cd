/** `plinth lora`: what a low-rank adapter holds, and a model with one in its weights. */
import { copyFile, readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { ConfigError } from '../../core/errors.ts';
import { formatBytes, formatCount } from '../../core/units.ts';
import { ADAPTER_WEIGHTS_NAME } from '../../model/adapter/adapter-config.ts';
import { generationDefaults, TOKENIZER_FILES } from '../derived-model.ts';
import { findAdapter, findModel, shownPath } from '../model-folder.ts';

interface MergeFlags {
  model: string;
  adapter: string;
  out: string;
  overwrite?: boolean;
  json?: boolean;
}

interface ShowResult {
  adapter: string;
  rank: number;
  alpha: number;
  rankStabilised: boolean;
  targets: string | readonly string[];
  numModules: number;
  /** Whose rows of the embedding it replaces. */
  tokens: readonly number[];
  numParameters: number;
  /** Of the file with the tensors. */
  sizeBytes: number;
  baseModel: string | null;
  /** Of the model that it was trained on; null where the files do not say. */
  baseParameters: number | null;
}

interface MergeResult extends ShowResult {
  model: string;
  out: string;
  notes: string[];
}

const HELP = `
An adapter is a folder in the layout of PEFT (adapter_config.json, adapter_model.safetensors): one that a training
with --lora-rank left, or one that PEFT wrote. It belongs to the model that it was trained on; another one is refused.

Examples:
  $ plinth sft --model runs/books --data chats.jsonl --out runs/books-chat --lora-rank 8
  $ plinth lora show runs/books-chat
  $ plinth chat --model runs/books --adapter runs/books-chat
  $ plinth lora merge --model runs/books --adapter runs/books-chat --out models/books-chat`;

export function loraCommand(): Command {
  const command = new Command('lora')
    .summary('low-rank adapters: show, merge')
    .description('Low-rank adapters (LoRA): what one holds, and a model with one in its weights.')
    .addHelpText('after', HELP);
  command
    .command('show')
    .description('Say what an adapter is of and how large it is.')
    .argument('<adapter>', "an adapter's folder, or the folder of its training")
    .option('--json', 'print the result as one line of JSON')
    .action(show);
  command
    .command('merge')
    .description('Write a model with an adapter added to its weights: a model like any other.')
    .requiredOption('--model <folder>', 'the model that it was trained on: a folder or the name of a run')
    .requiredOption('--adapter <folder>', "the adapter's folder, or the folder of its training")
    .requiredOption('--out <folder>', 'where the merged model goes')
    .option('--overwrite', 'replace a folder that is already there')
    .option('--json', 'print the result as one line of JSON')
    .action(merge);
  return command;
}

async function show(name: string, flags: { json?: boolean }): Promise<void> {
  const result = await describe(findAdapter(name));
  process.stdout.write(flags.json ? `${JSON.stringify(result)}\n` : `${shownText(result)}\n`);
}

async function merge(flags: MergeFlags): Promise<void> {
  const model = await findModel(flags.model);
  const adapter = findAdapter(flags.adapter);
  const out = resolve(flags.out);
  if (out === model || out === adapter) {
    throw new ConfigError('--out is the model or the adapter itself; choose another folder.');
  }
  const result = await mergeFolders({ model, adapter, out, overwrite: flags.overwrite ?? false });
  const text = [shownText(result), ...result.notes, `Model    ${shownPath(out)}`].join('\n');
  process.stdout.write(flags.json ? `${JSON.stringify(result)}\n` : `${text}\n`);
}

async function mergeFolders(input: {
  model: string;
  adapter: string;
  out: string;
  overwrite: boolean;
}): Promise<MergeResult> {
  const { model, adapter, out, overwrite } = input;
  const [{ loadCheckpoint, saveCheckpoint, stopTokenIds }, { loadAdapter }, { mergeAdapter }] =
    await Promise.all([
      import('../../model/checkpoint.node.ts'),
      import('../../model/adapter/adapter.node.ts'),
      import('../../model/adapter/read-adapter.ts'),
    ]);
  const { config, weights, rawConfig, rawGenerationConfig } = await loadCheckpoint(model, {
    quantized: 'dequantize',
  });
  const merged = mergeAdapter(config, weights, await loadAdapter(adapter));
  // A chat format that came with the adapter's training goes before the model's.
  const sources = await Promise.all(
    [model, adapter].map(async (folder) => {
      const present = new Set(await readdir(folder));
      return TOKENIZER_FILES.filter((file) => present.has(file)).map((file) => [file, folder] as const);
    }),
  );
  await saveCheckpoint(out, {
    config: { ...merged.config, eosTokenIds: stopTokenIds(merged.config, rawGenerationConfig) },
    weights: merged.weights,
    generation: generationDefaults(rawGenerationConfig),
    overwrite,
    addFiles: async (folder) => {
      for (const [file, from] of new Map(sources.flat()))
        await copyFile(join(from, file), join(folder, file));
    },
  });
  const described = await describe(adapter);
  const { baseModel } = described;
  const isOther = baseModel !== null && resolve(baseModel) !== model;
  return {
    ...described,
    model,
    out,
    notes: [
      ...(isOther ? [`The adapter was trained on ${baseModel}; the sizes of this model are the same.`] : []),
      ...(rawConfig.quantization_config ? ["The model's quantised weights were widened to float32."] : []),
    ],
  };
}

async function describe(adapter: string): Promise<ShowResult> {
  const [{ loadAdapter }, { numParameters }] = await Promise.all([
    import('../../model/adapter/adapter.node.ts'),
    import('../../model/config.ts'),
  ]);
  const { settings, weights, modules, baseModel, baseConfig } = await loadAdapter(adapter);
  const { rank, alpha, targets, rankStabilised = false, tokens = [] } = settings;
  return {
    adapter,
    rank,
    alpha,
    rankStabilised,
    targets,
    numModules: modules.length,
    tokens,
    numParameters: [...weights.values()].reduce((total, { data }) => total + data.length, 0),
    sizeBytes: (await stat(join(adapter, ADAPTER_WEIGHTS_NAME))).size,
    baseModel,
    baseParameters: baseConfig && numParameters(baseConfig),
  };
}

function shownText(result: ShowResult): string {
  const { rank, alpha, rankStabilised, targets, numModules, tokens } = result;
  const { numParameters, sizeBytes, baseParameters } = result;
  const share =
    baseParameters === null
      ? ''
      : `, ${((100 * numParameters) / baseParameters).toPrecision(2)} % of the model's`;
  return [
    `Adapter  ${shownPath(result.adapter)}, rank ${rank}, alpha ${alpha}${rankStabilised ? ', rank-stabilised' : ''}`,
    `Layers   ${[targets].flat().join(', ')} (${numModules} matrices)`,
    ...(tokens.length > 0 ? [`Tokens   rows of ${tokens.join(', ')}`] : []),
    `Size     ${formatCount(numParameters)} parameters${share}, ${formatBytes(sizeBytes)}`,
    `Base     ${result.baseModel ?? 'not said'}`,
  ].join('\n');
}
