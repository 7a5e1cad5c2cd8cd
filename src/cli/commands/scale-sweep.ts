/** `plinth scale sweep`: trains a ladder of small models, fits their law and predicts the next size. */
import { resolve } from 'node:path';
import { Command } from 'commander';
import { PlinthError } from '../../core/errors.ts';
import { addDeviceOptions, type DeviceFlags, openDevice } from '../generation-options.ts';
import { positiveInteger, quantity, wholeNumber } from '../option-values.ts';

interface SweepFlags extends DeviceFlags {
  data: string[];
  tokenizer?: string;
  vocabSize?: number;
  textColumn?: string;
  minutes: number;
  sizes?: number;
  trainLargest: boolean;
  batchSize?: number;
  length?: number;
  seed?: number;
  out: string;
  fresh?: boolean;
  html?: boolean;
  json?: boolean;
}

const HELP = `
Each size is trained to several token counts, cheaply: decays branch off one training at a constant rate. The law is
fitted to all sizes but the largest, which is predicted first and trained last. --minutes is for all of it.

The folder of --out holds sweep.json (the plan), points.jsonl (a line a model), law.json, report.json, report.html and
model/, the largest model. Ctrl-C stops cleanly; the same command goes on from there.

Examples:
  $ plinth scale sweep --data books/*.txt --minutes 20 --out runs/sweep
  $ plinth scale sweep --data notes.jsonl --minutes 5 --no-train-largest --out runs/quick`;

export function scaleSweepCommand(): Command {
  const command = new Command('sweep')
    .summary('train a ladder of small models on your text and predict the next size')
    .description(
      'Train a ladder of small models on your text, fit their scaling law, predict the loss of the largest, train it and show the miss.',
    )
    .requiredOption('--data <files...>', 'text: txt, md, jsonl, csv, tsv (each also .gz) or parquet')
    .requiredOption('--out <folder>', 'where everything goes')
    .option('--minutes <number>', 'minutes for everything on this machine', quantity, 20)
    .option(
      '--sizes <number>',
      'sizes on the ladder, the held-back one included (default: 5)',
      positiveInteger,
    )
    .option('--no-train-largest', 'predict the largest size only; the same command without this trains it')
    .option('--tokenizer <folder>', 'folder with a tokenizer.json (default: one is trained on the text)')
    .option('--vocab-size <number>', 'token ids of a trained tokenizer (default: 2048)', positiveInteger)
    .option(
      '--text-column <name>',
      'field with the text in jsonl, csv and parquet (default: text, else content)',
    )
    .option('--batch-size <number>', 'sequences in a step (default: 32)', positiveInteger)
    .option('--length <number>', 'tokens in a sequence, the context (default: 128)', positiveInteger)
    .option('--seed <number>', 'seed of weights, order and held-out text (default: 1)', wholeNumber)
    .option('--fresh', 'begin anew, discarding what the folder holds of an earlier sweep');
  return addDeviceOptions(command)
    .option('--html', 'print the path of the HTML report alone')
    .option('--json', 'print the report as one line of JSON, progress on stderr')
    .addHelpText('after', HELP)
    .action(sweep);
}

async function sweep(flags: SweepFlags): Promise<void> {
  if (flags.html && flags.json) throw new PlinthError('usage', 'Give either --html or --json, not both.');
  const [{ runSweep }, { sweepSummary }, { AFTER_THIS_STEP, withSession }, { shownPath }] = await Promise.all(
    [
      import('../../recipe/sweep/index.node.ts'),
      import('../../recipe/sweep/text-sweep.ts'),
      import('../session.ts'),
      import('../model-folder.ts'),
    ],
  );
  const device = await openDevice(flags);
  const result = await withSession('plinth scale sweep', AFTER_THIS_STEP, (session) =>
    runSweep({
      ...session,
      files: flags.data,
      folder: resolve(flags.out),
      device,
      minutes: flags.minutes,
      trainLargest: flags.trainLargest,
      ...(flags.sizes !== undefined && { sizes: flags.sizes }),
      ...(flags.tokenizer !== undefined && { tokenizer: flags.tokenizer }),
      ...(flags.vocabSize !== undefined && { vocabSize: flags.vocabSize }),
      ...(flags.textColumn !== undefined && { textColumn: flags.textColumn }),
      settings: {
        ...(flags.seed !== undefined && { seed: flags.seed }),
        ...(flags.batchSize !== undefined && { batchSize: flags.batchSize }),
        ...(flags.length !== undefined && { contextLength: flags.length }),
      },
      fresh: flags.fresh ?? false,
    }),
  );
  const { folder, report, trained } = result;
  if (flags.json) {
    process.stdout.write(`${JSON.stringify({ folder, trained, report })}\n`);
    return;
  }
  const page = `${shownPath(folder)}/report.html`;
  if (flags.html) {
    process.stdout.write(`${page}\n`);
    return;
  }
  if (!trained) process.stderr.write('This sweep was finished before; --fresh runs it again.\n');
  process.stdout.write(`\n${sweepSummary(report)}\n\nReport   ${page}\n`);
}
