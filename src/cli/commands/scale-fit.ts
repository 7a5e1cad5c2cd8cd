/** `plinth scale fit`: a scaling law of your own runs, with intervals. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { DataError, PlinthError } from '../../core/errors.ts';
import type { LawConstants, ScalingPoint } from '../../scaling/laws/index.ts';
import { collect, quantity, wholeNumber } from '../option-values.ts';

interface FitFlags {
  method: 'law' | 'isoflop' | 'envelope';
  out?: string;
  html?: string;
  fix?: Partial<LawConstants>;
  prior?: 'published';
  dropHighest: number;
  predict?: string[];
  resamples: number;
  seed: number;
  delta: number;
  paramsColumn?: string;
  tokensColumn?: string;
  flopsColumn?: string;
  lossColumn?: string;
  json?: boolean;
}

const HELP = `
A table of runs: csv, tsv, jsonl or json with columns for parameters (params, N, model size ...), tokens or FLOPs
(tokens, D, training FLOP ...) and loss. FLOPs become tokens by C / 6N. Numbers may be 1e9, 125M or 7B.

Few runs (fewer than about 10): fix the exponents, --fix alpha=0.3478,beta=0.3658, or --prior published.

Examples:
  $ plinth scale fit runs.csv
  $ plinth scale fit runs.csv --out law.json --html law.html --predict 1B:20B
  $ plinth scale fit chinchilla-points.csv --drop-highest 5
  $ plinth scale fit runs.jsonl --method isoflop`;

export function fitCommand(): Command {
  return new Command('fit')
    .summary('a scaling law of your own runs')
    .description(
      'Fit L(N, D) = E + A / N^alpha + B / D^beta to your runs, with bootstrap intervals; or the growth of the best size.',
    )
    .argument('<points>', 'table of runs: csv, tsv, jsonl or json')
    .addOption(
      new Option('--method <name>', 'the whole law, or how the best size grows (approaches 2 and 1)')
        .choices(['law', 'isoflop', 'envelope'])
        .default('law'),
    )
    .option('--out <file>', 'write the law, for --law of other commands')
    .option('--html <file>', 'write charts and tables as a page')
    .option('--fix <constants>', 'given instead of fitted, such as alpha=0.35,beta=0.37', constants)
    .addOption(
      new Option('--prior <name>', 'belief about the exponents before the runs').choices(['published']),
    )
    .option('--drop-highest <number>', 'leave out so many runs with the highest losses', wholeNumber, 0)
    .option('--predict <size:tokens>', 'predict a run, such as 70B:1.4T; several times', collect)
    .option('--resamples <number>', 'resamples of the 95 % intervals', wholeNumber, 1000)
    .option('--seed <number>', 'seed of the resamples', wholeNumber, 0)
    .option('--delta <number>', 'where the Huber loss turns into a line', quantity, 1e-3)
    .option('--params-column <name>', 'column with parameters')
    .option('--tokens-column <name>', 'column with tokens')
    .option('--flops-column <name>', 'column with FLOPs')
    .option('--loss-column <name>', 'column with losses')
    .option('--json', 'print every number as one line of JSON')
    .addHelpText('after', HELP)
    .action(fit);
}

async function fit(path: string, flags: FitFlags): Promise<void> {
  if (flags.tokensColumn !== undefined && flags.flopsColumn !== undefined) {
    throw new PlinthError('usage', 'Give --tokens-column or --flops-column, not both: each gives the other.');
  }
  const { readScalingPoints } = await import('../scale/points-file.ts');
  const read = await readScalingPoints(path, {
    ...(flags.paramsColumn !== undefined && { params: flags.paramsColumn }),
    ...(flags.tokensColumn !== undefined && { tokens: flags.tokensColumn }),
    ...(flags.flopsColumn !== undefined && { flops: flags.flopsColumn }),
    ...(flags.lossColumn !== undefined && { loss: flags.lossColumn }),
  });
  const points = withoutHighest(read.points, flags.dropHighest);
  const description =
    flags.dropHighest === 0
      ? read.description
      : `${read.description}, without the ${flags.dropHighest} highest losses`;
  if (flags.method === 'law') await fitLaw(points, description, flags);
  else await fitAllocation(points, description, flags);
}

async function fitLaw(points: ScalingPoint[], description: string, flags: FitFlags): Promise<void> {
  const at = (flags.predict ?? []).map(sizeAndTokens);
  const [laws, print, { fitChart, optimumOrNone }] = await Promise.all([
    import('../../scaling/laws/index.ts'),
    import('../scale/fit-text.ts'),
    import('../scale/law-charts.ts'),
  ]);
  const fitted = laws.fitLossLaw(points, {
    seed: flags.seed,
    numResamples: flags.resamples,
    delta: flags.delta,
    source: `fitted to ${description}`,
    ...(flags.fix && { fixed: flags.fix }),
    ...(flags.prior && { priors: laws.PUBLISHED_EXPONENTS }),
  });
  const most = points.reduce((flops, { params, tokens }) => Math.max(flops, 6 * params * tokens), 0);
  const next = [1, 10, 100].flatMap((factor) => optimumOrNone(fitted, factor * most));
  const predictions = [...next, ...at].map(({ params, tokens }) => ({
    params,
    tokens,
    flops: 6 * params * tokens,
    ...laws.predictLoss(fitted, { params, tokens }),
  }));
  const chart = fitChart(fitted, points);
  const written = laws.lawFileOf(fitted, points);
  if (flags.out !== undefined || flags.html !== undefined) {
    const [{ writeFileAtomic }, { fitPage }] = await Promise.all([
      import('../../core/atomic-file.node.ts'),
      import('../scale/law-page.ts'),
    ]);
    if (flags.out !== undefined) await writeFileAtomic(flags.out, `${JSON.stringify(written)}\n`);
    if (flags.html !== undefined) {
      await writeFileAtomic(flags.html, fitPage({ fit: fitted, description, chart, predictions }));
    }
  }
  if (flags.json) {
    const { law, objective, numPoints, intervals, numStarts, numBasins, outliers, warnings } = fitted;
    const exponents = laws.optimalExponents(law);
    process.stdout.write(
      `${JSON.stringify({ law, objective, numPoints, intervals, a: exponents.a, b: exponents.b, numStarts, numBasins, numResamples: fitted.resamples.length, outliers, warnings, predictions, ...(flags.out !== undefined && { out: flags.out }) })}\n`,
    );
    return;
  }
  const [{ terminalXyChart }, { styleFor }] = await Promise.all([
    import('../terminal/xy-chart.ts'),
    import('../terminal/style.ts'),
  ]);
  const width = Math.min(100, process.stdout.columns ?? 78);
  process.stdout.write(
    `${print.fitText(fitted, description, points, predictions)}\n` +
      `${terminalXyChart(chart, { columns: width, rows: 20, style: styleFor(process.stdout, process.env) }).join('\n')}\n` +
      `${flags.out === undefined ? '' : `\nThe law is ${flags.out}; use it with: plinth scale optimal --law ${flags.out} --flops 1e20\n`}` +
      `${flags.html === undefined ? '' : `The page is ${flags.html}\n`}`,
  );
}

async function fitAllocation(points: ScalingPoint[], description: string, flags: FitFlags): Promise<void> {
  for (const name of ['out', 'html', 'fix', 'prior', 'predict'] as const) {
    if (flags[name] !== undefined) {
      throw new PlinthError(
        'usage',
        `--${name} goes with --method law; --method ${flags.method} fits no losses.`,
      );
    }
  }
  const [{ fitEnvelope, fitIsoFlop }, { allocationText }] = await Promise.all([
    import('../../scaling/laws/index.ts'),
    import('../scale/fit-text.ts'),
  ]);
  const options = { seed: flags.seed, numResamples: flags.resamples };
  const fitted = flags.method === 'isoflop' ? fitIsoFlop(points, options) : fitEnvelope(points, options);
  const most = fitted.profiles.at(-1)!.flops;
  const at = [most, 10 * most, 100 * most];
  const { paramsAt, ...rest } = fitted;
  process.stdout.write(
    flags.json
      ? `${JSON.stringify({ ...rest, best: at.map((flops) => ({ flops, ...paramsAt(flops) })) })}\n`
      : allocationText(fitted, description, at),
  );
}

function withoutHighest(points: readonly ScalingPoint[], num: number): ScalingPoint[] {
  if (num >= points.length) {
    throw new DataError(`--drop-highest ${num} leaves none of the ${points.length} runs.`);
  }
  const highest = new Set([...points].sort((a, b) => b.loss - a.loss).slice(0, num));
  return points.filter((point) => !highest.has(point));
}

/** alpha=0.35,beta=0.37 */
function constants(text: string): Partial<LawConstants> {
  const pairs = text.split(',').map((part) => {
    const match = /^\s*(E|A|B|alpha|beta)\s*=\s*(\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*$/.exec(part);
    if (!match)
      throw new InvalidArgumentError(
        'Expected constants such as alpha=0.35,beta=0.37 (E, A, B, alpha, beta).',
      );
    return [match[1]!, Number(match[2])] as const;
  });
  return Object.fromEntries(pairs);
}

/** 70B:1.4T */
function sizeAndTokens(text: string): { params: number; tokens: number } {
  const [params, tokens, ...more] = text.split(':');
  if (params === undefined || tokens === undefined || more.length > 0) {
    throw new PlinthError('usage', `--predict ${text}: expected size and tokens, such as 70B:1.4T.`);
  }
  try {
    return { params: quantity(params), tokens: quantity(tokens) };
  } catch (error) {
    throw new PlinthError('usage', `--predict ${text}: expected size and tokens, such as 70B:1.4T.`, {
      cause: error,
    });
  }
}
