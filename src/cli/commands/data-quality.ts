/** `plinth data quality`: train a classifier of texts from examples, and score documents with it. */
import { Command } from 'commander';
import { PlinthError } from '../../core/errors.ts';
import type { EventSink } from '../../core/events.ts';
import type { LabelledText, LinearClassifier } from '../../data/quality/index.ts';
import { positiveInteger, quantity, share, wholeNumber } from '../option-values.ts';

const FILES_HELP = 'txt, md, jsonl, csv, tsv (each also .gz) or parquet';

export function qualityCommand(): Command {
  return new Command('quality')
    .description('Train a quality or domain classifier from examples, and score documents with it.')
    .helpCommand(false)
    .addCommand(trainCommand())
    .addCommand(scoreCommand())
    .addHelpText(
      'after',
      `
Example:
  $ plinth data quality train --good books/*.txt --bad spam.jsonl --out quality.bin
  $ plinth data quality score crawl.jsonl --model quality.bin`,
    );
}

interface TrainFlags {
  good?: string[];
  bad?: string[];
  labels?: string[];
  labelColumn?: string;
  out: string;
  textColumn?: string;
  maxBytes: number;
  buckets?: number;
  epochs?: number;
  learningRate?: number;
  heldOut?: number;
  seed?: number;
  json?: boolean;
}

function trainCommand(): Command {
  return new Command('train')
    .description('Train a classifier from good and bad texts, or from texts with a label column.')
    .option('--good <files...>', `good examples: ${FILES_HELP}`)
    .option('--bad <files...>', 'bad examples')
    .option(
      '--labels <files...>',
      'examples with a label each (jsonl, csv, tsv, parquet), two labels or more',
    )
    .option('--label-column <name>', 'field with the label (default: label)')
    .requiredOption('--out <file>', 'where the classifier goes')
    .option('--text-column <name>', 'field with the text (default: text, else content)')
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
    .option('--json', 'print the report as one line of JSON')
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
  const [{ trainClassifier }, { saveClassifier }, { openProgress }] = await Promise.all([
    import('../../data/quality/index.ts'),
    import('../../data/quality/index.node.ts'),
    import('../progress/progress.ts'),
  ]);
  const progress = openProgress({ title: 'plinth data quality train' });
  try {
    const texts = pair
      ? [
          ...(await readLabelled(flags.good!, () => 'good', flags, progress.onEvent)),
          ...(await readLabelled(flags.bad!, () => 'bad', flags, progress.onEvent)),
        ]
      : await readLabelled(
          flags.labels!,
          (meta) => meta[flags.labelColumn ?? 'label'],
          flags,
          progress.onEvent,
        );
    const { classifier, report } = trainClassifier(texts, {
      ...(pair && { labels: ['good', 'bad'] }),
      ...(flags.buckets !== undefined && { numBuckets: flags.buckets }),
      ...(flags.epochs !== undefined && { numEpochs: flags.epochs }),
      ...(flags.learningRate !== undefined && { learningRate: flags.learningRate }),
      ...(flags.heldOut !== undefined && { heldOutShare: flags.heldOut }),
      ...(flags.seed !== undefined && { seed: flags.seed }),
      onEvent: progress.onEvent,
    });
    await saveClassifier(flags.out, classifier);
    progress.close();
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
      `Trained on ${report.numTrained} texts; written to ${flags.out}`,
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
  } finally {
    progress.close();
  }
}

const percent = (value: number): string => `${(100 * value).toFixed(1)} %`;

/** Texts of files up to a bound, each with its label; what is skipped or left unread is told. */
async function readLabelled(
  files: readonly string[],
  labelOf: (meta: Record<string, unknown>) => unknown,
  { maxBytes, textColumn }: Pick<TrainFlags, 'maxBytes' | 'textColumn'>,
  onEvent: EventSink,
): Promise<LabelledText[]> {
  const { openReader } = await import('../../data/index.node.ts');
  const note = (message: string): void => onEvent({ type: 'note', level: 'warning', message });
  const texts: LabelledText[] = [];
  let sizeBytes = 0;
  for (const file of files) {
    const reader = openReader(file, textColumn === undefined ? {} : { textColumn });
    let numUnlabelled = 0;
    for await (const { text, meta } of reader.read()) {
      const label = labelOf(meta);
      if (typeof label !== 'string' && typeof label !== 'number' && typeof label !== 'boolean') {
        numUnlabelled++;
        continue;
      }
      texts.push({ text, label: String(label) });
      sizeBytes += Buffer.byteLength(text);
      if (sizeBytes >= maxBytes) break;
    }
    const { numSkipped, skipped } = reader.report;
    const first = skipped[0];
    if (numSkipped > 0)
      note(`${file}: ${numSkipped} skipped; the first, ${first?.position}: ${first?.reason}.`);
    if (numUnlabelled > 0) note(`${file}: ${numUnlabelled} without a label skipped; see --label-column.`);
    if (sizeBytes >= maxBytes) {
      note(`Stopped reading at ${sizeBytes} bytes in ${file}; --max-bytes raises the bound.`);
      break;
    }
  }
  return texts;
}

interface ScoreFlags {
  model: string;
  textColumn?: string;
  scores?: string;
  json?: boolean;
}

function scoreCommand(): Command {
  return new Command('score')
    .description('Score documents with a trained classifier and print how the scores spread.')
    .argument('<files...>', FILES_HELP)
    .requiredOption('--model <file>', 'a file that "plinth data quality train" wrote')
    .option('--text-column <name>', 'field with the text (default: text, else content)')
    .option(
      '--scores <file>',
      'also write {"id","source","label","score"} for each document, one JSON a line',
    )
    .option('--json', 'print the result as one line of JSON')
    .addHelpText(
      'after',
      '\nExample:\n  $ plinth data quality score crawl.jsonl --model quality.bin --scores scores.jsonl',
    )
    .action(score);
}

const NUM_BINS = 10;

async function score(files: string[], flags: ScoreFlags): Promise<void> {
  const [{ loadClassifier }, { writeFileAtomic }, { openProgress }] = await Promise.all([
    import('../../data/quality/index.node.ts'),
    import('../../core/atomic-file.node.ts'),
    import('../progress/progress.ts'),
  ]);
  const classifier = await loadClassifier(flags.model);
  const progress = openProgress({ title: 'plinth data quality score' });
  const tally = new ScoreTally(classifier);
  try {
    const lines = scoreLines(files, flags, classifier, tally, progress.onEvent);
    if (flags.scores === undefined) for await (const _ of lines);
    else await writeFileAtomic(flags.scores, lines);
    progress.close();
    process.stdout.write(flags.json ? `${JSON.stringify(tally.result())}\n` : `${tally.text()}\n`);
  } finally {
    progress.close();
  }
}

async function* scoreLines(
  files: readonly string[],
  { textColumn }: ScoreFlags,
  classifier: LinearClassifier,
  tally: ScoreTally,
  onEvent: EventSink,
): AsyncGenerator<Uint8Array> {
  const { openReader } = await import('../../data/index.node.ts');
  const encoder = new TextEncoder();
  for (const file of files) {
    const reader = openReader(file, textColumn === undefined ? {} : { textColumn });
    for await (const { id, source, text } of reader.read()) {
      const line = { id, source, ...tally.add(text) };
      yield encoder.encode(`${JSON.stringify(line)}\n`);
    }
    const { numSkipped, skipped } = reader.report;
    tally.numSkipped += numSkipped;
    const first = skipped[0];
    if (numSkipped > 0) {
      const message = `${file}: ${numSkipped} skipped; the first, ${first?.position}: ${first?.reason}.`;
      onEvent({ type: 'note', level: 'warning', message });
    }
  }
}

/** With two labels the scores of the first are tallied in tenths; with more, documents by label. */
class ScoreTally {
  numSkipped = 0;
  readonly #classifier: LinearClassifier;
  readonly #isPair: boolean;
  readonly #numOfLabel: number[];
  readonly #bins = new Array<number>(NUM_BINS).fill(0);
  #numDocuments = 0;
  #sum = 0;

  constructor(classifier: LinearClassifier) {
    this.#classifier = classifier;
    this.#isPair = classifier.labels.length === 2;
    this.#numOfLabel = classifier.labels.map(() => 0);
  }

  add(text: string): { label: string; score: number } {
    const { labels } = this.#classifier;
    const { label, score, probabilities } = this.#classifier.classify(text);
    const counted = this.#isPair ? probabilities[0]! : score;
    this.#numDocuments++;
    this.#numOfLabel[labels.indexOf(label)]!++;
    this.#sum += counted;
    this.#bins[Math.min(NUM_BINS - 1, Math.floor(counted * NUM_BINS))]!++;
    return { label, score: counted };
  }

  result() {
    const { labels } = this.#classifier;
    return {
      numDocuments: this.#numDocuments,
      numSkipped: this.numSkipped,
      /** Whose probability the scores are: a label, or with three or more each document's own. */
      scoreOf: this.#isPair ? labels[0]! : 'likeliest label',
      meanScore: this.#numDocuments === 0 ? null : this.#sum / this.#numDocuments,
      numByLabel: Object.fromEntries(labels.map((label, i) => [label, this.#numOfLabel[i]!])),
      numByTenth: this.#bins,
    };
  }

  text(): string {
    const { numDocuments, numSkipped, scoreOf, meanScore, numByLabel, numByTenth } = this.result();
    const skipped = numSkipped === 0 ? '' : `, ${numSkipped} skipped`;
    const lines = [
      `${numDocuments} documents${skipped}; mean score (${scoreOf}) ${meanScore?.toFixed(3) ?? '-'}`,
    ];
    for (const [label, count] of Object.entries(numByLabel)) lines.push(`  ${label}: ${count}`);
    lines.push('By score:');
    for (const [i, count] of numByTenth.entries()) {
      lines.push(`  ${(i / NUM_BINS).toFixed(1)} to ${((i + 1) / NUM_BINS).toFixed(1)}  ${count}`);
    }
    return lines.join('\n');
  }
}
