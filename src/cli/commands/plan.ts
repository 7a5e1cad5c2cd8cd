/** `plinth plan`: what this machine can train in the time given, before anything is trained. */
import { Command } from 'commander';
import { ConfigError, PlinthError } from '../../core/errors.ts';
import type { RecipeOverrides } from '../../recipe/recipe.ts';
import type { DataLaw } from '../../scaling/plan/index.ts';
import { addDeviceOptions, type DeviceFlags, openDevice } from '../generation-options.ts';
import type { Installation } from '../installation.ts';
import { dataLawOf } from '../named-law.ts';
import { collect, quantity } from '../option-values.ts';

interface PlanFlags extends DeviceFlags {
  minutes?: number;
  flops?: number;
  tokens?: number;
  loss?: number;
  params?: number;
  dataTokens?: number;
  data?: string[];
  bytesPerToken?: number;
  law?: string;
  servedTokens?: number;
  gflops?: number;
  memory?: number;
  set?: string[];
  html?: string;
  json?: boolean;
}

const HELP = `
Measures this machine (matrix products, and a few steps of the model in question) and chooses the size with the lowest
expected loss. With RECIPE the plan is that of "plinth run RECIPE"; without, that of "plinth train --minutes".

What the loss will be depends on the text. --law takes the law.json of "plinth scale sweep" or "plinth scale fit" on
text of the same kind and vocabulary; without one a law of our own for English prose is used, with a wide interval.

Examples:
  $ plinth plan atlas
  $ plinth plan --minutes 60 --data-tokens 5M
  $ plinth plan --minutes 30 --law runs/sweep/law.json --served-tokens 1G
  $ plinth plan --loss 3.2 --data books/*.txt
  $ plinth plan --minutes 480 --gflops 900 --set vocabSize=4096 --json`;

export function planCommand(installation: Installation): Command {
  const command = new Command('plan')
    .summary('what this machine can train in a given time')
    .description(
      'Choose size, tokens, batch and rates for a budget on this machine, with the loss to expect.',
    )
    .argument('[recipe]', 'a recipe, whose minutes and law are used')
    .option('--minutes <number>', "time for training (default: the recipe's, or 10)", quantity)
    .option('--flops <number>', 'arithmetic instead of time, such as 5e14', quantity)
    .option('--tokens <number>', 'tokens of pre-training instead of time', quantity)
    .option('--loss <nats>', 'a loss to reach in the least time', quantity)
    .option('--params <number>', 'a size instead of the best one (1.5M)', quantity)
    .option('--data-tokens <number>', 'tokens of text that there are; more are repeated', quantity)
    .option('--data <files...>', 'text, to count its tokens instead')
    .option('--bytes-per-token <number>', 'of the vocabulary, with --data (default: 3)', quantity)
    .option('--law <file>', 'a law file fitted on such text, or a published law by name')
    .option(
      '--served-tokens <number>',
      'tokens to serve: compares smaller sizes trained for longer',
      quantity,
    )
    .option('--gflops <number>', "another machine's matrix products, instead of measuring this one", quantity)
    .option(
      '--memory <bytes>',
      'memory that training may take, such as 16G (default: what is free)',
      quantity,
    )
    .option('--set <key=value>', 'a setting of the plan (vocabSize, contextLength, batchSize ...)', collect)
    .option('--html <file>', 'write the plan as a page');
  return addDeviceOptions(command)
    .option('--json', 'print the plan as one line of JSON')
    .addHelpText('after', HELP)
    .action((recipe: string | undefined, flags: PlanFlags) => plan(recipe, flags, installation));
}

const DEFAULT_MINUTES = 10;
const DEFAULT_BYTES_PER_TOKEN = 3;

async function plan(name: string | undefined, flags: PlanFlags, installation: Installation): Promise<void> {
  const [{ parseSettings }, { planForMachine }, print] = await Promise.all([
    import('../settings-override.ts'),
    import('../../recipe/machine-plan.node.ts'),
    import('../scale/plan-text.ts'),
  ]);
  const recipe = name === undefined ? undefined : await recipeOf(name, installation);
  const budget = budgetOf(flags, recipe?.minutes ?? DEFAULT_MINUTES);
  const uniqueTokens =
    flags.dataTokens ?? (flags.data ? await countTokens(flags.data, flags) : recipe?.numTokens);
  const law =
    flags.law === undefined ? (recipe?.law ?? (await unknownLaw(flags))) : await dataLawOf(flags.law);
  const device = flags.gflops === undefined ? await openDevice(flags) : undefined;
  const planned = await planForMachine({
    ...(device && { device }),
    ...(flags.gflops !== undefined && { gflops: flags.gflops }),
    ...(flags.memory !== undefined && { memoryBytes: flags.memory }),
    budget,
    ...(flags.params !== undefined && { params: flags.params }),
    law,
    ...(uniqueTokens !== undefined && { uniqueTokens }),
    overrides: { ...recipe?.settings, ...parseSettings(flags.set ?? []) },
    ...(recipe && { finetuning: { numQuestions: recipe.numQuestions } }),
    ...(flags.servedTokens !== undefined && { servedTokens: flags.servedTokens }),
  });
  if (flags.html !== undefined) {
    const [{ writeFileAtomic }, { planPage }] = await Promise.all([
      import('../../core/atomic-file.node.ts'),
      import('../scale/plan-page.ts'),
    ]);
    await writeFileAtomic(flags.html, planPage(planned, budget, name));
  }
  if (flags.json) {
    const { fit, ...shownLaw } = planned.law;
    process.stdout.write(`${JSON.stringify({ ...planned, law: shownLaw })}\n`);
    return;
  }
  const [{ terminalXyChart }, { styleFor }] = await Promise.all([
    import('../terminal/xy-chart.ts'),
    import('../terminal/style.ts'),
  ]);
  const columns = Math.min(100, process.stdout.columns ?? 78);
  const chart = terminalXyChart(print.planChart(planned), {
    columns,
    rows: 12,
    style: styleFor(process.stdout, process.env),
  });
  process.stdout.write(
    `${print.planText(planned, budget, name)}\n${chart.join('\n')}\n${flags.html === undefined ? '' : `The page is ${flags.html}\n`}`,
  );
}

function budgetOf(flags: PlanFlags, minutes: number) {
  const given = (['minutes', 'flops', 'tokens', 'loss'] as const).filter((one) => flags[one] !== undefined);
  if (given.length > 1) {
    throw new PlinthError('usage', `Give one of ${given.map((one) => `--${one}`).join(' and ')}, not both.`);
  }
  const { flops, tokens, loss } = flags;
  if (flops !== undefined) return { flops };
  if (tokens !== undefined) return { tokens };
  if (loss !== undefined) return { loss };
  return { minutes: flags.minutes ?? minutes };
}

interface PlannedRecipe {
  readonly minutes: number;
  readonly law: DataLaw;
  readonly settings: RecipeOverrides;
  readonly numTokens: number;
  readonly numQuestions: number;
}

/** Bytes of a token of facts in a vocabulary of 2,048; only for how often the data will be repeated. */
const FACT_BYTES_PER_TOKEN = 4;

async function recipeOf(name: string, installation: Installation): Promise<PlannedRecipe> {
  const [{ loadRecipe }, { writeFacts }, { factsLaw }, { planModel }, { numEvaluationAnswers }] =
    await Promise.all([
      import('../load-recipe.ts'),
      import('../../recipe/facts/index.ts'),
      import('../../scaling/plan/index.ts'),
      import('../../recipe/plan.ts'),
      import('../../recipe/stages/evaluate-run.ts'),
    ]);
  const loaded = await loadRecipe(name, installation);
  if (loaded.kind === 'experiment') {
    throw new ConfigError(
      `"${name}" is an experiment; it plans its own arms. Plan a recipe, or leave the name out and give --minutes.`,
    );
  }
  const { recipe } = loaded;
  const { seed, unknownShare } = planModel({ minutes: recipe.minutes }, recipe.settings);
  const corpus = writeFacts(await recipe.sources(), { seed, unknownShare });
  const { pretrainingTexts } = await import('../../recipe/stages/fact-data.node.ts');
  const bytes = pretrainingTexts(corpus).reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
  const numTokens = Math.round(bytes / FACT_BYTES_PER_TOKEN);
  return {
    minutes: recipe.minutes,
    law: recipe.law ?? factsLaw(numTokens),
    settings: recipe.settings ?? {},
    numTokens,
    numQuestions: numEvaluationAnswers(corpus, recipe.settings?.preferSteps !== 0),
  };
}

async function unknownLaw({ bytesPerToken }: PlanFlags): Promise<DataLaw> {
  const { textLaw } = await import('../../scaling/plan/index.ts');
  return textLaw(bytesPerToken ?? DEFAULT_BYTES_PER_TOKEN);
}

async function countTokens(patterns: readonly string[], { bytesPerToken }: PlanFlags): Promise<number> {
  const { openInputs } = await import('../../data/index.node.ts');
  let bytes = 0;
  const inputs = await openInputs(patterns);
  for await (const { text } of inputs.read().read()) bytes += Buffer.byteLength(text);
  return Math.round(bytes / (bytesPerToken ?? DEFAULT_BYTES_PER_TOKEN));
}
