/** `plinth reward`: train a reward model on preferences; `plinth reward score`: what it gives to answers. */
import { Command } from 'commander';
import { PlinthError } from '../../core/errors.ts';
import type { RewardEvaluation } from '../../recipe/post-training/reward-evaluation.ts';
import { addDeviceOptions, type DeviceFlags, openDevice } from '../generation-options.ts';
import { findModel } from '../model-folder.ts';
import { notNegative, positiveInteger, quantity, wholeNumber } from '../option-values.ts';
import { withSession } from '../session.ts';
import { addLowRankOptions, type LowRankFlags, lowRankOf } from '../trainable-options.ts';

interface RewardFlags extends DeviceFlags, LowRankFlags {
  model?: string;
  data?: string[];
  out?: string;
  validationShare?: number;
  groupBy?: string;
  centre?: number;
  epochs?: number;
  steps?: number;
  batchSize?: number;
  length?: number;
  learningRate?: number;
  seed?: number;
  fresh?: boolean;
  json?: boolean;
}

interface ScoreFlags extends DeviceFlags {
  model: string;
  data: string[];
  out?: string;
  groupBy?: string;
  json?: boolean;
}

const HELP = `
Every line of a file compares answers to one prompt, text or messages, in the forms of TRL's data sets:
  {"prompt":"...","chosen":"...","rejected":"..."}            a pair, with an optional "margin"
  {"prompt":"...","completions":["best","...","worst"]}       a ranking, with optional "ranks"
Some prompts are kept aside; how often the better answer of theirs has the higher reward is told at the end, with a
95 % interval, and stands with calibration and parts of the data in evaluation.json.

The folder of --out holds settings.json, checkpoints/, metrics.jsonl, evaluation.json and model/, the result: a folder
that transformers loads as ...ForSequenceClassification with one label. Ctrl-C stops cleanly; the same command goes on.

Examples:
  $ plinth reward --model runs/chat --data pairs.jsonl --out runs/reward
  $ plinth reward score --model runs/reward --data new-pairs.jsonl
  $ plinth demonstrate --model runs/chat --prompts prompts.jsonl --reward model:runs/reward --samples 8 --out best`;

export function rewardCommand(): Command {
  const command = new Command('reward')
    .summary('train a reward model on preferences')
    .description('Train a reward model on preferences, or score answers with one.')
    .helpCommand(false)
    .enablePositionalOptions()
    .option('--model <folder>', "a model's folder, a run's folder or a run's name")
    .option('--data <files...>', 'preferences as JSON Lines')
    .option('--out <folder>', 'where everything goes')
    .option('--validation-share <share>', 'share of the prompts kept aside (default: 0.1)', notNegative)
    .option('--group-by <field>', 'field that names parts of the data for the figures (default: its file)')
    .option('--centre <weight>', 'weight of the loss that keeps rewards about 0 (default: 0.01)', notNegative)
    .option('--epochs <number>', 'passes over the data (default: 2)', quantity)
    .option('--steps <number>', 'number of training steps instead of epochs', positiveInteger)
    .option('--batch-size <number>', 'comparisons in a step (default: 16)', positiveInteger)
    .option('--length <number>', 'tokens of a prompt with its answer (default: 256)', positiveInteger)
    .option('--lr, --learning-rate <number>', 'peak learning rate (default: by width)', quantity)
    .option('--seed <number>', 'seed of the order and of the split (default: 1)', wholeNumber)
    .option('--fresh', 'begin anew, discarding what the folder holds of an earlier training');
  addLowRankOptions(command);
  return addDeviceOptions(command)
    .option('--json', 'print the result as one line of JSON, progress on stderr')
    .addHelpText('after', HELP)
    .addCommand(scoreCommand())
    .action(train);
}

function scoreCommand(): Command {
  const command = new Command('score')
    .summary('score answers with a reward model')
    .description('Score answers with a reward model; of compared answers also tell how often it agrees.')
    .requiredOption('--model <folder>', 'the folder of a reward model')
    .requiredOption('--data <files...>', 'preferences, prompts with completions, or chats, as JSON Lines')
    .option('--out <file>', 'write the scored lines there instead of printing them')
    .option('--group-by <field>', 'field that names parts of the data for the figures (default: its file)');
  return addDeviceOptions(command)
    .option('--json', 'print the figures as one line of JSON instead of the scored lines')
    .addHelpText(
      'after',
      `
A line comes out as it was, with "reward", or "rewards" where it has several answers (chosen before rejected).

Example:
  $ plinth reward score --model runs/reward --data pairs.jsonl --out scored.jsonl`,
    )
    .action(score);
}

async function train(flags: RewardFlags): Promise<void> {
  const { data, out, validationShare, groupBy, centre, epochs, steps, batchSize, length } = flags;
  const { learningRate, seed } = flags;
  const missing = (['model', 'data', 'out'] as const).find((name) => flags[name] === undefined);
  if (missing || flags.model === undefined || data === undefined || out === undefined) {
    throw new PlinthError('usage', `plinth reward needs --${missing}. See "plinth reward --help".`);
  }
  if (epochs !== undefined && steps !== undefined) {
    throw new PlinthError('usage', 'Give either --epochs or --steps, not both.');
  }
  const lowRank = lowRankOf(flags);
  const model = await findModel(flags.model);
  const [{ trainReward }, { runTraining }] = await Promise.all([
    import('../../recipe/post-training/train-reward.node.ts'),
    import('../training-command.ts'),
  ]);
  let evaluation: RewardEvaluation | undefined;
  await runTraining('plinth reward', flags, async (session) => {
    const outcome = await trainReward({
      ...session,
      model,
      files: data,
      folder: out,
      ...(validationShare !== undefined && { validationShare }),
      ...(groupBy !== undefined && { groupBy }),
      ...(centre !== undefined && { centre }),
      ...(epochs !== undefined && { epochs }),
      ...(steps !== undefined && { steps }),
      ...(batchSize !== undefined && { batchSize }),
      ...(length !== undefined && { length }),
      ...(learningRate !== undefined && { learningRate }),
      ...(seed !== undefined && { seed }),
      ...(lowRank && { lowRank }),
      fresh: flags.fresh ?? false,
    });
    evaluation = outcome.evaluation;
    return outcome;
  });
  if (evaluation && !flags.json) process.stdout.write(await evaluationText(evaluation));
}

async function score(flags: ScoreFlags): Promise<void> {
  const model = await findModel(flags.model);
  const { scoreFiles } = await import('../../recipe/post-training/score-rewards.node.ts');
  const { writeFileAtomic } = await import('../../core/atomic-file.node.ts');
  const { formatJsonLines } = await import('../../core/json-lines.ts');
  const device = await openDevice(flags);
  const { lines, evaluation, numSkipped, firstSkipped } = await withSession(
    'plinth reward score',
    'Stopping after these answers.',
    (session) =>
      scoreFiles({
        ...session,
        device,
        model,
        files: flags.data,
        ...(flags.groupBy !== undefined && { groupBy: flags.groupBy }),
      }),
  );
  if (flags.out !== undefined) await writeFileAtomic(flags.out, formatJsonLines(lines));
  if (numSkipped > 0) {
    process.stderr.write(`${numSkipped} lines skipped; the first, ${firstSkipped}.\n`);
  }
  const { bins: _, ...figures } = evaluation ?? { bins: undefined };
  if (flags.json) {
    process.stdout.write(`${JSON.stringify({ numLines: lines.length, numSkipped, ...figures })}\n`);
    return;
  }
  if (flags.out === undefined) process.stdout.write(formatJsonLines(lines));
  if (evaluation) process.stderr.write(await evaluationText(evaluation));
}

async function evaluationText(evaluation: RewardEvaluation): Promise<string> {
  const figures = await import('../../recipe/report/figures.ts');
  const { visibleText } = await import('../terminal/visible-text.ts');
  const line = ({
    accuracy,
    interval,
    numRight,
    numPairs,
    brier,
    calibrationError,
  }: Omit<RewardEvaluation, 'bins' | 'groups' | 'numComparisons'>) =>
    `${figures.percent(accuracy)} of pairs in the right order (${figures.interval([...interval])}; ` +
    `${figures.whole(numRight)} of ${figures.whole(numPairs)}), Brier ${figures.precise(brier)}, ` +
    `calibration error ${figures.precise(calibrationError)}\n`;
  const groups = evaluation.groups.map((group) => `  ${visibleText(group.group)}: ${line(group)}`);
  return `Held out ${line(evaluation)}${groups.join('')}`;
}
