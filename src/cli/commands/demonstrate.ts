/** `plinth demonstrate`: synthetic demonstrations and pairs, sampled, judged and chosen. */
import { Command, Option } from 'commander';
import { PlinthError } from '../../core/errors.ts';
import type { Keep } from '../../recipe/post-training/choose-demonstrations.ts';
import type { DemonstrationReport, Validator } from '../../recipe/post-training/demonstrate.node.ts';
import type { OpenedReward } from '../../recipe/post-training/open-reward.node.ts';
import { anyNumber } from '../generate/flag-values.ts';
import type { GenerationFlags } from '../generate/generation-flags.ts';
import {
  addDeviceOptions,
  addGenerationOptions,
  type DeviceFlags,
  generateOptions,
  hasChance,
  hasSampling,
  openDevice,
  openModel,
  refuseUnsupported,
} from '../generation-options.ts';
import { shownPath } from '../model-folder.ts';
import { collect, positiveInteger } from '../option-values.ts';
import { withSession } from '../session.ts';

interface DemonstrateFlags extends DeviceFlags, GenerationFlags {
  prompts?: string[];
  table?: string;
  promptTemplate?: string[];
  answerTemplate?: string[];
  system?: string;
  model?: string;
  samples?: number;
  validator?: string[];
  threshold?: number;
  reward?: string;
  keep?: Keep;
  pairs?: boolean;
  out: string;
  fresh?: boolean;
  json?: boolean;
}

const HELP = `
Prompts are lines {"prompt":"..."} or {"messages":[...]}, whose other fields validators may use, or templates that a
table's rows fill: "What is the capital of {country}?". Answers come from a model or from templates.

A validator or reward is a program, a model, a module or a mixture of them:
  exact-match[:FIELD]  number[:FIELD]  regex:PATTERN  json[:FIELD[=RECORD_FIELD]]  length:MIN-MAX  finished  tokens
  model:FOLDER (a reward model)   module:FILE or FILE.ts (export const reward = { name, score(answers) })
  0.8*exact-match + 0.2*json - 0.001*tokens
An answer is valid when every --validator gives it --threshold (default: 1, a program's full score) or more.

The folder of --out holds settings.json, data/samples.jsonl (everything sampled), chats.jsonl or pairs.jsonl, and
report.json with what was dropped and why. Ctrl-C keeps what was sampled and the same command goes on; with other
validators, --keep or --pairs it chooses anew from the same samples.

Examples:
  $ plinth demonstrate --table cities.csv --prompt-template "Where is {city}?" --answer-template "In {country}." --out d
  $ plinth demonstrate --prompts sums.jsonl --model runs/chat --samples 8 --temperature 1 --validator number --out right
  $ plinth demonstrate --prompts p.jsonl --model runs/chat --samples 16 --temperature 1 --reward model:runs/reward --out best
  $ plinth sft --model runs/chat --data best/chats.jsonl --out runs/distilled`;

export function demonstrateCommand(): Command {
  const command = new Command('demonstrate')
    .summary('make demonstrations: sample, judge, choose')
    .description(
      'Make demonstrations to finetune on, or pairs to prefer by: sample answers, judge them, keep the good.',
    )
    .requiredOption('--out <folder>', 'where everything goes')
    .optionsGroup('Prompts:')
    .option('--prompts <files...>', 'prompts as JSON Lines')
    .option('--table <file>', 'a table whose rows fill the templates')
    .option('--prompt-template <text>', 'a prompt with {column} in it; may be repeated', collect)
    .option('--system <text>', 'a system message before each prompt that has none')
    .optionsGroup('Answers:')
    .option('--answer-template <text>', 'an answer with {column} in it; may be repeated', collect)
    .option(
      '--model <folder>',
      "a model's folder, a run's folder or name, a .gguf file, or http(s)://host/v1#name",
    )
    .option(
      '--samples <number>',
      'answers to each prompt (default: 1), drawn at temperature 1 unless another is given',
      positiveInteger,
    )
    .optionsGroup('Choice:')
    .option('--validator <reward>', 'what a valid answer must satisfy; may be repeated', collect)
    .option('--threshold <number>', 'score from which an answer is valid (default: 1)', anyNumber)
    .option('--reward <reward>', 'what orders the answers to one prompt (default: the validators)')
    .addOption(
      new Option(
        '--keep <which>',
        'best: one a prompt; valid; all (default: best with --reward, else valid)',
      ).choices(['best', 'valid', 'all']),
    )
    .option('--pairs', 'write pairs.jsonl, the best answer against the worst, instead of chats.jsonl')
    .optionsGroup('Options:')
    .option('--fresh', 'begin anew, discarding what the folder holds')
    .option('--json', 'print the report as one line of JSON, progress on stderr');
  addDeviceOptions(command);
  addGenerationOptions(command, ['search', 'log-probabilities']);
  return command.addHelpText('after', HELP).action(demonstrateAnswers);
}

async function demonstrateAnswers(flags: DemonstrateFlags): Promise<void> {
  const { prompts, table, promptTemplate, answerTemplate, system, model, samples, keep } = flags;
  const { seed, signal: _, search: __, ...generation } = generateOptions(flags);
  if (model === undefined && hasSampling(generation)) {
    throw usage('Sampling settings need a --model; answers of templates are written, not drawn.');
  }
  if ((samples ?? 1) > 1 && hasSampling(generation) && !hasChance(generation)) {
    throw usage(
      `--samples ${samples} without chance gives the same answer ${samples} times; raise --temperature.`,
    );
  }
  if (flags.keep !== undefined && flags.pairs) {
    throw usage('--pairs takes the best and the worst answer of each prompt; leave --keep out.');
  }
  const [{ demonstrate }, { openReward }] = await Promise.all([
    import('../../recipe/post-training/demonstrate.node.ts'),
    import('../../recipe/post-training/open-reward.node.ts'),
  ]);
  const device = await openDevice(flags);
  const opened: OpenedReward[] = [];
  const open = async (text: string) => {
    const reward = await openReward(text, device);
    opened.push(reward);
    return reward;
  };
  try {
    const validators: Validator[] = [];
    for (const text of flags.validator ?? []) {
      const { reward, isProgram } = await open(text);
      if (!isProgram && flags.threshold === undefined) {
        throw usage(
          `The validator ${text} has no full score; say with --threshold from which one an answer is valid.`,
        );
      }
      validators.push({ reward, threshold: flags.threshold ?? 1 });
    }
    const reward = flags.reward === undefined ? undefined : (await open(flags.reward)).reward;
    const language =
      model === undefined ? undefined : await openModel({ ...flags, model }, { requireTokenizer: true });
    try {
      if (language) refuseUnsupported(flags, language);
      const report = await withSession('plinth demonstrate', 'Stopping after these answers.', (session) =>
        demonstrate({
          ...session,
          folder: flags.out,
          source: {
            ...(prompts && { files: prompts }),
            ...(table !== undefined && { table }),
            ...(promptTemplate && { promptTemplates: promptTemplate }),
            ...(answerTemplate && { answerTemplates: answerTemplate }),
            ...(system !== undefined && { system }),
          },
          ...(language && { model: { name: model!, model: language } }),
          ...(samples !== undefined && { numSamples: samples }),
          generation,
          ...(seed !== undefined && { seed }),
          validators,
          ...(reward && { reward }),
          ...(keep && { keep }),
          asPairs: flags.pairs ?? false,
          fresh: flags.fresh ?? false,
        }),
      );
      await print(report, flags.json ?? false);
    } finally {
      await language?.dispose();
    }
  } finally {
    for (const { dispose } of opened) await dispose();
  }
}

async function print(report: DemonstrationReport, asJson: boolean): Promise<void> {
  if (asJson) {
    process.stdout.write(`${JSON.stringify(report)}\n`);
    return;
  }
  const figures = await import('../../recipe/report/figures.ts');
  const { visibleText } = await import('../terminal/visible-text.ts');
  const { numPrompts, numAnswers, numKept, numPromptsKept, meanScore, meanKeptScore, dropped, file } = report;
  const scores =
    meanScore === undefined || meanKeptScore === undefined
      ? ''
      : ` Mean score ${figures.precise(meanScore)}, of those kept ${figures.precise(meanKeptScore)}.`;
  const reasons = Object.entries(dropped).map(
    ([reason, count]) => `  ${figures.whole(count)} ${visibleText(reason)}\n`,
  );
  process.stdout.write(
    `${figures.whole(numAnswers)} answers to ${figures.whole(numPrompts)} prompts; kept ${figures.whole(numKept)}, ` +
      `for ${figures.whole(numPromptsKept)} prompts.${scores}\n${reasons.length > 0 ? `Dropped:\n${reasons.join('')}` : ''}` +
      `Written  ${shownPath(file)}\n`,
  );
}

const usage = (message: string) => new PlinthError('usage', `${message} See "plinth demonstrate --help".`);
