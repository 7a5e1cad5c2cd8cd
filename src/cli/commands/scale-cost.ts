/** `plinth scale cost`: time, dollars, electricity and carbon of training and serving, on a table of accelerators. */
import { Command, Option } from 'commander';
import { PlinthError } from '../../core/errors.ts';
import { notNegative, positiveInteger, quantity, wholeNumber } from '../option-values.ts';
import {
  addTermOptions,
  addWorkOptions,
  type TermFlags,
  termsOf,
  type Work,
  type WorkFlags,
  workOf,
} from '../scale/run-options.ts';
import { type WorkModel, workModelFromFlags } from '../scale/work-model.ts';

interface CostFlags extends WorkFlags, TermFlags {
  days?: number;
  dollars?: number;
  tokensPerSecond?: number;
  serve?: boolean;
  batch?: number;
  context?: number;
  totalParams?: number;
  weightBits?: number;
  cacheBytes?: number;
  list?: boolean;
  example?: string;
  published?: boolean;
  json?: boolean;
}

const HELP = `
Examples:
  $ plinth scale cost --flops 3.14e23 --accelerator h100-sxm --count 256 --utilization 0.4
  $ plinth scale cost --params 7B --tokens 2T --count 1024 --region france
  $ plinth scale cost --preset gpt-3 --tokens 300B --accelerator v100 --days 15
  $ plinth scale cost --dollars 100k --accelerator a100-80gb
  $ plinth scale cost --params 124M --tokens-per-second 180k --accelerator a100-40gb
  $ plinth scale cost --preset llama-3-8b --serve --batch 32 --context 8192
  $ plinth scale cost --params 8B --serve --batch 32 --context 4096 --cache-bytes 131072
  $ plinth scale cost --params 10M --tokens 200M --accelerator cpu --peak 100G --power-watts 65 --price 0
  $ plinth scale cost --list
  $ plinth scale cost --example gpt-3`;

export function costCommand(): Command {
  const command = new Command('cost')
    .summary('time, dollars, electricity and carbon of a run')
    .description(
      'Time, dollars, electricity and carbon of a training run, and the price of served tokens, with ranges and sources.',
    );
  addTermOptions(addWorkOptions(command))
    .option('--days <number>', 'also: accelerators that finish in so many days', quantity)
    .option('--dollars <number>', 'what a budget buys instead of what a run costs', quantity)
    .option(
      '--tokens-per-second <number>',
      'measured, of all accelerators: gives the utilization (MFU)',
      quantity,
    )
    .option('--serve', 'the price of generating tokens with the trained model')
    .option('--batch <number>', 'with --serve: sequences decoded together (default: 1)', positiveInteger)
    .option('--context <tokens>', 'with --serve: tokens in the cache of each (default: 2048)', wholeNumber)
    .option('--total-params <number>', 'with --serve: all parameters, in a mixture of experts', quantity)
    .option('--weight-bits <number>', 'with --serve: of a stored parameter (default: 16)', quantity)
    .option('--cache-bytes <number>', 'with --serve: keys and values of one token', notNegative)
    .option('--list', 'the accelerators with dates, prices and sources')
    .addOption(new Option('--example <name>', 'a worked example, explained').choices(['gpt-3']))
    .option('--published', 'published runs beside what is computed for them')
    .option('--json', 'print every number as one line of JSON');
  return command.addHelpText('after', HELP).action(cost);
}

async function cost(flags: CostFlags): Promise<void> {
  const wanted = [flags.list && '--list', flags.example && '--example', flags.published && '--published'];
  const pages = wanted.filter((name) => name !== undefined && name !== false);
  if (pages.length > 1) throw new PlinthError('usage', `Give one of ${pages.join(' and ')}, not both.`);
  refuseUnused(flags, pages[0]);
  const result = pages.length === 1 ? await page(flags) : await costOfWork(flags);
  process.stdout.write(flags.json ? `${JSON.stringify(result.json)}\n` : result.text);
}

const SERVING_FLAGS = ['batch', 'context', 'totalParams', 'weightBits', 'cacheBytes'] as const;
const PAGE_FLAGS = ['list', 'example', 'published', 'json'];

/** An option that changes nothing is a mistake: it is refused. */
function refuseUnused(flags: CostFlags, page: string | boolean | undefined): void {
  const dashed = (name: string) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  if (page !== undefined) {
    const others = Object.keys(flags).filter((name) => !PAGE_FLAGS.includes(name));
    if (others.length === 0) return;
    throw new PlinthError('usage', `${page} stands alone; leave out ${others.map(dashed).join(', ')}.`);
  }
  const serving = SERVING_FLAGS.filter((name) => flags[name] !== undefined);
  if (serving.length > 0 && !flags.serve) {
    throw new PlinthError('usage', `${serving.map(dashed).join(', ')} goes with --serve.`);
  }
  if (flags.days !== undefined && flags.flops === undefined && flags.tokens === undefined) {
    throw new PlinthError(
      'usage',
      '--days asks how many accelerators a run needs: say which run, by --flops or --tokens.',
    );
  }
}

interface Result {
  readonly json: unknown;
  readonly text: string;
}

async function page(flags: CostFlags): Promise<Result> {
  const [library, print] = await Promise.all([
    import('../../scaling/cost/index.ts'),
    import('../scale/cost-text.ts'),
  ]);
  if (flags.list) {
    return {
      json: { accelerators: library.ACCELERATORS },
      text: print.acceleratorTable(library.ACCELERATORS),
    };
  }
  if (flags.published) {
    const runs = library.publishedComparisons();
    return { json: { runs }, text: print.publishedText(runs) };
  }
  const example = library.gpt3Example();
  return { json: example, text: print.gpt3ExampleText(example) };
}

async function costOfWork(flags: CostFlags): Promise<Result> {
  const model = await workModelFromFlags(flags);
  const work = workOf(flags, model);
  const asked = [
    ...(flags.dollars === undefined ? [] : [await budget(flags)]),
    ...(work === undefined ? [] : [await training(flags, work)]),
    ...(flags.tokensPerSecond === undefined ? [] : [await utilization(flags, model)]),
    ...(flags.serve ? [await serving(flags, model)] : []),
  ];
  if (asked.length === 0) {
    throw new PlinthError(
      'usage',
      'Say what to price: --flops, or --params (--preset, --config, --model) and --tokens, or --dollars, --serve, --list. ' +
        'See "plinth scale cost --help".',
    );
  }
  return {
    json: Object.assign({}, ...asked.map(({ json }) => json)),
    text: asked.map(({ text }) => text).join('\n'),
  };
}

async function training(flags: CostFlags, work: Work): Promise<Result> {
  const [{ acceleratorsForDays, trainingCost }, { trainingText }] = await Promise.all([
    import('../../scaling/cost/index.ts'),
    import('../scale/cost-text.ts'),
  ]);
  const terms = termsOf(flags);
  const result = trainingCost({ ...terms, flops: work.flops, numAccelerators: flags.count ?? 1 });
  if (flags.days === undefined) return { json: { work, ...result }, text: trainingText(work, result) };
  const numAccelerators = acceleratorsForDays({ ...terms, flops: work.flops, days: flags.days });
  const { low, typical, high } = numAccelerators;
  return {
    json: { work, ...result, forDays: { days: flags.days, numAccelerators } },
    text:
      `${trainingText(work, result)}\nTo finish in ${flags.days} days: ${typical.toLocaleString('en-US')} x ${result.accelerator}` +
      `${low === high ? '' : ` (${low.toLocaleString('en-US')} to ${high.toLocaleString('en-US')})`}.\n`,
  };
}

async function budget(flags: CostFlags): Promise<Result> {
  const dollars = flags.dollars!;
  const [{ flopsForDollars, resolveTerms }, { namedLaw, optimalFor, DEFAULT_LAW }, print, { formatCount }] =
    await Promise.all([
      import('../../scaling/cost/index.ts'),
      import('../../scaling/laws/index.ts'),
      import('../scale/figures.ts'),
      import('../../core/units.ts'),
    ]);
  const terms = termsOf(flags);
  const flops = flopsForDollars({ ...terms, dollars });
  const { accelerator, assumptions } = resolveTerms(terms);
  const law = namedLaw(DEFAULT_LAW);
  const optimum = optimalFor(law, { flops: flops.typical });
  const relevant = assumptions.filter(({ name }) => /peak|utilization|price/.test(name));
  return {
    json: { budget: { dollars, accelerator: accelerator.name, flops, optimum, assumptions: relevant } },
    text:
      `${print.dollars(dollars)} buys ${print.scientific(flops.typical)} FLOPs on ${accelerator.name}` +
      `${flops.low === flops.high ? '' : ` (${print.spread(flops, print.scientific)})`}.\n` +
      `Best spent on ${formatCount(optimum.params)} parameters and ${formatCount(optimum.tokens)} tokens, by the law of ` +
      `${law.law.source}.\n\n${print.assumptionTable(relevant)}\n`,
  };
}

async function utilization(flags: CostFlags, model: WorkModel | undefined): Promise<Result> {
  const flopsPerToken = model?.flopsPerToken ?? (flags.params === undefined ? undefined : 6 * flags.params);
  if (flopsPerToken === undefined) {
    throw new PlinthError('usage', '--tokens-per-second needs the size of the model: --params or --preset.');
  }
  const [{ hfu, mfu, resolveTerms }, { percent, scientific }] = await Promise.all([
    import('../../scaling/cost/index.ts'),
    import('../scale/figures.ts'),
  ]);
  const { accelerator, peakFlops, format } = resolveTerms(termsOf(flags));
  const numAccelerators = flags.count ?? 1;
  const speed = { flopsPerToken, tokensPerSecond: flags.tokensPerSecond!, peakFlops, numAccelerators };
  const measured = mfu(speed);
  return {
    json: {
      utilization: {
        ...speed,
        accelerator: accelerator.name,
        format,
        mfu: measured,
        hfuFullRecompute: hfu(speed, 1),
      },
    },
    text:
      `Utilization (MFU): ${percent(measured)} of ${numAccelerators} x ${scientific(peakFlops)} FLOP/s (${accelerator.name}, ${format}), at ` +
      `${scientific(flopsPerToken)} FLOPs a token.\n` +
      `${measured > 1 ? 'Above 100 %: the peak is of another number format, or the FLOPs per token are too many.\n' : ''}` +
      `If every activation is computed twice, the hardware does a third more (HFU): ${percent(hfu(speed, 1))}.\n`,
  };
}

async function serving(flags: CostFlags, model: WorkModel | undefined): Promise<Result> {
  const params = model?.params ?? flags.params;
  const { batch = 1, context = 2048, weightBits = 16 } = flags;
  if (params === undefined) {
    throw new PlinthError(
      'usage',
      '--serve needs the size of the model: --params, --preset, --config or --model.',
    );
  }
  if (model && flags.totalParams !== undefined) {
    throw new PlinthError('usage', '--total-params goes with --params; an architecture says it itself.');
  }
  if (!model && flags.cacheBytes === undefined && context > 0) {
    throw new PlinthError(
      'usage',
      '--serve with --params needs --cache-bytes, what one token of context takes (Llama 3 8B: 131072), or --context 0.',
    );
  }
  const [{ servingCost }, { servingText }] = await Promise.all([
    import('../../scaling/cost/index.ts'),
    import('../scale/cost-text.ts'),
  ]);
  const load = { batch: batch, contextTokens: context };
  const at = model?.decodeAt(Math.max(1, context));
  const weightBytes = (numParams: number) => (numParams * weightBits) / 8;
  const result = servingCost({
    ...termsOf(flags),
    ...load,
    weightBytes: weightBytes(model?.totalParams ?? flags.totalParams ?? params),
    activeWeightBytes: weightBytes(params),
    forwardFlopsPerToken: at?.flopsPerToken ?? 2 * params,
    cacheBytesPerToken: flags.cacheBytes ?? (at && context > 0 ? at.cacheBytes / context : 0),
    ...(flags.count !== undefined && { numAccelerators: flags.count }),
  });
  return { json: { serving: { ...load, ...result } }, text: servingText(result, load) };
}
