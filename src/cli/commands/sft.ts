/** `plinth sft`: supervised finetuning on chats. */
import { Command } from 'commander';
import { PlinthError } from '../../core/errors.ts';
import { addDeviceOptions, type DeviceFlags } from '../generation-options.ts';
import { findModel } from '../model-folder.ts';
import { positiveInteger, quantity, wholeNumber } from '../option-values.ts';

interface SftFlags extends DeviceFlags {
  model: string;
  data: string[];
  out: string;
  epochs?: number;
  steps?: number;
  batchSize?: number;
  length?: number;
  learningRate?: number;
  seed?: number;
  fresh?: boolean;
  json?: boolean;
}

const HELP = `
Every line of a file is one chat: {"messages":[{"role":"user","content":"..."},{"role":"assistant","content":"..."}]},
with an optional first message of the role "system". The loss counts on the assistant's tokens only. A base model
without a chat format gets ChatML.

The folder of --out holds settings.json, data/, checkpoints/, metrics.jsonl and model/, the result. Ctrl-C stops
cleanly; the same command goes on from there.

Example:
  $ plinth sft --model runs/books --data chats.jsonl --out runs/books-chat --epochs 3
  $ plinth chat --model runs/books-chat`;

export function sftCommand(): Command {
  const command = new Command('sft')
    .summary('finetune a model on chats')
    .description('Finetune a model on chats, so that it answers in their manner.')
    .requiredOption('--model <folder>', "a model's folder, a run's folder or a run's name")
    .requiredOption('--data <files...>', 'chats as JSON Lines')
    .requiredOption('--out <folder>', 'where everything goes')
    .option('--epochs <number>', 'passes over the data (default: 3)', quantity)
    .option('--steps <number>', 'number of training steps instead of epochs', positiveInteger)
    .option('--batch-size <number>', 'sequences in a step (default: 16)', positiveInteger)
    .option('--length <number>', 'tokens in a sequence; longer chats are cut (default: 256)', positiveInteger)
    .option('--lr, --learning-rate <number>', 'peak learning rate (default: by width)', quantity)
    .option('--seed <number>', 'seed of the order (default: 1)', wholeNumber)
    .option('--fresh', 'begin anew, discarding what the folder holds of an earlier training');
  return addDeviceOptions(command)
    .option('--json', 'print the result as one line of JSON, progress on stderr')
    .addHelpText('after', HELP)
    .action(sft);
}

async function sft(flags: SftFlags): Promise<void> {
  const { epochs, steps, batchSize, length, learningRate, seed } = flags;
  if (epochs !== undefined && steps !== undefined) {
    throw new PlinthError('usage', 'Give either --epochs or --steps, not both.');
  }
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
      folder: flags.out,
      ...(epochs !== undefined && { epochs }),
      ...(steps !== undefined && { steps }),
      ...(batchSize !== undefined && { batchSize }),
      ...(length !== undefined && { length }),
      ...(learningRate !== undefined && { learningRate }),
      ...(seed !== undefined && { seed }),
      fresh: flags.fresh ?? false,
    }),
  );
}
