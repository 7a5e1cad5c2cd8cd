/** `plinth scale optimal`: the best size and tokens for a budget, under every published law and your own. */
import { Command } from 'commander';
import { PlinthError } from '../../core/errors.ts';
import type { Budget } from '../../scaling/laws/index.ts';
import { lawOf } from '../named-law.ts';
import { quantity, share } from '../option-values.ts';
import { type TermFlags, termsOf } from '../scale/run-options.ts';

interface OptimalFlags extends TermFlags {
  flops?: number;
  params?: number;
  tokens?: number;
  loss?: number;
  dollars?: number;
  law?: string;
  inferenceTokens?: number;
  inferenceCost?: number;
  uniqueTokens?: number;
  html?: string;
  json?: boolean;
}

const HELP = `
Laws: epoch (Besiroglu et al. 2024, the default), hoffmann, hoffmann-unrounded, muennighoff, or a file that
"plinth scale fit --out" wrote.

Examples:
  $ plinth scale optimal --flops 5.76e23
  $ plinth scale optimal --params 7B --inference-tokens 2T
  $ plinth scale optimal --flops 1e22 --unique-tokens 25B --html optimal.html
  $ plinth scale optimal --dollars 100k --accelerator h100-sxm --utilization 0.4
  $ plinth scale optimal --loss 2.1 --law law.json --json`;

export function optimalCommand(): Command {
  return new Command('optimal')
    .summary('the best size and tokens for a budget, by every law')
    .description(
      'The size and tokens with the lowest loss for FLOPs, parameters, tokens or dollars, or with the least compute for a loss.',
    )
    .option('--flops <number>', 'training compute, such as 5.76e23', quantity)
    .option('--params <number>', 'the size for which training tokens are asked, such as 7B', quantity)
    .option('--tokens <number>', 'the tokens for which a size is asked, such as 1.4T', quantity)
    .option('--loss <nats>', 'the loss to reach with the least compute', quantity)
    .option('--dollars <number>', 'a budget in dollars, on --accelerator', quantity)
    .option('--law <name>', 'a law by name, or a law file (default: epoch)')
    .option('--inference-tokens <number>', 'tokens that the model will serve, prompts and answers', quantity)
    .option(
      '--inference-cost <ratio>',
      'cost of a FLOP in serving over one in training (default: 1)',
      quantity,
    )
    .option('--unique-tokens <number>', 'tokens of text that there are; more are repeated', quantity)
    .option('--accelerator <name>', 'with --dollars: of "plinth scale cost --list" (default: h100-sxm)')
    .option('--utilization <share>', 'with --dollars: share of the peak (default: 0.4, 0.3 to 0.5)', share)
    .option('--price <dollars>', 'with --dollars: for an hour of one accelerator', quantity)
    .option('--peak <flop/s>', 'with --dollars: dense peak of one accelerator, such as 989T', quantity)
    .option('--html <file>', 'write charts and tables as a page')
    .option('--json', 'print every number as one line of JSON')
    .addHelpText('after', HELP)
    .action(optimal);
}

async function optimal(flags: OptimalFlags): Promise<void> {
  const { budget, label, dollars } = await budgetOf(flags);
  const [laws, print, { isoFlopChart }] = await Promise.all([
    import('../../scaling/laws/index.ts'),
    import('../scale/optimal-text.ts'),
    import('../scale/law-charts.ts'),
  ]);
  const law = await lawOf(flags.law ?? laws.DEFAULT_LAW);
  const best = laws.optimalFor(law, budget);
  const comparison = laws.compareLaws(law, budget);
  const serving =
    flags.inferenceTokens === undefined
      ? undefined
      : laws.servingOptimum(law, budget, {
          servedTokens: flags.inferenceTokens,
          ...(flags.inferenceCost !== undefined && { relativeCost: flags.inferenceCost }),
        });
  const { uniqueTokens } = flags;
  const data =
    uniqueTokens === undefined
      ? undefined
      : {
          optimum: laws.dataConstrainedOptimum({ flops: best.flops, uniqueTokens }, { law: law.law }),
          epochs: laws.worthOfEpochs(uniqueTokens),
        };
  const others = [laws.LOSS_LAWS.hoffmann, laws.LOSS_LAWS.epoch].filter(({ name }) => name !== law.law.name);
  const chart = isoFlopChart(law, best, others);
  const shown = { law, label, best, comparison, serving, servedTokens: flags.inferenceTokens, data, chart };
  if (flags.html !== undefined) {
    const [{ writeFileAtomic }, { optimalPage }] = await Promise.all([
      import('../../core/atomic-file.node.ts'),
      import('../scale/law-page.ts'),
    ]);
    await writeFileAtomic(flags.html, optimalPage(shown));
  }
  if (flags.json) {
    const { name, source } = law.law;
    process.stdout.write(
      `${JSON.stringify({ law: name, source, budget, ...(dollars && { dollars }), ...best, laws: comparison, serving, data })}\n`,
    );
    return;
  }
  const [{ terminalXyChart }, { styleFor }] = await Promise.all([
    import('../terminal/xy-chart.ts'),
    import('../terminal/style.ts'),
  ]);
  const width = Math.min(100, process.stdout.columns ?? 78);
  const parts = [
    print.optimalText(law, label, best, comparison),
    ...(serving ? [print.servingText(serving, flags.inferenceTokens!)] : []),
    ...(data ? [print.dataText(data.optimum, best, data.epochs)] : []),
    `${terminalXyChart(chart, { columns: width, style: styleFor(process.stdout, process.env) }).join('\n')}\n`,
    ...(dollars ? [`${dollars.text}\n`] : []),
    `${print.ROUNDING_NOTE}\n\n${print.ASSUMPTIONS}\n`,
    ...(flags.html === undefined ? [] : [`The page is ${flags.html}\n`]),
  ];
  process.stdout.write(parts.join('\n'));
}

/** The one budget that was given; dollars as the FLOPs that they typically buy. */
async function budgetOf(
  flags: OptimalFlags,
): Promise<{ budget: Budget; label: string; dollars?: { dollars: number; flops: unknown; text: string } }> {
  const given = (['flops', 'params', 'tokens', 'loss', 'dollars'] as const).filter(
    (name) => flags[name] !== undefined,
  );
  const [name] = given;
  if (given.length !== 1 || name === undefined) {
    throw new PlinthError(
      'usage',
      `Give one of --flops, --params, --tokens, --loss and --dollars${given.length === 0 ? '' : `; got ${given.map((one) => `--${one}`).join(' and ')}`}. Example: plinth scale optimal --flops 5.76e23`,
    );
  }
  if (flags.inferenceCost !== undefined && flags.inferenceTokens === undefined) {
    throw new PlinthError('usage', '--inference-cost goes with --inference-tokens.');
  }
  if (name !== 'dollars') {
    for (const term of ['accelerator', 'utilization', 'price', 'peak'] as const) {
      if (flags[term] !== undefined) throw new PlinthError('usage', `--${term} goes with --dollars.`);
    }
    const { budgetText } = await import('../scale/optimal-text.ts');
    const budget = { [name]: flags[name]! } as unknown as Budget;
    return { budget, label: budgetText(budget) };
  }
  const [{ flopsForDollars, resolveTerms }, print] = await Promise.all([
    import('../../scaling/cost/index.ts'),
    import('../scale/figures.ts'),
  ]);
  const dollars = flags.dollars!;
  const terms = termsOf(flags);
  const flops = flopsForDollars({ ...terms, dollars });
  const { accelerator, assumptions } = resolveTerms(terms);
  const relevant = assumptions.filter((one) => /peak|utilization|price/.test(one.name));
  return {
    budget: { flops: flops.typical },
    label: `${print.dollars(dollars)} on ${accelerator.name}, ${print.scientific(flops.typical)} training FLOPs`,
    dollars: {
      dollars,
      flops,
      text:
        `${print.dollars(dollars)} buys ${print.scientific(flops.typical)} FLOPs` +
        `${flops.low === flops.high ? '' : ` (${print.spread(flops, print.scientific)})`}.\n\n${print.assumptionTable(relevant)}`,
    },
  };
}

/** A law by name, or by the path of a law file. */
