/** `plinth prefer`: finetuning on preferences. */
import { Command, Option } from 'commander';
import {
  PREFERENCE_LOSS_NAMES,
  type PreferenceLossName,
  type PreferenceValues,
} from '../../align/preference/preference-settings.ts';
import { PlinthError } from '../../core/errors.ts';
import { addDeviceOptions, type DeviceFlags } from '../generation-options.ts';
import { findModel } from '../model-folder.ts';
import { notNegative, positiveInteger, quantity, wholeNumber } from '../option-values.ts';
import { addLowRankOptions, type LowRankFlags, lowRankOf } from '../trainable-options.ts';

interface PreferFlags extends DeviceFlags, LowRankFlags, Partial<PreferenceValues> {
  model: string;
  data: string[];
  out: string;
  loss?: PreferenceLossName;
  epochs?: number;
  steps?: number;
  batchSize?: number;
  length?: number;
  learningRate?: number;
  validationShare?: number;
  seed?: number;
  fresh?: boolean;
  json?: boolean;
}

const HELP = `
Every line of a file is one preference: {"prompt":"...","chosen":"...","rejected":"..."}, a ranking
{"prompt":"...","completions":["best","next","worst"]}, or (for kto) {"prompt":"...","completion":"...","label":true}.
Prompts and answers are texts or lists of messages. docs/preferences.md says which loss is for what.

The model as it is before is the reference. With --lora-rank only an adapter is trained and saved.

The folder of --out holds settings.json, data/, checkpoints/, metrics.jsonl and model/, the result. Ctrl-C stops
cleanly; the same command goes on from there.

Examples:
  $ plinth prefer --model runs/books-chat --data pairs.jsonl --out runs/books-dpo
  $ plinth prefer --model runs/books-chat --data ratings.jsonl --loss kto --undesirable-weight 1.5 --out runs/books-kto`;

export function preferCommand(): Command {
  const command = new Command('prefer')
    .summary('finetune a model on preferences: DPO, IPO, KTO, ORPO, SimPO')
    .description('Finetune a chat model on answers that were preferred to others, or called good or bad.')
    .requiredOption('--model <folder>', "a model's folder, a run's folder or a run's name")
    .requiredOption('--data <files...>', 'preferences as JSON Lines')
    .requiredOption('--out <folder>', 'where everything goes')
    .addOption(new Option('--loss <name>', 'what is minimised (default: dpo)').choices(PREFERENCE_LOSS_NAMES))
    .option(
      '--beta <number>',
      'hold on the reference (default: 0.1); of simpo the scale (default: 2)',
      quantity,
    )
    .option('--lambda <number>', 'orpo: weight of the odds ratio (default: 0.1)', quantity)
    .option('--gamma <number>', 'simpo: how far apart rewards should be (default: 1)', notNegative)
    .option(
      '--label-smoothing <share>',
      'dpo, simpo: share of pairs the wrong way round (default: 0)',
      notNegative,
    )
    .option('--no-per-token', 'ipo: sums of log-probabilities instead of means over tokens')
    .option('--desirable-weight <number>', 'kto: weight of good answers (default: 1)', notNegative)
    .option('--undesirable-weight <number>', 'kto: weight of bad answers (default: 1)', notNegative)
    .option(
      '--sft-weight <number>',
      "weight of the chosen answers' likelihood beside the loss (default: 0)",
      notNegative,
    )
    .option('--epochs <number>', 'passes over the data (default: 1)', quantity)
    .option('--steps <number>', 'number of training steps instead of epochs', positiveInteger)
    .option('--batch-size <number>', 'pairs or labelled answers in a step (default: 8)', positiveInteger)
    .option('--length <number>', 'tokens in a row; longer ones are left out (default: 256)', positiveInteger)
    .option('--lr, --learning-rate <number>', 'peak learning rate (default: by width)', quantity)
    .option('--validation-share <number>', 'share of prompts kept aside (default: 0.1)', notNegative)
    .option('--seed <number>', 'seed of the order (default: 1)', wholeNumber)
    .option('--fresh', 'begin anew, discarding what the folder holds of an earlier training');
  return addDeviceOptions(addLowRankOptions(command))
    .option('--json', 'print the result as one line of JSON, progress on stderr')
    .addHelpText('after', HELP)
    .action(prefer);
}

async function prefer(flags: PreferFlags): Promise<void> {
  const { loss, epochs, steps, batchSize, length, learningRate, validationShare, seed } = flags;
  if (epochs !== undefined && steps !== undefined) {
    throw new PlinthError('usage', 'Give either --epochs or --steps, not both.');
  }
  const lowRank = lowRankOf(flags);
  const model = await findModel(flags.model);
  const [{ preferOnPairs }, { runTraining }] = await Promise.all([
    import('../../recipe/post-training/prefer-on-pairs.node.ts'),
    import('../training-command.ts'),
  ]);
  await runTraining('plinth prefer', flags, (session) =>
    preferOnPairs({
      ...session,
      model,
      files: flags.data,
      folder: flags.out,
      values: valuesOf(flags),
      ...(loss !== undefined && { loss }),
      ...(epochs !== undefined && { epochs }),
      ...(steps !== undefined && { steps }),
      ...(batchSize !== undefined && { batchSize }),
      ...(length !== undefined && { length }),
      ...(learningRate !== undefined && { learningRate }),
      ...(validationShare !== undefined && { validationShare }),
      ...(seed !== undefined && { seed }),
      lowRank,
      fresh: flags.fresh ?? false,
    }),
  );
}

/** Those that were given: a loss refuses another's. */
function valuesOf(flags: PreferFlags): Partial<PreferenceValues> {
  const { beta, lambda, gamma, labelSmoothing, perToken, desirableWeight, undesirableWeight, sftWeight } =
    flags;
  return {
    ...(beta !== undefined && { beta }),
    ...(lambda !== undefined && { lambda }),
    ...(gamma !== undefined && { gamma }),
    ...(labelSmoothing !== undefined && { labelSmoothing }),
    // Commander says true where --no-per-token was not given.
    ...(perToken === false && { perToken }),
    ...(desirableWeight !== undefined && { desirableWeight }),
    ...(undesirableWeight !== undefined && { undesirableWeight }),
    ...(sftWeight !== undefined && { sftWeight }),
  };
}
