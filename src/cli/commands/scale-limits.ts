/** `plinth scale limits`: a training run against the stock of text, electricity and what is expected by 2030. */
import { Command } from 'commander';
import { PlinthError } from '../../core/errors.ts';
import type { Range } from '../../scaling/cost/index.ts';
import { quantity } from '../option-values.ts';
import {
  addTermOptions,
  addWorkOptions,
  type TermFlags,
  termsOf,
  type WorkFlags,
  workOf,
} from '../scale/run-options.ts';
import { workModelFromFlags } from '../scale/work-model.ts';

interface LimitFlags extends WorkFlags, TermFlags {
  days?: number;
  epochs: number;
  tokensPerParameter: number;
  growth?: number;
  fromFlops?: number;
  fromYear?: number;
  json?: boolean;
}

const HELP = `
Examples:
  $ plinth scale limits --flops 1e27
  $ plinth scale limits --params 1T --tokens 20T
  $ plinth scale limits --flops 2e29 --accelerator b200 --days 180
  $ plinth scale limits --growth 3 --tokens-per-parameter 100`;

export function limitsCommand(): Command {
  const command = new Command('limits')
    .summary('a run against text, electricity and chips')
    .description(
      'A training run against the stock of public text, electricity and what is expected by 2030; and when growth meets each.',
    );
  return addTermOptions(addWorkOptions(command))
    .option('--days <number>', 'how long the run takes (default: 54 to 300)', quantity)
    .option('--epochs <number>', 'passes over the same text; counts for raw stocks', quantity, 1)
    .option('--tokens-per-parameter <number>', 'of runs that grow: above 20 is overtrained', quantity, 20)
    .option('--growth <factor>', 'of the largest runs in a year (default: 4 to 5)', quantity)
    .option(
      '--from-flops <number>',
      'the largest run that growth starts from (default: GPT-4, 2.1e25)',
      quantity,
    )
    .option('--from-year <year>', 'when that was (default: 2023.2)', quantity)
    .option('--json', 'print every number as one line of JSON')
    .addHelpText('after', HELP)
    .action(limits);
}

async function limits(flags: LimitFlags): Promise<void> {
  const [library, print] = await Promise.all([
    import('../../scaling/limits/index.ts'),
    import('../scale/limits-text.ts'),
  ]);
  if (flags.count !== undefined) {
    throw new PlinthError(
      'usage',
      '--count changes no limit: power follows from the compute and --days. Leave it out.',
    );
  }
  const { work, tokensRule } = await workAndTokens(flags);
  const growth = {
    ...(flags.fromFlops !== undefined && { fromFlops: flags.fromFlops }),
    ...(flags.fromYear !== undefined && { fromYear: flags.fromYear }),
    ...(flags.growth !== undefined && { growthPerYear: flags.growth }),
  };
  const run =
    work &&
    library.runLimits({
      ...termsOf(flags),
      flops: work.flops,
      ...(work.tokens !== undefined && { tokens: work.tokens }),
      epochs: flags.epochs,
      ...(flags.days !== undefined && { days: flags.days }),
    });
  const publicText = library.DATA_STOCKS[0]!;
  const stock = (tokens: number) => library.flopsForTokens(tokens, flags.tokensPerParameter);
  const stockFlops: Range = {
    low: stock(publicText.tokens.low),
    typical: stock(publicText.tokens.typical),
    high: stock(publicText.tokens.high),
  };
  const reached = [
    ...(work
      ? [{ name: 'this run', flops: { low: work.flops, typical: work.flops, high: work.flops } }]
      : []),
    {
      name: `public text used once up, at ${flags.tokensPerParameter} tokens a parameter`,
      flops: stockFlops,
    },
    ...library.COMPUTE_BY_2030.map(({ name, flops }) => ({ name, flops })),
  ].map((one) => ({ ...one, year: library.yearReached(one.flops, growth) }));
  const result = {
    work: work ?? null,
    tokensRule,
    run: run ?? null,
    growth: {
      fromFlops: flags.fromFlops ?? library.LARGEST_RUN.flops,
      fromYear: flags.fromYear ?? library.LARGEST_RUN.year,
      perYear: flags.growth ?? library.COMPUTE_GROWTH_PER_YEAR,
      reached,
    },
  };
  process.stdout.write(flags.json ? `${JSON.stringify(result)}\n` : print.limitsText(result));
}

/** The work, with the law's tokens where only FLOPs or parameters are given. Without any work only growth is shown. */
async function workAndTokens(flags: LimitFlags) {
  const model = await workModelFromFlags(flags);
  const given = workOf(flags, model);
  const params = model?.params ?? flags.params;
  if (given?.tokens !== undefined) return { work: given, tokensRule: 'given' };
  if (given === undefined && params === undefined) return { work: undefined, tokensRule: '' };
  const { DEFAULT_LAW, namedLaw, optimalFor } = await import('../../scaling/laws/index.ts');
  const law = namedLaw(DEFAULT_LAW);
  const optimum = optimalFor(law, given ? { flops: given.flops } : { params: params! });
  const tokensRule = `optimal by ${law.law.source}`;
  return given
    ? { work: { ...given, params: optimum.params, tokens: optimum.tokens }, tokensRule }
    : {
        work: { ...workOf({ params: optimum.params, tokens: optimum.tokens })!, rule: 'optimal tokens' },
        tokensRule,
      };
}
