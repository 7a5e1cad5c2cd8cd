/** `plinth data quality`: train a classifier from examples or a model of perplexity from good texts. */
import { Command } from 'commander';
import { PlinthError } from '../../core/errors.ts';
import type { EventSink } from '../../core/events.ts';
import type { LabelledText } from '../../data/quality/index.ts';
import { addInputOptions, INPUTS_HELP, type InputFlags, withDataSession } from '../data-session.ts';
import { positiveInteger, quantity, share, wholeNumber } from '../option-values.ts';
import { qualityDocuments } from './data-quality-documents.ts';
import { trainPerplexityCommand } from './data-quality-perplexity.ts';
import { scoreCommand } from './data-quality-score.ts';

export function qualityCommand(): Command {
  return new Command('quality')
    .description('Train a classifier or a model of perplexity, and score documents with it.')
    .helpCommand(false)
    .addCommand(trainCommand())
    .addCommand(trainPerplexityCommand())
    .addCommand(scoreCommand())
    .addHelpText(
      'after',
      `
Example:
  $ plinth data quality train --good books/*.txt --bad spam.jsonl --out quality.bin
  $ plinth data quality score crawl.jsonl --model quality.bin`,
    );
}

interface TrainFlags extends InputFlags {
  good?: string[];
  bad?: string[];
  labels?: string[];
  labelColumn?: string;
  out: string;
  maxBytes: number;
  buckets?: number;
  epochs?: number;
  learningRate?: number;
  heldOut?: number;
  seed?: number;
  json?: boolean;
}

function trainCommand(): Command {
  const command = new Command('train')
    .summary('train a classifier from examples')
    .description('Train a classifier from good and bad texts, or from texts with a label column.')
    .option('--good <inputs...>', `good examples: ${INPUTS_HELP}`)
    .option('--bad <inputs...>', 'bad examples')
    .option(
      '--labels <inputs...>',
      'examples with a label each (jsonl, csv, tsv, parquet), two labels or more',
    )
    .option('--label-column <name>', 'field with the label (default: label)')
    .requiredOption('--out <file>', 'where the classifier goes')
    .option(
      '--max-bytes <number>',
      'read about so much text of each label list at most (200M, 1G)',
      quantity,
      200e6,
    )
    .option(
      '--buckets <number>',
      'buckets for words and pairs, a power of two (default: 262144)',
      positiveInteger,
    )
    .option('--epochs <number>', 'passes over the examples (default: 5)', positiveInteger)
    .option('--learning-rate <number>', 'step size of AdaGrad (default: 0.3)', quantity)
    .option('--held-out <share>', 'share of the examples kept for measuring (default: 0.2)', share)
    .option('--seed <number>', 'of all draws (default: 0)', wholeNumber)
    .option('--json', 'print the report as one line of JSON');
  return addInputOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  $ plinth data quality train --good books/*.txt --bad spam.jsonl --out quality.bin
  $ plinth data quality train --labels domains.csv --label-column domain --out domains.bin`,
    )
    .action(train);
}

async function train(_: unknown, command: Command): Promise<void> {
  const flags = command.opts<TrainFlags>();
  const pair = flags.good !== undefined && flags.bad !== undefined;
  const half = flags.good !== undefined || flags.bad !== undefined;
  if (half !== pair || pair === (flags.labels !== undefined)) {
    throw new PlinthError(
      'usage',
      'Give either --good and --bad, or --labels. See "plinth data quality train --help".',
    );
  }
  if (pair && flags.labelColumn !== undefined) {
    throw new PlinthError('usage', '--label-column goes with --labels; with --good and --bad leave it out.');
  }
  const { saveClassifier, trainClassifier } = await import('../../data/quality/index.node.ts');
  const { report } = await withDataSession('plinth data quality train', async ({ onEvent }) => {
    const texts = pair
      ? [
          ...(await readLabelled(flags.good!, () => 'good', flags, onEvent)),
          ...(await readLabelled(flags.bad!, () => 'bad', flags, onEvent)),
        ]
      : await readLabelled(flags.labels!, (meta) => meta[flags.labelColumn ?? 'label'], flags, onEvent);
    const trained = trainClassifier(texts, {
      ...(pair && { labels: ['good', 'bad'] }),
      ...(flags.buckets !== undefined && { numBuckets: flags.buckets }),
      ...(flags.epochs !== undefined && { numEpochs: flags.epochs }),
      ...(flags.learningRate !== undefined && { learningRate: flags.learningRate }),
      ...(flags.heldOut !== undefined && { heldOutShare: flags.heldOut }),
      ...(flags.seed !== undefined && { seed: flags.seed }),
      onEvent,
    });
    await saveClassifier(flags.out, trained.classifier);
    return trained;
  });
  if (flags.json) {
    process.stdout.write(`${JSON.stringify({ out: flags.out, ...report })}\n`);
    return;
  }
  const [low, high] = report.accuracyInterval95;
  const leftOut = report.numDuplicates + report.numConflicting + report.numWithoutWords;
  const lines = [
    `${percent(report.accuracy)} of ${report.numHeldOut} held-out texts right (95 % interval ${percent(low)} to ${percent(high)}).`,
    ...report.labels.map(
      ({ label, recall, precision }) =>
        `  ${label}: recall ${percent(recall)}, precision ${percent(precision)}`,
    ),
    ...(leftOut === 0
      ? []
      : [
          `Left out: ${report.numDuplicates} doubles, ${report.numConflicting} with contradictory labels, ` +
            `${report.numWithoutWords} without words.`,
        ]),
    ...(report.numCut === 0 ? [] : [`${report.numCut} long texts were used by their beginning only.`]),
    `Trained on ${report.numTrained} texts; written to ${flags.out}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

const percent = (value: number): string => `${(100 * value).toFixed(1)} %`;

/** Texts with their labels; those without one are counted and told. */
async function readLabelled(
  paths: readonly string[],
  labelOf: (meta: Record<string, unknown>) => unknown,
  flags: TrainFlags,
  onEvent: EventSink,
): Promise<LabelledText[]> {
  const texts: LabelledText[] = [];
  let numUnlabelled = 0;
  for await (const { text, meta } of qualityDocuments(paths, flags, onEvent, undefined, flags.maxBytes)) {
    const label = labelOf(meta);
    if (label === undefined || label === null || label === '') numUnlabelled++;
    else texts.push({ text, label: String(label) });
  }
  if (numUnlabelled > 0) {
    const message = `${numUnlabelled} documents without a label are left out; see --label-column.`;
    onEvent({ type: 'note', level: 'warning', message });
  }
  return texts;
}
