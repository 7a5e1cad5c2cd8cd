/** `plinth rl`: reinforcement by PPO or GRPO. */
import { Command, Option } from 'commander';
import { COLLAPSE_LIMITS } from '../../align/rl/collapse-guard.ts';
import {
  GRPO_DEFAULTS,
  type GrpoSettings,
  LOSS_NORMALISERS,
  type LossNormaliser,
  PPO_DEFAULTS,
  type PpoSettings,
  type RlSettings,
  rlSettings,
} from '../../align/rl/settings.ts';
import { PlinthError } from '../../core/errors.ts';
import type { ReinforcementOutcome } from '../../recipe/post-training/reinforce.node.ts';
import { addDeviceOptions, type DeviceFlags } from '../generation-options.ts';
import { findModel } from '../model-folder.ts';
import { notNegative, positiveInteger, quantity, wholeNumber } from '../option-values.ts';
import { addLowRankOptions, type LowRankFlags, lowRankOf } from '../trainable-options.ts';

interface RlFlags extends DeviceFlags, LowRankFlags {
  method: 'ppo' | 'grpo';
  model: string;
  data: string[];
  reward: string;
  out: string;
  validationData?: string[];
  steps?: number;
  promptsPerStep?: number;
  groupSize?: number;
  epochs?: number;
  minibatches?: number;
  temperature?: number;
  maxTokens?: number;
  clip?: number;
  clipHigh?: number;
  kl?: number;
  klTarget?: number;
  lossNormaliser?: LossNormaliser;
  entropyWeight?: number;
  overlongMargin?: number;
  resampleRounds?: number;
  critic?: PpoSettings['critic'];
  mixData?: string[];
  mixWeight?: number;
  maxKl?: number;
  learningRate?: number;
  seed?: number;
  fresh?: boolean;
  json?: boolean;
}

const DEFAULT_STEPS = 100;
const DEFAULT_MIX_WEIGHT = 1;

const HELP = `
Every line of a file is one prompt: {"prompt":"12+30=","answer":"42"}, or {"prompt":[messages],...} for a chat. The
other fields are for the reward, which is a program (exact-match, number, regex:..., json:..., length:..., finished,
sql-valid, sql-result), a reward model (model:FOLDER), a module (module:FILE), or a sum such as
"exact-match - 0.01*tokens".

Every step samples --group-size answers to each of --prompts-per-step prompts and learns from them. Training stops by
itself when the policy degenerates; the last policy without a sign of that is kept in last-good/.

The folder of --out holds settings.json, checkpoints/, last-good/, metrics.jsonl, report.json and model/, the result.
Ctrl-C stops cleanly; the same command goes on from there.

Examples:
  $ plinth rl --method grpo --model runs/sums --data sums.jsonl --reward exact-match --out runs/sums-rl
  $ plinth rl --method ppo --model runs/chat --data prompts.jsonl --reward model:runs/judge --kl-target 6 --out runs/chat-rl`;

export function rlCommand(): Command {
  const command = new Command('rl')
    .summary('improve a model by rewards: PPO, GRPO')
    .description('Let a model answer prompts, and reinforce what earns a reward.')
    .addOption(
      new Option('--method <name>', 'how answers are learned from').choices(['ppo', 'grpo']).default('grpo'),
    )
    .requiredOption('--model <folder>', "a model's folder, a run's folder or a run's name")
    .requiredOption('--data <files...>', 'prompts as JSON Lines')
    .requiredOption('--reward <text>', 'what an answer is worth')
    .requiredOption('--out <folder>', 'where everything goes')
    .option('--validation-data <files...>', 'prompts that are measured and not learned from')
    .option('--steps <number>', `times that answers are sampled (default: ${DEFAULT_STEPS})`, positiveInteger)
    .option(
      '--prompts-per-step <number>',
      `prompts each time (default: ${GRPO_DEFAULTS.promptsPerStep})`,
      positiveInteger,
    )
    .option(
      '--group-size <number>',
      `answers to each prompt (default: ${GRPO_DEFAULTS.groupSize})`,
      positiveInteger,
    )
    .option('--max-tokens <number>', `longest answer (default: ${GRPO_DEFAULTS.maxTokens})`, positiveInteger)
    .option('--temperature <number>', 'of sampling (default: 1)', quantity)
    .option(
      '--epochs <number>',
      `passes over the answers (default: ppo ${PPO_DEFAULTS.epochs}, grpo ${GRPO_DEFAULTS.epochs})`,
      positiveInteger,
    )
    .option(
      '--minibatches <number>',
      `updates in a pass (default: ppo ${PPO_DEFAULTS.minibatches}, grpo ${GRPO_DEFAULTS.minibatches})`,
      positiveInteger,
    )
    .option(
      '--kl <number>',
      `weight of the KL from the model as it was (default: ppo ${PPO_DEFAULTS.klWeight}, grpo ${GRPO_DEFAULTS.klWeight})`,
      notNegative,
    )
    .option(
      '--kl-target <nats>',
      'steer the weight to this KL of an answer instead of leaving it fixed',
      quantity,
    )
    .option(
      '--clip <number>',
      `how far a ratio counts below and above 1 (default: ${PPO_DEFAULTS.clip.low})`,
      quantity,
    )
    .option(
      '--clip-high <number>',
      `another bound above (default: ppo as --clip, grpo ${GRPO_DEFAULTS.clip.high})`,
      quantity,
    )
    .addOption(
      new Option(
        '--loss-normaliser <name>',
        `what losses are divided by (default: ${GRPO_DEFAULTS.lossNormaliser})`,
      ).choices(LOSS_NORMALISERS),
    )
    .option('--entropy-weight <number>', 'weight of the entropy, to be sought (default: 0)', notNegative)
    .option(
      '--overlong-margin <tokens>',
      'answers so near the longest lose up to 1 (default: 0, none)',
      notNegative,
    )
    .option(
      '--resample-rounds <number>',
      'grpo: draws in place of groups that all earn the same (default: 0)',
      wholeNumber,
    )
    .addOption(
      new Option('--critic <kind>', `ppo: on the policy or apart (default: ${PPO_DEFAULTS.critic})`).choices([
        'head',
        'separate',
      ]),
    )
    .option('--mix-data <files...>', 'chats that every update also learns, against forgetting (PPO-ptx)')
    .option('--mix-weight <number>', `what their loss counts (default: ${DEFAULT_MIX_WEIGHT})`, quantity)
    .option(
      '--max-kl <nats>',
      `KL by token at which the training is stopped (default: ${COLLAPSE_LIMITS.maxKlPerToken})`,
      quantity,
    )
    .option('--lr, --learning-rate <number>', 'learning rate (default: by width)', quantity)
    .option('--seed <number>', 'seed of prompts, answers and updates (default: 1)', wholeNumber)
    .option('--fresh', 'begin anew, discarding what the folder holds of an earlier training');
  return addDeviceOptions(addLowRankOptions(command))
    .option('--json', 'print the result as one line of JSON, progress on stderr')
    .addHelpText('after', HELP)
    .action(rl);
}

async function rl(flags: RlFlags): Promise<void> {
  const { steps = DEFAULT_STEPS, validationData, mixData, mixWeight, maxKl, learningRate } = flags;
  const settings = settingsOf(flags);
  const lowRank = lowRankOf(flags);
  if (mixWeight !== undefined && !mixData) {
    throw new PlinthError('usage', '--mix-weight is about --mix-data; give that too, or leave it out.');
  }
  const model = await findModel(flags.model);
  const [{ reinforce }, { openReward }, { runTraining }] = await Promise.all([
    import('../../recipe/post-training/reinforce.node.ts'),
    import('../../recipe/post-training/open-reward.node.ts'),
    import('../training-command.ts'),
  ]);
  let outcome: ReinforcementOutcome | undefined;
  await runTraining('plinth rl', flags, async (session) => {
    const opened = await openReward(flags.reward, session.device);
    try {
      outcome = await reinforce({
        ...session,
        model,
        files: flags.data,
        ...(validationData && { validationFiles: validationData }),
        reward: opened.reward,
        settings,
        folder: flags.out,
        steps,
        ...(mixData && { mixture: { files: mixData, weight: mixWeight ?? DEFAULT_MIX_WEIGHT } }),
        ...(maxKl !== undefined && { limits: { ...COLLAPSE_LIMITS, maxKlPerToken: maxKl } }),
        ...(learningRate !== undefined && { learningRate }),
        lowRank,
        fresh: flags.fresh ?? false,
      });
      return outcome;
    } finally {
      await opened.dispose();
    }
  });
  if (flags.json || !outcome) return;
  const { firstReward, lastReward, validationReward: kept } = outcome;
  const aside = kept ? `; kept aside ${kept.before.toFixed(3)} before, ${kept.after.toFixed(3)} after` : '';
  process.stdout.write(
    `Reward   ${firstReward.toFixed(3)} at first, ${lastReward.toFixed(3)} at last${aside}\n`,
  );
}

/** Throws PlinthError `usage` for options of the other method. */
function settingsOf(flags: RlFlags): RlSettings {
  const { method, clip, clipHigh, kl, klTarget, critic, resampleRounds } = flags;
  const shared: Partial<Record<string, unknown>> = {};
  for (const name of [
    'promptsPerStep',
    'groupSize',
    'epochs',
    'minibatches',
    'temperature',
    'maxTokens',
    'lossNormaliser',
    'entropyWeight',
    'overlongMargin',
    'seed',
  ] as const) {
    if (flags[name] !== undefined) shared[name] = flags[name];
  }
  if (kl !== undefined) shared.klWeight = kl;
  if (klTarget !== undefined) shared.klTarget = { target: klTarget };
  const usual = method === 'ppo' ? PPO_DEFAULTS.clip : GRPO_DEFAULTS.clip;
  if (clip !== undefined || clipHigh !== undefined) {
    shared.clip = { low: clip ?? usual.low, high: clipHigh ?? clip ?? usual.high };
  }
  if (method === 'ppo') {
    if (resampleRounds !== undefined) throw ofOtherMethod('--resample-rounds', 'grpo');
    const own = shared as Partial<PpoSettings>;
    return rlSettings({ ...own, method, ...(critic && { critic }) });
  }
  if (critic !== undefined) throw ofOtherMethod('--critic', 'ppo');
  const own = shared as Partial<GrpoSettings>;
  return rlSettings({ ...own, method, ...(resampleRounds !== undefined && { resampleRounds }) });
}

function ofOtherMethod(flag: string, method: string): PlinthError {
  return new PlinthError('usage', `${flag} is for --method ${method}; leave it out, or choose that method.`);
}
