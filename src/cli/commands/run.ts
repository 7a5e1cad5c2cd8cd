/** `plinth run`: a recipe from start to report, then a talk with the model; or an experiment. */
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { ConfigError } from '../../core/errors.ts';
import type { Installation } from '../installation.ts';
import { shownPath } from '../model-folder.ts';
import { collect, positiveInteger, quantity, wholeNumber } from '../option-values.ts';

export interface RunFlags {
  minutes?: number;
  flops?: number;
  params?: number;
  seed?: number;
  seeds?: number;
  out?: string;
  device: 'cpu' | 'webgpu' | 'cuda';
  threads?: number;
  profile?: boolean;
  fresh?: boolean;
  set?: string[];
  json?: boolean;
  chat: boolean;
}

const EXAMPLES = `
RECIPE is a name (recipes/NAME.ts in this folder, or one that ships with Plinth: atlas, and the experiments
quality-quantity and coverage) or a path to a .ts or .js file whose default export is a recipe or an experiment.

The run's folder holds everything: settings, checkpoints, the model, metrics and the report. Ctrl-C stops cleanly;
the same command goes on from there. A finished run is not trained again unless --fresh is given.

Examples:
  $ plinth run atlas
  $ plinth run atlas --minutes 2 --seed 7 --out /tmp/atlas
  $ plinth run ./recipes/fruit.ts --set vocabSize=1024 --set pretrainOptimizer.learningRate=0.002
  $ plinth run atlas --no-chat --json > result.json
  $ plinth run coverage --minutes 5 --seeds 1`;

export function runCommand(installation: Installation): Command {
  return new Command('run')
    .summary('train a model by a recipe')
    .description('Train a model by a recipe: data, tokenizer, pre-training, finetuning, evaluation, report.')
    .argument('<recipe>', 'name or path of a recipe')
    .option(
      '--minutes <number>',
      'how long the whole run may take on this machine; sets everything else',
      quantity,
    )
    .option(
      '--flops <number>',
      'training budget in floating-point operations instead of minutes (2e13, 50T)',
      quantity,
    )
    .option('--params <number>', 'number of parameters to aim at (800k, 1.5M)', quantity)
    .option('--seed <number>', 'seed of every random draw', wholeNumber)
    .option('--seeds <number>', 'models for each arm of an experiment', positiveInteger)
    .option(
      '--out <folder>',
      'folder of the run (default: runs/NAME, with --minutes and the like in its name)',
    )
    .addOption(
      new Option('--device <name>', 'where to compute').choices(['cpu', 'webgpu', 'cuda']).default('cpu'),
    )
    .option('--threads <number>', 'threads of the CPU (default: all cores)', positiveInteger)
    .option('--profile', 'measure the time by operator')
    .option('--fresh', 'begin anew, discarding what the folder holds of this run')
    .option('--set <key=value>', 'override one setting that the plan derives; may be repeated', collect)
    .option('--json', 'print the result as one line of JSON, progress on stderr')
    .option('--no-chat', 'do not talk to the model at the end')
    .addHelpText('after', EXAMPLES)
    .action((recipe: string, flags: RunFlags) => run(recipe, flags, installation));
}

async function run(name: string, flags: RunFlags, installation: Installation): Promise<void> {
  const [{ loadRecipe }, { parseSettings }, { AFTER_THIS_STEP, withSession }] = await Promise.all([
    import('../load-recipe.ts'),
    import('../settings-override.ts'),
    import('../session.ts'),
  ]);
  const loaded = await loadRecipe(name, installation);
  if (loaded.kind === 'experiment') {
    const { runExperimentCommand } = await import('./run-experiment.ts');
    await runExperimentCommand(loaded.experiment, flags);
    return;
  }
  const { recipe } = loaded;
  if (flags.seeds !== undefined) {
    throw new ConfigError(
      `--seeds is for experiments; "${recipe.name}" is a recipe. Give one --seed instead.`,
    );
  }
  const dial = {
    ...(flags.flops !== undefined && { flops: flags.flops }),
    ...(flags.params !== undefined && { params: flags.params }),
  };
  const overrides = parseSettings(flags.set ?? []);
  const { defaultRunFolder, runRecipe } = await import('../../recipe/run.node.ts');
  const asked = {
    ...dial,
    ...(flags.minutes !== undefined && { minutes: flags.minutes }),
    ...(flags.seed !== undefined && { seed: flags.seed }),
  };
  const folder = resolve(flags.out ?? defaultRunFolder(recipe, asked));

  const result = await withSession(`plinth run ${recipe.name}`, AFTER_THIS_STEP, (session) =>
    runRecipe(recipe, {
      ...asked,
      ...session,
      folder,
      device: flags.device,
      ...(flags.threads !== undefined && { numThreads: flags.threads }),
      overrides,
      profile: flags.profile ?? false,
      fresh: flags.fresh ?? false,
    }),
  );

  const { modelFolder, report, trained } = result;
  if (flags.json) {
    process.stdout.write(`${JSON.stringify({ folder: result.folder, modelFolder, trained, report })}\n`);
    return;
  }
  const { reportSummary } = await import('../../recipe/report/text.ts');
  const shown = shownPath(result.folder);
  if (!trained) process.stderr.write('This run was finished before; --fresh trains it again.\n');
  process.stdout.write(
    `\n${reportSummary(report)}\n\nReport   ${shown}/report.html\nModel    ${shown}/model\n`,
  );
  if (flags.chat && process.stdin.isTTY && process.stdout.isTTY) {
    const { chatWithFolder } = await import('../chat-terminal.ts');
    process.stdout.write('\n');
    await chatWithFolder(modelFolder, { device: flags.device, threads: flags.threads });
  } else {
    process.stdout.write(`Talk     plinth chat --model ${shown}\n`);
  }
}
