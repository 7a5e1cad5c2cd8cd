/** `plinth sft`: supervised finetuning on chats, and a look at the chats beforehand. */
import { Command, Option } from 'commander';
import { PlinthError } from '../../core/errors.ts';
import { TRAIN_ON, type TrainOn } from '../../data/tokens/training-targets.ts';
import { addDeviceOptions, type DeviceFlags } from '../generation-options.ts';
import { findModel } from '../model-folder.ts';
import { notNegative, positiveInteger, quantity, wholeNumber } from '../option-values.ts';
import { addLowRankOptions, type LowRankFlags, lowRankOf } from '../trainable-options.ts';

interface SftFlags extends DeviceFlags, LowRankFlags {
  model: string;
  data: string[];
  out?: string;
  inspect?: boolean;
  epochs?: number;
  steps?: number;
  batchSize?: number;
  length?: number;
  learningRate?: number;
  trainOn?: TrainOn;
  validationShare?: number;
  validation?: string[];
  seed?: number;
  fresh?: boolean;
  json?: boolean;
}

const HELP = `
Every line of a file is one chat: {"messages":[{"role":"user","content":"..."},{"role":"assistant","content":"..."}]},
with system prompts, several turns, and tools ("tools", "tool_calls", the role "tool") in OpenAI's form; or
{"prompt":"...","completion":"..."}. The loss counts on what the assistant wrote, not on what it was given; "weight":0
leaves one of its messages out. A base model without a chat format gets ChatML.

--inspect trains nothing: it counts turns, tools, lengths, copies, questions with different answers, refusals and
languages, and warns.

The folder of --out holds settings.json, data/, checkpoints/, metrics.jsonl and model/, the result. Ctrl-C stops
cleanly; the same command goes on from there.

Examples:
  $ plinth sft --model runs/books --data chats.jsonl --inspect
  $ plinth sft --model runs/books --data chats.jsonl --out runs/books-chat --epochs 3 --validation-share 0.05
  $ plinth chat --model runs/books-chat`;

export function sftCommand(): Command {
  const command = new Command('sft')
    .summary('finetune a model on chats')
    .description('Finetune a model on chats, so that it answers in their manner.')
    .requiredOption('--model <folder>', "a model's folder, a run's folder or a run's name")
    .requiredOption('--data <files...>', 'chats as JSON Lines')
    .option('--out <folder>', 'where everything goes')
    .option('--inspect', 'look at the data instead of training')
    .option('--epochs <number>', 'passes over the data (default: 3)', quantity)
    .option('--steps <number>', 'number of training steps instead of epochs', positiveInteger)
    .option('--batch-size <number>', 'sequences in a step (default: 16)', positiveInteger)
    .option('--length <number>', 'tokens in a sequence; longer chats are cut (default: 256)', positiveInteger)
    .option('--lr, --learning-rate <number>', 'peak learning rate (default: by width)', quantity)
    .addOption(
      new Option(
        '--train-on <what>',
        "learn what the assistant wrote (default), its last turn only, or others' words too",
      ).choices(TRAIN_ON),
    )
    .option('--validation-share <number>', 'share of chats kept aside (default: 0)', notNegative)
    .option('--validation <files...>', 'chats to measure the loss on, instead of a share')
    .option('--seed <number>', 'seed of the order (default: 1)', wholeNumber)
    .option('--fresh', 'begin anew, discarding what the folder holds of an earlier training');
  return addDeviceOptions(addLowRankOptions(command))
    .option('--json', 'print the result as one line of JSON, progress on stderr')
    .addHelpText('after', HELP)
    .action((flags: SftFlags) => (flags.inspect ? inspect(flags) : sft(flags)));
}

async function inspect(flags: SftFlags): Promise<void> {
  const model = await findModel(flags.model);
  const [{ inspectChats }, { chatDataText }] = await Promise.all([
    import('../../recipe/post-training/inspect-chats.node.ts'),
    import('../chat-data-text.ts'),
  ]);
  const report = await inspectChats({
    model,
    files: flags.data,
    ...(flags.length !== undefined && { length: flags.length }),
  });
  process.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : chatDataText(report));
}

async function sft(flags: SftFlags): Promise<void> {
  const { epochs, steps, batchSize, length, learningRate, trainOn, validationShare, validation, seed } =
    flags;
  const { out: folder } = flags;
  if (folder === undefined) {
    throw new PlinthError('usage', 'Name a folder with --out, or look at the data with --inspect.');
  }
  if (epochs !== undefined && steps !== undefined) {
    throw new PlinthError('usage', 'Give either --epochs or --steps, not both.');
  }
  if (validationShare !== undefined && validation !== undefined) {
    throw new PlinthError('usage', 'Give either --validation-share or --validation, not both.');
  }
  const lowRank = lowRankOf(flags);
  const model = await findModel(flags.model);
  const [{ finetuneOnChats }, { runTraining }] = await Promise.all([
    import('../../recipe/post-training/finetune-on-chats.node.ts'),
    import('../training-command.ts'),
  ]);
  await runTraining('plinth sft', flags, (session) =>
    finetuneOnChats({
      ...session,
      model,
      files: flags.data,
      folder,
      ...(epochs !== undefined && { epochs }),
      ...(steps !== undefined && { steps }),
      ...(batchSize !== undefined && { batchSize }),
      ...(length !== undefined && { length }),
      ...(learningRate !== undefined && { learningRate }),
      ...(trainOn !== undefined && { trainOn }),
      ...(validationShare !== undefined && { validationShare }),
      ...(validation !== undefined && { validationFiles: validation }),
      ...(seed !== undefined && { seed }),
      ...(lowRank && { lowRank }),
      fresh: flags.fresh ?? false,
    }),
  );
}
