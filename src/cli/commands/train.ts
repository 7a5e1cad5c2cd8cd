/** `plinth train`: pre-trains a model on text files. */
import { Command } from 'commander';
import { PlinthError } from '../../core/errors.ts';
import { readConfig, required } from '../config-file.ts';
import { addDeviceOptions, type DeviceFlags } from '../generation-options.ts';
import { dataLawOf } from '../named-law.ts';
import { collect, notNegative, positiveInteger, quantity, wholeNumber } from '../option-values.ts';

interface TrainFlags extends DeviceFlags {
  config?: string;
  data?: string[];
  tokenizer?: string;
  out?: string;
  steps?: number;
  minutes?: number;
  params?: number;
  law?: string;
  batchSize?: number;
  length?: number;
  learningRate?: number;
  seed?: number;
  validationShare?: number;
  textColumn?: string;
  set?: string[];
  fresh?: boolean;
  json?: boolean;
}

const HELP = `
The folder of --out holds settings.json, data/ (tokens), checkpoints/, metrics.jsonl and model/, the result. Ctrl-C
stops cleanly; the same command goes on from there. The result continues text; "plinth sft" makes it answer.

--config names a JSON file with the same options, in camel case: {"data": ["a.txt"], "batchSize": 16, "set":
["numLayers=6"]}. Flags win over the file. Paths are seen from the current folder.

Examples:
  $ plinth tokenizer train books/*.txt --vocab-size 4096 --out tok
  $ plinth train --data books/*.txt --tokenizer tok --out runs/books --minutes 30
  $ plinth train --config books.json --steps 2000 --set pretrainOptimizer.name=muon`;

export function trainCommand(): Command {
  const command = new Command('train')
    .summary('pre-train a model on text files')
    .description('Pre-train a model on text files: txt, md, jsonl, csv, tsv (each also .gz) or parquet.')
    .option('--config <file>', 'JSON file with options')
    .option('--data <files...>', 'text to learn from')
    .option('--tokenizer <folder>', 'folder with a tokenizer.json')
    .option('--out <folder>', 'where everything goes')
    .option('--steps <number>', 'number of training steps', positiveInteger)
    .option('--minutes <number>', 'minutes of training instead of steps (default: 5)', quantity)
    .option(
      '--params <number>',
      'number of parameters to aim at (default: the best for the minutes, 1M with --steps)',
      quantity,
    )
    .option('--law <file>', 'law.json of "plinth scale sweep" on such text, for size and expected loss')
    .option('--batch-size <number>', 'sequences in a step (default: 32)', positiveInteger)
    .option('--length <number>', 'tokens in a sequence, the context (default: 128)', positiveInteger)
    .option('--lr, --learning-rate <number>', 'peak learning rate (default: by width)', quantity)
    .option('--seed <number>', 'seed of weights and order (default: 1)', wholeNumber)
    .option('--validation-share <number>', 'share of documents kept aside (default: 0.01)', notNegative)
    .option(
      '--text-column <name>',
      'field with the text in jsonl, csv and parquet (default: text, else content)',
    )
    .option(
      '--set <key=value>',
      'any other setting of the plan (hiddenSize, numLayers, clipNorm ...)',
      collect,
    )
    .option('--fresh', 'begin anew, discarding what the folder holds of an earlier training');
  return addDeviceOptions(command)
    .option('--json', 'print the result as one line of JSON, progress on stderr')
    .addHelpText('after', HELP)
    .action(train);
}

async function train(given: TrainFlags): Promise<void> {
  const flags = { ...(given.config === undefined ? {} : await configOf(given.config)), ...given };
  const files = required(flags.data, '--data', 'train');
  const tokenizer = required(flags.tokenizer, '--tokenizer', 'train');
  const folder = required(flags.out, '--out', 'train');
  // A number on the command line replaces the other kind in the file.
  const { steps, minutes } = (given.steps ?? given.minutes) ? given : flags;
  if (steps !== undefined && minutes !== undefined) {
    throw new PlinthError('usage', 'Give either --steps or --minutes, not both.');
  }
  const [{ parseSettings }, { pretrainOnFiles }, { runTraining }] = await Promise.all([
    import('../settings-override.ts'),
    import('../../recipe/pretrain-on-files.node.ts'),
    import('../training-command.ts'),
  ]);
  const named: [string, number | undefined][] = [
    ['batchSize', flags.batchSize],
    ['contextLength', flags.length],
    ['seed', flags.seed],
    ['pretrainOptimizer.learningRate', flags.learningRate],
  ];
  const settings = parseSettings([
    ...(flags.set ?? []),
    ...named.flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value}`])),
  ]);
  const law = flags.law === undefined ? undefined : await dataLawOf(flags.law);
  await runTraining('plinth train', flags, (session) =>
    pretrainOnFiles({
      ...session,
      files,
      tokenizer,
      folder,
      length: steps === undefined ? { minutes: minutes ?? 5 } : { steps },
      ...(flags.params !== undefined && { params: flags.params }),
      ...(law && { law }),
      settings,
      ...(flags.validationShare !== undefined && { validationShare: flags.validationShare }),
      ...(flags.textColumn !== undefined && { textColumn: flags.textColumn }),
      fresh: flags.fresh ?? false,
    }),
  );
}

async function configOf(path: string): Promise<TrainFlags> {
  const { z } = await import('zod');
  const count = z.number().int().positive();
  return readConfig(path, {
    data: z.array(z.string()).nonempty(),
    tokenizer: z.string(),
    out: z.string(),
    steps: count,
    minutes: z.number().positive(),
    params: z.number().positive(),
    law: z.string(),
    batchSize: count,
    length: count,
    learningRate: z.number().positive(),
    seed: z.number().int().nonnegative(),
    validationShare: z.number().min(0).lt(1),
    textColumn: z.string(),
    set: z.array(z.string()),
    device: z.enum(['cpu', 'webgpu', 'cuda']),
    threads: count,
  });
}
